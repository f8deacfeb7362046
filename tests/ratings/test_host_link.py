"""What the link to the host is rated at: PCI Express by its arithmetic, a user's figure, or unknown with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.ratings import HOST_LINK, Tables, load, ratings_for
from bench.ratings.host_link import bytes_per_s, describe
from bench.records import Device, PcieLink, Units
from tests.factories import device

GEN5 = PcieLink(gt_per_s=32.0, lanes=16, lanes_here=16, source="sysfs")


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load()


def h100(**changes: Any) -> Device:
    fields = {
        "device": "cuda:0",
        "kind": "cuda",
        "vendor": "nvidia",
        "name": "NVIDIA H100 80GB HBM3",
        "memory_bytes": 85_017_493_504,
        "units": Units(kind="multiprocessor", in_use=132, total=132),
        "pcie": GEN5,
    }
    return device(**(fields | changes))


@pytest.mark.parametrize(
    ("gt_per_s", "lanes", "gb_per_s"),
    # By hand: GT/s · lanes / 8, times 0.8, 128/130 or 236/256.
    [(2.5, 1, 0.25), (5.0, 16, 8.0), (8.0, 16, 15.754), (16.0, 16, 31.508), (32.0, 16, 63.015), (64.0, 16, 118.0)],
)
def test_it_is_what_the_lanes_carry_of_packets_in_one_direction(gt_per_s: float, lanes: int, gb_per_s: float) -> None:
    assert bytes_per_s(gt_per_s, lanes) == pytest.approx(gb_per_s * 1e9, rel=1e-4)


def test_a_card_is_rated_by_what_it_is_made_for_whatever_its_slot_has(tables: Tables) -> None:
    narrow = PcieLink(gt_per_s=32.0, lanes=16, gt_per_s_here=16.0, lanes_here=8, source="sysfs and NVML")
    for link in (GEN5, narrow):
        rated = ratings_for(h100(pcie=link), tables).host_link
        assert rated is not None and rated.kind == "computed"
        assert rated.bytes_per_s == pytest.approx(63.015e9, rel=1e-4)
        assert "PCI Express 5.0 x16" in rated.source and "Base Specification" in rated.source
    assert describe(narrow) == "PCI Express 5.0 x16, 8 lanes in use, slot 4.0"


def test_a_card_that_is_in_no_table_has_its_link_all_the_same(tables: Tables) -> None:
    found = ratings_for(h100(name="Nothing 1", memory_bytes=1), tables)
    assert found.name is None and found.host_link is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pcie": None}, "nothing tells which link"),
        ({"name": "NVIDIA GH200 480GB", "memory_bytes": 96 * 2**30}, "by another way than PCI Express"),
        ({"name": "Nothing 1", "details": {"integrated": True}}, "by another way than PCI Express"),
        ({"pcie": PcieLink(gt_per_s=50.0, lanes=16)}, "50 GT/s is no speed"),
        ({"name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "mig": "1g.10gb"}, "slice"),
    ],
)
def test_where_it_is_unknown_the_reason_names_the_figure_to_give(
    tables: Tables, changes: dict[str, Any], words: str
) -> None:
    found = ratings_for(h100(**changes), tables)
    assert found.host_link is None
    assert words in found.reason(HOST_LINK) and "host_link_gb_per_s_bidirectional" in found.reason(HOST_LINK)


def test_a_processor_is_the_host(tables: Tables) -> None:
    found = ratings_for(device(isa=["avx2", "fma"]), tables)
    assert found.host_link is None and "a processor is the host" in found.reason(HOST_LINK)


def test_a_figure_of_the_user_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[device]]\nname = "GH200 96GB HBM3"\nhost_link_gb_per_s_bidirectional = 900\n')
    found = ratings_for(h100(name="NVIDIA GH200 480GB", memory_bytes=96 * 2**30), load([own]))
    assert found.host_link is not None and found.host_link.kind == "user"
    assert found.host_link.bytes_per_s == 450e9 and str(own) in found.host_link.source
    assert found.reason(HOST_LINK) == ""
