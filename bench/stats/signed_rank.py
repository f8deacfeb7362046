"""Wilcoxon's signed-rank test of paired differences, exact for any number of ties and zeros, and its interval.

The distribution is counted, not approximated: with eight pairs there is no normal to lean on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from bench.stats.robust import checked


def signed_rank_p(differences: Sequence[float], shift: float = 0.0) -> float:
    """One-sided p-value of "these differences lie above `shift`", conditional on their absolute values.

    Under the null each difference from `shift` has either sign with equal chance (Wilcoxon, Biometrics Bull. 1, 1945).
    Ties share their mean rank. A difference of exactly zero counts as one that lies below, however slightly: equal
    launches speak against a change, and are not left out as Wilcoxon had it. Raises ValueError on none or NaN.
    """
    moved = [value - shift for value in checked(differences)]
    ranks = doubled_ranks([abs(value) for value in moved])
    observed = sum(rank for rank, value in zip(ranks, moved, strict=True) if value > 0)
    return _at_least(tuple(sorted(ranks)))[observed] / (1 << len(ranks))


def signed_rank_interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Interval of the centre by inverting the test: the k-th smallest and k-th largest mean of two differences.

    Exact for differences that scatter symmetrically (Hollander & Wolfe, Nonparametric Statistical Methods, section
    3.3); its centre is the Hodges–Lehmann estimate. None below six pairs at 95 %: fewer can't reach the confidence.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence} is outside 0 … 1")
    values = sorted(checked(differences))
    rank = _interval_rank(len(values), confidence)
    if rank == 0:
        return None
    means = sorted((low + high) / 2.0 for place, low in enumerate(values) for high in values[place:])
    return means[rank - 1], means[-rank]


def doubled_ranks(magnitudes: Sequence[float]) -> list[int]:
    """Twice the rank of each value, 1 for the smallest; equal values share their mean rank, so twice it is whole."""
    ordered = sorted(magnitudes)
    return [bisect_left(ordered, value) + bisect_right(ordered, value) + 1 for value in magnitudes]


@lru_cache(maxsize=256)
def _at_least(ranks: tuple[int, ...]) -> tuple[int, ...]:
    """For each sum s from 0: how many of the 2**n choices of signs give positive ranks that add up to s or more."""
    ways = [1]
    for rank in ranks:
        longer = [*ways, *([0] * rank)]
        for place, count in enumerate(ways):
            longer[place + rank] += count
        ways = longer
    return tuple(accumulate(reversed(ways)))[::-1]


@lru_cache(maxsize=256)
def _interval_rank(count: int, confidence: float) -> int:
    """The largest k with P(T ≤ k − 1) ≤ (1 − confidence)/2 for T of `count` untied differences; 0 where none is."""
    allowed = (1.0 - confidence) / 2.0 * (1 << count)
    tails = _at_least(tuple(range(1, count + 1)))
    # T is symmetric: as many choices give at most k − 1 as give at least all ranks but k − 1.
    return sum(tail <= allowed for tail in tails)
