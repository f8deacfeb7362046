"""Intervals of the median by exact binomial ranks, and summaries."""

from __future__ import annotations

import random
import statistics
from fractions import Fraction
from itertools import pairwise
from math import comb, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.intervals import median_interval, median_rank, relative_half_width, summary, thin

times = st.lists(st.floats(min_value=1e-9, max_value=1e3), min_size=1, max_size=60)


def slow_rank(count: int, confidence: Fraction) -> int:
    """The definition, in exact fractions: the largest j with P(B < j) ≤ (1 − confidence)/2."""
    allowed = (1 - confidence) / 2
    tail, rank = Fraction(0), 0
    for k in range(count + 1):
        tail += Fraction(comb(count, k), 2**count)
        if tail > allowed:
            break
        rank = k + 1
    return rank


@pytest.mark.parametrize("confidence", [Fraction(9, 10), Fraction(95, 100), Fraction(99, 100)])
@pytest.mark.parametrize("counts", [range(1, 130), (512, 999, 1000, 1075, 2048)])
def test_ranks_are_those_of_the_exact_binomial(confidence: Fraction, counts: range | tuple[int, ...]) -> None:
    for count in counts:
        assert median_rank(count, float(confidence)) == slow_rank(count, confidence), count


def test_ranks_of_the_printed_tables() -> None:
    # 95 % two-sided: n = 6 → (1, 6), 10 → (2, 9), 20 → (6, 15), 100 → (40, 61) (Conover, Practical Nonparametric
    # Statistics, 3rd ed., section 3.2).
    assert {n: median_rank(n) for n in (5, 6, 10, 20, 100)} == {5: 0, 6: 1, 10: 2, 20: 6, 100: 40}


def test_a_hundred_thousand_samples_follow_the_normal_approximation() -> None:
    n = 100_000
    assert median_rank(n) == pytest.approx(n / 2 - 1.959964 * n**0.5 / 2, abs=2)


def test_below_six_samples_there_is_no_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]) == (1.0, 6.0)
    assert median_interval([float(x) for x in range(1, 11)]) == (2.0, 9.0)


@given(times)
def test_the_interval_holds_the_median(samples: list[float]) -> None:
    interval = median_interval(samples)
    if interval is None:
        assert len(samples) < 6
    else:
        assert interval[0] <= statistics.median(samples) <= interval[1]
        assert interval[0] in samples
        assert interval[1] in samples


@given(times, st.floats(min_value=0.5, max_value=0.9))
def test_more_confidence_is_never_narrower(samples: list[float], confidence: float) -> None:
    wide, narrow = median_interval(samples, 0.95), median_interval(samples, confidence)
    if wide and narrow:
        assert wide[0] <= narrow[0]
        assert narrow[1] <= wide[1]


@pytest.mark.parametrize("draw", [random.Random.random, lambda r: r.expovariate(1.0), lambda r: r.gauss(0.0, 1.0)])
def test_the_interval_covers_the_true_median_as_often_as_it_says(draw: object) -> None:
    generator = random.Random(7)
    long_run = sorted(draw(generator) for _ in range(40_001))  # type: ignore[operator]  # parametrised over functions
    truth = long_run[20_000]
    trials = 1500
    held = 0
    for _ in range(trials):
        low, high = median_interval([draw(generator) for _ in range(25)]) or (inf, -inf)  # type: ignore[operator]  # as above
        held += low <= truth <= high
    # n = 25: exact coverage 95.7 %; four standard deviations of 1500 trials are 2.1 %.
    assert held / trials > 0.935


def test_half_width_is_relative_to_the_median() -> None:
    assert relative_half_width([9.0, 10.0, 10.0, 10.0, 10.0, 11.0]) == pytest.approx(0.1)
    assert relative_half_width([1.0] * 6) == 0.0
    assert relative_half_width([1.0] * 5) is None
    assert relative_half_width([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0]) == inf


def test_summary_of_an_exact_case() -> None:
    s = summary([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
    assert (s.samples, s.median, s.q1, s.q3, s.min, s.mean) == (6, 3.5, 2.25, 4.75, 1.0, 3.5)
    assert s.stdev == pytest.approx(statistics.stdev(range(1, 7)))
    assert (s.ci_low, s.ci_high) == (1.0, 6.0)


def test_summary_of_one_sample_and_of_equal_samples() -> None:
    one = summary([0.1])
    assert (one.median, one.mean, one.stdev, one.ci_low) == (0.1, 0.1, 0.0, None)
    equal = summary([0.1] * 7)
    assert (equal.mean, equal.stdev, equal.ci_low, equal.ci_high) == (0.1, 0.0, 0.1, 0.1)


@given(times)
def test_summary_is_in_order(samples: list[float]) -> None:
    s = summary(samples)
    assert s.min <= s.q1 <= s.median <= s.q3 <= max(samples)
    assert s.mean == pytest.approx(statistics.fmean(samples), rel=1e-9)
    assert s == summary(list(reversed(samples)))


@pytest.mark.parametrize("samples", [[], [1.0, nan], [1.0, inf]])
def test_nothing_nan_and_infinity_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="samples"):
        summary(samples)
    with pytest.raises(ValueError, match="samples"):
        median_interval(samples)


@pytest.mark.parametrize("confidence", [0.0, 1.0, nan])
def test_a_confidence_outside_the_unit_interval_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        median_interval([1.0] * 10, confidence)


@given(st.lists(st.integers(), max_size=300), st.integers(min_value=1, max_value=50))
def test_thinning_keeps_order_ends_and_limit(values: list[int], limit: int) -> None:
    samples = [float(i) for i in range(len(values))]
    kept = thin(samples, limit)
    assert len(kept) == min(limit, len(samples))
    assert kept == sorted(set(kept))
    if kept and limit > 1:
        assert (kept[0], kept[-1]) == (samples[0], samples[-1])
        steps = [b - a for a, b in pairwise(kept)]
        assert not steps or max(steps) - min(steps) <= 1


def test_thinning_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        thin([1.0], 0)
