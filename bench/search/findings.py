"""What a search found, by the looks and rows of its run file: the best, how much was seen, what to avoid. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from bench import records
from bench.kernel import Kernel
from bench.search.landscape import Landscape, landscape
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


@dataclass(frozen=True)
class Findings:
    """All that a reader is shown of a search; rates are operations per second, or bytes where `unit` says so."""

    kernel: str
    space: Space
    unit: str
    """Of the rates: "FLOPS", "OPS" or "B/s"."""
    finalists: list[records.Measurement]
    """Measured in full: the fastest usable one first, those that are not ranked last."""
    estimates: list[Estimate]
    """What short looks make believe of each point that ran, the best first."""
    coverage: Coverage
    failed: list[tuple[tuple[records.Status, str], int]]
    """((status, reason), how many looks), the most frequent first."""
    cliffs: list[Cliff]
    """Those confirmed by second looks, the deepest first."""
    map: Landscape | None

    @property
    def best(self) -> records.Measurement | None:
        """The fastest finalist that may be ranked; None where there is none."""
        return next((row for row in self.finalists if row.status in records.USABLE), None)


def findings(space: Space, kernel: Kernel, precision: str, file: records.RunFile) -> Findings:
    """What the run file of a search over `space` holds."""
    unit = figure_of(kernel)
    looks = Looks()
    for trial in file.trials:
        point = space.point(trial.case, trial.implementation)
        if point is not None:
            looks.tell(point, rate_of(trial.rate, unit))
    estimates = looks.estimates()
    failed: Counter[tuple[records.Status, str]] = Counter()
    failed.update((trial.status, trial.reason) for trial in file.trials if trial.status != "ok")
    return Findings(
        kernel=kernel.name,
        space=space,
        unit="B/s" if unit == "bytes" else "OPS" if precision.startswith("int") else "FLOPS",
        finalists=ranked(file.measurements, unit),
        estimates=estimates,
        coverage=coverage(space, file.trials),
        failed=failed.most_common(),
        cliffs=confirmed(cliffs(space, estimates, looks.noise)),
        map=landscape(space, estimates),
    )


def figure_of(kernel: Kernel) -> records.UtilizationOf:
    """What a search goes by: bytes per second where bandwidth is the kernel's point."""
    return "bytes" if kernel.role.counts_bytes else "operations"


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
    even = [trial.spent_s for trial in trials if trial.stage in ("design", "random")]
    return Coverage(
        looks=len(trials),
        points=len(points),
        space=space.size,
        looks_s=sum(trial.spent_s for trial in trials),
        exhaustive_s=space.size * sum(even) / len(even) if even else None,
    )


def ranked(rows: Sequence[records.Measurement], unit: records.UtilizationOf) -> list[records.Measurement]:
    """The finalists, the fastest usable one first; rows that are not ranked come last."""
    return sorted(rows, key=lambda row: (row.status not in records.USABLE, -(rate_of(row.rate, unit) or 0.0)))


def rate_of(rate: records.Rate | None, unit: records.UtilizationOf) -> float | None:
    """The figure that a search goes by, "operations" or "bytes" per second; None where nothing ran."""
    if rate is None:
        return None
    return rate.bytes_per_s if unit == "bytes" else rate.operations_per_s
