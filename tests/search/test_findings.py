"""What a search found, from its looks and rows: cliffs, coverage, the best, and what could not run."""

from __future__ import annotations

import pytest

from bench import records
from bench.search.findings import Findings, cliffs, confirmed, coverage, findings
from bench.search.looks import Estimate
from bench.search.space import IMPLEMENTATION, Axis, Space
from tests.factories import measurement, run_file
from tests.search.spaces import Fields, fields_space, space_of

KERNEL = Fields()


def space() -> Space:
    return fields_space([Axis("a", (2, 4, 6)), Axis("b", (8, 16, 32)), Axis(IMPLEMENTATION, ("plain", "packed"))])


def trial(a: int, b: int, rate: float | None, number: int = 1, **changes: object) -> records.Trial:
    fields = {
        "number": number,
        "device": "cpu",
        "kernel": "fields",
        "case": {"a": a, "b": b, "c": 1, "layout": "rows"},
        "precision": "fp32",
        "implementation": "plain",
        "stage": "design",
        "status": "ok" if rate else "failed",
        "reason": "" if rate else "no such luck",
        "rate": records.Rate(operations_per_s=rate, bytes_per_s=1.0) if rate else None,
        "spent_s": 0.5,
    }
    return records.Trial(**(fields | changes))  # type: ignore[arg-type]  # of many types


def found(trials: list[records.Trial], rows: list[records.Measurement] | None = None) -> Findings:
    return findings(space(), KERNEL, "fp32", run_file(rows or [], trials=trials))


def test_a_step_up_that_loses_more_than_its_noise_is_a_cliff() -> None:
    seen = [Estimate((1, 0), 100.0, 2), Estimate((0, 0), 90.0, 2), Estimate((2, 0), 60.0, 2)]
    (one,) = cliffs(space_of(3, words=1), seen, noise=0.03)
    assert (one.axis, one.good.point, one.bad.point) == ("x0", (1, 0), (2, 0))
    assert one.loss == pytest.approx(0.4)
    assert not cliffs(space_of(3, words=1), seen, noise=0.3), "the looks scatter as much"


def test_a_step_down_a_small_loss_and_another_choice_are_none() -> None:
    seen = [Estimate((0, 0), 60.0, 2), Estimate((1, 0), 100.0, 2), Estimate((2, 0), 90.0, 2), Estimate((1, 1), 10.0, 2)]
    assert not cliffs(space_of(3, words=2), seen, noise=0.01)


def test_the_deepest_cliff_comes_first_and_one_look_confirms_none() -> None:
    seen = [Estimate((0, 0), 100.0, 2), Estimate((1, 0), 70.0, 2), Estimate((2, 0), 20.0, 1)]
    deep, shallow = cliffs(space_of(3, words=1), seen, noise=0.01)
    assert deep.bad.point == (2, 0) and shallow.bad.point == (1, 0)
    assert confirmed([deep, shallow]) == [shallow]


def test_coverage_counts_points_once_and_failed_looks_too() -> None:
    looks = [trial(2, 8, 1e9), trial(2, 8, 1e9, stage="again", spent_s=0.1), trial(4, 8, None)]
    seen = coverage(space(), [*looks, trial(1, 8, 1e9)])
    assert (seen.looks, seen.points, seen.space) == (4, 2, 18), "the last one is not of this space"
    assert seen.looks_s == pytest.approx(1.6)
    assert seen.exhaustive_s == pytest.approx(18 * 0.5), "second looks are of good points: not what a sweep would meet"
    assert coverage(space(), []).exhaustive_s is None


def test_the_best_is_the_fastest_that_may_be_ranked() -> None:
    rows = [
        measurement(id="00001", median_s=2e-3),
        measurement(id="00002", median_s=0.5e-3, status="contended"),
        measurement(id="00003", median_s=1e-3, status="noisy"),
        measurement(id="00004", timed=False, status="wrong"),
    ]
    result = found([trial(2, 8, 1e9)], rows)
    assert [row.id for row in result.finalists] == ["00003", "00001", "00002", "00004"]
    assert result.best is not None and result.best.id == "00003"
    assert found([trial(2, 8, 1e9)], rows[1:2]).best is None


def test_what_could_not_run_is_counted_by_its_reason() -> None:
    looks = [trial(2, 8, None), trial(4, 8, None), trial(6, 8, None, reason="too large", status="out_of_memory")]
    result = found(looks)
    assert result.failed == [(("failed", "no such luck"), 2), (("out_of_memory", "too large"), 1)]
    assert result.estimates == [] and result.map is None


def test_a_point_is_believed_to_be_the_median_of_its_looks() -> None:
    (one,) = found([trial(2, 8, rate) for rate in (1e9, 3e9, 1.5e9)]).estimates
    assert one.rate == pytest.approx(1.5e9) and one.looks == 3
