"""Applications in a report's view: whole ones have a figure and a rank, others name what they lack."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.report_view import build
from tests.factories import measurement, run_file
from tests.scenario_rows import PLANNED, row, run

WHOLE = (row("a"), row("b", median_s=2e-3), row("c", median_s=4e-3), row("a", "int8"), row("b", "int8"))


def test_a_whole_scenario_has_its_figure_and_the_rows_behind_it() -> None:
    view = build([("one", run(*WHOLE))])
    bf16, int8 = view.scenarios
    assert (bf16.label, int8.label) == ("BF16", "INT8")
    assert bf16.value == pytest.approx(6e9 / 13e-3) and bf16.utilization == pytest.approx(6e9 / 13e-3 / 2e12)
    assert [one.evidence.case["n"] for one in bf16.rows if one] == [ord(name) for name in "abc"]
    assert bf16.best and not bf16.excluded
    assert [(device, each.precision, each.calls) for device, each in view.speedups] == [("d0", "int8", 2)]


def test_what_lacks_a_call_has_no_figure_and_is_never_the_best() -> None:
    lacking = run(row("a", median_s=1e-9), row("b", median_s=1e-9), row("c", status="throttled", reason="hot"))
    view = build([("fast", lacking), ("slow", run(*WHOLE))])
    fast, slow = (one for one in view.scenarios if one.label == "BF16")
    assert fast.value is None and fast.utilization is None and not fast.best
    assert fast.excluded == "incomplete: 1 of 3 calls missing"
    assert [(one.entry, one.status, one.reason) for one in fast.outcome.missing] == [("c", "throttled", "hot")]
    assert slow.best


@pytest.mark.parametrize("status", [one for one in records.STATUSES if one not in records.USABLE])
def test_a_call_that_is_not_usable_leaves_the_scenario_without_a_figure(status: records.Status) -> None:
    rows = [row("a", median_s=1e-9, status=status, reason="why"), *WHOLE[1:]]
    view = build([("one", run(*rows)), ("two", run(*WHOLE))])
    first, second = (one for one in view.scenarios if one.label == "BF16")
    assert first.value is None and second.best and not first.best


def test_easy_data_are_shown_and_not_ranked() -> None:
    easy = [row(name, median_s=1e-9, data="zeros") for name in "abc"]
    view = build([("easy", run(*easy)), ("honest", run(*WHOLE))])
    first, second = (one for one in view.scenarios if one.label == "BF16")
    assert first.value and "zeros" in first.excluded and not first.best and second.best


def test_only_the_same_work_is_compared() -> None:
    other = [row(name, work=records.Work(operations=5 * 10**9, bytes=10)) for name in "abc"]
    view = build([("one", run(*WHOLE)), ("larger", run(*other))])
    assert [one.best for one in view.scenarios if one.label == "BF16"] == [True, True]


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=5))
def test_the_best_is_the_highest_of_its_precision(times_s: list[float]) -> None:
    files = [(f"{place}", run(*(row(name, median_s=time_s) for name in "abc"))) for place, time_s in enumerate(times_s)]
    found = [one for one in build(files).scenarios if one.label == "BF16"]
    highest = max(one.value or 0.0 for one in found)
    assert [one.best for one in found] == [one.value == highest for one in found]
    assert not any(one.best for one in build(files).scenarios if one.label == "INT8")


def test_each_device_of_a_run_has_its_own() -> None:
    file = run(*WHOLE, *(row(name, device="cuda:0", median_s=1e-5) for name in "abc"))
    file.run.scenarios.append(
        records.PlannedScenario(
            device="cuda:0", suite="toy", size="tiny", title="", step="", entries={name: ["bf16"] for name in "abc"}
        )
    )
    found = {(one.device, one.label): one for one in build([("both", file)]).scenarios}
    assert set(found) == {("d0", "BF16"), ("d0", "INT8"), ("d1", "BF16")}
    assert found["d1", "BF16"].best and not found["d0", "BF16"].best


def test_a_run_that_was_not_asked_for_scenarios_has_none() -> None:
    view = build([("plain", run_file([measurement()]))])
    assert view.scenarios == () and view.speedups == ()
    assert PLANNED.suite not in view.labels
