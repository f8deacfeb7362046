"""The spread of few values, steadied by that of many alike: three launches alone say little of how launches scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, isfinite, sqrt
from typing import Final

from bench.stats.robust import checked, median
from bench.stats.student import two_sided_p

PRIOR_DEGREES: Final = 2.5
"""Weight of what other series say, in values. Series of one machine have scales of their own: with scaled inverse χ²
variances of d₀ degrees of freedom, 9 of 10 standard deviations of three launches lie below √(F₀.₉(2, d₀)/F₀.₅(2, d₀))
times the middle one, 3.0 for d₀ = 2 and 2.5 for 3. In the reference run of a virtual machine it is 2.8 (81 series)."""
_BISECTIONS: Final = 200


@dataclass(frozen=True)
class Spread:
    """A standard deviation and on how much it rests."""

    sigma: float
    degrees_of_freedom: float


def spread(*groups: Sequence[float]) -> Spread:
    """Standard deviation about each group's own mean, pooled; σ is 0 where no group has two values."""
    squares, degrees = 0.0, 0
    for group in groups:
        if group:
            mean = fsum(checked(group)) / len(group)
            squares += fsum((value - mean) ** 2 for value in group)
            degrees += len(group) - 1
    return Spread(sqrt(squares / degrees) if degrees else 0.0, float(degrees))


def typical(spreads: Sequence[Spread]) -> float:
    """The σ of the middle one of many spreads, those without a degree of freedom left out; 0 where all are."""
    known = [one.sigma for one in spreads if one.degrees_of_freedom > 0]
    return median(known) if known else 0.0


def moderated(own: Spread, prior_sigma: float, prior_degrees: float = PRIOR_DEGREES) -> Spread:
    """A spread drawn towards a prior one, as if that were `prior_degrees` more values.

    s² = (d₀·s₀² + d·s²)/(d₀ + d), with which t has d₀ + d degrees of freedom (Smyth, Stat. Appl. Genet. Mol. Biol. 3,
    2004, section 4).
    """
    degrees = prior_degrees + own.degrees_of_freedom
    squares = prior_degrees * prior_sigma**2 + own.degrees_of_freedom * own.sigma**2
    return Spread(sqrt(squares / degrees), degrees)


def one_sided_p(value: float, error: float, degrees_of_freedom: float) -> float:
    """P(T ≥ value/error) for Student's t; without any error 0 for a positive value and 1 for any other."""
    if error == 0.0:
        return 0.0 if value > 0.0 else 1.0
    tail = two_sided_p(value / error, degrees_of_freedom) / 2.0
    return tail if value >= 0.0 else 1.0 - tail


@lru_cache(maxsize=1024)
def t_quantile(confidence: float, degrees_of_freedom: float) -> float:
    """t with P(|T| ≤ t) = confidence: 2.776 for 95 % and 4 degrees. By bisection. ValueError outside 0 … 1."""
    if not 0.0 < confidence < 1.0 or not isfinite(confidence):
        raise ValueError(f"confidence = {confidence} is outside 0 … 1")
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees_of_freedom) > 1.0 - confidence:
        low, high = high, 2.0 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if two_sided_p(middle, degrees_of_freedom) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high
