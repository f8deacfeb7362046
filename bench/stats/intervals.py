"""Intervals of the median by order statistics, and the summary of one launch's samples.

The interval assumes independent samples: it says how well this launch's median is known, nothing of the next launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, fsum, lgamma, log, sqrt

from bench.stats.robust import checked, quantile_of_sorted, relative

_FAR = 6.0
"""In √n: where summing the binomial tail starts. Below n/2 − 6√n (12 σ) lies less than 1e-32 of the probability."""


@dataclass(frozen=True)
class Summary:
    """Samples in a few numbers, in the samples' own unit.

    `q1` and `q3` interpolate linearly between order statistics (Hyndman & Fan's definition 7); `stdev` divides by
    n − 1 and is 0 for a single sample; `ci_low` and `ci_high` bound the median, None where there are too few samples.
    """

    samples: int
    median: float
    q1: float
    q3: float
    min: float
    mean: float
    stdev: float
    ci_low: float | None
    ci_high: float | None


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Distribution-free interval of the median: the j-th smallest and the j-th largest sample.

    j is the largest rank for which the interval still covers the median with at least `confidence`, whatever the
    distribution: P(B < j) ≤ (1 − confidence)/2 for B ~ Binomial(n, 1/2) (David & Nagaraja, Order Statistics, 3rd ed.,
    section 7.1; asv's `quantile_ci` does the same). None where no rank does: below 6 samples at 95 %.
    """
    return median_interval_of_sorted(sorted(checked(samples)), confidence)


def median_interval_of_sorted(ordered: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """`median_interval` of samples that are in ascending order already."""
    rank = median_rank(len(ordered), confidence)
    return (ordered[rank - 1], ordered[-rank]) if rank else None


@lru_cache(maxsize=4096)
def median_rank(count: int, confidence: float = 0.95) -> int:
    """The rank j ≥ 1 of `median_interval` for `count` samples; 0 where none reaches the confidence."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence} is outside 0 … 1")
    allowed = (1.0 - confidence) / 2.0
    k = max(0, int(count / 2 - _FAR * sqrt(count)))
    # P(B = k) through logarithms: 2**-count underflows from 1075 samples on.
    probability = exp(lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1) - count * log(2.0))
    tail = probability
    while tail <= allowed:
        probability *= (count - k) / (k + 1)
        k += 1
        tail += probability
    return k


def relative_half_width(ordered: Sequence[float], confidence: float = 0.95) -> float | None:
    """Half the width of the median's interval over the median, of samples in ascending order; None without one."""
    interval = median_interval_of_sorted(ordered, confidence)
    if interval is None:
        return None
    return relative((interval[1] - interval[0]) / 2.0, quantile_of_sorted(ordered, 0.5))


def summary(samples: Sequence[float], confidence: float = 0.95) -> Summary:
    """Median, quartiles, minimum, mean, standard deviation, interval of the median. ValueError on none, NaN or inf."""
    ordered = sorted(checked(samples))
    count = len(ordered)
    mean = fsum(ordered) / count
    stdev = sqrt(fsum((x - mean) ** 2 for x in ordered) / (count - 1)) if count > 1 else 0.0
    if ordered[0] == ordered[-1]:
        # Equal samples have no spread; fsum(n·x)/n may be off by a rounding.
        mean, stdev = ordered[0], 0.0
    low, high = median_interval_of_sorted(ordered, confidence) or (None, None)
    return Summary(
        samples=count,
        median=quantile_of_sorted(ordered, 0.5),
        q1=quantile_of_sorted(ordered, 0.25),
        q3=quantile_of_sorted(ordered, 0.75),
        min=ordered[0],
        mean=mean,
        stdev=stdev,
        ci_low=low,
        ci_high=high,
    )


def thin(samples: Sequence[float], limit: int = 1000) -> list[float]:
    """At most `limit` of the samples, evenly spaced in the order taken, the first and the last among them."""
    if limit < 1:
        raise ValueError(f"limit = {limit} is not positive")
    count = len(samples)
    if count <= limit:
        return list(samples)
    if limit == 1:
        return [samples[0]]
    return [samples[i * (count - 1) // (limit - 1)] for i in range(limit)]
