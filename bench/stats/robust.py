"""Centres and spreads that a few wild samples don't move: quantiles, median, MAD, robust z, relative IQR."""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, inf, isfinite
from typing import Final

MAD_TO_SIGMA: Final = 1.4826
"""1 / Φ⁻¹(3/4): the MAD times this estimates σ of normal data (Rousseeuw & Croux, JASA 88, 1993)."""


def checked(samples: Sequence[float]) -> Sequence[float]:
    """The samples as given; ValueError where there are none, or one is NaN or infinite: no statistic of those holds."""
    if not samples:
        raise ValueError("no samples")
    if not all(map(isfinite, samples)):
        raise ValueError("samples hold NaN or infinity")
    return samples


def quantile_of_sorted(ordered: Sequence[float], p: float) -> float:
    """The p-quantile (0 ≤ p ≤ 1) of samples in ascending order, by linear interpolation between order statistics.

    Definition 7 of Hyndman & Fan (Am. Stat. 50, 1996), numpy's default: position p·(n − 1) counted from 0.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p = {p} is outside 0 … 1")
    position = p * (len(ordered) - 1)
    below = int(position)
    low = ordered[below]
    high = ordered[min(below + 1, len(ordered) - 1)]
    # min: rounding must not carry the result past the upper neighbour.
    return min(low + (high - low) * (position - below), high)


def quantile(samples: Sequence[float], p: float) -> float:
    """The p-quantile of samples in any order; see `quantile_of_sorted` for the definition."""
    return quantile_of_sorted(sorted(checked(samples)), p)


def median(samples: Sequence[float]) -> float:
    """The middle sample, or the mean of the two in the middle."""
    return quantile(samples, 0.5)


def mad(samples: Sequence[float]) -> float:
    """Median absolute deviation from the median, not scaled (see `MAD_TO_SIGMA`)."""
    centre = median(samples)
    return median([abs(x - centre) for x in samples])


def robust_z(value: float, samples: Sequence[float]) -> float:
    """How many robust standard deviations (1.4826 MAD) `value` lies from the median of `samples`.

    With a MAD of zero it is 0 for the median itself and ±infinity for anything else.
    """
    if not isfinite(value):
        raise ValueError("value is NaN or infinite")
    distance = value - median(samples)
    scale = MAD_TO_SIGMA * mad(samples)
    if scale == 0.0:
        return 0.0 if distance == 0.0 else copysign(inf, distance)
    return distance / scale


def relative_iqr(samples: Sequence[float]) -> float:
    """(q3 − q1) / |median|; 0 where all the middle half is equal, infinity where only the median is 0."""
    return relative_iqr_of_sorted(sorted(checked(samples)))


def relative_iqr_of_sorted(ordered: Sequence[float]) -> float:
    """`relative_iqr` of samples that are in ascending order already."""
    spread = quantile_of_sorted(ordered, 0.75) - quantile_of_sorted(ordered, 0.25)
    return relative(spread, quantile_of_sorted(ordered, 0.5))


def relative(spread: float, centre: float) -> float:
    """spread / |centre|, with 0/0 read as 0 and anything else over 0 as infinity."""
    if centre == 0.0:
        return 0.0 if spread == 0.0 else inf
    return spread / abs(centre)
