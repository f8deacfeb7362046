"""Rows of copies between host and device: set against their link, and never taken for the bandwidth of a memory."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from bench import records
from bench.analysis.losses import explain, of_file
from bench.analysis.report_view import build
from bench.analysis.roofline import measured_bandwidth, rooflines
from bench.analysis.summary import best, series
from bench.analysis.utilization import Denominators, rate_row
from bench.kernel import Role
from bench.ratings import DeviceRatings, load
from tests.factories import device, measurement, run_file

RATED = records.Rated(kind="computed", bytes_per_s=63e9, source="PCI Express 5.0 x16")
MEMORY = records.Rated(kind="datasheet", bytes_per_s=3e12, source="a sheet")


def transfer(bytes_per_s: float = 50.4e9, **changes: Any) -> records.Measurement:
    """A row of 256 MiB copied to the device."""
    fields: dict[str, Any] = {
        "kernel": "host_to_device",
        "case": {"bytes": 2**28, "memory": "pinned"},
        "role": Role.TRANSFER,
        "cache": "warm",
        "operations": 0,
        "bytes_": 2**28,
        "median_s": 2**28 / bytes_per_s,
        "rated": None,
    }
    return measurement(**(fields | changes))


def denominators(
    rated: records.Rated | None = RATED, gt_per_s_here: float | None = 32.0, lanes_here: int | None = 16
) -> Denominators:
    ratings = DeviceRatings("Nothing 1", {"bandwidth": MEMORY}, "Nothing 1", host_link=rated)
    link = records.PcieLink(gt_per_s=32.0, lanes=16, gt_per_s_here=gt_per_s_here, lanes_here=lanes_here)
    there = device(kind="cuda", device="cuda:0", name="Nothing 1", clock=None, pcie=link)
    return Denominators(there, ratings, load())


def losses(bytes_per_s: float, where: Denominators) -> dict[str, records.Loss]:
    row = rate_row(transfer(bytes_per_s), Role.TRANSFER, where)
    found = explain(row, role=Role.TRANSFER, denominators=where, bandwidth_bytes_per_s=None, launch_share=0.0)
    assert found is not None and row.utilization is not None
    assert prod(loss.ratio for loss in found) == pytest.approx(row.utilization)
    return {loss.factor: loss for loss in found}


def test_a_row_is_set_against_the_link_and_not_against_the_memory() -> None:
    row = rate_row(transfer(), Role.TRANSFER, denominators())
    assert row.rated == RATED and row.utilization_of == "bytes"
    assert row.utilization == pytest.approx(0.8)


def test_more_than_the_link_carries_was_another_way_and_the_row_is_not_rated() -> None:
    row = rate_row(transfer(bytes_per_s=380e9), Role.TRANSFER, denominators())
    assert row.status == "ok" and row.utilization is None and row.rated is None
    assert row.utilization_reason and "that is not the way it went" in row.utilization_reason


def test_more_than_a_users_figure_is_shown_as_it_is() -> None:
    given = records.Rated(kind="user", bytes_per_s=63e9, source="own.toml")
    assert rate_row(transfer(bytes_per_s=126e9), Role.TRANSFER, denominators(given)).utilization == pytest.approx(2.0)


def test_without_a_figure_the_reason_names_the_key_to_give() -> None:
    row = rate_row(transfer(), Role.TRANSFER, denominators(None))
    assert row.utilization is None and row.utilization_of == "bytes"
    assert row.utilization_reason and "host_link_gb_per_s_bidirectional" in row.utilization_reason


def test_a_slot_with_half_the_lanes_is_the_loss() -> None:
    found = losses(25.2e9, denominators(lanes_here=8))
    assert found["units"].ratio == 0.5 and found["units"].why == "8 of 16 lanes in use, PCI Express 5.0"
    assert found["kernel"].ratio == pytest.approx(0.8)


def test_a_slot_of_an_earlier_generation_is_the_loss() -> None:
    found = losses(25.2e9, denominators(gt_per_s_here=16.0))
    assert found["units"].ratio == pytest.approx(0.5)
    assert found["units"].why == "16 of 16 lanes in use, PCI Express 4.0 of 5.0"


def test_a_slot_that_nothing_tells_of_is_not_guessed() -> None:
    assert "if its slot has that" in losses(50.4e9, denominators(gt_per_s_here=None))["units"].why
    found = losses(50.4e9, denominators(lanes_here=None))
    assert "units" not in found and "lanes in use are not known" in found["kernel"].why


def test_a_users_figure_is_no_matter_of_lanes() -> None:
    given = records.Rated(kind="user", bytes_per_s=450e9, source="own.toml")
    assert set(losses(380e9, denominators(given, lanes_here=8))) == {"launch", "kernel"}


def test_it_is_no_bandwidth_of_the_memory() -> None:
    rows = [transfer(device="cpu", cache=cache) for cache in ("warm", "cold")]
    assert measured_bandwidth(rows, "cpu", "warm") is measured_bandwidth(rows, "cpu", "cold") is None
    assert all(roof.measured.bytes_per_s is None for roof in rooflines(rows, [device()]))


def test_the_summary_and_the_report_call_it_what_it_is() -> None:
    where = denominators()
    row = rate_row(transfer(device="cuda:0"), Role.TRANSFER, where)
    run = run_file([row], devices=[where.device])
    (top,) = best(series([row]))
    assert top.label == "host_to_device"
    (shown,) = build([("run", run)]).rows
    assert not shown.ranked and "between host and device" in shown.excluded


def test_a_stored_row_is_explained_by_its_role() -> None:
    where = denominators(lanes_here=8)
    row = rate_row(transfer(25.2e9, device="cuda:0"), Role.TRANSFER, where)
    found = of_file(row, run_file([row], devices=[where.device]), load())
    assert found is not None and [loss.factor for loss in found] == ["units", "kernel"]
