"""Peaks per torch device, the reason where there is none, processors by formula, and the formula as a cross-check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.ratings import (
    KEYS,
    check,
    clock_adjusted_peak,
    cpu_microarchitecture,
    cpu_model_clock_hz,
    load,
    match,
    peaks_of,
    ratings_for,
)
from bench.ratings.formula import comparisons
from bench.ratings.matching import GIB
from bench.records import Clock, Device, Units

TABLES = load()
ZEN3 = {"cpu_vendor": "AuthenticAMD", "cpu_family": 25, "cpu_model": 1, "cpu_stepping": 1}
EMERALD = {"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0xCF, "cpu_stepping": 2}
AVX2 = ["sse2", "avx2", "fma"]
EMERALD_FLAGS = [*AVX2, "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni"]
AMX = ["amx_tile", "amx_bf16", "amx_int8"]


def gpu(name: str, units: int | None, memory_gib: float | None = None, **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "device": "cuda:0",
        "kind": "cuda",
        "name": name,
        "units": Units(kind="multiprocessor", in_use=units, total=units),
        "memory_bytes": int(memory_gib * GIB) if memory_gib else None,
    }
    return Device(**(fields | changes))


def processor(details: dict[str, Any], isa: list[str], **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "device": "cpu",
        "kind": "cpu",
        "name": "a processor",
        "units": Units(kind="core", in_use=2, total=2),
        "clock": Clock(hz=3e9, source="measured (dependent multiply chain)"),
        "details": details,
        "isa": isa,
    }
    return Device(**(fields | changes))


def per_cycle(device: Device) -> dict[str, float]:
    """Key → operations per cycle and core of the rated peaks of a processor of 2 cores at 3 GHz."""
    peaks = ratings_for(device, TABLES).peaks
    return {key: rated.operations_per_s / 2 / 3e9 for key, rated in peaks.items() if rated.operations_per_s}


# --- cards ------------------------------------------------------------------------------------------------------------


def test_a_cards_peaks_are_its_data_sheets_dense_figures() -> None:
    ratings = ratings_for(gpu("NVIDIA H100 80GB HBM3", 132, 79.11, pci_id="10de:2330"), TABLES)
    assert ratings.name == "H100 SXM5 80GB"
    tera = {key: rated.operations_per_s / 1e12 for key, rated in ratings.peaks.items() if rated.operations_per_s}
    assert tera == pytest.approx(
        {
            "fp64/fp64": 66.9,
            "fp32/fp32": 66.9,
            "tf32/fp32": 494.7,
            "bf16/fp32": 989.4,
            "fp16/fp32": 989.4,
            "fp16/fp16": 989.4,
            "fp8/fp32": 1978.9,
            "int8/int32": 1978.9,
            "int8/mixed": 2 / (1 / 1978.9 + 1 / 989.4),
        }
    )
    assert ratings.peaks["bandwidth"].bytes_per_s == 3350e9
    assert ratings.peaks["fp16/fp32"].kind == "datasheet"
    assert ratings.peaks["fp16/fp32"].clock_hz == 1830e6
    assert ratings.peaks["fp64/fp64"].clock_hz == 1980e6
    assert ratings.reason("fp16/fp32") == ""


def test_a_key_that_a_row_leaves_blank_is_undisclosed_and_says_how_to_add_it() -> None:
    ratings = ratings_for(gpu("NVIDIA H100 80GB HBM3", 132, 79.11), TABLES)
    assert set(ratings.peaks) == set(KEYS)
    assert ratings.peaks["fp8/fp16"].kind == "undisclosed"
    assert ratings.peaks["fp8/fp16"].operations_per_s is None
    assert "--ratings my.toml" in ratings.reason("fp8/fp16")


def test_a_device_without_a_row_has_no_peak_and_a_reason() -> None:
    ratings = ratings_for(gpu("NVIDIA GeForce RTX 4090 D", 114, 23.6), TABLES)
    assert (ratings.name, ratings.peaks) == (None, {})
    assert ratings.reason("fp16/fp32").startswith("unlisted: ")
    assert "name = 'NVIDIA GeForce RTX 4090 D'" in ratings.reason("fp16/fp32")


def test_a_slice_is_not_rated_as_the_card() -> None:
    for device in (
        gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 14, 4.75),
        gpu("NVIDIA A100-SXM4-40GB", 14, 4.75),
        gpu("NVIDIA A100-SXM4-40GB", 108, 39.6, mig="1g.5gb"),
    ):
        ratings = ratings_for(device, TABLES)
        assert (ratings.name, ratings.peaks) == (None, {})
        assert ratings.reason("bandwidth")


def test_a_slice_is_rated_where_a_user_rates_it(tmp_path: Path) -> None:
    name = "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
    path = tmp_path / "my.toml"
    path.write_text(f'[[device]]\nname = "{name}"\nfp16_tflops = 44\n')
    ratings = ratings_for(gpu(name, 14, 4.75, mig="1g.5gb"), load([path]))
    assert ratings.peaks["fp16/fp32"].operations_per_s == 44e12


def test_units_taken_away_by_the_user_do_not_change_the_rating() -> None:
    device = gpu("NVIDIA H200", 132, 139.8)
    device.units.in_use = 66
    assert ratings_for(device, TABLES).name == "H200 SXM 141GB"


@pytest.mark.parametrize(
    ("name", "torch_device", "memory_gib", "key", "tera"),
    [
        ("AMD Instinct MI250X", "cuda", 64, "bf16/fp32", 191.5),
        ("AMD Instinct MI250", "cuda", 64, "fp16/fp32", 181.05),
        ("NVIDIA A16", "cuda", 16, "fp16/fp32", 17.9),
        ("NVIDIA GB200", "cuda", 186, "fp16/fp32", 2500),
        ("Intel(R) Data Center GPU Max 1550", "xpu", 64, "fp32/fp32", 26.215),
        ("Intel(R) Data Center GPU Max 1550", "xpu", None, "fp32/fp32", 26.215),
        ("Intel(R) Data Center GPU Max 1550", "xpu", 128, "fp32/fp32", 52.43),
        ("TPU v3", "xla", None, "bf16/fp32", 61.5),
        ("TPU v4", "xla", None, "bf16/fp32", 275),
        ("TPU7x", "xla", None, "fp8/fp32", 2307),
        ("trn2", "xla", None, "bf16/fp32", 667 / 8),
        ("Ascend910_9391", "npu", 64, "fp16/fp32", 376),
        ("MLU370-X8", "mlu", 48, "int8/int32", 256),
        ("MLU370-X8", "mlu", 24, "int8/int32", 128),
    ],
)
def test_a_row_of_several_dies_is_divided_by_what_torch_presents(
    name: str, torch_device: str, memory_gib: float | None, key: str, tera: float
) -> None:
    entry = match(TABLES, name, torch_device=torch_device, memory_bytes=int(memory_gib * GIB) if memory_gib else None)
    assert entry is not None
    assert peaks_of(entry)[key].operations_per_s == pytest.approx(tera * 1e12)


def test_the_cards_own_memory_names_a_row_of_two_dies_as_well() -> None:
    entry = match(TABLES, "AMD Instinct MI250X", memory_bytes=128 * GIB)
    assert entry is not None
    assert peaks_of(entry)["bf16/fp32"].operations_per_s == pytest.approx(191.5e12)


def test_matrix_figures_rate_a_gemm_where_a_card_has_them() -> None:
    mi210 = TABLES.entry("Instinct MI210")
    p100 = TABLES.entry("Tesla P100 SXM2 16GB")
    assert mi210 is not None
    assert p100 is not None
    assert peaks_of(mi210)["fp64/fp64"].operations_per_s == pytest.approx(45.3e12)
    assert peaks_of(mi210)["fp32/fp32"].operations_per_s == pytest.approx(45.3e12)
    assert peaks_of(p100)["fp16/fp16"].operations_per_s == pytest.approx(21.2e12)
    assert "fp16/fp32" not in peaks_of(p100)


# --- processors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("details", "name"),
    [
        (ZEN3, "Zen 3"),
        (EMERALD, "Emerald Rapids"),
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x55, "cpu_stepping": 4}, "Skylake-SP"),
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x55, "cpu_stepping": 7}, "Cascade Lake"),
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x55, "cpu_stepping": 10}, None),  # Cooper Lake
        ({"cpu_vendor": "AuthenticAMD", "cpu_family": 26, "cpu_model": 0x24, "cpu_stepping": 0}, "Zen 5 / 5c"),
        ({"cpu_vendor": "AuthenticAMD", "cpu_family": 6, "cpu_model": 0xCF, "cpu_stepping": 2}, None),
        ({"cpu_implementer": "0x41", "cpu_part": "0xd40"}, "Neoverse V1"),
        ({"cpu_implementer": "0x41", "cpu_part": "0xD4F"}, "Neoverse V2"),
        ({"cpu_implementer": "0x48", "cpu_part": "0xd40"}, None),
        ({"cpu_family": "25", "cpu_model": "1", "cpu_stepping": "1", "cpu_vendor": "AuthenticAMD"}, "Zen 3"),
        ({"cpu_vendor": "AuthenticAMD", "cpu_family": None, "cpu_model": "?"}, None),
        ({}, None),
    ],
)
def test_a_core_is_known_by_its_numbers_or_not_at_all(details: dict[str, Any], name: str | None) -> None:
    assert cpu_microarchitecture(details) == name


def test_zen_3_is_rated_at_its_avx2_units() -> None:
    assert per_cycle(processor(ZEN3, AVX2)) == pytest.approx(
        {
            "fp64/fp64": 16,
            "fp32/fp32": 32,
            "bf16/fp32": 32,
            "fp16/fp32": 32,
            "int8/int32": 64,
            "int8/mixed": 2 / (1 / 64 + 1 / 32),
        }
    )


def test_emerald_rapids_is_rated_at_amx_and_fp16_by_its_accumulation() -> None:
    assert per_cycle(processor(EMERALD, [*EMERALD_FLAGS, *AMX])) == pytest.approx(
        {
            "fp64/fp64": 32,
            "fp32/fp32": 64,
            "bf16/fp32": 1024,
            "fp16/fp32": 64,  # no AMX-FP16: with FP32 accumulation it is the FP32 FMA rate
            "fp16/fp16": 128,
            "int8/int32": 2048,
            "int8/mixed": 2 / (1 / 2048 + 1 / 64),
        }
    )


def test_units_hidden_from_a_virtual_machine_do_not_rate_it() -> None:
    rates = per_cycle(processor(EMERALD, EMERALD_FLAGS))
    assert rates["bf16/fp32"] == 64  # AVX512-BF16 gives 32 there, half of FP32
    assert rates["int8/int32"] == 256


def test_a_computed_peak_says_how_it_was_computed() -> None:
    rated = ratings_for(processor(ZEN3, AVX2), TABLES).peaks["int8/int32"]
    assert rated.kind == "computed"
    assert rated.clock_hz == 3e9
    for word in ("Zen 3", "AVX2", "2 cores", "64 operations per cycle", "3.000 GHz", "dependent multiply chain"):
        assert word in rated.source


def test_int8_carried_by_the_fp32_units_says_so() -> None:
    zen2 = {"cpu_vendor": "AuthenticAMD", "cpu_family": 23, "cpu_model": 0x31, "cpu_stepping": 0}
    rated = ratings_for(processor(zen2, AVX2), TABLES).peaks["int8/int32"]
    assert rated.operations_per_s == 2 * 32 * 3e9
    assert "FP32 FMA rate" in rated.source


@pytest.mark.parametrize(
    ("details", "isa", "key"),
    [
        # Ice Lake-SP: no source says how many 512-bit units; its AVX2 rate would pass for the peak.
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x6A}, [*AVX2, "avx512f"], "fp32/fp32"),
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x6A}, [*AVX2, "avx512f"], "int8/int32"),
        # Granite Rapids: no rate at all.
        ({"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0xAD}, [*EMERALD_FLAGS, *AMX], "fp32/fp32"),
        # Neoverse N1 with dot products, whose rate no source gives.
        ({"cpu_implementer": "0x41", "cpu_part": "0xd0c"}, ["asimd", "asimddp"], "int8/int32"),
        (ZEN3, AVX2, "fp16/fp16"),
        (ZEN3, AVX2, "tf32/fp32"),
        (ZEN3, AVX2, "fp8/fp32"),
        (ZEN3, AVX2, "bandwidth"),
        (ZEN3, [], "fp32/fp32"),
    ],
)
def test_what_no_source_gives_is_undisclosed_with_the_reason(details: dict[str, Any], isa: list[str], key: str) -> None:
    ratings = ratings_for(processor(details, isa), TABLES)
    assert ratings.name is not None
    assert ratings.peaks[key].kind == "undisclosed"
    assert "--ratings my.toml" in ratings.reason(key)


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {}},
        {"clock": None},
        {"clock": Clock(hz=None, source="hidden")},
        {"units": Units(kind="core", in_use=None)},
    ],
)
def test_a_processor_without_core_clock_or_count_is_not_guessed(changes: dict[str, Any]) -> None:
    ratings = ratings_for(processor(**{"details": ZEN3, "isa": AVX2, **changes}), TABLES)
    assert (ratings.name, ratings.peaks) == (None, {})
    assert "--ratings my.toml" in ratings.reason("fp32/fp32")


@pytest.mark.parametrize(
    ("name", "clock_hz"),
    [
        ("Intel(R) Xeon(R) Platinum 8256 CPU @ 3.80GHz", 3.9e9),
        ("Intel(R) Xeon(R) Platinum 8180 CPU @ 2.50GHz", 3.8e9),
        ("AMD EPYC 7601 32-Core Processor", 3.2e9),
        ("Intel(R) Xeon(R) Platinum 8256L CPU @ 3.80GHz", None),
        ("Intel(R) Xeon(R) Platinum 8488C", None),  # listed without a turbo
        ("AMD EPYC", None),
        ("", None),
    ],
)
def test_the_model_tables_turbo_is_for_that_model_alone(name: str, clock_hz: float | None) -> None:
    found = cpu_model_clock_hz(name)
    assert (found[0] if found else None) == clock_hz


def test_the_model_tables_turbo_goes_before_the_devices_own_clock() -> None:
    cascade = {"cpu_vendor": "GenuineIntel", "cpu_family": 6, "cpu_model": 0x55, "cpu_stepping": 7}
    name = "Intel(R) Xeon(R) Platinum 8256 CPU @ 3.80GHz"
    rated = ratings_for(processor(cascade, [*AVX2, "avx512f", "avx512_vnni"], name=name), TABLES).peaks["fp32/fp32"]
    assert rated.operations_per_s == 2 * 64 * 3.9e9
    assert "model table" in rated.source


def test_a_users_figure_for_a_processor_goes_before_the_computed_one(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[[device]]\nname = "a processor"\nfp32_tflops = 1\nbandwidth_gb_per_s = 20\n')
    ratings = ratings_for(processor(ZEN3, AVX2), load([path]))
    assert ratings.name == "a processor"
    assert (ratings.peaks["fp32/fp32"].kind, ratings.peaks["fp32/fp32"].operations_per_s) == ("user", 1e12)
    assert (ratings.peaks["bandwidth"].kind, ratings.peaks["bandwidth"].bytes_per_s) == ("user", 20e9)
    assert ratings.peaks["int8/int32"].kind == "computed"
    unknown = ratings_for(processor({}, AVX2), load([path]))
    assert unknown.peaks["fp32/fp32"].operations_per_s == 1e12
    assert unknown.peaks["fp64/fp64"].kind == "undisclosed"


# --- the formula ------------------------------------------------------------------------------------------------------


def test_the_check_reports_what_is_known_to_disagree() -> None:
    found = check(TABLES)
    assert len(comparisons(TABLES)) == 452
    assert len(found) == 22
    by_row: dict[str, int] = {}
    for disagreement in found:
        by_row[disagreement.name] = by_row.get(disagreement.name, 0) + 1
    assert by_row == {
        "A10G": 1,
        "L40": 2,
        "L40S": 1,
        "H100 NVL 94GB": 4,
        "H800 PCIe 80GB": 1,
        "H200 NVL 141GB": 5,
        "B300 SXM 270GB": 6,
        "DGX Spark GB10": 2,
    }


@pytest.mark.parametrize(
    ("device", "key", "clock_hz", "per_clock"),
    [
        (gpu("NVIDIA H100 80GB HBM3", 132, 79.11), "fp16/fp32", 1.5e9, 132 * 4096),
        (gpu("NVIDIA H100 80GB HBM3", 132, 79.11), "fp64/fp64", 1.5e9, 132 * 256),
        (gpu("NVIDIA GeForce RTX 4090", 128, 23.6), "bf16/fp32", 2.5e9, 128 * 512),
        (gpu("NVIDIA RTX 6000 Ada Generation", 142, 47.4), "bf16/fp32", 2.5e9, 142 * 1024),
        (gpu("NVIDIA GeForce RTX 3060", 28, 11.7), "fp16/fp32", 1.7e9, 28 * 512),
        (gpu("AMD Instinct MI250X", 110, 64), "fp32/fp32", 1.7e9, 110 * 256),
        (gpu("AMD Radeon RX 7900 XTX", 48, 23.98), "fp16/fp32", 2.4e9, 96 * 512),
        (gpu("AMD Radeon RX 7900 XTX", 96, 23.98), "fp16/fp32", 2.4e9, 96 * 512),
        (processor(ZEN3, AVX2), "fp32/fp32", 2.5e9, 2 * 32),
        # A slice, by the units that are its own; its architecture has one accumulation class only.
        (
            gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 14, 4.75, vendor="nvidia", capability=[8, 0]),
            "fp16/fp32",
            1.4e9,
            14 * 2048,
        ),
        (gpu("something", 304, 192, architecture="gfx942:sramecc+:xnack-"), "bf16/fp32", 2e9, 304 * 2048),
    ],
)
def test_the_clock_adjusted_peak_is_units_times_rate_times_clock(
    device: Device, key: str, clock_hz: float, per_clock: int
) -> None:
    assert clock_adjusted_peak(device, key, clock_hz, TABLES) == pytest.approx(per_clock * clock_hz)


def test_the_clock_adjusted_peak_of_mixed_int8_is_the_harmonic_mean() -> None:
    device = gpu("NVIDIA H100 80GB HBM3", 132, 79.11)
    halves = 2 / (1 / (132 * 8192) + 1 / (132 * 4096))
    assert clock_adjusted_peak(device, "int8/mixed", 1e9, TABLES) == pytest.approx(halves * 1e9)


@pytest.mark.parametrize(
    ("device", "key", "clock_hz"),
    [
        (gpu("NVIDIA H20", 78, 95.1), "fp16/fp32", 1.9e9),  # held below the formula by an export rule
        (gpu("NVIDIA H100 80GB HBM3", 132, 79.11), "bandwidth", 1.9e9),
        (gpu("NVIDIA H100 80GB HBM3", 132, 79.11), "fp16/fp32", 0.0),
        (gpu("NVIDIA H100 80GB HBM3", 132, 79.11), "no such key", 1e9),
        # An unlisted Ada card runs FP32 accumulation at full or at half rate: nothing tells which.
        (gpu("unlisted", 100, 20, vendor="nvidia", capability=[8, 9]), "fp16/fp32", 2e9),
        (gpu("unlisted", 100, 20), "fp32/fp32", 2e9),
        (gpu("unlisted", None, 20, vendor="nvidia", capability=[8, 0]), "fp32/fp32", 2e9),
        (processor({}, AVX2), "fp32/fp32", 3e9),
    ],
)
def test_the_clock_adjusted_peak_is_none_where_the_tables_cannot_tell(
    device: Device, key: str, clock_hz: float
) -> None:
    assert clock_adjusted_peak(device, key, clock_hz, TABLES) is None
