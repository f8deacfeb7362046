"""What a search found, by the looks and rows of its run file: the best, how much was seen, what to avoid. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from bench import records
from bench.search.looks import Estimate, Looks
from bench.search.space import Point, Space

CLIFF: Final = 0.15
"""A step to the next larger value of one field that loses more than this is a cliff (the issue's own figure)."""
CLIFF_ERRORS: Final = 2.5
"""Standard errors of the looks that a cliff has to exceed beyond chance (ours)."""


@dataclass(frozen=True)
class Cliff:
    """Two shapes a step of one field apart, of which the larger is slower by more than `CLIFF`."""

    axis: str
    bad: Estimate
    good: Estimate

    @property
    def loss(self) -> float:
        """Share of the rate that the step loses."""
        return 1.0 - self.bad.rate / self.good.rate


@dataclass(frozen=True)
class Coverage:
    """How much of a space was looked at, and what looking at all of it would have taken."""

    looks: int
    points: int
    space: int
    looks_s: float
    exhaustive_s: float | None
    """One look at every point: the mean time of the evenly drawn looks, times the points; None without."""

    @property
    def share(self) -> float:
        """Of the points, those looked at."""
        return self.points / self.space if self.space else 0.0


def cliffs(space: Space, estimates: Sequence[Estimate], noise: float) -> list[Cliff]:
    """The cliffs among neighbouring points that were both looked at, the deepest first; `noise` is one look's.

    A field that grows makes a product larger, and a larger one is as a rule the faster: where the rate falls instead,
    a tile, a wave or a cache is left half used, and the smaller shape, padded or split, is the better one.
    """
    known = {one.point: one for one in estimates}
    found = []
    for bad in estimates:
        for number, axis in enumerate(space.axes):
            if not axis.ordered:
                continue
            before = (*bad.point[:number], bad.point[number] - 1, *bad.point[number + 1 :])
            good = known.get(before)
            if good is None:
                continue
            error = noise * sqrt(1.0 / bad.looks + 1.0 / good.looks)
            if log(good.rate / bad.rate) - CLIFF_ERRORS * error > 0 and bad.rate < (1.0 - CLIFF) * good.rate:
                found.append(Cliff(axis.name, bad, good))
    return sorted(found, key=lambda cliff: (-cliff.loss, cliff.bad.point))


def confirmed(found: Sequence[Cliff]) -> list[Cliff]:
    """Cliffs whose both sides were looked at twice: one look can meet a busy neighbour."""
    return [cliff for cliff in found if min(cliff.bad.looks, cliff.good.looks) >= 2]


def coverage(space: Space, trials: Sequence[records.Trial]) -> Coverage:
    """How much was looked at: failed looks count, for they answer too."""
    points: set[Point] = set()
    for trial in trials:
        point = space.point(trial.case, trial.implementation)
        if point is not None:
            points.add(point)
    even = [trial.spent_s for trial in trials if trial.stage in ("design", "random", "sweep")]
    return Coverage(
        looks=len(trials),
        points=len(points),
        space=space.size,
        looks_s=sum(trial.spent_s for trial in trials),
        exhaustive_s=space.size * sum(even) / len(even) if even else None,
    )


def ranked(rows: Sequence[records.Measurement], unit: str) -> list[records.Measurement]:
    """The finalists, the fastest usable one first; rows that are not ranked come last, in their order."""

    def key(row: records.Measurement) -> tuple[bool, float]:
        rate = row.rate and (row.rate.bytes_per_s if unit == "bytes" else row.rate.operations_per_s)
        return row.status not in records.USABLE, -(rate or 0.0)

    return sorted(rows, key=key)


def rate_of(trial: records.Trial, unit: str) -> float | None:
    """The figure that a search goes by; None for a look that did not run."""
    if trial.rate is None:
        return None
    return trial.rate.bytes_per_s if unit == "bytes" else trial.rate.operations_per_s


def looks_of(space: Space, trials: Sequence[records.Trial], unit: str) -> Looks:
    """The looks of a run file, those at points of the space."""
    looks = Looks()
    for trial in trials:
        point = space.point(trial.case, trial.implementation)
        if point is not None:
            looks.tell(point, rate_of(trial, unit))
    return looks
