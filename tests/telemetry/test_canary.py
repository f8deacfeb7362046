"""The canary: its machine code, and that what it sings is plausible on the processor at hand. No timing is asserted."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bench.devices.host import normalized_machine
from bench.telemetry.burst import Burst, avx2_burst, avx512_burst, burst_for, neon_burst
from bench.telemetry.canary import Canary, Probe, own_involuntary_switches, together_rate


@pytest.mark.parametrize(
    ("burst", "first", "last", "lanes"),
    [
        (avx2_burst(), "c4c205b8c6", "c44205b8de", 8),  # vfmadd231ps ymm0 / ymm11, ymm15, ymm14
        (avx512_burst(), "62d20548b8c6", "62520548b8de", 16),  # vfmadd231ps zmm0 / zmm11, zmm15, zmm14
    ],
    ids=["AVX2", "AVX-512"],
)
def test_the_x86_burst_jumps_back_to_its_first_multiply_add(burst: Burst, first: str, last: str, lanes: int) -> None:
    size = len(first) // 2
    begin, end = 3, 3 + 96 * size
    assert burst.code[:begin].hex() == "c5fc77"  # vzeroall
    assert burst.code[begin : begin + size].hex() == first
    assert burst.code[end - size : end].hex() == last
    assert burst.code[end : end + 5].hex() == "48ffcf0f85"  # dec rdi; jnz
    (offset,) = struct.unpack("<i", burst.code[end + 5 : end + 9])
    assert end + 9 + offset == begin
    assert burst.code[end + 9 :].hex() == "c5f877c3"  # vzeroupper; ret
    assert burst.operations_per_turn == 96 * lanes * 2


def test_the_arm_burst_jumps_back_to_its_first_multiply_add_and_leaves_the_callers_registers() -> None:
    burst = neon_burst()
    words = struct.unpack(f"<{len(burst.code) // 4}I", burst.code)
    clears = [word for word in words if word & 0xFFFFFFE0 == 0x6F00E400]
    adds = [index for index, word in enumerate(words) if word & 0xFFFFFFE0 == 0x4E3FCFC0]
    assert {words[index] & 31 for index in adds}.isdisjoint({*range(8, 16), 30, 31})
    assert len(clears) == 24
    assert burst.operations_per_turn == len(adds) * 8
    branch = words[-2]
    offset = ((branch >> 5) & 0x7FFFF) - (1 << 19)
    assert len(words) - 2 + offset == adds[0] == len(clears)


@pytest.mark.parametrize(
    ("burst", "register"), [(avx2_burst(), "ymm"), (avx512_burst(), "zmm")], ids=["AVX2", "AVX-512"]
)
def test_a_disassembler_reads_what_was_meant(tmp_path: Path, burst: Burst, register: str) -> None:
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("no objdump")
    path = tmp_path / "burst.bin"
    path.write_bytes(burst.code)
    command = [objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.skip(f"this objdump reads no x86-64: {done.stderr.strip()}")
    lines = [line.split("\t")[-1].split() for line in done.stdout.splitlines() if "\t" in line]
    wanted = [["vfmadd231ps", f"{register}{index},{register}15,{register}14"] for index in range(12)] * 8
    assert lines == [["vzeroall"], *wanted, ["dec", "rdi"], ["jne", "0x3"], ["vzeroupper"], ["ret"]]


def test_the_widest_unit_is_taken_and_none_is_a_reason() -> None:
    for machine, isa, unit in (
        ("x86_64", {"avx2", "fma"}, "AVX2 FMA"),
        ("x86_64", {"avx2", "fma", "avx512f"}, "AVX-512 FMA"),
        ("aarch64", {"asimd"}, "NEON FMA"),
    ):
        found = burst_for(machine, "linux", isa)
        assert isinstance(found, Burst)
        assert found.unit == unit
    for machine, system, isa in (
        ("x86_64", "linux", {"avx2"}),
        ("x86_64", "darwin", {"avx2", "fma"}),
        ("riscv64", "linux", set[str]()),
        ("aarch64", "linux", set[str]()),
    ):
        assert isinstance(burst_for(machine, system, isa), str)


@pytest.mark.skipif(
    sys.platform != "linux" or normalized_machine() not in ("x86_64", "aarch64"),
    reason="the canary is machine code for Linux on x86-64 and aarch64",
)
def test_the_canary_sings_plausibly_here() -> None:
    canary = Probe(threads=2).measure()
    if canary.fma_flops_one is None or canary.clock_hz is None:
        pytest.skip(canary.why)
    assert 0.5e9 < canary.clock_hz < 7e9
    # At most two 16-lane units a cycle; at least something, whoever else is at work.
    assert canary.flops_per_cycle is not None
    assert 0.1 < canary.flops_per_cycle < 64 * 1.2
    assert canary.siblings_ratio is not None
    assert 0.05 < canary.siblings_ratio < 4
    assert canary.threads == 2
    record = canary.to_record()
    assert record == json.loads(json.dumps(record))
    assert record["unit"].endswith("FMA")


def test_one_thread_together_is_one_thread() -> None:
    canary = Probe(threads=1).measure()
    assert canary.fma_flops_all == canary.fma_flops_one


def test_a_processor_without_the_units_has_a_reason_and_no_zero() -> None:
    if normalized_machine() == "riscv64":
        pytest.skip("the reason names the machine there")
    canary = Probe(threads=2, isa=frozenset()).measure()
    assert canary.fma_flops_one is None
    assert canary.fma_flops_all is None
    assert canary.siblings_ratio is None
    assert canary.why
    assert "fma_flops_one" not in canary.to_record()


def test_the_ratio_tells_cores_from_siblings() -> None:
    assert Canary(0, 0, 2, fma_flops_one=100e9, fma_flops_all=200e9).siblings_ratio == 2
    assert Canary(0, 0, 2, fma_flops_one=100e9, fma_flops_all=100e9).siblings_ratio == 1
    assert Canary(0, 0, 2, fma_flops_one=96e9, clock_hz=3e9).flops_per_cycle == 32


def test_only_bursts_that_ran_beside_all_others_count() -> None:
    # The second thread woke late: alone, the first ran at 100; together both run at 50.
    early = [(0.0, 1.0, 100.0), (1.0, 2.0, 100.0), (2.0, 3.0, 50.0), (3.0, 4.0, 50.0), (4.0, 5.0, 50.0)]
    late = [(1.5, 2.5, 50.0), (2.5, 3.5, 50.0), (3.5, 4.5, 50.0), (4.5, 5.5, 100.0)]
    assert together_rate([early, late]) == 100.0


def test_one_interrupt_is_no_neighbour_and_a_thread_that_failed_adds_nothing() -> None:
    steady = [(float(index), index + 1.0, 100.0) for index in range(5)]
    jolted = [(start, end, 10.0 if start == 2.0 else rate) for start, end, rate in steady]
    assert together_rate([steady, jolted]) == 200.0
    assert together_rate([steady, []]) == 100.0
    assert together_rate([[], []]) == 0.0
    apart = [(start + 100, end + 100, rate) for start, end, rate in steady]
    assert together_rate([steady, apart]) == 200.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_switches_are_counted_by_the_process_itself() -> None:
    first, second = own_involuntary_switches(), own_involuntary_switches()
    assert first is not None
    assert second is not None
    assert 0 <= first <= second
