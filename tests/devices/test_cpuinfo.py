"""What a processor is and can do, from what it says about itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices.cpu import parse_sysctl
from bench.devices.cpuinfo import Identity, native_precisions, parse_cpuinfo

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Identity:
    return parse_cpuinfo((RECORDED / f"cpuinfo_{name}.txt").read_text())


def test_an_epyc_guest_has_cpuids_numbers_and_no_unit_for_low_precision() -> None:
    found = recorded("epyc_kvm")
    assert found.vendor == "amd"
    assert found.name == "AMD EPYC"
    assert {key: found.details[key] for key in ("cpu_vendor", "cpu_family", "cpu_model", "cpu_stepping")} == {
        "cpu_vendor": "AuthenticAMD",
        "cpu_family": 25,
        "cpu_model": 1,
        "cpu_stepping": 1,
    }
    assert native_precisions(frozenset(found.isa)) == {"fp64": "AVX2 FMA", "fp32": "AVX2 FMA"}


def test_emerald_rapids_has_amx_for_bf16_and_int8_and_avx512_for_fp16() -> None:
    found = recorded("emerald_rapids")
    assert (found.vendor, found.details["cpu_family"], found.details["cpu_model"]) == ("intel", 6, 207)
    assert native_precisions(frozenset(found.isa)) == {
        "fp64": "AVX-512 FMA",
        "fp32": "AVX-512 FMA",
        "bf16": "AMX-BF16",
        "fp16": "AVX512-FP16",
        "int8": "AMX-INT8",
    }


def test_graviton_is_named_by_its_part_number() -> None:
    found = recorded("graviton3")
    assert (found.vendor, found.name) == ("arm", "Arm Neoverse V1")
    assert (found.details["cpu_implementer"], found.details["cpu_part"]) == ("0x41", "0xd40")
    assert native_precisions(frozenset(found.isa)) == {
        "fp64": "NEON FMA",
        "fp32": "NEON FMA",
        "fp16": "NEON FP16",
        "bf16": "BF16 MMLA",
        "int8": "I8MM",
    }


def test_granite_rapids_computes_fp16_on_amx() -> None:
    assert native_precisions(frozenset({"avx512f", "avx512_fp16", "amx_fp16"}))["fp16"] == "AMX-FP16"


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"])
def test_int8_is_native_with_any_of_its_units(flag: str) -> None:
    assert "int8" in native_precisions(frozenset({flag}))


@given(st.text())
def test_no_cpuinfo_breaks_the_parser(text: str) -> None:
    found = parse_cpuinfo(text)
    assert set(native_precisions(frozenset(found.isa))) >= {"fp64", "fp32"}


@given(st.text())
def test_no_sysctl_breaks_the_parser(text: str) -> None:
    assert isinstance(parse_sysctl(text), Identity)


def test_an_apple_chip_is_read_from_sysctl() -> None:
    found = parse_sysctl(
        "machdep.cpu.brand_string: Apple M2 Max\nhw.optional.arm64: 1\nhw.optional.arm.FEAT_BF16: 1\n"
        "hw.optional.arm.FEAT_SME: 0\nhw.perflevel0.l1dcachesize: 131072\nhw.perflevel0.l2cachesize: 33554432\n"
    )
    assert (found.vendor, found.name) == ("apple", "Apple M2 Max")
    assert found.isa == ("asimd", "bf16")
    assert found.details["caches"] == {"l1d": 131072, "l2": 33554432, "llc": 33554432}
