"""What a scenario's rows come to: Σ(w·operations) / Σ(w·time) a precision, its share of the rated figure, what lacks.

A precision is never mixed with another, and a scenario of which a call has no usable row has no figure: it is
incomplete, and says which calls are missing and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench import records
from bench.analysis.identity import launch_medians
from bench.precision import PRECISIONS


@dataclass(frozen=True)
class Part:
    """One call of a step, measured: what one of it does, in how many seconds, and how many there are."""

    entry: str
    weight: int
    operations: int
    bytes: int
    time_s: float
    rated_per_s: float | None
    """The rated operations per second that the row was set against."""


@dataclass(frozen=True)
class Missing:
    """A call without a usable row, and why."""

    entry: str
    status: str
    """Its row's status, or "not measured", "quarantined", "of another accumulation" where that is what keeps it out."""
    reason: str


@dataclass(frozen=True)
class Total:
    """Weighted sums over some calls of a step."""

    operations: int
    bytes: int
    time_s: float
    rated_s: float | None
    """Seconds that the same operations take at the rated figure; None where one of the calls has no rating."""

    @property
    def operations_per_s(self) -> float:
        """Σ(w·operations) / Σ(w·time)"""
        return self.operations / self.time_s

    @property
    def bytes_per_s(self) -> float:
        """Σ(w·bytes) / Σ(w·time)"""
        return self.bytes / self.time_s

    @property
    def rated_per_s(self) -> float | None:
        """The rated figure of these operations together."""
        return self.operations / self.rated_s if self.rated_s else None

    @property
    def utilization(self) -> float | None:
        """The rated seconds over the measured ones: the rate over the rated figure, where all calls have the same."""
        return self.rated_s / self.time_s if self.rated_s is not None else None


@dataclass(frozen=True)
class Outcome:
    """One scenario on one device at one precision and accumulation."""

    planned: records.PlannedScenario
    precision: str
    accumulate: str
    parts: tuple[Part, ...]
    missing: tuple[Missing, ...]

    @property
    def complete(self) -> bool:
        """Whether every call that the scenario makes at this precision was measured."""
        return bool(self.parts) and not self.missing

    @property
    def calls(self) -> int:
        """Calls that the scenario makes at this precision."""
        return len(self.parts) + len(self.missing)

    @property
    def total(self) -> Total | None:
        """Over the calls that were measured: the scenario's own where it is complete, else only theirs."""
        return total(self.parts)


@dataclass(frozen=True)
class Speedup:
    """Two precisions of a scenario over the calls that were measured at both."""

    planned: records.PlannedScenario
    precision: str
    base: str
    calls: int
    ratio: float
    """Seconds of the base over seconds of the precision: above 1 the precision is faster."""


def total(parts: Sequence[Part]) -> Total | None:
    """The weighted sums; None of no parts."""
    if not parts:
        return None
    rated = [part.weight * part.operations / part.rated_per_s if part.rated_per_s else None for part in parts]
    known = [seconds for seconds in rated if seconds is not None]
    return Total(
        operations=sum(part.weight * part.operations for part in parts),
        bytes=sum(part.weight * part.bytes for part in parts),
        time_s=sum(part.weight * part.time_s for part in parts),
        rated_s=sum(known) if len(known) == len(parts) else None,
    )


def outcomes(file: records.RunFile) -> list[Outcome]:
    """Every scenario that the run was asked for, at each of its precisions, in the order of the run."""
    return [
        _outcome(planned, precision, accumulate, rows)
        for planned in file.run.scenarios
        for precision in PRECISIONS
        if any(precision in wanted for wanted in planned.entries.values())
        for rows in [_rows(file.measurements, planned, precision)]
        for accumulate in _accumulations(rows, precision)
    ]


def speedups(found: Iterable[Outcome]) -> list[Speedup]:
    """Each precision of a scenario against the one that has most of it; only the precisions' own accumulations."""
    plain = [one for one in found if one.parts and one.accumulate == PRECISIONS[one.precision].accumulate]
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in plain:
        groups.setdefault((one.planned.device, one.planned.suite), []).append(one)
    result = []
    for group in groups.values():
        base = max(group, key=lambda one: len(one.parts))  # the first of equals
        result += [pair for one in group if one is not base for pair in _speedup(one, base)]
    return result


def _speedup(one: Outcome, base: Outcome) -> list[Speedup]:
    mine, theirs = ({part.entry: part.weight * part.time_s for part in each.parts} for each in (one, base))
    both = [entry for entry in mine if entry in theirs]
    if not both:
        return []
    ratio = sum(theirs[entry] for entry in both) / sum(mine[entry] for entry in both)
    return [Speedup(one.planned, one.precision, base.precision, len(both), ratio)]


def _rows(
    rows: Iterable[records.Measurement], planned: records.PlannedScenario, precision: str
) -> list[records.Measurement]:
    return [
        row
        for row in rows
        if row.scenario is not None
        and (row.scenario.suite, row.scenario.size) == (planned.suite, planned.size)
        and (row.device, row.precision) == (planned.device, precision)
    ]


def _accumulations(rows: Sequence[records.Measurement], precision: str) -> list[str]:
    """The precision's own, and any other that a usable row has: each is another unit with another rating."""
    others = {row.accumulate for row in rows if row.accumulate and row.status in records.USABLE}
    own = PRECISIONS[precision].accumulate
    return [own, *sorted(others - {own})]


def _outcome(
    planned: records.PlannedScenario, precision: str, accumulate: str, rows: Sequence[records.Measurement]
) -> Outcome:
    parts, missing = [], []
    for entry, precisions in planned.entries.items():
        if precision not in precisions:
            continue
        found = _part(entry, accumulate, [row for row in rows if row.scenario and row.scenario.entry == entry])
        if isinstance(found, Part):
            parts.append(found)
        else:
            missing.append(found)
    return Outcome(planned, precision, accumulate, tuple(parts), tuple(missing))


def _part(entry: str, accumulate: str, rows: Sequence[records.Measurement]) -> Part | Missing:
    """The fastest implementation's median of launch medians, or why there is none."""
    by_implementation: dict[str, list[records.Measurement]] = {}
    for row in rows:
        if row.accumulate == accumulate:
            by_implementation.setdefault(row.implementation, []).append(row)
    timed = []
    for mine in by_implementation.values():
        medians = launch_medians(mine)
        whole = next((row for row in mine if row.work is not None and row.scenario is not None), None)
        if medians and whole is not None:
            timed.append((median(medians.values()), whole))
    if not timed:
        return _missing(entry, rows)
    time_s, best = min(timed, key=lambda pair: pair[0])
    assert best.work is not None and best.scenario is not None
    rated = next((row.rated.operations_per_s for row in by_implementation[best.implementation] if row.rated), None)
    return Part(entry, best.scenario.weight, best.work.operations, best.work.bytes, time_s, rated)


def _missing(entry: str, rows: Sequence[records.Measurement]) -> Missing:
    if not rows:
        return Missing(entry, "not measured", "no row: left out by the options, or the budget was spent")
    for row in rows:
        if row.status in records.USABLE and row.quarantine:
            return Missing(entry, "quarantined", "; ".join(row.quarantine))
    first = rows[0]
    if first.status in records.USABLE:
        return Missing(entry, "of another accumulation", f"accumulates in {first.accumulate}")
    return Missing(entry, first.status, first.reason)
