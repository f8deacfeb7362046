"""The processor's clock: machine code, latency table, cpufreq, and a plausible figure where it can be measured."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from bench.devices.clock import (
    Chain,
    arm_chain,
    chain_for,
    cpu_clock,
    cpufreq_maximum_hz,
    highest_rate,
    measured_clock,
    x86_chain,
)
from bench.devices.host import normalized_machine

ZEN3 = {"cpu_vendor": "AuthenticAMD", "cpu_family": 25}


def test_the_x86_chain_jumps_back_to_its_first_multiply() -> None:
    code = x86_chain(length=7).code
    assert code[:5] == bytes.fromhex("b803000000")
    assert code[5 : 5 + 21] == bytes.fromhex("0fafc0") * 7
    assert code[26:31] == bytes.fromhex("48ffcf0f85")
    (offset,) = struct.unpack("<i", code[31:35])
    assert 35 + offset == 5
    assert code[35:] == b"\xc3"


def test_the_arm_chain_jumps_back_to_its_first_exclusive_or() -> None:
    words = struct.unpack("<8I", arm_chain(length=3).code)
    assert words[2:5] == (0xCA020021,) * 3
    branch = words[6]
    assert branch & 0xFF00001F == 0x54000001
    offset = ((branch >> 5) & 0x7FFFF) - (1 << 19)
    assert 6 + offset == 2


def test_a_chain_is_used_only_where_its_latency_is_known() -> None:
    for vendor, family in (("GenuineIntel", 6), ("AuthenticAMD", 25), ("HygonGenuine", 24)):
        chain = chain_for("x86_64", "linux", {"cpu_vendor": vendor, "cpu_family": family})
        assert isinstance(chain, Chain)
        assert chain.cycles_per_turn == 3 * 512
    assert isinstance(chain_for("aarch64", "linux", {}), Chain)
    for machine, system, details in (
        ("x86_64", "linux", {"cpu_vendor": "AuthenticAMD", "cpu_family": 21}),
        ("x86_64", "linux", {}),
        ("riscv64", "linux", {}),
        ("x86_64", "win32", ZEN3),
        ("aarch64", "darwin", {}),
    ):
        assert isinstance(chain_for(machine, system, details), str)


def test_the_highest_of_several_bursts_counts() -> None:
    speeds = iter([1e6] * 20 + [1.5e6] + [1.2e6] * 10_000)
    assert highest_rate(lambda turns: turns / next(speeds), duration_s=0.1) == pytest.approx(1.5e6)


@pytest.mark.skipif(
    sys.platform != "linux" or normalized_machine() not in ("x86_64", "aarch64"),
    reason="the chain is machine code for Linux on x86-64 and aarch64",
)
def test_the_measured_clock_is_that_of_a_processor() -> None:
    found = measured_clock(duration_s=0.03)
    if found.hz is None:
        pytest.skip(found.source)
    assert 0.5e9 < found.hz < 7e9
    assert found.source.startswith("measured (dependent ")


def test_an_unknown_processor_has_no_clock_and_a_reason() -> None:
    found = measured_clock(details={"cpu_vendor": "Nobody", "cpu_family": 1})
    if normalized_machine() == "x86_64":
        assert found.hz is None
    assert found.source


def test_cpufreq_comes_first_and_its_highest_core_counts(tmp_path: Path) -> None:
    for cpu, kilohertz in enumerate((3_400_000, 5_600_000)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{kilohertz}\n")
    assert cpufreq_maximum_hz(tmp_path) == 5.6e9
    found = cpu_clock(ZEN3, tmp_path)
    assert (found.hz, found.source) == (5.6e9, "cpufreq")


def test_without_cpufreq_there_is_no_maximum(tmp_path: Path) -> None:
    assert cpufreq_maximum_hz(tmp_path) is None
