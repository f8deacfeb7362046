"""Corrections for many tests, beside their definitions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.multiple import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)
LEVELS = st.floats(0.001, 0.999)


def slow_step_up(p_values: list[float], q: float) -> set[int]:
    """Benjamini & Hochberg's words: the largest k with p(k) ≤ k·q/m, and all below it."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    passing = [k for k in range(1, len(order) + 1) if p_values[order[k - 1]] <= k * q / len(order)]
    return set(order[: max(passing, default=0)])


def slow_step_down(p_values: list[float], alpha: float) -> set[int]:
    """Holm's words: from the smallest on while p(k) ≤ α/(m + 1 − k)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected: set[int] = set()
    for k, place in enumerate(order):
        if p_values[place] > alpha / (len(order) - k):
            break
        rejected.add(place)
    return rejected


@given(P_VALUES, LEVELS)
def test_step_up_rejects_what_its_definition_rejects(p_values: list[float], q: float) -> None:
    # A hair away from the level: the two forms round differently.
    adjusted = benjamini_hochberg(p_values)
    if all(abs(p - q) > 1e-9 for p in adjusted):
        assert {i for i, p in enumerate(adjusted) if p <= q} == slow_step_up(p_values, q)


@given(P_VALUES, LEVELS)
def test_step_down_rejects_what_its_definition_rejects(p_values: list[float], alpha: float) -> None:
    adjusted = holm(p_values)
    if all(abs(p - alpha) > 1e-9 for p in adjusted):
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == slow_step_down(p_values, alpha)


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
def test_one_test_needs_no_correction_and_none_is_none(adjust) -> None:  # type: ignore[no-untyped-def]  # either function
    assert adjust([0.03]) == [0.03]
    assert adjust([]) == []


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
@given(p_values=P_VALUES)
def test_adjusting_raises_and_keeps_the_order(adjust, p_values: list[float]) -> None:  # type: ignore[no-untyped-def]  # as above
    adjusted = adjust(p_values)
    # Up to rounding: p · m / m need not be p.
    assert all(p * (1 - 1e-12) <= a <= 1.0 for p, a in zip(p_values, adjusted, strict=True))
    assert [a for _, a in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)


def test_the_share_of_false_rejections_stays_below_q() -> None:
    draw = random.Random(1)
    shares = []
    for _ in range(400):
        p_values = [draw.random() for _ in range(40)] + [draw.random() * 1e-3 for _ in range(10)]
        rejected = [i for i, p in enumerate(benjamini_hochberg(p_values)) if p <= 0.1]
        shares.append(sum(i < 40 for i in rejected) / max(1, len(rejected)))
    assert sum(shares) / len(shares) < 0.1


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="outside 0"):
        benjamini_hochberg([0.5, bad])
