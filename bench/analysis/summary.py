"""A run file as what a reader wants to see: one series a case, its rate with its spread, the best of each precision.

Every renderer draws from these objects; nothing here formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal

from bench import records
from bench.analysis.roofline import is_ceiling
from bench.kernel import Role


@dataclass(frozen=True)
class Series:
    """One case of one kernel at one precision by one implementation on one device, over all its launches."""

    rows: tuple[records.Measurement, ...]
    value: float | None
    """Operations per second, or bytes per second where `unit` is B/s; the median of the launch medians."""
    low: float | None
    high: float | None
    spread: Literal["within one launch", "between launches"] | None
    """What low … high covers: the 95 % interval of the median inside the launch, or the launch medians' range."""
    unit: Literal["FLOPS", "OPS", "B/s"]
    status: records.Status
    reason: str

    @property
    def first(self) -> records.Measurement:
        """The first launch's row: what all launches share is read from it."""
        return self.rows[0]

    @property
    def rated(self) -> float | None:
        """The rated figure in the same unit as `value`."""
        rated = self.measured.rated
        if rated is None:
            return None
        return rated.bytes_per_s if self.unit == "B/s" else rated.operations_per_s

    @property
    def utilization(self) -> float | None:
        """`value` over `rated`."""
        return self.value / self.rated if self.value and self.rated else None

    @property
    def carried_by(self) -> str:
        """By which other unit the work was carried, in a sentence; "" where it was the precision's own."""
        executed = self.measured.executed
        return executed.note if executed else ""

    @cached_property
    def measured(self) -> records.Measurement:
        """The first row that was timed, or the first of all."""
        return next((row for row in self.rows if row.time is not None), self.first)


@dataclass(frozen=True)
class Best:
    """The highest usable rate of a device at one precision and accumulation, or of its memory."""

    device: str
    label: str
    series: Series


def series(rows: Iterable[records.Measurement]) -> list[Series]:
    """Group the rows of a run into series, in the order in which they were first measured."""
    groups: dict[tuple[object, ...], list[records.Measurement]] = {}
    for row in rows:
        case = tuple(sorted(row.case.items()))
        where = (row.host, row.rank, row.device)
        what = (row.kernel, case, row.precision, row.implementation, row.mode, row.data)
        # A row that was never timed has no cache state; it belongs to its series all the same.
        key = None
        if row.time is None:
            key = next((key for key in groups if key[:2] == (where, what)), None)
        groups.setdefault(key or (where, what, row.cache), []).append(row)
    return [_one_series(tuple(group)) for group in groups.values()]


def best(all_series: Sequence[Series]) -> list[Best]:
    """The best usable series of each device, precision and accumulation; bandwidth last.

    A ceiling is not ranked: it does no work that anybody has.
    """
    return _highest(one for one in all_series if not is_ceiling(one.first))


def ceilings(all_series: Sequence[Series]) -> list[Best]:
    """The measured ceiling of each device, precision and accumulation that has one."""
    return _highest(one for one in all_series if is_ceiling(one.first))


def _highest(all_series: Iterable[Series]) -> list[Best]:
    found: dict[tuple[str, str], Series] = {}
    for one in all_series:
        if one.value is None or one.status not in records.USABLE:
            continue
        key = (one.first.device, _label(one))
        if key not in found or (found[key].value or 0.0) < one.value:
            found[key] = one
    ordered = sorted(found.items(), key=lambda entry: entry[1].unit == "B/s")
    return [Best(device, label, one) for (device, label), one in ordered]


def _one_series(rows: tuple[records.Measurement, ...]) -> Series:
    unit = _unit(rows)
    timed = [row for row in rows if row.time is not None and row.work is not None]
    worst = min(rows, key=lambda row: records.STATUSES.index(row.status))
    values = [_per_second(row, row.time.median_s, unit) for row in timed if row.time]
    low, high, spread = _spread(timed, values, unit)
    return Series(
        rows=rows,
        value=median(values) if values else None,
        low=low,
        high=high,
        spread=spread,
        unit=unit,
        status=worst.status,
        reason=worst.reason,
    )


def _spread(
    timed: Sequence[records.Measurement], values: Sequence[float], unit: str
) -> tuple[float | None, float | None, Literal["within one launch", "between launches"] | None]:
    if len(timed) > 1:
        return min(values), max(values), "between launches"
    if not timed or timed[0].time is None or timed[0].time.ci95_low_s is None or timed[0].time.ci95_high_s is None:
        return None, None, None
    time = timed[0].time
    low, high = _per_second(timed[0], time.ci95_high_s, unit), _per_second(timed[0], time.ci95_low_s, unit)
    return low, high, "within one launch"


def _per_second(row: records.Measurement, seconds: float | None, unit: str) -> float:
    assert row.work is not None and seconds is not None
    return (row.work.bytes if unit == "B/s" else row.work.operations) / seconds


def _unit(rows: Sequence[records.Measurement]) -> Literal["FLOPS", "OPS", "B/s"]:
    """Bytes where bandwidth is what counts, else by the precision."""
    first = next((row for row in rows if row.time is not None), rows[0])
    if first.utilization_of == "bytes":
        return "B/s"
    return "OPS" if first.precision.startswith("int") else "FLOPS"


def _label(one: Series) -> str:
    if one.first.role is Role.COLLECTIVE:
        return f"{one.first.kernel} bus bandwidth"
    if one.first.role is Role.TRANSFER:
        return one.first.kernel
    if one.unit == "B/s":
        return "bandwidth"
    from bench.precision import PRECISIONS

    row = one.measured
    plain = PRECISIONS[row.precision].accumulate if row.precision in PRECISIONS else None
    name = row.precision.upper()
    return name if row.accumulate in (None, plain) else f"{name} ({row.accumulate} accumulation)"
