"""What the first, uncounted launch of each side settles: which series both have, under which row numbers, and whether
their figures may be set side by side at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench import records
from bench.ab.sides import Ready
from bench.analysis.comparison import Thresholds
from bench.analysis.identity import SeriesKey, by_series, comparison_class, differences, reason_code
from bench.analysis.verdicts import SeriesVerdict

OFTEN_ASKED: Final = ("torch", "driver major", "runtime major", "cores in use", "threads", "devices of that name")
"""Fields of the comparison class in which sides may differ, for that is what the user asked for by naming them: another
interpreter has another torch, another environment other threads. A note says so. All other fields must agree."""
KEEP: Final = 0.2
"""By how much another implementation must have beaten A's choice on side B for B to have a choice of its own (ours):
looks of a tenth of a second scatter by several percent, and a choice by noise would be measured as a change."""

Rows = dict[int, str]
"""Number of a row in a side's plan → the implementation that it is held to, "" where there is no choice."""


@dataclass(frozen=True)
class Settled:
    """What is measured from now on. `rows` has, by series, each side's rows (A's, B's)."""

    rows: Mapping[SeriesKey, tuple[Rows, Rows]]
    thresholds: Mapping[SeriesKey, float]
    groups: Mapping[SeriesKey, str]
    refused: tuple[SeriesVerdict, ...] = ()
    """Series that can't be compared, each with the reason."""
    notes: tuple[str, ...] = ()


def settle(a: records.RunFile, b: records.RunFile, sides: tuple[Ready, Ready], thresholds: Thresholds) -> Settled:
    """Read both rehearsals."""
    found_a, found_b = by_aligned(a, sides), by_aligned(b, sides)
    rows: dict[SeriesKey, tuple[Rows, Rows]] = {}
    refused: list[SeriesVerdict] = []
    notes: list[str] = []
    for key in dict.fromkeys([*found_a, *found_b]):
        mine, theirs = found_a.get(key, []), found_b.get(key, [])
        if not (_timed(mine) and _timed(theirs)):
            refused += _not_timed(key, mine, theirs)
            continue
        apart = list(_apart(a, mine, b, theirs))
        notes += [f"{name}: {one} on A, {other} on B" for name, one, other in apart if name in OFTEN_ASKED]
        hindering = tuple(each for each in apart if each[0] not in OFTEN_ASKED)
        if hindering:
            refused.append(_another_class(key, hindering))
            continue
        rows[key] = (_rows(a, mine, None), _rows(b, theirs, mine))
        notes += _choices(key, *rows[key])
    return Settled(
        rows,
        {key: thresholds.of(key.kernel, key.device) for key in rows},
        {key: _group(a, key, found_a[key]) for key in rows},
        tuple(refused),
        tuple(dict.fromkeys(notes)),
    )


def by_aligned(file: records.RunFile, sides: tuple[Ready, Ready]) -> dict[SeriesKey, list[records.Measurement]]:
    """A launch's rows by series. Where a side is an implementation, a series has both sides' in its name."""
    found = by_series(file)
    if not any(ready.side.kind == "implementation" for ready in sides):
        return found
    words = " → ".join(ready.side.value or "best" for ready in sides)
    return {replace(key, implementation=words): rows for key, rows in found.items()}


def _timed(rows: Sequence[records.Measurement]) -> bool:
    return any(row.status in records.MEASURED for row in rows)


def _not_timed(
    key: SeriesKey, mine: Sequence[records.Measurement], theirs: Sequence[records.Measurement]
) -> Iterator[SeriesVerdict]:
    """Why the series can't be measured on; nothing of one that neither side supports."""
    if _timed(mine):
        reason = theirs[0].status if theirs else "not_measured"
        yield SeriesVerdict(key.text, "missing", reason, f"A measures it; B: {_why_not(theirs)}")
    elif _timed(theirs):
        yield SeriesVerdict(key.text, "not_comparable", "no_baseline", f"B measures it; A: {_why_not(mine)}")
    elif any(row.status != "unsupported" for row in (*mine, *theirs)):
        text = f"neither side measures it: {_why_not([*mine, *theirs])}"
        yield SeriesVerdict(key.text, "not_comparable", "never_measured", text)


def _why_not(rows: Sequence[records.Measurement]) -> str:
    return "; ".join(dict.fromkeys(f"{row.status} ({row.reason})" for row in rows)) or "no such series"


def _apart(
    a: records.RunFile, mine: Sequence[records.Measurement], b: records.RunFile, theirs: Sequence[records.Measurement]
) -> Iterator[tuple[str, str, str]]:
    one, other = a.device(mine[0].device), b.device(theirs[0].device)
    if one is not None and other is not None:
        yield from differences(comparison_class(a, one), comparison_class(b, other))


def _another_class(key: SeriesKey, hindering: tuple[tuple[str, str, str], ...]) -> SeriesVerdict:
    text = "; ".join(f"{name} differs: {one} on A, {other} on B" for name, one, other in hindering)
    return SeriesVerdict(key.text, "not_comparable", reason_code(hindering[0][0]), text, differences=hindering)


def _group(file: records.RunFile, key: SeriesKey, rows: Sequence[records.Measurement]) -> str:
    device = file.device(rows[0].device)
    return (device.name if device is not None else "") or key.device


def _rows(
    file: records.RunFile, rows: Sequence[records.Measurement], others: Sequence[records.Measurement] | None
) -> Rows:
    """The rows' numbers, each held to what was chosen for it where the run chose; to `others`' choice where as good."""
    if file.run.implementation != "best":
        return {int(row.id): "" for row in rows}
    choice = _chosen(others) if others is not None else ""
    return {int(row.id): choice if choice and _as_good(row, choice) else _chosen([row]) for row in rows}


def _chosen(rows: Sequence[records.Measurement]) -> str:
    """What the run chose among several; "" where there was no choice or nothing was timed."""
    row = next((row for row in rows if row.status in records.MEASURED), None)
    return row.implementation if row is not None and len(_looks(row)) > 1 else ""


def _as_good(row: records.Measurement, choice: str) -> bool:
    """Whether, on this side too, nothing has clearly beaten the other side's choice."""
    looks = _looks(row)
    return choice in looks and looks[choice] <= (1 + KEEP) * min(looks.values())


def _looks(row: records.Measurement) -> dict[str, float]:
    """Implementation → seconds a call in the brief look by which the run chose."""
    found = ((each.get("implementation"), each.get("screened_s")) for each in row.screened)
    return {str(name): float(seconds) for name, seconds in found if isinstance(seconds, int | float)}


def _choices(key: SeriesKey, a: Rows, b: Rows) -> list[str]:
    """A note where each side has a best of its own."""
    one, other = next(iter(a.values()), ""), next(iter(b.values()), "")
    return [f"{key.text}: the best is {one} on A and {other} on B"] if one and other and one != other else []
