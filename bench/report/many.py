"""The table of a run by many devices: a line a series, from the slowest device to the fastest; who measured less."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from bench import records
from bench.analysis.identity import SeriesKey, key_of
from bench.analysis.summary import Series, series
from bench.analysis.words import counted
from bench.kernel import Role
from bench.report.numbers import percent, prefix, short_case, with_interval
from bench.report.table import ASCII, Defaults

DEVICES_NAMED: Final = 12
"""Devices, or reasons, that are listed one by one; the run file has all of them."""
FIGURE: Final = re.compile(r"\d+(?:\.\d+)?")
HEADERS: Final = (
    "kernel",
    "case",
    "precision",
    "on",
    "devices",
    "slowest",
    "median",
    "fastest",
    "of rated",
    "slowest is",
)


@dataclass(frozen=True)
class Spread:
    """One series over the devices that measured it."""

    key: SeriesKey
    usable: tuple[Series, ...]
    """One a device, the slowest first."""
    asked: int
    """Devices that were asked for it."""


def is_of_many(run: records.RunFile) -> bool:
    """Whether a run file holds more than one rank."""
    return len({(device.host, device.rank) for device in run.devices}) > 1


def spreads(run: records.RunFile) -> list[Spread]:
    """The run's series, each over its devices, in the order in which they were first measured. Pure."""
    groups: dict[SeriesKey, list[records.Measurement]] = {}
    nameless = {(one.host, one.rank) for one in run.devices if not one.kind}
    for row in run.measurements:
        key = _across_caches(key_of(row, run.run))
        if (row.host, row.rank) in nameless:
            # A rank that never told its device was asked for what the others were.
            key = next((other for other in groups if replace(other, device=key.device) == key), key)
        groups.setdefault(key, []).append(row)
    found = []
    for key, rows in groups.items():
        usable = [one for one in series(rows) if one.value is not None and one.status in records.USABLE]
        asked = {(row.host, row.rank, row.device) for row in rows}
        found.append(Spread(key, tuple(sorted(usable, key=lambda one: one.value or 0.0)), len(asked)))
    return found


def terminal(run: records.RunFile, defaults: Defaults, width: int, ascii_only: bool = False) -> str:
    """The whole report for a terminal: which devices, the table over them, what was not measured and why."""
    from tabulate import tabulate

    body = [_cells(one, defaults) for one in spreads(run)]
    right = ("devices", "slowest", "median", "fastest", "of rated")
    align = ["right" if name in right else "left" for name in HEADERS]
    table = tabulate(body, headers=HEADERS, tablefmt="simple", colalign=align, disable_numparse=True) if body else ""
    lines = [*_kinds(run), "", *(table or "nothing was measured").split("\n"), ""]
    notes = [*_unusable(run), *_ends(run)]
    lines += [part for note in notes for part in textwrap.wrap(note, max(width, 50), subsequent_indent="    ")]
    text = "\n".join(lines).rstrip()
    return text.translate(ASCII) if ascii_only else text


def name_of(row: records.Measurement | records.Device) -> str:
    """ "node3 rank 5 cuda:5"."""
    return f"{row.host} rank {row.rank} {row.device}".strip()


def _across_caches(key: SeriesKey) -> SeriesKey:
    """A row that was never timed has no cache state: it is asked for all the same."""
    return replace(key, cache="", accumulate="")


def _cells(one: Spread, defaults: Defaults) -> list[str]:
    case = short_case(dict(one.key.case), defaults.get(one.key.kernel))
    shown = [one.key.kernel, case, one.key.precision, one.key.device, _devices(one)]
    if not one.usable:
        return [*shown, *["–"] * 5]
    values = [each.value or 0.0 for each in one.usable]
    middle = median(values)
    factor, letter = prefix([middle])
    slowest, fastest = (with_interval(value / factor, None, None) for value in (values[0], values[-1]))
    shares = [each.utilization for each in one.usable if each.utilization is not None]
    return [
        *shown,
        slowest,
        f"{with_interval(middle / factor, None, None)} {letter}{one.usable[0].unit}",
        fastest,
        percent(median(shares) if shares else None),
        name_of(one.usable[0].first) if len(one.usable) > 1 else "",
    ]


def _devices(one: Spread) -> str:
    """How many measured it of those that were asked; what all ranks measured together is one row of one of them."""
    ranks = dict(one.key.case).get("ranks")
    if ranks and one.usable and one.usable[0].first.role is Role.COLLECTIVE:
        return f"{ranks} together"
    return f"{len(one.usable)} of {one.asked}"


def _kinds(run: records.RunFile) -> list[str]:
    """How many devices of which name on how many nodes."""
    kinds: dict[str, list[records.Device]] = {}
    for device in run.devices:
        kinds.setdefault(device.name, []).append(device)
    found = []
    for name, devices in kinds.items():
        nodes = len({one.host for one in devices})
        where = f" ({nodes} nodes)" if nodes > 1 else ""
        found += [f"{len(devices)} × {name}{where}"] if devices[0].kind else []
    pinned = (run.run.pinning or {}).get("ranks")
    how = " one after another" if isinstance(pinned, Mapping) and pinned.get("stagger") else " at once"
    torch = run.run.software.get("torch", "unknown")
    return [f"{', '.join(found) or 'no device'}; {counted(len(run.devices), 'rank')}{how}, torch {torch}"]


def _unusable(run: records.RunFile) -> list[str]:
    """Each status and reason that keeps rows out of the table, with the devices that have it.

    Reasons that differ in their figures alone are one: the first stands for all.
    """
    found: dict[tuple[str, str], list[records.Measurement]] = {}
    for row in run.measurements:
        if row.status not in records.USABLE:
            found.setdefault((row.status, FIGURE.sub("", row.reason)), []).append(row)
    lines = []
    for (status, _), rows in list(found.items())[:DEVICES_NAMED]:
        names = list(dict.fromkeys(map(name_of, rows)))
        lines.append(f"{status}, {counted(len(rows), 'row')} ({_some(names)}): {rows[0].reason}")
    if len(found) > DEVICES_NAMED:
        lines.append(f"… and {counted(len(found) - DEVICES_NAMED, 'other reason')}: see the run file")
    return lines


def _ends(run: records.RunFile) -> list[str]:
    if run.end is None:
        return ["this run has no end: it was killed, or is still going on"]
    lines = [f"run {run.end.status}: {run.end.reason}"] if run.end.status != "complete" or run.end.reason else []
    if run.end.exit_code == 4:
        lines.append("unstable (exit code 4): more than a quarter of the timed rows were disturbed")
    return lines


def _some(names: Sequence[str]) -> str:
    shown = 3
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
