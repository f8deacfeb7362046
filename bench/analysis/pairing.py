"""The series of two run files side by side, and why some of them can't be judged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import log
from typing import Final

from bench import records
from bench.analysis.identity import (
    SeriesKey,
    by_series,
    comparison_class,
    differences,
    launch_medians,
    reason_code,
    usable,
)
from bench.analysis.stored import Launches
from bench.analysis.verdicts import SeriesVerdict, Verdict

INTERVAL_SIGMAS: Final = 1.96
"""Half a 95 % interval in standard deviations."""
WAYS: Final = ("accumulate", "implementation", "mode", "data", "cache", "device")
"""Parts of a series' name that say how it was measured, not what."""

Rows = Sequence[records.Measurement]


@dataclass(frozen=True)
class Pair:
    """One series in both runs; an empty side has no row of it."""

    text: str
    key: SeriesKey
    base: Rows
    new: Rows
    group: str
    """The class in words: the device's name."""
    differences: tuple[tuple[str, str, str], ...] = ()
    launches: Launches | None = None
    """None where there is nothing to judge."""
    hint: str = ""


def pairs(base: records.RunFile, new: records.RunFile) -> Iterator[Pair]:
    """Every series that either run has, in the order in which it was first measured.

    A run that measured it on several products ("NVIDIA A100", "NVIDIA H100") has one series for each.
    """
    olds, news = by_series(base), by_series(new)
    for key in dict.fromkeys((*olds, *news)):
        before, after = _by_product(base, olds.get(key, [])), _by_product(new, news.get(key, []))
        both = [(before[name], after[name]) for name in before if name in after]
        # What is left has no counterpart of its own product: side by side, so that the difference is named.
        left = [rows for name, rows in before.items() if name not in after]
        right = [rows for name, rows in after.items() if name not in before]
        sides = [*both, *((one or [], other or []) for one, other in zip_longest(left, right))]
        for one, other in sides:
            hint = "" if one and other else _nearest(key, *((olds, news) if other else (news, olds)))
            yield _pair(key, (base, one), (new, other), several=len(sides) > 1, hint=hint)


def not_judged(pair: Pair) -> SeriesVerdict | None:
    """What is said of a series that has not both sides to judge; None for one that has, or that neither supports."""
    if pair.launches is not None:
        return None
    either = [*pair.base, *pair.new]
    if not timed(either) and all(row.status == "unsupported" for row in either):
        return None
    verdict, reason, text = _why_not(pair)
    notes = (pair.hint,) if pair.hint else ()
    return SeriesVerdict(pair.text, verdict, reason, text, group=pair.group, differences=pair.differences, notes=notes)


def timed(rows: Rows) -> list[records.Measurement]:
    """Those of the rows that were timed, disturbed ones among them."""
    return [row for row in rows if row.time is not None and row.status in records.MEASURED]


def _pair(
    key: SeriesKey,
    base: tuple[records.RunFile, Rows],
    new: tuple[records.RunFile, Rows],
    *,
    several: bool,
    hint: str,
) -> Pair:
    before, after = base[1], new[1]
    devices = [file.device(rows[0].device) if rows else None for file, rows in (base, new)]
    apart: tuple[tuple[str, str, str], ...] = ()
    if before and after:
        classes = [
            comparison_class(side[0], device) if device else {}
            for side, device in zip((base, new), devices, strict=True)
        ]
        apart = tuple(differences(*classes))
    name = next((device.name for device in devices if device and device.name), key.device)
    return Pair(
        text=f"{key.text} ({name})" if several else key.text,
        key=key,
        base=before,
        new=after,
        group=name,
        differences=apart,
        launches=None if apart else _launches(before, after),
        hint=hint,
    )


def _by_product(file: records.RunFile, rows: Rows) -> dict[str, list[records.Measurement]]:
    found: dict[str, list[records.Measurement]] = {}
    for row in rows:
        device = file.device(row.device)
        found.setdefault(device.name if device else "", []).append(row)
    return found


def _why_not(pair: Pair) -> tuple[Verdict, str, str]:
    """Verdict, reason code and sentence of a series that can't be judged."""
    if pair.differences:
        words = (f"{name} differs: {one} in the base, {other} in the new run" for name, one, other in pair.differences)
        return "not_comparable", reason_code(pair.differences[0][0]), "; ".join(words)
    if not timed(pair.base) and not timed(pair.new):
        return "not_comparable", "never_measured", f"timed on neither side: {_words([*pair.base, *pair.new])}"
    if not timed(pair.base):
        text = f"not timed in the base: {_words(pair.base)}" if pair.base else "not in the base"
        return "not_comparable", "no_baseline", text
    if not pair.new:
        return "missing", "not_measured", "in the base, not in the new run"
    if not timed(pair.new):
        return "missing", _worst(pair.new).status, f"in the base, but {_words(pair.new)} in the new run"
    side, rows = ("new run", pair.new) if launch_medians(pair.base) else ("base", pair.base)
    status = _worst(timed(rows)).status
    reason = status if status in records.UNSTABLE else "quarantined"
    return "quarantined", reason, f"every launch of the {side} was disturbed: {_words(timed(rows))}"


def _launches(before: Rows, after: Rows) -> Launches | None:
    base, new = launch_medians(before), launch_medians(after)
    if not base or not new or min(*base.values(), *new.values()) <= 0:
        return None
    return Launches(tuple(base.values()), tuple(new.values()), _within(before), _within(after))


def _within(rows: Rows) -> float:
    """The relative standard deviation of a launch's median, by its own 95 % interval; the largest of several."""
    found = [0.0]
    for row in rows:
        time = row.time
        if usable(row) and time is not None and time.ci95_low_s and time.ci95_high_s:
            found.append(log(time.ci95_high_s / time.ci95_low_s) / 2 / INTERVAL_SIGMAS)
    return max(found)


def _worst(rows: Rows) -> records.Measurement:
    return min(rows, key=lambda row: records.STATUSES.index(row.status))


def _words(rows: Rows) -> str:
    """ "crashed (SIGSEGV)", the worst of the rows."""
    row = _worst(rows)
    why = row.reason or "; ".join(row.quarantine)
    return f"{row.status} ({why})" if why else row.status


def _nearest(key: SeriesKey, others: Mapping[SeriesKey, object], own: Mapping[SeriesKey, object]) -> str:
    """What the other run has instead, measured in another way, where it differs in that alone."""
    for other in others:
        apart = [name for name in SeriesKey.__dataclass_fields__ if getattr(key, name) != getattr(other, name)]
        if len(apart) == 1 and apart[0] in WAYS and other not in own:
            return f"the other run has it with {apart[0]} {getattr(other, apart[0])}, not {getattr(key, apart[0])}"
    return ""
