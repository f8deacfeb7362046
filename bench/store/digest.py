"""What the index keeps of a run: an entry for the whole, and one point for each of its series. No database here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from bench import records
from bench.analysis.identity import by_series, comparison_class, launch_medians

UNFINISHED: Final = "unfinished"
"""Status of a run whose file has no end line: it is being written, or was killed."""


@dataclass(frozen=True)
class RunEntry:
    """One run of a store."""

    id: str
    name: str
    """Its file in the store."""
    path: str
    """Store and file, as messages name it; `Index.open_run` reads it."""
    started: str
    """ISO 8601, as the run wrote it."""
    started_s: float
    """The same as seconds since 1970; 0 where the run wrote no time."""
    commit: str | None
    branch: str | None
    dirty: bool
    """Whether the checkout differed from its commit."""
    status: str
    """As its end says (complete, interrupted, failed), or "unfinished"."""
    suite: str | None
    rows: int
    usable: int
    """How many of the rows are ok or noisy."""
    devices: tuple[str, ...]
    """Their names, each once."""
    classes: Mapping[str, Mapping[str, str]]
    """Class → its fields, of each comparison class that the run's devices belong to, in the order of the devices."""

    @property
    def class_id(self) -> str:
        """The class of the run's first device; "" for a run without devices."""
        return next(iter(self.classes), "")

    @property
    def class_fields(self) -> Mapping[str, str]:
        """The fields of `class_id`."""
        return self.classes.get(self.class_id, {})


@dataclass(frozen=True)
class Point:
    """What one run says of one series on one class of device."""

    series: str
    """`SeriesKey.text`."""
    class_id: str
    run_id: str
    run_name: str
    """The run's file in the store."""
    started: str
    started_s: float
    commit: str | None
    value_s: float | None
    """Median of the launch medians, seconds a call, over the good rows; where there are none, over those that were
    timed all the same (grey in a chart, in no test); None where nothing was timed."""
    launches: int
    """How many launches it is the median of."""
    status: str
    """ok or noisy where there are good rows, by precedence; else the first of the rows' statuses by precedence."""
    quarantined: bool
    """Whether all rows that were usable stand in quarantine."""

    @property
    def good(self) -> bool:
        """Whether the value may enter a baseline or a test."""
        return self.value_s is not None and self.status in records.USABLE and not self.quarantined


@dataclass(frozen=True)
class SeriesPoint:
    """A point before it knows its run."""

    series: str
    class_id: str
    value_s: float | None
    launches: int
    status: str
    quarantined: bool


def class_id(fields: Mapping[str, str]) -> str:
    """A short name for a comparison class: the same for the same fields, whatever their order."""
    text = json.dumps(dict(fields), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def entry_of(file: records.RunFile, name: str, path: str) -> RunEntry:
    """The entry of a run that lies in the store as `name`."""
    run, git = file.run, file.run.git or {}
    commit, branch = git.get("commit"), git.get("branch")
    return RunEntry(
        id=run.id,
        name=name,
        path=path,
        started=run.started,
        started_s=seconds(run.started),
        commit=commit if isinstance(commit, str) and commit else None,
        branch=branch if isinstance(branch, str) and branch else None,
        dirty=bool(git.get("dirty")),
        status=file.end.status if file.end else UNFINISHED,
        suite=run.suite,
        rows=len(file.measurements),
        usable=sum(row.status in records.USABLE for row in file.measurements),
        devices=tuple(dict.fromkeys(device.name for device in file.devices)),
        classes={class_id(fields): fields for fields in (comparison_class(file, d) for d in file.devices)},
    )


def points_of(file: records.RunFile) -> list[SeriesPoint]:
    """One point for each series and class of the run, in the order in which they were first measured.

    Devices of one type but of different classes (two different cards) are told apart; a device that the file doesn't
    describe has the class "".
    """
    classes = {device.device: class_id(comparison_class(file, device)) for device in file.devices}
    points = []
    for key, rows in by_series(file).items():
        groups: dict[str, list[records.Measurement]] = {}
        for row in rows:
            groups.setdefault(classes.get(row.device, ""), []).append(row)
        points += [_point(key.text, group, its_rows) for group, its_rows in groups.items()]
    return points


def seconds(started: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, UTC where it names no zone; 0 for anything else."""
    try:
        moment = datetime.fromisoformat(started)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _point(series: str, group: str, rows: list[records.Measurement]) -> SeriesPoint:
    good = launch_medians(rows)
    usable = [row for row in rows if row.status in records.USABLE]
    value = launches = None
    if good:
        value, launches = median(good.values()), len(good)
        status = _first(row.status for row in usable if not row.quarantine)
    else:
        shown: dict[int, list[float]] = {}
        for row in rows:
            if row.time is not None:
                shown.setdefault(row.launch, []).append(row.time.median_s)
        if shown:
            value, launches = median(median(values) for values in shown.values()), len(shown)
        status = _first(row.status for row in usable or rows)
    return SeriesPoint(series, group, value, launches or 0, status, bool(usable) and not good)


def _first(statuses: Iterable[records.Status]) -> str:
    """The first by precedence."""
    return min(statuses, key=records.STATUSES.index)
