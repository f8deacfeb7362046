"""A fleet's verdicts for readers and programs: the table on a terminal, the JSON document and its schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bench.analysis.fleet import DeviceVerdict, Finding, Fleet, Kind, Status, name_of
from bench.analysis.words import counted
from bench.report.numbers import percent
from bench.report.table import ASCII

SCHEMA: Final = 1
UNJUDGED_SHOWN: Final = 5
"""Devices without a verdict that the table names; --all names every one."""


@dataclass(frozen=True)
class Outlier:
    """One rule that one device broke."""

    host: str
    rank: int
    device: str
    run: str
    sku: str
    finding: Finding


@dataclass(frozen=True)
class Document:
    """What `fleet --format json` prints. Times are relative: 1.1 is 10 % slower than the kind's median device."""

    schema: int
    runs: int
    rows: int
    counts: dict[Status, int]
    devices: tuple[DeviceVerdict, ...]
    outliers: tuple[Outlier, ...]
    kinds: tuple[Kind, ...]


def document(fleet: Fleet) -> dict[str, Any]:
    """The document, as plain dictionaries and lists."""
    counts: dict[Status, int] = {"sick": 0, "unjudged": 0, "healthy": 0}
    for one in fleet.devices:
        counts[one.status] += 1
    outliers = tuple(
        Outlier(one.host, one.rank, one.device, one.run, one.sku, finding)
        for one in fleet.sick
        for finding in one.findings
    )
    found: dict[str, Any] = msgspec.to_builtins(
        Document(SCHEMA, fleet.runs, fleet.rows, counts, fleet.devices, outliers, fleet.kinds)
    )
    return found


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the document; docs/fleet.schema.json holds it."""
    schema = msgspec.json.schema(Document)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bench fleet",
        **json.loads(json.dumps(_ordered(schema))),
    }


def _ordered(value: Any) -> Any:
    """The same with enumerations in alphabetical order: msgspec's differs from process to process."""
    if isinstance(value, dict):
        ordered = {key: _ordered(inner) for key, inner in value.items()}
        return ordered | ({"enum": sorted(value["enum"])} if isinstance(value.get("enum"), list) else {})
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value


def terminal(fleet: Fleet, width: int, *, every: bool = False, ascii_only: bool = False) -> str:
    """The kinds, then who is sick and why; every device with `every`."""
    parts = [_kinds(fleet.kinds), *_notes(fleet.kinds)]
    if every:
        parts += ["", _devices(fleet.devices)]
    parts += ["", *(line for one in fleet.sick for line in _sick(one, width))]
    unjudged = [one for one in fleet.devices if one.status == "unjudged"]
    parts += [line for one in unjudged[:UNJUDGED_SHOWN] for line in _wrapped(f"unjudged: {_named(one)}: ", one, width)]
    if len(unjudged) > UNJUDGED_SHOWN:
        parts.append(f"… and {len(unjudged) - UNJUDGED_SHOWN} more that can't be judged; --all lists them")
    parts.append(_total(fleet, len(unjudged)))
    text = "\n".join(parts)
    return text.translate(ASCII) if ascii_only else text


def _kinds(kinds: Sequence[Kind]) -> str:
    from tabulate import tabulate

    headers = ["kind", "devices", "sick", "series", "spread", "fastest", "q1", "q3", "slowest", "which"]
    rows = [
        [
            kind.sku,
            str(kind.devices),
            str(kind.sick),
            str(kind.series),
            "–" if kind.spread is None else percent(kind.spread),
            *([f"{kind.quantiles[place]:.3f}" for place in (0, 1, 3, 4)] if kind.quantiles else ["–"] * 4),
            f"{kind.fastest} … {kind.slowest}" if kind.judged > 1 else kind.fastest,
        ]
        for kind in kinds
    ]
    align = ("left", *("right",) * 8, "left")
    return str(tabulate(rows, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True))


def _notes(kinds: Sequence[Kind]) -> list[str]:
    words = ["times relative to the median device of the kind: 1.100 is 10 % slower; spread: robust σ between devices"]
    return words + [f"{kind.sku}: {kind.note}" for kind in kinds if kind.note]


def _devices(devices: Sequence[DeviceVerdict]) -> str:
    from tabulate import tabulate

    headers = ["device", "kind", "status", "time", "z", "distance", "of rated", "reason"]
    rows = [
        [
            _named(one),
            one.sku,
            one.status,
            _figure(one.relative_time, 3),
            _figure(one.robust_z, 1),
            _figure(one.distance, 3),
            percent(one.utilization),
            one.reason,
        ]
        for one in devices
    ]
    align = ("left", "left", "left", "right", "right", "right", "right", "left")
    return str(tabulate(rows, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True))


def _sick(one: DeviceVerdict, width: int) -> list[str]:
    lines = _wrapped(f"SICK {_named(one)} ({one.sku}): ", one, width)
    first = one.findings[0]
    facts = [f"rule {', '.join(finding.rule for finding in one.findings)}"]
    if first.relative_time is not None:
        facts.append(f"time ×{first.relative_time:.3g}")
    facts += [f"robust z {first.robust_z:.1f}"] if first.robust_z is not None else []
    facts += [f"distance {first.distance:.3f}"] if first.distance is not None else []
    facts += [first.series] if first.series else []
    return [*lines, *textwrap.wrap(" · ".join(facts), width, initial_indent="     ", subsequent_indent="     ")]


def _wrapped(head: str, one: DeviceVerdict, width: int) -> list[str]:
    return textwrap.wrap(head + one.reason, max(width, 40), subsequent_indent="     ")


def _named(one: DeviceVerdict) -> str:
    return name_of(one)


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _total(fleet: Fleet, unjudged: int) -> str:
    sick = f"{len(fleet.sick):,} sick" if fleet.sick else "none sick"
    return f"{counted(len(fleet.devices), 'device')} in {counted(fleet.runs, 'run')}: {sick}" + (
        f", {unjudged:,} unjudged" if unjudged else ""
    )
