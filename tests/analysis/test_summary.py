"""Grouping rows into series, their spread, their worst status, and the best of each precision."""

from __future__ import annotations

from bench.analysis.summary import best, ceilings, series
from bench.kernel import Role
from tests.factories import measurement


def test_launches_of_one_case_are_one_series_with_the_spread_between_them() -> None:
    rows = [measurement(launch=i, median_s=t) for i, t in enumerate((1.0, 2.0, 4.0))]
    (one,) = series(rows)
    assert one.spread == "between launches"
    assert one.value == rows[1].work.operations / 2.0  # type: ignore[union-attr]  # the factory gives every row work
    assert one.low == rows[2].work.operations / 4.0  # type: ignore[union-attr]
    assert one.high == rows[0].work.operations / 1.0  # type: ignore[union-attr]


def test_one_launch_has_the_interval_of_its_median() -> None:
    (one,) = series([measurement(median_s=1.0, low_s=0.9, high_s=1.1)])
    assert one.spread == "within one launch"
    assert one.low is not None and one.value is not None and one.high is not None
    assert one.low < one.value < one.high


def test_what_differs_in_any_axis_is_another_series() -> None:
    rows = [
        measurement(),
        measurement(precision="fp16"),
        measurement(data="zeros"),
        measurement(cache="warm"),
        measurement(implementation="other"),
        measurement(case={"m": 2, "n": 1, "k": 1}),
    ]
    assert len(series(rows)) == len(rows)


def test_the_worst_launch_gives_the_status() -> None:
    rows = [measurement(launch=0), measurement(launch=1, status="crashed", reason="signal SIGSEGV", timed=False)]
    (one,) = series(rows)
    assert (one.status, one.reason) == ("crashed", "signal SIGSEGV")
    assert one.value is not None, "the launch that was measured still shows its rate"


def test_the_best_leaves_out_what_may_not_be_ranked() -> None:
    rows = [
        measurement(implementation="honest", median_s=2.0),
        measurement(implementation="too fast", median_s=1.0, status="invalid", reason="above the peak"),
    ]
    (one,) = best(series(rows))
    assert one.series.first.implementation == "honest"


def test_each_precision_and_accumulation_has_its_own_best() -> None:
    rows = [
        measurement(precision="fp16"),
        measurement(precision="fp16", accumulate="fp16", implementation="half"),
        measurement(precision="int8", accumulate="int32"),
    ]
    assert [one.label for one in best(series(rows))] == ["FP16", "FP16 (fp16 accumulation)", "INT8"]


def test_a_ceiling_is_a_line_of_its_own_and_no_best_kernel() -> None:
    rows = [
        measurement(median_s=2.0),
        measurement(kernel="peak", role=Role.CEILING, median_s=1.0),
        measurement(kernel="peak", role=Role.CEILING, median_s=1.5, implementation="narrower"),
        measurement(kernel="peak", role=Role.CEILING, median_s=0.5, precision="int8", status="contended"),
    ]
    (kernel,), (roof,) = best(series(rows)), ceilings(series(rows))
    assert kernel.series.first.kernel == "gemm"
    assert (roof.label, roof.series.first.kernel, roof.series.first.implementation) == ("FP32", "peak", "torch")


def test_rows_that_were_not_timed_have_no_rate() -> None:
    (one,) = series([measurement(status="unsupported", reason="no units", timed=False)])
    assert one.value is None and one.utilization is None and one.reason == "no units"
