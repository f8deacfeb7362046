"""Bits become names one by one: all of them, those of tomorrow's drivers too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.telemetry.reasons import AMD, NVIDIA, decode, kind_of


@given(st.sets(st.integers(0, 63)))
def test_every_bit_that_is_set_is_told_once_and_lowest_first(bits: set[int]) -> None:
    value = sum(1 << bit for bit in bits)
    names = decode(value, NVIDIA)
    assert len(names) == len(set(names)) == len(bits)
    assert list(names) == [NVIDIA.get(1 << bit, f"unknown bit {1 << bit:#x}") for bit in sorted(bits)]


@given(st.integers(0, 2**64 - 1))
def test_what_was_decoded_can_be_put_together_again(value: int) -> None:
    by_name = {name: bit for bit, name in AMD.items()}
    told = [by_name.get(name) or int(name.removeprefix("unknown bit "), 16) for name in decode(value, AMD)]
    assert sum(told) == value


def test_no_bit_is_no_reason_and_a_new_bit_hides_no_old_one() -> None:
    assert decode(0, NVIDIA) == ()
    assert decode(0x4 | 0x20, NVIDIA) == ("sw_power_cap", "sw_thermal_slowdown")
    assert decode(0x4 | 1 << 40, NVIDIA) == ("sw_power_cap", "unknown bit 0x10000000000")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("sw_power_cap", "power_cap"),
        ("hw_thermal_slowdown", "thermal"),
        ("hw_slowdown", "hardware"),
        ("hw_power_brake_slowdown", "power_brake"),
        ("gpu_idle", "idle"),
        ("ppt0", "power_cap"),
        ("edc_gfx", "current"),
        ("temp_hotspot", "thermal"),
        ("prochot_gfx", "thermal"),
        ("pl1", "power_cap"),
        ("unknown bit 0x800", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_reason_has_a_kind(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind


def test_every_name_of_the_tables_has_a_kind() -> None:
    for names in (NVIDIA, AMD):
        assert all(kind_of(name) != "unknown" for name in names.values())


def test_nvml_has_these_bits() -> None:
    pynvml = pytest.importorskip("pynvml")
    for bit, constant in (
        (0x4, "SwPowerCap"),
        (0x8, "HwSlowdown"),
        (0x20, "SwThermalSlowdown"),
        (0x40, "HwThermalSlowdown"),
        (0x80, "HwPowerBrakeSlowdown"),
    ):
        assert getattr(pynvml, f"nvmlClocksThrottleReason{constant}") == bit
        assert bit in NVIDIA
