"""A cheap model of a landscape: a sum of one function an axis, fitted to what has been looked at. Pure Python.

log rate ≈ mean + Σ f_axis(place) + what nearby residuals say. Rates are products of such effects (a tile that fits, a
sum long enough to hide its start), so that the logarithm is nearly a sum; the local part takes what is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from operator import getitem
from typing import Final

from bench.search.space import Axis, Point

SMOOTHNESS: Final = 0.4
"""Weight of the squared step between neighbouring values, against one of an observation (ours): a value that was never
looked at is put between its neighbours, and one seen twice is believed though it is a cliff."""
PRIOR: Final = 0.2
"""Weight that holds each value's effect to zero, in observations (ours)."""
SWEEPS: Final = 8
"""Of the backfitting: effects of a balanced design barely change after the third."""
REACH: Final = 0.2
"""Distance, as a share of an ordered axis, at which a residual still counts exp(−1/2) (ours)."""
REACH_LEAST: Final = 1.0
CHOICE_APART: Final = 1.5
"""Distance between two values of an axis without direction, in reaches (ours)."""
FAR: Final = 9.0
"""Squared distance, in reaches, from which a residual says nothing."""


@dataclass(frozen=True)
class Prediction:
    """Of a logarithm: what is expected, and how little is known, 1 far from everything and towards 0 beside a look."""

    mean: float
    ignorance: float


class Surrogate:
    """The model of what has been looked at: `observed` is point → logarithm."""

    def __init__(self, axes: Sequence[Axis], observed: Mapping[Point, float]) -> None:
        self._axes = axes
        self._points = list(observed)
        values = list(observed.values())
        self._mean = sum(values) / len(values) if values else 0.0
        self.effects = [[0.0] * len(axis.values) for axis in axes]
        self._residuals = [value - self._mean for value in values]
        for _ in range(SWEEPS if values else 0):
            for number in range(len(axes)):
                self._refit(number)
        self._apart = [_squared_distances(axis) for axis in axes]
        squares = sum(residual * residual for residual in self._residuals)
        self.scatter = sqrt(squares / len(values)) if values else 0.0
        """Root mean square of what the sum of effects leaves unexplained."""

    def additive(self, point: Point) -> float:
        """The sum of effects alone."""
        return self._mean + sum(effect[place] for effect, place in zip(self.effects, point, strict=True))

    def predict(self, point: Point) -> Prediction:
        """The sum of effects and what nearby residuals add to it."""
        weights = weighted = 0.0
        from_here = [table[place] for table, place in zip(self._apart, point, strict=True)]
        for seen, residual in zip(self._points, self._residuals, strict=True):
            distance = sum(map(getitem, from_here, seen))
            if distance < FAR:
                weight = exp(-distance / 2.0)
                weights += weight
                weighted += weight * residual
        return Prediction(self.additive(point) + weighted / (weights + PRIOR), 1.0 / (1.0 + weights))

    def _refit(self, number: int) -> None:
        """Fit one axis to what the others leave, and keep the residuals up to date."""
        axis, old = self._axes[number], self.effects[number]
        sums, counts = [0.0] * len(axis.values), [0] * len(axis.values)
        for point, residual in zip(self._points, self._residuals, strict=True):
            sums[point[number]] += residual + old[point[number]]
            counts[point[number]] += 1
        if axis.ordered:
            new = _smooth(sums, counts)
        else:
            new = [total / (count + PRIOR) for total, count in zip(sums, counts, strict=True)]
        self.effects[number] = new
        for index, point in enumerate(self._points):
            self._residuals[index] += old[point[number]] - new[point[number]]


def _squared_distances(axis: Axis) -> list[list[float]]:
    """Of each place to each, in reaches: a search asks for them some hundred thousand times."""
    places = range(len(axis.values))
    if not axis.ordered:
        return [[0.0 if here == there else CHOICE_APART**2 for there in places] for here in places]
    reach = max(REACH_LEAST, REACH * len(axis.values))
    return [[((here - there) / reach) ** 2 for there in places] for here in places]


def _smooth(sums: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Minimise Σ count·(mean − f)² + PRIOR·f² + SMOOTHNESS·Σ (step of f)²: a tridiagonal system (Thomas' algorithm)."""
    last = len(sums) - 1
    diagonal = [
        count + PRIOR / len(sums) + SMOOTHNESS * ((place > 0) + (place < last)) for place, count in enumerate(counts)
    ]
    right = list(sums)
    for place in range(1, last + 1):
        factor = SMOOTHNESS / diagonal[place - 1]
        diagonal[place] -= factor * SMOOTHNESS
        right[place] += factor * right[place - 1]
    found = [0.0] * len(sums)
    for place in range(last, -1, -1):
        beyond = SMOOTHNESS * found[place + 1] if place < last else 0.0
        found[place] = (right[place] + beyond) / diagonal[place]
    return found
