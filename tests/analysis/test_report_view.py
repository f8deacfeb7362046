"""The report's view: who is best at what, who is not ranked and why, and that nothing gets lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.report_view import Price, build, operations_per_j, per_money, quantiles
from bench.kernel import Role
from bench.ratings import load
from tests.factories import device, measurement, run_file


def test_every_series_is_a_row_and_every_device_is_there() -> None:
    rows = [measurement(), measurement(precision="int8", accumulate="int32", timed=False, status="unsupported")]
    view = build([("a", run_file(rows)), ("b", run_file([], devices=[device(name="Idle")]))])
    assert [one.name for one in view.devices] == ["Some CPU", "Idle"]
    assert [row.series.status for row in view.rows] == ["ok", "unsupported"]
    assert view.labels == ("FP32", "INT8")
    by = {(one.device, one.label): one for one in view.headlines}
    assert by["d0", "FP32"].value == 2e12 and by["d0", "FP32"].utilization == 0.5
    assert by["d0", "INT8"].status == "excluded" and by["d0", "INT8"].value is None
    assert by["d1", "FP32"].status == "not measured" and by["d1", "FP32"].utilization is None


@pytest.mark.parametrize("status", [one for one in records.STATUSES if one not in records.USABLE])
def test_a_row_that_is_not_usable_never_outranks(status: records.Status) -> None:
    fast = measurement(median_s=1e-6, status=status, reason="why", case={"m": 1})
    view = build([("a", run_file([fast, measurement()]))])
    (one,) = view.headlines
    assert one.row is not None and one.row.evidence.case == {"m": 1000, "n": 1000, "k": 1000}
    assert [row.excluded for row in view.rows] == [f"{status}: why", ""]
    alone = build([("a", run_file([fast]))])
    assert alone.headlines[0].value is None and alone.headlines[0].reason == f"{status}: why"


@pytest.mark.parametrize("changes", [{"quarantine": ["drift"]}, {"data": "zeros"}, {"role": Role.CEILING}])
def test_quarantine_easy_data_and_ceilings_are_shown_and_not_ranked(changes: dict[str, object]) -> None:
    fast = measurement(median_s=1e-6, case={"m": 1}, **changes)
    view = build([("a", run_file([fast, measurement()]))])
    assert view.headlines[0].value == 2e12
    assert view.rows[0].excluded and not view.rows[0].ranked


def test_precisions_are_told_apart_and_the_best_stands_first() -> None:
    slow = run_file([measurement(median_s=2e-3)], devices=[device(name="Slow")])
    fast = run_file(
        [
            measurement(),
            measurement(precision="fp16", accumulate="fp16", implementation="half"),
            measurement(precision="fp16"),
        ],
        devices=[device(name="Fast")],
    )
    view = build([("slow", slow), ("fast", fast)])
    assert view.labels == ("FP32", "FP16", "FP16 (fp16 accumulation)")
    first = [one for one in view.best() if one.label == "FP32"]
    assert [view.device(one.device).name for one in first] == ["Fast", "Slow"]
    assert [one.value for one in view.best() if one.label == "FP16"] == [2e12, None]


def test_two_devices_of_one_name_are_told_apart_by_their_run() -> None:
    view = build([(name, run_file([measurement()])) for name in ("monday", "tuesday", "tuesday")])
    labels = [one.label for one in view.devices]
    assert len(set(labels)) == 3 and labels[0] == "Some CPU · monday"


def test_two_hosts_of_one_run_are_two_devices() -> None:
    rows = [measurement(host="a"), measurement(host="b", rank=1, median_s=2e-3)]
    view = build([("run", run_file(rows, devices=[device(host="a"), device(host="b", rank=1, name="Other")]))])
    assert [one.name for one in view.devices] == ["Some CPU", "Other"]
    assert [one.value for one in view.headlines] == [2e12, 1e12]


def test_hardware_that_nobody_measured_is_marked_and_has_no_figure_but_its_rating() -> None:
    entry = next(one for one in load().entries if one.fp16_tflops and one.fp32_tflops)
    view = build([("run", run_file([measurement()]))], rated_only=[entry])
    one = next(one for one in view.headlines if one.device == "d1")
    assert one.status == "rated only" and one.value is None and one.rated_per_s
    assert view.best()[0].device == "d0", "a rating never stands before a measurement"
    alone = build([], rated_only=[entry])
    assert "FP16" in alone.labels and alone.headlines


def test_a_price_gives_operations_per_money_and_none_gives_none() -> None:
    view = build([("run", run_file([measurement()]))], prices=[Price("some*", 2.0), Price("other", 1.0)])
    assert per_money(view.headlines[0], view.devices[0]) == 2e12 * 3600 / 2.0
    plain = build([("run", run_file([measurement()]))])
    assert per_money(plain.headlines[0], plain.devices[0]) is None


def test_energy_is_told_where_it_was_claimed_only() -> None:
    rows = [
        measurement(telemetry={"energy": {"operations_per_j": 5e9}}),
        measurement(precision="fp16", telemetry={"energy": "?"}),
        measurement(precision="fp64", telemetry=None),
    ]
    assert [operations_per_j(row) for row in build([("run", run_file(rows))]).rows] == [5e9, None, None]


@given(st.lists(st.floats(0, 1e6), max_size=300))
def test_quantiles_are_samples_in_order_with_both_extremes(samples: list[float]) -> None:
    found = quantiles(samples)
    assert list(found) == sorted(found) and set(found) <= set(samples)
    assert len(found) == min(64, len(samples))
    if samples:
        assert found[0] == min(samples) and found[-1] == max(samples)
