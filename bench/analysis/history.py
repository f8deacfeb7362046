"""The history of a series: its values over runs, where their level changed, whether the newest one is suspected.

Takes points as a store hands them out and knows nothing of files; how a history looks is the renderers' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, fsum, isfinite, log
from typing import Literal, Protocol

from bench import records
from bench.stats.change_points import (
    RULES,
    SERIAL,
    SUSPECT_Z,
    Rules,
    autocorrelation,
    change_points,
    compare,
    newest_z,
)
from bench.stats.robust import median

ChangeStatus = Literal["confirmed", "possible", "accepted"]


class Point(Protocol):
    """What a run says of one series: one value, and whether it may be used."""

    @property
    def series(self) -> str: ...
    @property
    def class_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def started(self) -> str: ...
    @property
    def started_s(self) -> float: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def value_s(self) -> float | None: ...
    @property
    def status(self) -> str: ...
    @property
    def quarantined(self) -> bool: ...


class Accepted(Protocol):
    """A change that somebody has looked at and takes as the new normal."""

    @property
    def series(self) -> str: ...
    @property
    def class_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class Change:
    """A step of a history's level; times are the geometric means of the segments on both sides."""

    index: int
    """Of the first value after the change."""
    commit: str | None
    """Of that value."""
    previous_commit: str | None
    """Of the last value before: the change came in between."""
    before_s: float
    after_s: float
    p: float | None
    """Of the pooled t-test; None for an accepted change with too few values around it to test."""
    status: ChangeStatus
    reason: str = ""
    """Why it was accepted, or why it is only possible."""

    @property
    def change(self) -> float:
        """Relative: 0.1 is ten percent more time, that is slower."""
        return self.after_s / self.before_s - 1.0


@dataclass(frozen=True)
class Level:
    """A stretch of values without a change: indices of its first and its last, and their geometric mean."""

    first: int
    last: int
    value_s: float


@dataclass(frozen=True)
class History:
    """One series on one class of machine, in the order of its runs."""

    series: str
    class_id: str
    points: tuple[Point, ...]
    """All, those in quarantine or without a usable value too."""
    used: tuple[Point, ...]
    """Those with a value that is tested; every index counts these."""
    changes: tuple[Change, ...]
    levels: tuple[Level, ...]
    newest_z: float | None
    """How far the newest value lies from its level, in robust standard deviations; None where that means nothing."""
    autocorrelation: float | None
    """Of the residuals since the last accepted change; above 0.3 change points are only possible."""

    @property
    def values_s(self) -> list[float]:
        """Seconds a call."""
        return [value_of(point) for point in self.used]

    @property
    def commits(self) -> list[str | None]:
        """Beside `values_s`."""
        return [point.commit for point in self.used]

    @property
    def suspected(self) -> bool:
        """Whether the newest value strays too far to be noise, and not yet for long enough to be a change."""
        return self.newest_z is not None and abs(self.newest_z) > SUSPECT_Z

    @property
    def suspicion(self) -> float | None:
        """The newest value over the median of its level before it, less 1; None where nothing is suspected."""
        if not self.suspected:
            return None
        *earlier, newest = self.values_s[self.levels[-1].first :]
        return newest / median(earlier) - 1.0


def usable(point: Point) -> bool:
    """Whether a point may stand in a test: measured, usable, not in quarantine, with a positive value."""
    value_s = point.value_s
    good = point.status in records.USABLE and not point.quarantined
    return good and value_s is not None and isfinite(value_s) and value_s > 0.0


def value_of(point: Point) -> float:
    """The value of a usable point, in seconds. Raises ValueError for another."""
    if point.value_s is None:
        raise ValueError(f"the point of run {point.run_id} has no value")
    return point.value_s


def histories(points: Iterable[Point], accepted: Iterable[Accepted] = (), rules: Rules = RULES) -> Iterator[History]:
    """One history after the other, of points that come series by series, those of one class together.

    Points of one series are put in the order of their runs. Only one series is held at a time. Raises ValueError where
    a series comes back after another one.
    """
    known: dict[tuple[str, str], list[Accepted]] = {}
    for change in accepted:
        known.setdefault((change.series, change.class_id), []).append(change)
    seen: set[tuple[str, str]] = set()
    for key, group in groupby(points, key=lambda point: (point.series, point.class_id)):
        if key in seen:
            raise ValueError(f"the points of series {key[0]!r} do not stand together")
        seen.add(key)
        yield history(list(group), known.get(key, ()), rules)


def history(points: Sequence[Point], accepted: Iterable[Accepted] = (), rules: Rules = RULES) -> History:
    """The history of one series, of at least one point, with the changes of it that were accepted.

    An accepted change restarts the baseline: values before and after it are never tested together. It lies before the
    run that it names, else, where that has no usable value, before the first value of its commit.
    """
    ordered = tuple(sorted(points, key=lambda point: (point.started_s, point.run_id)))
    used = tuple(point for point in ordered if usable(point))
    logs = [log(value_of(point)) for point in used]
    restarts = {index: change.reason for change in accepted if (index := place_of(change, used))}
    found = [_Found(index, None, "accepted", reason) for index, reason in restarts.items()]
    serial = z = None
    for start, end in pairwise([0, *sorted(restarts), len(logs)]):
        part = logs[start:end]
        if part:
            steps = change_points(part, rules)
            indices = [step.index for step in steps]
            serial, z = autocorrelation(part, indices), newest_z(part, indices, rules)
            status, reason = _certainty(serial)
            found += [_Found(start + step.index, step.p, status, reason) for step in steps]
    found.sort(key=lambda one: one.index)
    levels = _levels(logs, [one.index for one in found])
    return History(
        series=ordered[0].series,
        class_id=ordered[0].class_id,
        points=ordered,
        used=used,
        changes=tuple(_change(one, used, logs, pair) for one, pair in zip(found, pairwise(levels), strict=True)),
        levels=levels,
        newest_z=z,
        autocorrelation=serial,
    )


def place_of(change: Accepted, used: Sequence[Point]) -> int | None:
    """Index of the first value after an accepted change; None where neither its run nor its commit has a value."""
    by_run = (index for index, point in enumerate(used) if point.run_id == change.run_id)
    by_commit = (index for index, point in enumerate(used) if change.commit and point.commit == change.commit)
    return next(by_run, next(by_commit, None))


@dataclass(frozen=True)
class _Found:
    """A change before its neighbours are known."""

    index: int
    p: float | None
    status: ChangeStatus
    reason: str


def _certainty(serial: float) -> tuple[ChangeStatus, str]:
    """Values that follow their predecessors wander, and wandering looks like steps."""
    if serial > SERIAL:
        return "possible", f"neighbouring values resemble each other (autocorrelation {serial:.2f})"
    return "confirmed", ""


def _change(found: _Found, used: Sequence[Point], logs: Sequence[float], sides: tuple[Level, Level]) -> Change:
    """A change between two levels; an accepted one is tested here, by those levels' values."""
    before, after = sides
    p = found.p
    if found.status == "accepted":
        tested = compare(logs[before.first : after.last + 1], found.index - before.first)
        p = tested.p if tested else None
    return Change(
        index=found.index,
        commit=used[found.index].commit,
        previous_commit=used[found.index - 1].commit,
        before_s=before.value_s,
        after_s=after.value_s,
        p=p,
        status=found.status,
        reason=found.reason,
    )


def _levels(logs: Sequence[float], indices: Sequence[int]) -> tuple[Level, ...]:
    """The levels between changes."""
    if not logs:
        return ()
    bounds = pairwise([0, *indices, len(logs)])
    return tuple(Level(start, end - 1, exp(fsum(logs[start:end]) / (end - start))) for start, end in bounds)
