"""The bootstrap of a ratio of medians, exactly: every resample of a few launches is counted, none is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb, log
from typing import Final

from bench.stats.robust import checked

Atom = tuple[float, float]
"""A value and its probability."""
NEGLIGIBLE: Final = 1e-6
"""Outcomes less likely than this are left out: of a hundred samples all but a few hundred, together below 1 %."""


def bootstrap_medians(samples: Sequence[float]) -> list[Atom]:
    """Every value that the median of a resample of the same size takes, with its probability.

    Resamples draw with replacement (Efron, Ann. Stat. 7, 1979). An even number has two middle values, whose mean is
    the median. Raises ValueError on none or NaN.
    """
    ordered = sorted(checked(samples))
    kept = [((ordered[i] + ordered[j]) / 2.0, p) for i, j, p in _middles(len(ordered)) if p >= NEGLIGIBLE]
    total = sum(p for _, p in kept)
    return [(value, p / total) for value, p in kept]


def ratio_interval(base: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of ln(median new / median base), both sides resampled; all samples above 0."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence} is outside 0 … 1")
    sides = [[(log(value), p) for value, p in bootstrap_medians(side)] for side in (base, new)]
    ratios = sorted((after - before, p * q) for before, p in sides[0] for after, q in sides[1])
    tail = (1.0 - confidence) / 2.0
    return _quantile(ratios, tail), -_quantile([(-value, p) for value, p in reversed(ratios)], tail)


def _quantile(ascending: Sequence[Atom], p: float) -> float:
    """The smallest value with more than `p` of the probability at or below it."""
    below = 0.0
    for value, probability in ascending:
        below += probability
        if below > p:
            return value
    return ascending[-1][0]


@lru_cache(maxsize=64)
def _middles(count: int) -> tuple[tuple[int, int, float], ...]:
    """(i, j, probability) that a resample's two middle values are the i-th and the j-th of `count`; i = j if odd."""
    every = count**count
    if count % 2:
        needed = count // 2 + 1
        return tuple((i, i, (_most(count, needed, i + 1) - _most(count, needed, i)) / every) for i in range(count))
    half = count // 2
    found = []
    for i in range(count):
        lower = _most(count, half, i + 1) - _most(count, half, i)
        for j in range(i + 1, count):
            # Half of the draws at most the i-th, one of them that, and half at least the j-th, one of them that.
            down = (i + 1) ** half - i**half
            up = (count - j) ** half - (count - j - 1) ** half
            ways = comb(count, half) * down * up
            lower -= ways
            found.append((i, j, ways / every))
        found.append((i, i, lower / every))
    return tuple(found)


def _most(count: int, needed: int, places: int) -> int:
    """Of count**count resamples, in how many at least `needed` draws are among the first `places` values."""
    return sum(comb(count, k) * places**k * (count - places) ** (count - k) for k in range(needed, count + 1))
