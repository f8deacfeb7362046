"""A scenario's figure: weighted sums, precisions apart, and no figure for what was not measured whole."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.scenarios import Part, outcomes, speedups, total
from tests import factories
from tests.scenario_rows import row, run

PARTS = st.builds(
    Part,
    entry=st.just("one"),
    weight=st.integers(1, 1000),
    operations=st.integers(1, 10**15),
    bytes=st.integers(0, 10**12),
    time_s=st.floats(1e-7, 1e3),
    rated_per_s=st.floats(1e9, 1e16),
)


@given(st.lists(PARTS, min_size=1, max_size=20))
def test_the_figure_is_the_weighted_operations_over_the_weighted_time(parts: list[Part]) -> None:
    sums = total(parts)
    assert sums is not None
    exact = sum(part.weight * part.operations for part in parts) / sum(
        part.weight * Fraction(part.time_s) for part in parts
    )
    assert sums.operations_per_s == pytest.approx(float(exact))
    rates = [part.operations / part.time_s for part in parts]
    assert min(rates) * (1 - 1e-9) <= sums.operations_per_s <= max(rates) * (1 + 1e-9)


@given(st.lists(PARTS, min_size=1, max_size=20), st.integers(2, 9))
def test_a_weight_is_as_good_as_that_many_calls(parts: list[Part], times: int) -> None:
    repeated, weighted = total(parts * times), total([_weighing(part, part.weight * times) for part in parts])
    assert repeated is not None and weighted is not None
    assert repeated.operations == weighted.operations and repeated.bytes == weighted.bytes
    assert repeated.time_s == pytest.approx(weighted.time_s)
    assert repeated.operations_per_s == pytest.approx(total(parts).operations_per_s)  # type: ignore[union-attr]  # parts


@given(st.lists(PARTS, min_size=1, max_size=20), st.floats(1e9, 1e16))
def test_the_share_is_the_rate_over_the_rated_figure_where_there_is_one(parts: list[Part], rated: float) -> None:
    sums = total([_rated(part, rated) for part in parts])
    assert sums is not None and sums.rated_per_s == pytest.approx(rated)
    assert sums.utilization == pytest.approx(sums.operations_per_s / rated)


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_one_call_without_a_rating_leaves_the_share_open(parts: list[Part]) -> None:
    sums = total([*parts, _rated(parts[0], None)])
    assert sums is not None and sums.utilization is None and sums.rated_per_s is None


def test_no_calls_have_no_total() -> None:
    assert total([]) is None


def _weighing(part: Part, weight: int) -> Part:
    return Part(part.entry, weight, part.operations, part.bytes, part.time_s, part.rated_per_s)


def _rated(part: Part, rated: float | None) -> Part:
    return Part(part.entry, part.weight, part.operations, part.bytes, part.time_s, rated)


def test_a_whole_scenario_has_its_figure_at_each_precision_and_they_are_not_mixed() -> None:
    rows = [row("a"), row("b", median_s=2e-3), row("c", median_s=4e-3)]
    rows += [row("a", "int8", 0.5e-3), row("b", "int8", 0.5e-3)]
    bf16, int8 = outcomes(run(*rows))
    assert (bf16.precision, int8.precision) == ("bf16", "int8")
    assert bf16.complete and int8.complete
    assert bf16.total is not None and int8.total is not None
    assert bf16.total.time_s == pytest.approx(3e-3 + 2e-3 + 8e-3)
    assert bf16.total.operations == 6 * 10**9
    assert bf16.total.utilization == pytest.approx(6e9 / 13e-3 / 2e12)
    assert int8.calls == 2 and int8.total.time_s == pytest.approx(2e-3)


def test_precisions_are_compared_over_the_calls_that_both_have() -> None:
    rows = [row("a"), row("b", median_s=2e-3), row("c", median_s=4e-3), row("a", "int8", 0.5e-3)]
    (pair,) = speedups(outcomes(run(*rows)))
    assert (pair.precision, pair.base, pair.calls) == ("int8", "bf16", 1)
    assert pair.ratio == pytest.approx(2.0)


@pytest.mark.parametrize("status", [status for status in records.STATUSES if status not in records.USABLE])
def test_a_call_without_a_usable_row_is_named_and_not_averaged_over(status: records.Status) -> None:
    found = outcomes(run(row("a"), row("b", status=status, reason="why"), row("c")))[0]
    assert not found.complete
    assert [(one.entry, one.status, one.reason) for one in found.missing] == [("b", status, "why")]
    assert [part.entry for part in found.parts] == ["a", "c"]


def test_a_call_that_was_never_reached_and_one_in_quarantine_are_missing_too() -> None:
    found = outcomes(run(row("a"), row("b", quarantine=["launch CV 20 %"])))[0]
    assert {one.entry: one.status for one in found.missing} == {"b": "quarantined", "c": "not measured"}


def test_a_noisy_row_counts() -> None:
    assert outcomes(run(row("a"), row("b", status="noisy", reason="±2 %"), row("c")))[0].complete


def test_launches_are_one_call_by_the_median_of_their_medians() -> None:
    rows = [row("a", median_s=median_s, launch=launch) for launch, median_s in enumerate((1e-3, 9e-3, 2e-3))]
    (part,) = outcomes(run(*rows))[0].parts
    assert part.time_s == pytest.approx(2e-3)


def test_of_several_implementations_the_fastest_stands_for_the_call() -> None:
    rows = [row("a", median_s=4e-3, implementation="slow"), row("a", median_s=1e-3, implementation="fast")]
    (part,) = outcomes(run(*rows))[0].parts
    assert part.time_s == pytest.approx(1e-3)


def test_another_accumulation_is_a_figure_of_its_own() -> None:
    rows = [row("a"), row("b"), row("c"), row("a", accumulate="fp16", implementation="other", median_s=1e-4)]
    own, other, _ = outcomes(run(*rows))
    assert own.complete and own.accumulate == "fp32"
    assert other.accumulate == "fp16" and not other.complete
    assert {one.status for one in other.missing} == {"of another accumulation"}


def test_rows_of_another_size_suite_or_device_are_not_taken_for_it() -> None:
    strange = records.ScenarioEntry(suite="toy", size="full", entry="b", weight=1)
    found = outcomes(run(row("a"), row("b", scenario=strange), row("c", device="cuda:0"), row("c", scenario=None)))[0]
    assert [one.entry for one in found.missing] == ["b", "c"]


def test_a_run_of_another_suite_has_none() -> None:
    assert outcomes(factories.run_file([factories.measurement()])) == []
