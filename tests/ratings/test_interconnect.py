"""What the links between cards are rated at: one direction, where every card of the row has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ratings import Tables, interconnect_of, load, ratings_for
from bench.ratings.peaks import FABRIC, INTERCONNECT
from tests.factories import device


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load()


def _entry(tables: Tables, name: str):
    entry = tables.entry(name)
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("name", "bytes_per_s"),
    [("H100 SXM5 80GB", 450e9), ("A100 SXM4 80GB", 300e9), ("H800 SXM5 80GB", 200e9), ("B200 SXM 180GB", 900e9)],
)
def test_it_is_half_of_the_figure_in_both_directions(tables: Tables, name: str, bytes_per_s: float) -> None:
    rated = interconnect_of(_entry(tables, name))
    assert rated is not None and rated.bytes_per_s == bytes_per_s
    assert rated.kind == "datasheet" and rated.operations_per_s is None
    assert rated.source.startswith(f"{name}: NVLink") and "half of" in rated.source


@pytest.mark.parametrize("name", ["H100 PCIe 80GB", "H200 NVL 141GB", "L40S", "DGX Spark GB10"])
def test_bridges_pcie_and_links_to_a_processor_are_not_rated(tables: Tables, name: str) -> None:
    assert interconnect_of(_entry(tables, name)) is None


def test_every_row_with_links_of_its_own_has_a_figure_for_them(tables: Tables) -> None:
    named = [entry for entry in tables.entries if FABRIC.fullmatch(entry.interconnect)]
    assert len(named) > 10
    for entry in named:
        rated = interconnect_of(entry)
        assert (rated is None) == (entry.interconnect_gb_per_s_bidirectional is None)
        assert rated is None or rated.source


def test_a_figure_of_the_user_counts_whatever_the_link_is_called(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[device]]\nname = "H100 PCIe 80GB"\ninterconnect_gb_per_s_bidirectional = 100\n')
    rated = interconnect_of(_entry(load([own]), "H100 PCIe 80GB"))
    assert rated is not None and rated.kind == "user" and rated.bytes_per_s == 50e9
    assert str(own) in rated.source


def test_a_processor_has_none_and_the_reason_says_how_to_add_one(tables: Tables) -> None:
    ratings = ratings_for(device(isa=["avx2", "fma"]), tables)
    assert ratings.interconnect is None
    assert "interconnect" not in ratings.peaks, "no peak of a device by itself"
    assert "interconnect_gb_per_s_bidirectional" in ratings.reason(INTERCONNECT)
