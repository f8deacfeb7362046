"""Bootstrap and exchange of pairs, against full enumeration, known distributions and a seeded coverage."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from math import nan, sqrt
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.resampling import mean_deviation, paired_bootstrap, sign_flip_p

integers = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=8)


def enumerated_p(differences: Sequence[float]) -> float:
    """The definition: every way of exchanging the sides."""
    sums = [
        sum(sign * x for sign, x in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(each >= sum(differences) for each in sums) / len(sums)


@settings(max_examples=40, deadline=None)
@given(integers)
def test_the_p_value_is_that_of_full_enumeration(differences: list[float]) -> None:
    # Five standard errors of 4,000 draws.
    assert sign_flip_p(differences, resamples=4000) == pytest.approx(
        enumerated_p(differences), abs=5 * 0.5 / sqrt(4000)
    )


def test_twenty_differences_of_one_sign_are_significant_and_of_the_other_are_not() -> None:
    assert sign_flip_p([0.1 + i for i in range(20)]) < 0.001
    assert sign_flip_p([-0.1 - i for i in range(20)]) > 0.999


def test_differences_of_zero_prove_nothing() -> None:
    assert sign_flip_p([0.0] * 20) == 1.0


def test_ties_of_sums_that_round_differently_count_as_ties() -> None:
    # Every draw that flips an equal number of each kind has the same sum but for rounding.
    assert sign_flip_p([0.1, -0.1, 0.3, -0.3], resamples=4000) == pytest.approx(
        enumerated_p([1.0, -1.0, 3.0, -3.0]), abs=0.04
    )


def test_a_p_value_is_never_zero_and_repeats() -> None:
    differences = [1.0 + i / 10 for i in range(40)]
    assert sign_flip_p(differences, resamples=999) == 1 / 1000
    mixed = [(-1.0) ** i * i for i in range(15)]
    assert sign_flip_p(mixed, resamples=500, seed=3) == sign_flip_p(mixed, resamples=500, seed=3)


@pytest.mark.parametrize("differences", [[], [1.0, nan]])
def test_none_and_nan_have_no_p_value(differences: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no samples|NaN"):
        sign_flip_p(differences)


def test_the_mean_deviation_of_two_heaps_is_half_their_distance() -> None:
    assert mean_deviation([1.0, 1.0, 3.0, 3.0]) == 1.0
    assert mean_deviation([5.0] * 7) == 0.0


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(0.1, 10), st.floats(-100, 100))
def test_the_mean_deviation_scales_and_does_not_shift(samples: list[float], scale: float, shift: float) -> None:
    moved = [scale * x + shift for x in samples]
    assert mean_deviation(moved) == pytest.approx(scale * mean_deviation(samples), rel=1e-6, abs=1e-8)


def mean_ratio(pairs: list[tuple[float, float]]) -> float:
    return fmean(a for a, _ in pairs) / fmean(b for _, b in pairs)


def test_pairs_stay_together() -> None:
    # Each pair has the ratio 2; sides drawn apart would scatter over orders of magnitude.
    pairs = [(2.0 * 10.0**i, 10.0**i) for i in range(6)]
    assert paired_bootstrap(pairs, mean_ratio, resamples=300) == pytest.approx((2.0, 2.0))


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    draw = random.Random(1)
    pairs = [(draw.gauss(0.0, 1.0), 0.0) for _ in range(400)]
    low, high = paired_bootstrap(pairs, lambda drawn: fmean(a for a, _ in drawn), resamples=2000)
    centre = fmean(a for a, _ in pairs)
    half = 1.96 / sqrt(400)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=0.2 * half)


def test_no_pairs_and_no_such_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired_bootstrap([], mean_ratio)
    with pytest.raises(ValueError, match="confidence"):
        paired_bootstrap([(1.0, 1.0)], mean_ratio, confidence=0.0)
