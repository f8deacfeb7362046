"""CSV in the wide form that Apache Otava (hunter) reads: a line a run, with its time and commit; a column a series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from bench import records
from bench.errors import UnavailableError
from bench.interop import model, reading, tables, units
from bench.interop.figures import of_value
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File
from bench.interop.reading import Node

TIME: Final = "time"
ATTRIBUTES: Final = ("commit", "branch")
UNIT: Final = " (s)"
"""Behind every column of ours: seconds a call, the median of the launches."""
TIME_NAMES: Final = ("time", "date", "timestamp", "datetime")
"""Names of the time column in others' files; the names of attributes are below."""
ATTRIBUTE_NAMES: Final = ("commit", "branch", "run", "run_id", "version", "test", "test_id", "hash")
BRACKETS: Final = {")": "(", "]": "["}
"""What a column's unit stands in, behind its name."""
SUFFIX: Final = re.compile(r".+_(?P<unit>s|ms|us|ns|sec|msec|usec|nsec|seconds)")


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """The runs in order of time; a series that a run lacks is an empty cell, and none is filled in."""
    lines: list[tuple[str, records.RunFile, dict[str, float]]] = []
    left_out: list[str] = []
    for run in runs:
        found, without = model.points(run)
        left_out += without
        if found:
            lines.append((run.run.started, run, {f"{point.name}{UNIT}": point.median_s for point in found}))
    if not lines:
        raise UnavailableError(f"nothing to export: no run has a usable row{model.first_reason(left_out)}")
    lines.sort(key=lambda line: line[0])
    columns = list(dict.fromkeys(name for *_, values in lines for name in values))
    rows: list[list[Any]] = [
        [started, model.commit(run), model.branch(run), *(values.get(name) for name in columns)]
        for started, run, values in lines
    ]
    return Export((File("", tables.written((TIME, *ATTRIBUTES, *columns), rows)),), tuple(left_out))


def read(data: bytes, origin: Origin) -> list[Imported]:
    """A run a line. A column's unit stands in its name, "latency (ms)" or "latency_ms", or is the one that is given."""
    header, lines = tables.read(reading.text_of(data))
    time = next((name for name in header if name.lower() in TIME_NAMES), None)
    if time is None:
        raise reading.MalformedError(f"line 1: has no column of time; one of {', '.join(TIME_NAMES)} is expected")
    metrics = {name: _metric(name, origin.unit) for name in header if name and not _is_attribute(name, time)}
    if not metrics:
        raise reading.MalformedError("line 1: has no column of values beside time and commit")
    builders = []
    total = 0
    for _, cells in lines:
        builder = Builder(origin, _head(cells, time))
        for column, (name, unit) in metrics.items():
            node = cells.get(column, Node(None))
            if not node.missing:
                builder.add(name, of_value(node.number(), unit))
        total += len(builder.rows)
        reading.limit_rows(total)
        builders.append(builder)
        reading.limit_runs(len(builders))
    return finished(builders, data)


def _is_attribute(name: str, time: str) -> bool:
    return name == time or name.lower() in ATTRIBUTE_NAMES


def _metric(column: str, given: str | None) -> tuple[str, str]:
    """A column's series and unit."""
    name, opening, rest = column.rpartition(BRACKETS.get(column[-1:], "\0"))
    if opening and name.strip() and units.parse(rest[:-1]) is not None:
        return name.rstrip(), rest[:-1]
    suffix = SUFFIX.fullmatch(column)
    return column, suffix["unit"] if suffix else given or "unknown"


def _head(cells: dict[str, Node], time: str) -> Head:
    started = reading.moment(cells.get(time, Node(None)))
    commit, branch = (_attribute(cells, name) for name in ATTRIBUTES)
    git = {"commit": commit, "branch": branch, "dirty": False} if commit else None
    return Head(started=started, git=git)


def _attribute(cells: dict[str, Node], wanted: str) -> str | None:
    return next((node.text() for name, node in cells.items() if name.lower() == wanted), None)
