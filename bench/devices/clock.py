"""The processor's clock: what cpufreq says, else measured by a chain of dependent instructions, without a compiler.

A virtual machine hides the clock, and the time-stamp counter runs at a rate of its own. A chain in which each
instruction waits for the one before takes a known number of cycles, so its time gives the clock. The chain is machine
code in a page of memory, called through ctypes.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.devices.files import read_int
from bench.devices.host import normalized_machine
from bench.devices.machine_code import ExecutablePage
from bench.records import Clock

CHAIN_LENGTH: Final = 512
"""Instructions of the chain per turn of the loop: the loop's own two vanish beside it."""
_BURST_S: Final = 0.002
"""Long against a ctypes call (about 1 µs), short against a time slice, so that some bursts run undisturbed."""
_RATING_S: Final = 0.3
"""For the clock that a rating is computed from. The first 0.06 s of one run on a shared machine gave 2.53 GHz where the
runs around it had 3.14 to 3.22, and its shares of the rated figure came out a quarter too high."""
_X86_LATENCY: Final = 3
"""Cycles of `imul r32, r32`: Intel since Nehalem and its small cores, AMD and Hygon since Zen (uops.info, IMUL_R32_R32;
Agner Fog, Instruction tables). The 64-bit form takes longer on the small cores, an addition can be folded at rename."""
_ARM_LATENCY: Final = 1
"""Cycles of `eor x, x, x` without a shift (Arm's software optimisation guides of the Neoverse cores, ALU, basic)."""


@dataclass(frozen=True)
class Chain:
    """Machine code of `void chain(uint64_t turns)`, what one turn costs, and how the result is labelled."""

    code: bytes
    cycles_per_turn: int
    source: str


def x86_chain(length: int = CHAIN_LENGTH) -> Chain:
    """The multiply chain in the System V calling convention: the count arrives in rdi, only eax and rdi are touched."""
    start = b"\xb8\x03\x00\x00\x00"  # mov eax, 3
    body = b"\x0f\xaf\xc0" * length  # imul eax, eax
    dec = b"\x48\xff\xcf"  # dec rdi
    back = -(len(body) + len(dec) + 6)
    code = start + body + dec + b"\x0f\x85" + struct.pack("<i", back) + b"\xc3"  # jnz body; ret
    return Chain(code, length * _X86_LATENCY, "measured (dependent multiply chain)")


def arm_chain(length: int = CHAIN_LENGTH) -> Chain:
    """The exclusive-or chain in AAPCS64: the count arrives in x0, only x0, x1 and x2 are touched."""
    words = [0xD2800061, 0xD28000A2]  # mov x1, #3; mov x2, #5
    words += [0xCA020021] * length  # eor x1, x1, x2
    words += [0xF1000400]  # subs x0, x0, #1
    back = -(length + 1)
    words += [0x54000001 | (back & 0x7FFFF) << 5, 0xD65F03C0]  # b.ne body; ret
    return Chain(struct.pack(f"<{len(words)}I", *words), length * _ARM_LATENCY, "measured (dependent eor chain)")


def chain_for(machine: str, system: str, details: Mapping[str, Any]) -> Chain | str:
    """The chain whose latency is known on this processor, or why there is none.

    `machine` is x86_64 or aarch64, `system` is sys.platform, `details` has cpu_vendor and cpu_family.
    """
    if system != "linux":
        return f"the clock is not measured on {system}: no executable page is asked for there"
    if machine == "aarch64":
        return arm_chain()
    if machine != "x86_64":
        return f"no chain of known latency for {machine}"
    vendor, family = details.get("cpu_vendor"), details.get("cpu_family", 0)
    # Family 6 before Nehalem and AMD before Zen have other latencies; nothing that runs today's torch is that old.
    if (vendor == "GenuineIntel" and family >= 6) or (vendor in ("AuthenticAMD", "HygonGenuine") and family >= 0x17):
        return x86_chain()
    return f"the latency of a multiply is not known here for {vendor or 'an unnamed vendor'} family {family}"


def highest_rate(timed: Callable[[int], float], duration_s: float) -> float:
    """Turns per second of the fastest of several bursts within about `duration_s`; `timed(turns)` returns seconds.

    The highest and not the mean: another tenant or an interrupt only ever slows a burst.
    """
    turns = 16
    while (spent := timed(turns)) < _BURST_S:
        turns *= 2
    best = turns / spent
    while spent < duration_s:
        elapsed = timed(turns)
        spent += elapsed
        best = max(best, turns / elapsed)
    return best


def measured_clock(duration_s: float = 0.06, details: Mapping[str, Any] | None = None) -> Clock:
    """The highest clock of this core over bursts of 2 ms; `hz` None, and the reason as the source, where it can't be.

    `details` is a device's (cpu_vendor, cpu_family); without it they are read from /proc/cpuinfo.
    """
    if details is None:
        details = _own_details()
    chain = chain_for(normalized_machine(), sys.platform, details)
    if isinstance(chain, str):
        return Clock(hz=None, source=chain)
    try:
        page = ExecutablePage(chain.code)
    except (OSError, ValueError, AttributeError) as error:
        return Clock(hz=None, source=f"not measured: {error}")

    def timed(turns: int) -> float:
        start = time.perf_counter_ns()
        page.call(turns)
        return (time.perf_counter_ns() - start) * 1e-9

    return Clock(hz=highest_rate(timed, duration_s) * chain.cycles_per_turn, source=chain.source)


def cpufreq_maximum_hz(root: Path = Path("/")) -> float | None:
    """The highest clock that cpufreq allows any core, in Hz; None without cpufreq (most virtual machines)."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")
    kilohertz = [value for value in map(read_int, files) if value]
    return max(kilohertz) * 1e3 if kilohertz else None


def cpu_clock(details: Mapping[str, Any], root: Path = Path("/")) -> Clock:
    """The processor's clock: cpufreq's maximum where there is one, else measured now.

    `details` is the device's: cpu_vendor and cpu_family decide which chain has a known latency.
    """
    maximum = cpufreq_maximum_hz(root)
    return Clock(hz=maximum, source="cpufreq") if maximum else measured_clock(_RATING_S, details)


def _own_details() -> Mapping[str, Any]:
    from bench.devices.cpuinfo import parse_cpuinfo
    from bench.devices.files import read_text

    return parse_cpuinfo(read_text(Path("/proc/cpuinfo")) or "").details
