"""Which row a reported name gets: its own, or none; never a neighbour's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ratings import Entry, load, match, why_no_match
from bench.ratings.matching import GIB, normalise

TABLES = load()
SEEN = [(name, entry) for entry in TABLES.entries for name in entry.driver_names_seen]
LISTED = {normalise(name) for entry in TABLES.entries for name in (entry.name, *entry.names) if "*" not in name}
PREFIXES = [normalise(n).partition("*")[0] for e in TABLES.entries for n in e.names if "*" in n]


def memory_of(entry: Entry, share: float = 1.0) -> int | None:
    """What one torch device of the entry reports, as a share of the nominal size in GiB."""
    return int(entry.memory_gb[0] * GIB * share / entry.devices_per_row[0]) if entry.memory_gb else None


def units_of(entry: Entry) -> int | None:
    return entry.units // entry.devices_per_row[0] if entry.units else None


def name_of(entry: Entry | None) -> str | None:
    return entry.name if entry else None


@pytest.mark.parametrize(("name", "entry"), SEEN, ids=[name for name, _ in SEEN])
@pytest.mark.parametrize("share", [1.0, 0.9313, 0.92], ids=["GiB", "GB", "with memory kept back"])
def test_every_driver_name_seen_gets_exactly_its_row(name: str, entry: Entry, share: float) -> None:
    memory_bytes = memory_of(entry, share)
    assert name_of(match(TABLES, name, torch_device="cuda", memory_bytes=memory_bytes)) == entry.name
    found = match(TABLES, name, torch_device="cuda", memory_bytes=memory_bytes, units=units_of(entry))
    assert name_of(found) == entry.name


def test_the_driver_names_seen_are_many() -> None:
    assert len(SEEN) >= 44


# MLU270-S4 and -F4 share one name, one memory size and all figures: no row is the right one.
@pytest.mark.parametrize("entry", [e for e in TABLES.entries if not e.name.startswith("MLU270")], ids=lambda e: e.name)
def test_every_row_is_reached_by_its_names_memory_and_units(entry: Entry) -> None:
    for name in (entry.name, *entry.names):
        found = match(
            TABLES,
            name.replace("*", ""),
            torch_device=entry.torch_device,
            memory_bytes=memory_of(entry),
            units=units_of(entry),
            pci_id=entry.pci_ids[0] if entry.pci_ids else None,
        )
        assert name_of(found) == entry.name, name


@pytest.mark.parametrize(
    ("name", "memory_gib", "row"),
    [
        # Sizes as torch prints them in its out-of-memory messages.
        ("NVIDIA H100 80GB HBM3", 79.11, "H100 SXM5 80GB"),
        ("NVIDIA A100-SXM4-40GB", 39.59, "A100 SXM4 40GB"),
        ("NVIDIA A100-SXM4-80GB", 79.35, "A100 SXM4 80GB"),
        ("Tesla T4", 14.56, "T4"),
        ("Tesla V100-SXM2-16GB", 15.78, "Tesla V100 SXM2 16/32GB"),
        ("Tesla V100-SXM2-32GB", 31.74, "Tesla V100 SXM2 16/32GB"),
        ("NVIDIA A10G", 21.99, "A10G"),
        ("NVIDIA L4", 22.03, "L4"),
        ("NVIDIA L40S", 44.39, "L40S"),
        ("NVIDIA GeForce RTX 4090", 23.64, "GeForce RTX 4090"),
        ("NVIDIA H200", 139.81, "H200 SXM 141GB"),
        ("NVIDIA B200", 178.35, "B200 SXM 180GB"),
        ("NVIDIA GB10", 119.7, "DGX Spark GB10"),
        ("AMD Instinct MI300X", 191.98, "Instinct MI300X"),
        ("Orin (nvgpu)", 61.37, "Jetson AGX Orin 64GB"),
        ("Orin (nvgpu)", 29.8, "Jetson AGX Orin 32GB"),
        ("NVIDIA GeForce RTX 3060", 11.76, "GeForce RTX 3060 12GB"),
        ("NVIDIA GeForce RTX 3060", 7.79, None),
        ("NVIDIA GeForce RTX 3080", 9.77, "GeForce RTX 3080 10GB"),
        ("NVIDIA GeForce RTX 3080", 11.77, None),
        ("Intel(R) Arc(TM) A770 Graphics", 15.11, "Arc A770 16GB"),
        ("Intel(R) Arc(TM) A770 Graphics", 7.9, None),
        ("NVIDIA Thor", 122.8, "Jetson AGX Thor T5000"),
        ("NVIDIA Thor", 61.4, None),
        ("NVIDIA A100-SXM4-80GB", 9.5, None),
        ("NVIDIA GeForce RTX 4090", 47.4, None),
    ],
)
def test_memory_admits_what_a_whole_device_reports_and_no_other_size(
    name: str, memory_gib: float, row: str | None
) -> None:
    assert name_of(match(TABLES, name, memory_bytes=int(memory_gib * GIB))) == row


def test_a_name_that_two_modules_share_needs_memory_or_units() -> None:
    assert match(TABLES, "Orin (nvgpu)") is None
    assert "Jetson AGX Orin 32GB" in why_no_match(TABLES, "Orin (nvgpu)")
    assert name_of(match(TABLES, "Orin (nvgpu)", units=14)) == "Jetson AGX Orin 32GB"


def test_names_that_amd_shares_are_told_apart_by_compute_units_or_memory() -> None:
    both = "AMD Instinct MI250X / MI250"
    assert match(TABLES, both) is None
    assert name_of(match(TABLES, both, units=104)) == "Instinct MI250 (both GCDs)"
    assert name_of(match(TABLES, both, units=110)) == "Instinct MI250X (both GCDs)"
    vega = "AMD Instinct MI60 / MI50"
    assert match(TABLES, vega, memory_bytes=32 * GIB) is None
    assert name_of(match(TABLES, vega, memory_bytes=16 * GIB)) == "Radeon Instinct MI50"
    assert name_of(match(TABLES, vega, units=64)) == "Radeon Instinct MI60"


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
        "NVIDIA H200 MIG 1g.18gb",
        "GRID T4-16C",
        "GRID T4-16Q",
        "GRID A100-10C",
        "GRID A100D-8C",
        "A100D-8C",
        "NVIDIA A100-4-20C",
        "NVIDIA A100-1-5CME",
        "NVIDIA A10-24Q",
        "NVIDIA A40-48Q",
        "NVIDIA L40S-48Q",
        "NVIDIA L4-24C",
        "NVIDIA H100XM-80C",
        "NVIDIA RTX6000-Ada-48Q",
        "GRID V100D-32Q",
        "NVIDIA A2-16C",
    ],
)
def test_slices_and_virtual_gpus_never_get_the_full_card(name: str) -> None:
    assert match(TABLES, name) is None
    assert "slice" in why_no_match(TABLES, name) or "no table" in why_no_match(TABLES, name)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 5090 D",
        "NVIDIA GeForce RTX 5090 D v2",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3080 Ti",
        "NVIDIA GeForce RTX 3080 Laptop GPU",
        "NVIDIA GeForce RTX 4070 SUPER",
        "NVIDIA GeForce RTX 4070 Ti",
        "NVIDIA GeForce RTX 4060 Ti",
        "NVIDIA GeForce RTX 5080 SUPER",
        "NVIDIA RTX A5000 Laptop GPU",
        "NVIDIA A100-SXM-64GB",
        "NVIDIA A100X",
        "NVIDIA H100 64GB HBM3",
        "NVIDIA H100 96GB HBM3",
        "NVIDIA H100 SXM5 94GB",
        "NVIDIA H100",
        "NVIDIA H800 NVL",
        "NVIDIA GB20",
        "NVIDIA B20",
        "NVIDIA L20",
        "NVIDIA L2",
        "NVIDIA A100",
        "Tesla V100-SXM2-32GB-LS",
        "Intel(R) Arc(TM) A770M Graphics",
        "Intel(R) Arc(TM) A380E Graphics",
        "Intel(R) N100",
        "AMD Radeon RX 7900 XT",
        "AMD Radeon RX 7900 GRE",
        "AMD Radeon 8050S Graphics",
        "AMD Instinct MI300",
        "Ascend910",
        "Ascend910B",
        "Z100L",
        "BI-V150S",
        "MetaX C500X",
        "Apple M9",
        "AMD H200",
        "",
        " ",
        "NVIDIA",
        "*",
    ],
)
def test_an_unlisted_name_gets_no_row(name: str) -> None:
    assert match(TABLES, name) is None
    assert why_no_match(TABLES, name)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NVIDIA GB200", "GB200 (per GPU) 186GB"),
        ("NVIDIA B200", "B200 SXM 180GB"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA H200", "H200 SXM 141GB"),
        ("NVIDIA H200 NVL", "H200 NVL 141GB"),
        ("NVIDIA GH200 480GB", "GH200 96GB HBM3"),
        ("NVIDIA H20", "H20 96GB"),
        ("NVIDIA H20-3e", "H20-3e 141GB"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
        ("TPU v5 lite", "TPU v5e"),
        ("TPU v5", "TPU v5p"),
        ("TPU7x", "TPU7x (Ironwood)"),
        ("Ascend910B2C", "Ascend 910B2 / B2C"),
        ("Ascend910_9391", "Ascend 910C (Atlas A3)"),
        ("GAUDI2", "Gaudi 2"),
        ("Apple M1", "M1 GPU (8-core)"),
        ("Apple M1 Max", "M1 Max GPU (32-core)"),
    ],
)
def test_names_within_names_keep_to_their_own_row(name: str, row: str) -> None:
    assert name_of(match(TABLES, name)) == row


def test_another_torch_device_refuses_the_row() -> None:
    assert match(TABLES, "NVIDIA H200", torch_device="xpu") is None
    assert "torch device" in why_no_match(TABLES, "NVIDIA H200", torch_device="xpu")


def test_fewer_units_than_the_card_has_refuse_the_row() -> None:
    assert match(TABLES, "NVIDIA H100 80GB HBM3", units=132) is not None
    assert match(TABLES, "NVIDIA H100 80GB HBM3", units=114) is None
    assert "units (114)" in why_no_match(TABLES, "NVIDIA H100 80GB HBM3", units=114)


def test_pairs_of_compute_units_count_for_rdna_alone() -> None:
    assert name_of(match(TABLES, "AMD Radeon RX 7900 XTX", units=48)) == "Radeon RX 7900 XTX"
    assert match(TABLES, "AMD Instinct MI300X", units=152) is None


def test_a_pci_id_of_another_row_refuses_and_an_unknown_one_does_not() -> None:
    assert name_of(match(TABLES, "NVIDIA H100 80GB HBM3", pci_id="10DE:2330")) == "H100 SXM5 80GB"
    assert match(TABLES, "NVIDIA H100 80GB HBM3", pci_id="10de:2331") is None
    assert "PCI id" in why_no_match(TABLES, "NVIDIA H100 80GB HBM3", pci_id="10de:2331")
    assert name_of(match(TABLES, "NVIDIA H100 80GB HBM3", pci_id="10de:ffff")) == "H100 SXM5 80GB"


@given(
    name=st.sampled_from(sorted(name for e in TABLES.entries for name in e.names if "*" not in name)),
    where=st.floats(0, 1),
    cut=st.integers(0, 3),
    put=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=6),
)
def test_no_mangled_name_gets_a_neighbours_row(name: str, where: float, cut: int, put: str) -> None:
    at = round(where * len(name))
    mangled = name[:at] + put + name[at + cut :]
    plain = normalise(mangled)
    if plain in LISTED or any(plain.startswith(p) for p in PREFIXES):
        return
    assert match(TABLES, mangled) is None


@given(st.text(max_size=40))
def test_any_text_at_all_is_a_name_that_may_be_asked_for(name: str) -> None:
    found = match(TABLES, name)
    assert (found is None) == bool(why_no_match(TABLES, name))
