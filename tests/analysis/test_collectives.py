"""Rows of collectives: set against the links between devices, and never taken for the bandwidth of a memory."""

from __future__ import annotations

from typing import Any

import pytest

from bench import records
from bench.analysis.losses import explain
from bench.analysis.report_view import build
from bench.analysis.roofline import measured_bandwidth, measured_peak, rooflines
from bench.analysis.summary import best, series
from bench.analysis.utilization import Denominators, rate_row
from bench.kernel import Role
from bench.ratings import DeviceRatings, load
from tests.factories import device, measurement, run_file

LINKS = records.Rated(kind="datasheet", bytes_per_s=450e9, source="half of 900 GB/s")
MEMORY = records.Rated(kind="datasheet", bytes_per_s=3e12, source="a sheet")


def collective(bytes_per_s: float = 90e9, **changes: Any) -> records.Measurement:
    """A row of all-reduce that carries a gigabyte a call."""
    fields: dict[str, Any] = {
        "kernel": "all_reduce",
        "case": {"bytes": 10**9, "ranks": 2},
        "role": Role.COLLECTIVE,
        "cache": "warm",
        "operations": 0,
        "bytes_": 10**9,
        "median_s": 1e9 / bytes_per_s,
        "rated": None,
    }
    return measurement(**(fields | changes))


def denominators(links: records.Rated | None = LINKS) -> Denominators:
    ratings = DeviceRatings("Nothing 1", {"bandwidth": MEMORY}, "Nothing 1", interconnect=links)
    return Denominators(device(kind="cuda", device="cuda:0", name="Nothing 1", clock=None), ratings, load())


def rated(**changes: Any) -> records.Measurement:
    return rate_row(collective(**changes), Role.COLLECTIVE, denominators())


def test_a_row_is_set_against_the_links_and_not_against_the_memory() -> None:
    row = rated()
    assert row.rated == LINKS and row.utilization_of == "bytes"
    assert row.utilization == pytest.approx(0.2)


def test_more_than_the_links_carry_is_shown_as_it_is() -> None:
    row = rated(bytes_per_s=500e9)
    assert row.status == "ok" and row.utilization == pytest.approx(500 / 450)


def test_a_row_over_several_machines_is_not_rated_and_says_why() -> None:
    row = rated(hosts=2)
    assert row.utilization is None and row.rated is None and row.utilization_of == "bytes"
    assert row.utilization_reason == "its ranks are on 2 machines, and what is rated is the links within one"


def test_without_a_figure_the_reason_names_the_key_to_give() -> None:
    row = rate_row(collective(), Role.COLLECTIVE, denominators(None))
    assert row.utilization is None and row.utilization_of == "bytes"
    assert row.utilization_reason and "interconnect_gb_per_s_bidirectional" in row.utilization_reason


def test_its_losses_are_those_of_bytes() -> None:
    losses = explain(rated(), role=Role.COLLECTIVE, denominators=denominators(), bandwidth_bytes_per_s=None)
    assert losses is not None and {loss.factor for loss in losses} <= {"launch", "kernel"}


def test_it_is_no_bandwidth_of_the_memory_and_no_ceiling() -> None:
    rows = [rated(device="cpu"), measurement(cache="warm")]
    assert measured_bandwidth(rows, "cpu", "warm") is None
    assert measured_peak(rows[:1], "cpu", "fp32", "fp32") is None
    assert all(roof.measured.bytes_per_s is None for roof in rooflines(rows, [device()]))


def test_the_best_of_each_operation_is_named_by_itself_beside_the_memorys() -> None:
    stream = measurement(kernel="memory", role=Role.BANDWIDTH, utilization_of="bytes", rated=None, case={"bytes": 1})
    found = {one.label: one.series.first.kernel for one in best(series([rated(), stream]))}
    assert found == {"all_reduce bus bandwidth": "all_reduce", "bandwidth": "memory"}


def test_a_report_shows_it_and_ranks_it_beside_no_memory() -> None:
    view = build([("run", run_file([rated(device="cpu")]))])
    (row,) = view.rows
    assert not row.ranked and row.excluded.startswith("collective: ")
