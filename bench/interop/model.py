"""What an export draws from: one point a series, with its name, its time, its rate; and what an export is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from statistics import median
from typing import Literal

from bench import records
from bench.analysis import identity
from bench.errors import UnavailableError

Unit = Literal["FLOPS", "OPS", "B/s"]
OpsFrom = Literal["median", "mean"]


@dataclass(frozen=True)
class ExportOptions:
    """What a user may choose."""

    ops_from: OpsFrom = "median"
    """pytest-benchmark: whether `ops` is one over the median, or over the mean as pytest-benchmark has it."""
    room_bytes: int | None = None
    """Bytes that the target has left, where it has a limit (a GitHub job summary)."""


@dataclass(frozen=True)
class File:
    """One file of an export."""

    name: str
    """"" for the only one; a word that tells several apart; a path with / inside a tree."""
    data: bytes
    merge: bool = False
    """Whether an existing JSON object there is kept, with our keys put into it (asv's list of benchmarks)."""


@dataclass(frozen=True)
class Export:
    """What an export writes, and what it had to leave out."""

    files: tuple[File, ...]
    left_out: tuple[str, ...] = ()
    """A sentence each: a series without a usable time."""


@dataclass(frozen=True)
class Point:
    """One series of one run with a usable time."""

    name: str
    """Stable between runs: foreign tools join on it."""
    key: identity.SeriesKey
    row: records.Measurement
    """The first row with that time: what all share is read from it."""
    launches_s: tuple[float, ...]
    """Seconds a call, the median of each launch."""

    @property
    def median_s(self) -> float:
        """The median of the launches' medians."""
        return median(self.launches_s)

    @property
    def single(self) -> bool:
        """Whether there was one launch, so that its samples tell the spread."""
        return len(self.launches_s) == 1

    @property
    def values_s(self) -> tuple[float, ...]:
        """What the spread is of: the launches' medians, or the samples of the only launch, never both mixed."""
        samples = self.row.samples_s if self.single else None
        return tuple(samples) if samples else self.launches_s

    @property
    def values_are(self) -> Literal["launches", "samples"]:
        """Which of the two `values_s` are."""
        return "samples" if self.single and self.row.samples_s else "launches"

    @property
    def interval_s(self) -> tuple[float, float] | None:
        """The range of the launches, or the 95 % interval inside the only one; None if unknown."""
        if not self.single:
            return min(self.launches_s), max(self.launches_s)
        time = self.row.time
        if time is None or time.ci95_low_s is None or time.ci95_high_s is None:
            return None
        return time.ci95_low_s, time.ci95_high_s

    @property
    def unit(self) -> Unit:
        """Bytes where bandwidth is what counts, else by the precision."""
        moved = (self.row.role is not None and self.row.role.counts_bytes) or self.row.utilization_of == "bytes"
        if moved or (self.row.work is not None and not self.row.work.operations):
            return "B/s"
        return "OPS" if self.row.precision.startswith("int") else "FLOPS"

    @property
    def rate(self) -> float | None:
        """Operations or bytes per second, as `unit` says, at `median_s`; None where the work is unknown."""
        work = self.row.work
        if work is None:
            known = self.row.rate
            return (known.bytes_per_s if self.unit == "B/s" else known.operations_per_s) if known else None
        return (work.bytes if self.unit == "B/s" else work.operations) / self.median_s

    @property
    def rated(self) -> float | None:
        """The rated figure in the same unit."""
        rated = self.row.rated
        if rated is None:
            return None
        return rated.bytes_per_s if self.unit == "B/s" else rated.operations_per_s

    @property
    def utilization(self) -> float | None:
        """`rate` over `rated`."""
        return self.rate / self.rated if self.rate and self.rated else None


def points(run: records.RunFile) -> tuple[list[Point], list[str]]:
    """The run's series with a usable time, in the order measured, and a sentence on each of the others."""
    found: list[Point] = []
    left_out: list[str] = []
    for name, key, rows in named_series(run):
        launches = {number: time_s for number, time_s in identity.launch_medians(rows).items() if _positive(time_s)}
        row = next((row for row in rows if row.time is not None and usable(row)), None)
        if launches and row is not None:
            found.append(Point(name=name, key=key, row=row, launches_s=tuple(launches.values())))
        else:
            left_out.append(f"{name}: {why_unusable(rows)}")
    return found, left_out


def named_series(run: records.RunFile) -> list[tuple[str, identity.SeriesKey, list[records.Measurement]]]:
    """(name, key, rows) of each series of a run.

    Devices of one kind but of different products ("cuda:0" and "cuda:1" of two sorts) are different series, told apart
    by the product's name.
    """
    products = {device.device: device.name for device in run.devices}
    products_of_hosts = {(device.host, device.device): device.name for device in run.devices}
    kinds: dict[str, set[str]] = {}
    for device in run.devices:
        kinds.setdefault(device.device.partition(":")[0], set()).add(device.name)
    found = []
    for key, rows in identity.by_series(run).items():
        if len(kinds.get(key.device, ())) < 2:
            found.append((key.text, key, rows))
            continue
        by_product: dict[str, list[records.Measurement]] = {}
        for row in rows:
            product = products_of_hosts.get((row.host, row.device)) or products.get(row.device, row.device)
            by_product.setdefault(product, []).append(row)
        found += [(f"{key.text} ({product})", key, some) for product, some in by_product.items()]
    return found


def one_run(runs: Sequence[records.RunFile]) -> tuple[records.RunFile, list[Point], tuple[str, ...]]:
    """The only run, its points and what is left out. Raises UnavailableError where nothing usable is in it."""
    (run,) = runs
    found, left_out = points(run)
    if not found:
        raise UnavailableError(f"nothing to export: run {run.run.id} has no usable row{first_reason(left_out)}")
    return run, found, tuple(left_out)


def first_reason(left_out: Sequence[str]) -> str:
    """The first of what was left out, as the end of a sentence."""
    return f" (first: {left_out[0]})" if left_out else ""


def usable(row: records.Measurement) -> bool:
    """Whether a row is ranked and compared: ok or noisy, and not in quarantine."""
    return row.status in records.USABLE and not row.quarantine


def why_unusable(rows: Sequence[records.Measurement]) -> str:
    """Why none of a series' rows is usable: the worst status with its reason, or the quarantine's."""
    worst = min(rows, key=lambda row: records.STATUSES.index(row.status))
    if worst.status in records.USABLE:
        held = next((row.quarantine for row in rows if row.quarantine), None)
        return f"quarantined: {'; '.join(held)}" if held else "no time"
    return f"{worst.status}: {worst.reason}" if worst.reason else worst.status


def commit(run: records.RunFile) -> str | None:
    """The commit that was measured, where the run knows one."""
    value = (run.run.git or {}).get("commit")
    return value if isinstance(value, str) and value else None


def branch(run: records.RunFile) -> str | None:
    """The branch that was measured, where the run knows one."""
    value = (run.run.git or {}).get("branch")
    return value if isinstance(value, str) and value else None


def started_s(run: records.RunFile) -> float:
    """When the run started, seconds since 1970. Raises UnavailableError where its file says no time."""
    try:
        return datetime.fromisoformat(run.run.started).timestamp()
    except (ValueError, OverflowError):
        raise UnavailableError(f"run {run.run.id}: started is no time: {run.run.started[:60]!a}") from None


def _positive(time_s: float) -> bool:
    return isfinite(time_s) and time_s > 0
