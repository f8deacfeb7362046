"""The roofline: ridge point, what is attainable, and which rows of a run are its ceilings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.roofline import (
    attainable,
    intensity,
    measured_bandwidth,
    measured_ceiling,
    measured_peak,
    ridge_point,
    rooflines,
)
from bench.kernel import Role
from tests.factories import device, measurement

positive = st.floats(1e-3, 1e15)


def stream(bytes_per_s: float, **changes: Any) -> records.Measurement:
    """A row of a bandwidth kernel that moves a gigabyte a call."""
    fields: dict[str, Any] = {"kernel": "triad", "cache": "not-applicable", "utilization_of": "bytes", "rated": None}
    return measurement(bytes_=10**9, operations=10**8, median_s=1e9 / bytes_per_s, **(fields | changes))


@given(positive, positive, positive)
def test_at_the_ridge_point_memory_and_compute_allow_the_same(peak: float, bandwidth: float, factor: float) -> None:
    ridge = ridge_point(peak, bandwidth)
    assert attainable(ridge, peak, bandwidth) == pytest.approx(peak)
    assert attainable(ridge * (1 + factor), peak, bandwidth) == peak
    assert attainable(ridge / (1 + factor), peak, bandwidth) < peak


@pytest.mark.parametrize("ceilings", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_ceiling_is_positive(ceilings: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        ridge_point(*ceilings)


def test_intensity_is_operations_over_bytes_or_unknown() -> None:
    assert intensity(measurement(operations=12_000, bytes_=1_000)) == 12
    assert intensity(measurement(operations=0, bytes_=10)) is None
    assert intensity(measurement(work=None)) is None


def test_bandwidth_is_the_best_of_the_same_device_and_cache_state() -> None:
    rows = [
        stream(1e9),
        stream(3e9, kernel="copy"),
        stream(9e9, kernel="copy", cache="warm"),
        stream(20e9, device="other"),
        measurement(bytes_=10**12),
    ]
    assert measured_bandwidth(rows, "cpu", "cold") == pytest.approx(3e9)
    assert measured_bandwidth(rows, "cpu", "not-applicable") == pytest.approx(3e9)
    assert measured_bandwidth(rows, "cpu", "warm") == pytest.approx(9e9)
    assert measured_bandwidth(rows[:2], "cpu", "warm") is None


def test_what_may_not_be_ranked_is_no_ceiling() -> None:
    rows = [
        stream(1e9),
        stream(5e9, kernel="a", status="contended"),
        stream(6e9, kernel="b", quarantine=["steal"]),
        stream(7e9, kernel="c", status="failed", timed=False),
    ]
    assert measured_bandwidth(rows, "cpu", "cold") == pytest.approx(1e9)


def test_launches_of_a_series_count_by_their_median() -> None:
    rows = [stream(rate, launch=i) for i, rate in enumerate((1e9, 2e9, 9e9))]
    assert measured_bandwidth(rows, "cpu", "cold") == pytest.approx(2e9)


def test_the_peak_is_the_best_product_of_the_precision_and_accumulation() -> None:
    rows = [
        measurement(operations=10**9, median_s=1.0),
        measurement(operations=3 * 10**9, median_s=1.0, implementation="other"),
        measurement(operations=9 * 10**9, median_s=1.0, precision="fp16"),
        measurement(operations=8 * 10**9, median_s=1.0, accumulate="fp16"),
    ]
    assert measured_peak(rows, "cpu", "fp32", "fp32") == pytest.approx(3e9)


def ceiling(operations_per_s: float, **changes: Any) -> records.Measurement:
    """A row that measures the ceiling itself, with its data in registers."""
    fields: dict[str, Any] = {"kernel": "peak", "role": Role.CEILING, "cache": "warm"}
    return measurement(operations=10**12, bytes_=10**4, median_s=1e12 / operations_per_s, **(fields | changes))


def test_a_measured_ceiling_is_the_roof_and_not_the_best_product() -> None:
    rows = [measurement(operations=3 * 10**9, median_s=1.0), ceiling(4e9), ceiling(3.5e9, implementation="narrower")]
    assert measured_peak(rows, "cpu", "fp32", "fp32") == pytest.approx(4e9)
    assert measured_ceiling(rows, "cpu", "fp32", "fp32") == pytest.approx(4e9)
    assert measured_ceiling(rows[:1], "cpu", "fp32", "fp32") is None
    assert measured_peak(rows[:1], "cpu", "fp32", "fp32") == pytest.approx(3e9)


def test_a_ceiling_serves_the_rooflines_of_its_precision_and_makes_none_itself() -> None:
    rows = [measurement(operations=3 * 10**9, median_s=1.0), stream(1e9), ceiling(4e9), ceiling(8e9, precision="int8")]
    (only,) = rooflines(rows, [device()])
    assert (only.precision, only.warm, only.of_products) == ("fp32", False, False)
    assert only.measured.operations_per_s == pytest.approx(4e9)
    (without,) = rooflines(rows[:2], [device()])
    assert without.of_products


def test_a_disturbed_ceiling_is_none() -> None:
    rows = [measurement(operations=3 * 10**9, median_s=1.0), ceiling(2e9, status="contended")]
    assert measured_peak(rows, "cpu", "fp32", "fp32") == pytest.approx(3e9)


def test_operations_that_were_never_executed_make_no_ceiling() -> None:
    winograd = records.Executed(operations=4 * 10**8, precision="fp32")
    rows = [measurement(operations=10**9, median_s=1.0, executed=winograd)]
    assert measured_peak(rows, "cpu", "fp32", "fp32") == pytest.approx(4e8)


def test_each_precision_has_a_measured_and_a_rated_roofline() -> None:
    ratings = {
        "fp32/fp32": records.Rated(kind="datasheet", operations_per_s=4e9),
        "bandwidth": records.Rated(kind="datasheet", bytes_per_s=2e9),
    }
    rows = [measurement(operations=10**9, median_s=1.0), measurement(precision="fp16"), stream(1e9)]
    fp32, fp16 = rooflines(rows, [device(ratings=ratings)])
    assert fp32.measured.ridge == pytest.approx(1.0)
    assert fp32.rated.ridge == pytest.approx(2.0)
    assert fp16.rated.operations_per_s is None and fp16.rated.ridge is None
    assert fp16.measured.ridge is not None


def test_a_warm_row_is_not_set_against_the_memory() -> None:
    ratings = {"bandwidth": records.Rated(kind="datasheet", bytes_per_s=2e9)}
    (warm,) = rooflines([measurement(cache="warm"), stream(1e9)], [device(ratings=ratings)])
    assert warm.warm and warm.measured.bytes_per_s is None and warm.rated.bytes_per_s is None


def test_a_warm_case_that_memory_would_not_bind_is_bound_by_compute() -> None:
    fast = measurement(cache="warm", operations=10**9, bytes_=10**6, median_s=1.0)
    slow = measurement(cache="warm", operations=10**6, bytes_=10**7, median_s=1.0, kernel="other")
    (one,) = rooflines([fast, slow, stream(1e9)], [device()])
    assert one.bound(1000.0) == "compute" and one.allows(1000.0) == pytest.approx(1e9)
    assert one.bound(0.1) is None and one.allows(0.1) is None


@given(st.floats(1e-3, 1e6))
def test_no_case_is_allowed_more_than_the_peak_or_its_share_of_the_bandwidth(per_byte: float) -> None:
    (one,) = rooflines([measurement(operations=10**9, median_s=1.0), stream(1e8)], [device()])
    allowed = one.allows(per_byte)
    assert allowed == pytest.approx(min(1e9, per_byte * 1e8))
    assert one.bound(per_byte) == ("memory" if per_byte < one.measured.ridge else "compute")  # type: ignore[operator]  # both ceilings are there


def test_a_run_without_compute_rows_has_no_roofline() -> None:
    assert rooflines([stream(1e9)], [device()]) == []
