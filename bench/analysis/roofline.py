"""The roofline: what memory and compute allow at each arithmetic intensity, from measured ceilings beside rated ones.

Williams, Waterman and Patterson, Roofline, CACM 52(4), 2009. Pure; how it is drawn is `bench.report`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench import records
from bench.kernel import Role


@dataclass(frozen=True)
class Ceilings:
    """A peak in operations per second and a bandwidth in bytes per second; None where unknown."""

    operations_per_s: float | None
    bytes_per_s: float | None

    @property
    def ridge(self) -> float | None:
        """Operations per byte from which on compute is the bound; None where either ceiling is unknown."""
        if self.operations_per_s is None or self.bytes_per_s is None:
            return None
        return ridge_point(self.operations_per_s, self.bytes_per_s)


@dataclass(frozen=True)
class Roofline:
    """One device at one precision and accumulation in one cache state."""

    device: str
    precision: str
    accumulate: str | None
    warm: bool
    """Whether inputs came out of a cache: its bandwidth is another than the memory's."""
    measured: Ceilings
    """The measured ceiling, or else the best product, and the best bandwidth of this run."""
    rated: Ceilings
    memory_bytes_per_s: float | None = None
    """The best bandwidth from memory, warm or not: a cache of unknown bandwidth is at least as fast."""
    of_products: bool = True
    """Whether the measured peak is only the best product, for want of a row that measures the ceiling itself."""

    def bound(self, intensity: float) -> Literal["memory", "compute"] | None:
        """What bounds a case of `intensity` operations per byte by the measured ceilings; None where unknown."""
        ridge = self.measured.ridge
        if ridge is not None:
            return "memory" if intensity < ridge else "compute"
        peak, memory = self.measured.operations_per_s, self.memory_bytes_per_s
        return "compute" if peak and memory and intensity >= ridge_point(peak, memory) else None

    def allows(self, intensity: float) -> float | None:
        """Operations per second that the measured ceilings allow at `intensity`; None where unknown."""
        bound, peak, bandwidth = self.bound(intensity), self.measured.operations_per_s, self.measured.bytes_per_s
        if bound is None or peak is None:
            return None
        return attainable(intensity, peak, bandwidth) if bandwidth else peak


def ridge_point(operations_per_s: float, bytes_per_s: float) -> float:
    """Operations per byte at which memory and compute take equally long: peak / bandwidth."""
    if operations_per_s <= 0 or bytes_per_s <= 0:
        raise ValueError(f"a ceiling is positive: {operations_per_s} operations/s, {bytes_per_s} bytes/s")
    return operations_per_s / bytes_per_s


def attainable(intensity: float, operations_per_s: float, bytes_per_s: float) -> float:
    """Operations per second that the roofline allows at `intensity` operations per byte: min(peak, I × bandwidth)."""
    return min(operations_per_s, intensity * bytes_per_s)


def intensity(row: records.Measurement) -> float | None:
    """Nominal operations per byte read or written; None where either is not counted."""
    if row.work is None or row.work.operations <= 0 or row.work.bytes <= 0:
        return None
    return row.work.operations / row.work.bytes


def is_warm(row: records.Measurement) -> bool:
    """Whether the row's inputs were in a cache; a call too large for any cache is as good as cold."""
    return row.cache == "warm"


def is_ceiling(row: records.Measurement) -> bool:
    """Whether the row measures a ceiling that others are set against, by its kernel's role."""
    return row.role is Role.CEILING


def measured_bandwidth(rows: Iterable[records.Measurement], device: str, cache: str) -> float | None:
    """The best bandwidth (bytes per second) of a usable bandwidth row of `device` in this cache state.

    Rows of bandwidth are told by `utilization_of`. `cold` and `not-applicable` are one state: both go to memory. With
    several launches a series counts by its median. A warm row of any size counts, so a warm bandwidth may be that of
    a faster, smaller cache than a case has: the memory is then blamed for too little rather than for too much.
    """
    chosen = [row for row in rows if _is_bandwidth(row) and is_warm(row) == (cache == "warm")]
    return _best((row, row.rate.bytes_per_s) for row in chosen if row.device == device and row.rate)


def measured_peak(
    rows: Iterable[records.Measurement], device: str, precision: str, accumulate: str | None
) -> float | None:
    """The ceiling (operations per second) of the run at this precision and accumulation, else its best product.

    Where fewer operations were executed than are counted (Winograd), those executed count: a ceiling is the unit's.
    """
    chosen = [
        row
        for row in rows
        if (row.device, row.precision, row.accumulate) == (device, precision, accumulate) and not _moves_bytes(row)
    ]
    ceiling = _best((row, _executed_per_s(row)) for row in chosen if is_ceiling(row))
    return ceiling if ceiling is not None else _best((row, _executed_per_s(row)) for row in chosen)


def measured_ceiling(
    rows: Iterable[records.Measurement], device: str, precision: str, accumulate: str | None
) -> float | None:
    """The best rate (operations per second) of a usable row that measures the ceiling; None where the run has none."""
    return measured_peak((row for row in rows if is_ceiling(row)), device, precision, accumulate)


def rooflines(rows: Sequence[records.Measurement], devices: Iterable[records.Device]) -> list[Roofline]:
    """A roofline for each device, precision, accumulation and cache state of which a compute row was measured.

    A ceiling alone makes none: it is a line of the figure and no case under it.
    """
    known = {device.device: device for device in devices}
    keys = dict.fromkeys(
        (row.device, row.precision, row.accumulate, is_warm(row))
        for row in rows
        if row.status in records.USABLE and not (_moves_bytes(row) or is_ceiling(row)) and intensity(row) is not None
    )
    return [_roofline(rows, known.get(key[0]), *key) for key in keys]


def _roofline(
    rows: Sequence[records.Measurement],
    device: records.Device | None,
    name: str,
    precision: str,
    accumulate: str | None,
    warm: bool,
) -> Roofline:
    ratings = device.ratings if device else {}
    compute, memory = ratings.get(f"{precision}/{accumulate}"), ratings.get("bandwidth")
    return Roofline(
        device=name,
        precision=precision,
        accumulate=accumulate,
        warm=warm,
        measured=Ceilings(
            measured_peak(rows, name, precision, accumulate),
            measured_bandwidth(rows, name, "warm" if warm else "cold"),
        ),
        # No source rates a cache: the rated bandwidth is the memory's.
        rated=Ceilings(
            compute.operations_per_s if compute else None, memory.bytes_per_s if memory and not warm else None
        ),
        memory_bytes_per_s=measured_bandwidth(rows, name, "cold"),
        of_products=measured_ceiling(rows, name, precision, accumulate) is None,
    )


def _is_bandwidth(row: records.Measurement) -> bool:
    """Whether it is the memory that the row measures, and not a link to other devices or to the host."""
    return _moves_bytes(row) and row.role in (None, Role.BANDWIDTH)


def _moves_bytes(row: records.Measurement) -> bool:
    return row.utilization_of == "bytes"


def _executed_per_s(row: records.Measurement) -> float | None:
    if row.work is None or row.time is None:
        return None
    operations = row.work.operations
    if row.executed is not None:
        operations = min(operations, row.executed.operations)
    return operations / row.time.median_s


def _best(rates: Iterable[tuple[records.Measurement, float | None]]) -> float | None:
    """The highest series, each the median of its launches."""
    series: dict[tuple[object, ...], list[float]] = {}
    for row, rate in rates:
        if rate and row.status in records.USABLE and not row.quarantine:
            key = (row.host, row.rank, row.kernel, tuple(sorted(row.case.items())), row.implementation, row.mode)
            series.setdefault((*key, row.data, row.cache, row.precision), []).append(rate)
    return max(map(median, series.values()), default=None)
