"""A series' history in words and as the JSON document: what terminal and page share.

What a history is comes from `bench.analysis.history`; `history_terminal` and `history_page` lay it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import floor, log10
from typing import Any, Final

from bench.analysis.history import Change, History, Point, usable
from bench.report.numbers import percent
from bench.store.index import printable

SCHEMA: Final = 1
"""Of the JSON document."""
UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
DIGITS: Final = 4
"""Significant digits of a time: a change of 3 % shows in the second."""
COMMIT_SHOWN: Final = 10
"""Characters of a commit, as git shows them in a large repository."""


def json_lines(histories: Iterable[History]) -> Iterator[str]:
    """The JSON document, a line a series, so that a large store is never held as one text; ASCII, for any terminal."""
    yield f'{{"schema":{SCHEMA},"series":['
    separator = " "
    for one in histories:
        yield separator + json.dumps(document(one), allow_nan=False)
        separator = ","
    yield "]}"


def document(one: History) -> dict[str, Any]:
    """One series of the JSON document; indices count `values`, times are seconds, `change` is relative.

    What is in quarantine or has no usable value stands in `excluded`, `before` being the index of the value that
    follows it.
    """
    return {
        "series": one.series,
        "class": one.class_id,
        "values": one.values_s,
        "commits": one.commits,
        "runs": [point.run_id for point in one.used],
        "change_points": [_change_document(change) for change in one.changes],
        "suspected": one.suspected,
        "suspected_change": one.suspicion,
        "excluded": list(_excluded(one)),
    }


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "index": change.index,
        "commit": change.commit,
        "previous_commit": change.previous_commit,
        "change": change.change,
        "before": change.before_s,
        "after": change.after_s,
        "p": change.p,
        "status": change.status,
        "reason": change.reason,
    }


def _excluded(one: History) -> Iterator[dict[str, Any]]:
    index = 0
    for point in one.points:
        if usable(point):
            index += 1
            continue
        yield {
            "before": index,
            "run": point.run_id,
            "commit": point.commit,
            "value": point.value_s,
            "status": point.status,
            "quarantined": point.quarantined,
        }


def unit_of(value_s: float) -> tuple[float, str]:
    """The unit of time that suits a value, as (seconds, name)."""
    return next((unit for unit in UNITS if value_s >= unit[0]), UNITS[-1])


def number(value: float, digits: int = DIGITS) -> str:
    """A positive number with so many significant digits, never with an exponent."""
    if not value > 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - floor(log10(value)))}f}"


def time_words(value_s: float, unit: tuple[float, str] | None = None) -> str:
    """ "1.234 ms"."""
    factor, name = unit or unit_of(value_s)
    return f"{number(value_s / factor)} {name}"


def signed_percent(ratio: float) -> str:
    """ "+12 %", "−4.1 %"."""
    return f"{'+' if ratio >= 0 else '−'}{percent(abs(ratio))}"


def commit_words(commit: str | None) -> str:
    """The commit's first characters, or that there is none."""
    return printable(commit[:COMMIT_SHOWN]) if commit else "no commit"


def change_words(change: Change, started: str) -> str:
    """One change in one line."""
    unit = unit_of(change.before_s)
    times = f"{number(change.before_s / unit[0])} → {time_words(change.after_s, unit)}"
    direction = "slower" if change.change > 0 else "faster"
    size = percent(abs(change.change))
    where = f"at {commit_words(change.commit)}, after {commit_words(change.previous_commit)} ({day(started)})"
    p = "not tested" if change.p is None else f"p {p_words(change.p)}"
    reason = f": {printable(change.reason)}" if change.reason else ""
    return f"{arrow(change)} {size} {direction} {where}: {times}, {p}, {change.status}{reason}"


def arrow(change: Change) -> str:
    """Up for more time, down for less: the way the line goes."""
    return "▲" if change.change > 0 else "▼"


def p_words(p: float) -> str:
    """A p-value to one digit; what floating point calls 0 is below 1e-300."""
    return "< 1e-300" if p < 1e-300 else f"{p:.0e}" if p < 1e-3 else f"{p:.2g}"


def day(started: str) -> str:
    """The date of an ISO time."""
    return printable(started[:10])


def not_used(point: Point) -> str:
    """Why a point is grey; "" for a point that is used."""
    if usable(point):
        return ""
    if point.quarantined:
        return "in quarantine"
    return "no value" if point.value_s is None else printable(point.status)


def suspicion_words(one: History) -> str:
    """That the newest value is suspected, and by how much it strays; "" where it is not."""
    if one.suspicion is None:
        return ""
    direction = "slower" if one.suspicion > 0 else "faster"
    size = percent(abs(one.suspicion))
    return f"? newest value suspected: {size} {direction} than its level, at {commit_words(one.used[-1].commit)}"
