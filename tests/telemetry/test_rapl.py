"""Package energy: the counters that are added, their wrapping, and what can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.telemetry.model import NotAvailableError
from bench.telemetry.rapl import Accumulator, open_source, zones

RANGE_UJ = 262_143_328_850
"""max_energy_range_uj of many Intel servers."""


@given(st.integers(0, RANGE_UJ - 1), st.lists(st.integers(0, RANGE_UJ - 1), max_size=50))
def test_a_counter_that_wraps_adds_up_to_all_that_was_used(first_uj: int, steps_uj: list[int]) -> None:
    accumulator = Accumulator(RANGE_UJ, first_uj)
    true_uj = first_uj
    for step in steps_uj:
        true_uj += step
        accumulator.add(true_uj % RANGE_UJ)
    assert accumulator.total_uj == sum(steps_uj)


def zone(root: Path, folder: str, name: str, energy_uj: int, range_uj: int = RANGE_UJ) -> Path:
    path = root / "sys/class/powercap" / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return path


def test_packages_and_their_memory_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 500)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 7)
    parts = [
        zone(tmp_path, "intel-rapl:0:0", "core", 1),
        zone(tmp_path, "intel-rapl:0:2", "uncore", 1),
        zone(tmp_path, "intel-rapl:2", "psys", 1),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1),
    ]
    assert [found.label for found in zones(tmp_path)] == ["package-0", "dram", "package-1"]
    source = open_source(tmp_path)
    assert source.sample().energy_j == 0.0
    for path, energy_uj in ((first, 3_000_000), (memory, 1_000_500), (second, 4_000_007)):
        (path / "energy_uj").write_text(str(energy_uj))
    for path in parts:
        (path / "energy_uj").write_text("999000000")
    assert source.sample().energy_j == pytest.approx(2.0 + 1.0 + 4.0)
    assert source.static()["zones"] == ["package-0", "dram", "package-1"]


def test_a_wrap_between_two_samples_is_seen(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000, range_uj=10_000_000)
    source = open_source(tmp_path)
    (path / "energy_uj").write_text("1000000")
    assert source.sample().energy_j == pytest.approx(2.0)


def test_a_machine_without_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match="virtual machine"):
        open_source(tmp_path)


def test_a_platform_zone_alone_is_no_package(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "psys", 5)
    with pytest.raises(NotAvailableError):
        open_source(tmp_path)


def test_a_counter_that_only_root_may_read_is_no_zero(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 5)
    (path / "energy_uj").unlink()
    (path / "energy_uj").mkdir()  # unreadable for root too
    with pytest.raises(NotAvailableError, match="root"):
        open_source(tmp_path)


def test_a_counter_that_goes_away_ends_the_source(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 5)
    source = open_source(tmp_path)
    (path / "energy_uj").unlink()
    with pytest.raises(NotAvailableError, match="any more"):
        source.sample()
