"""Centres and spreads: exact cases, properties, and slow but obvious versions of the same."""

from __future__ import annotations

import statistics
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import robust

times = st.lists(st.floats(min_value=1e-9, max_value=1e3), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.75, 3.25), (1.0, 4.0)],
)
def test_quantiles_interpolate_between_order_statistics(p: float, expected: float) -> None:
    assert robust.quantile([4.0, 1.0, 3.0, 2.0], p) == expected


@given(times)
def test_the_median_is_that_of_the_standard_library(samples: list[float]) -> None:
    assert robust.median(samples) == pytest.approx(statistics.median(samples), rel=1e-12)


@given(times.filter(lambda s: len(s) > 1))
def test_quartiles_are_those_of_the_inclusive_method(samples: list[float]) -> None:
    q1, _, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    assert robust.quantile(samples, 0.25) == pytest.approx(q1, rel=1e-9, abs=1e-15)
    assert robust.quantile(samples, 0.75) == pytest.approx(q3, rel=1e-9, abs=1e-15)


@given(times, st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_lies_within_the_samples(samples: list[float], p: float) -> None:
    assert min(samples) <= robust.quantile(samples, p) <= max(samples)


def test_mad_ignores_a_wild_sample() -> None:
    assert robust.mad([1.0, 2.0, 3.0, 4.0, 1e9]) == 1.0


def test_robust_z_counts_in_scaled_mads() -> None:
    assert robust.robust_z(3.0 + 1.4826, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1.0)


def test_without_spread_anything_else_is_infinitely_far() -> None:
    assert robust.robust_z(1.0, [1.0, 1.0]) == 0.0
    assert robust.robust_z(2.0, [1.0, 1.0]) == inf
    assert robust.robust_z(0.5, [1.0, 1.0]) == -inf


def test_relative_iqr() -> None:
    assert robust.relative_iqr([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.5 / 2.5)
    assert robust.relative_iqr([7.0] * 9) == 0.0
    assert robust.relative_iqr([0.0, 0.0]) == 0.0
    assert robust.relative_iqr([-1.0, 0.0, 1.0]) == inf


@given(times, st.floats(min_value=0.5, max_value=100.0))
def test_relative_iqr_has_no_unit(samples: list[float], factor: float) -> None:
    scaled = robust.relative_iqr([factor * x for x in samples])
    assert scaled == pytest.approx(robust.relative_iqr(samples), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("function", [robust.median, robust.mad, robust.relative_iqr])
@pytest.mark.parametrize("samples", [[], [1.0, nan], [inf, 1.0]])
def test_no_statistic_of_nothing_or_of_nan(function: object, samples: list[float]) -> None:
    with pytest.raises(ValueError, match="samples"):
        function(samples)  # type: ignore[operator]  # parametrised over functions


def test_a_quantile_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        robust.quantile([1.0], 1.5)
    with pytest.raises(ValueError, match="NaN"):
        robust.robust_z(nan, [1.0])
