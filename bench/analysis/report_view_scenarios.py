"""Applications in a report: each scenario of a run with the rows behind it, and which device does it fastest.

A scenario that lacks a call has no figure, and so is never the best of anything (`bench.analysis.scenarios`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench import records
from bench.analysis.report_view_types import FLATTERING, Row, ScenarioView, precision_label
from bench.analysis.scenarios import Outcome, Part, Speedup, outcomes, speedups


def fits(
    key: str, device: str, part: records.RunFile, rows: Sequence[Row]
) -> tuple[list[ScenarioView], list[tuple[str, Speedup]]]:
    """The scenarios asked of one device of a run, and how its precisions compare.

    `key` is the device's in the report, `device` its name in the run, `part` the run with this device's measurements
    alone, `rows` the report's rows of them.
    """
    found = [one for one in outcomes(part) if one.planned.device == device]
    easy = {
        (row.scenario.suite, row.scenario.size): row.data
        for row in part.measurements
        if row.scenario is not None and row.data in FLATTERING
    }
    views = [
        ScenarioView(
            device=key,
            outcome=one,
            label=precision_label(one.precision, one.accumulate),
            rows=tuple(_row_of(each, one, rows) for each in one.parts),
            excluded=_excluded(one, easy.get((one.planned.suite, one.planned.size))),
        )
        for one in found
    ]
    return views, [(key, one) for one in speedups(found)]


def with_best(views: Iterable[ScenarioView]) -> list[ScenarioView]:
    """The same, the highest figure of each application, size and precision marked: among those that are ranked."""
    views = list(views)
    highest: dict[tuple[object, ...], float] = {}
    for one in views:
        if one.value is not None and not one.excluded:
            highest[_group(one)] = max(one.value, highest.get(_group(one), 0.0))
    return [replace(one, best=not one.excluded and one.value == highest.get(_group(one))) for one in views]


def _group(one: ScenarioView) -> tuple[object, ...]:
    """What may be compared: a suite of another version may ask for other calls, and so for other operations."""
    planned, total = one.outcome.planned, one.outcome.total
    return planned.suite, planned.size, one.label, one.outcome.calls, total.operations if total else 0


def _excluded(one: Outcome, easy: str | None) -> str:
    if not one.complete:
        return f"incomplete: {len(one.missing)} of {one.calls} calls missing"
    return f"data: {easy} draw less power than real numbers, so that clocks stay higher" if easy else ""


def _row_of(part: Part, one: Outcome, rows: Sequence[Row]) -> Row | None:
    """The report's row that holds a call's measurement: of several implementations the one nearest to its time."""
    entry = (one.planned.suite, one.planned.size, part.entry)
    mine = [
        row
        for row in rows
        if (row.evidence.precision, row.evidence.accumulate) == (one.precision, one.accumulate)
        and row.evidence.time is not None
        and any((own.suite, own.size, own.entry) == entry for own in _entries(row))
    ]
    return min(mine, key=lambda row: abs(_median_s(row) - part.time_s), default=None)


def _entries(row: Row) -> Iterable[records.ScenarioEntry]:
    return (one.scenario for one in row.series.rows if one.scenario is not None)


def _median_s(row: Row) -> float:
    return row.evidence.time.median_s if row.evidence.time else 0.0
