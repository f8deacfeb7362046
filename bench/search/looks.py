"""What short looks have shown: what is believed of each point, and how far two looks at one point differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice
from math import exp, log, sqrt
from typing import Final

from bench.search.space import Point
from bench.stats.robust import median

NOISE: Final = 0.03
"""Relative scatter of two short looks at one point before it is known (ours): a shared machine's."""
NOISE_LEAST: Final = 0.002
NOISE_KNOWN: Final = 4
"""Pairs of looks from which the scatter is taken from them."""


@dataclass(frozen=True)
class Estimate:
    """What is believed of a point: operations (or bytes) per second, from so many looks."""

    point: Point
    rate: float
    looks: int


class Looks:
    """Every look of a search; a point that failed once is out of it."""

    def __init__(self) -> None:
        self._looks: dict[Point, list[float]] = {}
        self._failed: set[Point] = set()

    def tell(self, point: Point, rate: float | None) -> None:
        """The rate of one look at a point, or None where it could not run."""
        if rate is None or rate <= 0.0:
            self._failed.add(point)
            self._looks.pop(point, None)
        elif point not in self._failed:
            self._looks.setdefault(point, []).append(log(rate))

    def seen(self, point: Point) -> bool:
        """Whether the point has been looked at, with or without success."""
        return point in self._looks or point in self._failed

    def logarithms(self) -> dict[Point, float]:
        """The logarithm of the rate that is believed of each point that ran: the median of its looks."""
        return {point: median(looks) for point, looks in self._looks.items()}

    def estimates(self) -> list[Estimate]:
        """Every point that ran, the best first."""
        found = [Estimate(point, exp(median(looks)), len(looks)) for point, looks in self._looks.items()]
        return sorted(found, key=lambda one: (-one.rate, one.point))

    @property
    def best(self) -> Estimate | None:
        """The point believed to be the fastest; None while none ran."""
        return next(iter(self.estimates()), None)

    @property
    def noise(self) -> float:
        """Standard deviation of the logarithm of one look, from the points that have several."""
        spreads = [abs(a - b) for looks in self._looks.values() for a, b in islice(combinations(looks, 2), 3)]
        if len(spreads) < NOISE_KNOWN:
            return NOISE
        # The median of |a − b| of a normal distribution is 0.6745·√2·σ.
        return max(NOISE_LEAST, median(spreads) / (0.6745 * sqrt(2.0)))
