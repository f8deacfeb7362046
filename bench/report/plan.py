"""A capacity plan for readers and programs: the tables and the JSON document."""

from __future__ import annotations

import textwrap
from fractions import Fraction
from typing import Any, Final

from bench.analysis import units
from bench.analysis.capacity import BASES, NO_JOINING, UNDISCLOSED, Figure, Need, Plan, Planned
from bench.analysis.capacity_seen import Seen
from bench.report.table import ASCII

SCHEMA: Final = 1
MEANING: Final = {
    "rated": "by nameplate or data sheet, dense",
    "measured": "the best rate that one device reached here, times the count",
    "effective": "the rate over a whole scenario (or a kernel's cases), times the count",
}

HEADERS: Final = ("entry", "kind", "devices", "basis", "precision", "of", "operations/s")
ALIGN: Final = ("left", "left", "right", "left", "left", "left", "right")


def document(plan: Plan) -> dict[str, Any]:
    """What `plan --format json` prints: every figure under its basis, in operations per second and as text."""
    return {
        "schema": SCHEMA,
        "meaning": MEANING,
        "entries": [_entry(one) for one in plan.entries],
        "totals": [
            {"kind": kind, "basis": basis, "precision": precision, "work": work, **_power(value)}
            for (kind, basis, precision, work), value in plan.totals.items()
        ],
        "needs": [_need(one) for one in plan.needs],
        "devices": [{"device": name, **_seen(one)} for name, one in plan.seen.items()],
    }


def _entry(one: Planned) -> dict[str, Any]:
    asked = one.asked
    level = asked.application_level
    return {
        "name": asked.name,
        "kind": asked.kind,
        "device": asked.device or asked.name,
        "count": _number(one.count),
        "count_source": one.count_source,
        "nameplate": None if asked.nameplate is None else {"precision": asked.precision, **_power(asked.nameplate)},
        "application_level": _number(level),
        **{basis: [_figure(figure) for figure in one.figures if figure.basis == basis] for basis in BASES},
        "facility_w": _number(one.facility_w),
        "power_source": one.power_source,
        "pue": _number(asked.pue),
        "energy_j_per_year": _number(one.energy_j_per_year),
        "cost": _number(one.cost),
        "currency": asked.currency,
        "notes": list(one.notes),
    }


def _need(one: Need) -> dict[str, Any]:
    figure = _figure(one.figure)
    return {
        "device": one.device,
        "basis": one.figure.basis,
        "wanted": _power(one.wanted),
        "one": figure,
        "exact": _number(one.exact),
        "count": one.count,
    }


def _seen(one: Seen) -> dict[str, Any]:
    """What is known of a product beside its rates: rated and measured each under its own key."""
    rated = one.rated_link
    return {
        "interconnect": {
            "rated": None
            if rated is None
            else {
                "name": rated.name,
                "bytes_per_s_bidirectional": rated.bytes_per_s_bidirectional,
                "source": rated.source,
            },
            "measured": [
                {
                    "kernel": link.kernel,
                    "precision": link.precision,
                    "ranks": link.ranks,
                    "nodes": link.nodes,
                    "message_bytes": link.message_bytes,
                    "bus_bytes_per_s": link.bytes_per_s,
                    "rated_bytes_per_s": link.rated_bytes_per_s,
                    "run": link.run,
                }
                for link in one.links
            ],
        },
        "availability": {
            "measured_at_one_moment": [
                {"run": each.run, "started": each.started, "devices": each.devices, "delivered": each.delivered}
                for each in one.presence
            ]
        },
        "energy": {
            "measured": [
                {
                    "kernel": each.kernel,
                    "precision": each.precision,
                    "operations_per_j": each.operations_per_j,
                    "run": each.run,
                }
                for each in one.energy
            ]
        },
    }


def _figure(one: Figure) -> dict[str, Any]:
    return {"precision": one.precision, "work": one.work, **_power(one.operations_per_s), "source": one.source}


def _power(value: Fraction) -> dict[str, Any]:
    return {"operations_per_s": _number(value), "text": units.text(value)}


def _number(value: Fraction | int | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if Fraction(value).denominator == 1 else float(value)


def terminal(plan: Plan, width: int, *, ascii_only: bool = False) -> str:
    """One table of figures, one of sums, then power, cost, needs and notes."""
    table = _table(plan)
    parts = [table, ""] if table else []
    text = "\n".join([*parts, *_facts(plan, width)])
    return text.translate(ASCII) if ascii_only else text


def _table(plan: Plan) -> str:
    from tabulate import tabulate

    rows = table_rows(plan)
    if not rows:
        return ""
    return str(tabulate(rows, headers=HEADERS, tablefmt="simple", colalign=ALIGN, disable_numparse=True))


def table_rows(plan: Plan) -> list[list[str]]:
    """A row a figure (`HEADERS`), then the sums where there are several entries; each names its basis."""
    rows = [
        [
            one.asked.name,
            one.asked.kind,
            _count(one),
            basis,
            figure.precision,
            figure.work or "–",
            units.text(figure.operations_per_s),
        ]
        for one in plan.entries
        for basis in BASES
        for figure in one.figures
        if figure.basis == basis
    ]
    if len(plan.entries) > 1:
        rows += [
            ["all of these", kind, "", basis, precision, work or "–", units.text(value)]
            for (kind, basis, precision, work), value in plan.totals.items()
        ]
    return rows


def _count(one: Planned) -> str:
    return "–" if one.count is None else units.decimal(one.count)


def _facts(plan: Plan, width: int) -> list[str]:
    lines = [line for one in plan.entries for line in entry_lines(one)]
    lines += [need_line(one) for one in plan.needs]
    lines += [f"{basis}: {words}" for basis, words in MEANING.items()]
    lines.append(f"{NO_JOINING}; sums are within one kind and one precision, never over several")
    return [row for line in lines for row in textwrap.wrap(line, max(width, 40), subsequent_indent="  ")]


def entry_lines(one: Planned) -> list[str]:
    """What there is to say of an entry beside its figures."""
    return [*scale_lines(one), *energy_lines(one), *cost_lines(one)]


def scale_lines(one: Planned) -> list[str]:
    """What its figures rest on, what is not known, and which share of the nameplate is said to be in use."""
    name, asked = one.asked.name, one.asked
    lines = [f"{name}: {note}" for note in one.notes]
    if one.count is not None and asked.count is None:
        lines.append(f"{name}: {units.decimal(one.count)} devices: {one.count_source}")
    if asked.application_level is not None and asked.nameplate is not None:
        used = units.text(asked.nameplate * asked.application_level)
        level = units.decimal(asked.application_level * 100)
        precision = "" if asked.precision == UNDISCLOSED else f" at {asked.precision}"
        lines.append(
            f"{name}: application level {level} % as stated: {used} of the nameplate in use{precision}; "
            "a share of the nameplate, neither measured nor effective"
        )
    return lines


def energy_lines(one: Planned) -> list[str]:
    """Power, and energy in a year at that power: by rating or as given, never measured."""
    name, asked = one.asked.name, one.asked
    if one.facility_w is not None and one.energy_j_per_year is not None:
        pue = f" at PUE {units.decimal(asked.pue)}" if asked.pue is not None else ""
        return [
            f"{name}: power {units.decimal(one.facility_w / 1000)} kW{pue} ({one.power_source}), "
            f"{units.decimal(one.energy_j_per_year / 3_600_000_000)} MWh in a year of 8,760 h"
        ]
    return []


def cost_lines(one: Planned) -> list[str]:
    """What it costs, and each of its P by its own basis."""
    name, asked = one.asked.name, one.asked
    if one.cost is None:
        return []
    return [
        f"{name}: cost {units.decimal(one.cost)} {asked.currency}".rstrip(),
        *(
            f"{name}: {units.decimal(one.cost / (figure.operations_per_s / 10**15))} {asked.currency} per "
            f"{figure.basis} P at {figure.precision}" + (f", {figure.work}" if figure.work else "")
            for figure in one.figures
        ),
    ]


def need_line(one: Need) -> str:
    """ "how many" in one line, with the figure it rests on."""
    figure = one.figure
    work = f", {figure.work}" if figure.work else ""
    return (
        f"{units.text(one.wanted)} {figure.basis} at {figure.precision}{work}: {one.count:,} of {one.device} "
        f"({units.decimal(one.exact)}, each {units.text(figure.operations_per_s)}: {figure.source})"
    )
