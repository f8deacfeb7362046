"""The exact signed-rank test beside a slow one that tries every choice of signs."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.signed_rank import doubled_ranks, signed_rank_interval, signed_rank_p

SMALL = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=9)
"""Integers of a small range: full of ties and zeros."""
CONTINUOUS = st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=9)


def slow_p(differences: list[float]) -> float:
    """Every choice of signs, counted; ranks by definition."""
    magnitudes = [abs(d) for d in differences]
    ranks = [
        sum(other < m for other in magnitudes) + (sum(other == m for other in magnitudes) + 1) / 2 for m in magnitudes
    ]
    observed = sum(rank for rank, d in zip(ranks, differences, strict=True) if d > 0)
    choices = list(product((0, 1), repeat=len(ranks)))
    sums = [math.fsum(rank for rank, up in zip(ranks, choice, strict=True) if up) for choice in choices]
    return sum(each >= observed for each in sums) / len(choices)


@given(SMALL | CONTINUOUS)
def test_the_fast_count_is_the_slow_one(differences: list[float]) -> None:
    assert signed_rank_p(differences) == slow_p(differences)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # Hollander & Wolfe's tables: P(T ≥ 36) and P(T ≥ 35) of eight, P(T ≥ 20) of six.
        ([1, 2, 3, 4, 5, 6, 7, 8], 1 / 256),
        ([-1, 2, 3, 4, 5, 6, 7, 8], 2 / 256),
        ([-1, 2, 3, 4, 5, 6], 2 / 64),
        ([0, 0, 0], 1.0),
        ([0, 0, 5], 5 / 8),
    ],
)
def test_known_values(differences: list[float], p: float) -> None:
    assert signed_rank_p(differences) == p


@given(SMALL)
def test_the_two_directions_share_what_is_observed(differences: list[float]) -> None:
    """P(T ≥ t) + P(T ≤ t) = 1 + P(T = t) without zeros, and zeros add to both: together they are above 1."""
    assert signed_rank_p(differences) + signed_rank_p([-d for d in differences]) > 1.0


@given(st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=9, unique_by=abs), st.integers(0, 8))
def test_a_larger_difference_is_never_less_evidence(differences: list[float], place: int) -> None:
    # Of untied differences: with ties the p-values come in coarser steps.
    moved = list(differences)
    moved[place % len(moved)] += 25.0
    assert signed_rank_p(moved) <= signed_rank_p(differences)


def test_equal_launches_are_evidence_against_a_change() -> None:
    assert signed_rank_p([1.0] * 7) == 2**-7
    assert signed_rank_p([*[1.0] * 7, 0.0]) == 2 / 2**8
    assert signed_rank_p([1.0, 0.0, 0.0, 0.0]) > signed_rank_p([1.0])


def test_a_shift_is_subtracted() -> None:
    assert signed_rank_p([1.0, 2.0, 3.0], 10.0) == 1.0
    assert signed_rank_p([1.0, 2.0, 3.0], -10.0) == 1 / 8


@given(SMALL | CONTINUOUS)
def test_ranks_add_up_whatever_the_ties(magnitudes: list[float]) -> None:
    assert sum(doubled_ranks(magnitudes)) == len(magnitudes) * (len(magnitudes) + 1)


@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=9, unique=True))
def test_the_interval_holds_the_shifts_that_neither_direction_rejects(differences: list[float]) -> None:
    interval = signed_rank_interval(differences)
    assert interval is not None
    low, high = interval
    for shift, inside in (((low + high) / 2, True), (low - 0.01, False), (high + 0.01, False)):
        p = min(signed_rank_p(differences, shift), signed_rank_p([-d for d in differences], -shift))
        assert (p > 0.025) is inside or (inside and low == high)


def test_the_interval_of_eight_is_between_the_fourth_mean_from_either_end() -> None:
    # Tables: P(T ≤ 3) = 5/256 = 0.0195 for eight pairs, so k = 4.
    values = [float(2**i) for i in range(8)]
    means = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    assert signed_rank_interval(values) == (means[3], means[-4])


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_pairs_have_no_interval(count: int) -> None:
    assert signed_rank_interval([1.0] * count) is None


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf]])
def test_nothing_and_nan_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="samples"):
        signed_rank_p(bad)
    with pytest.raises(ValueError, match="samples"):
        signed_rank_interval(bad)


def test_a_confidence_is_between_zero_and_one() -> None:
    with pytest.raises(ValueError, match="confidence"):
        signed_rank_interval([1.0] * 8, 1.0)
