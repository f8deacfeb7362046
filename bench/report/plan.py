"""A capacity plan for readers and programs: the tables, the JSON document, a capability report's chapters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from bench.analysis import units
from bench.analysis.capacity import BASES, NO_JOINING, UNDISCLOSED, Figure, Need, Plan, Planned
from bench.report.table import ASCII

SCHEMA: Final = 1
MEANING: Final = {
    "rated": "by nameplate or data sheet, dense",
    "measured": "the best rate that one device reached here, times the count",
    "effective": "the rate over a whole scenario (or a kernel's cases), times the count",
}


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


def _table(plan: Plan, form: str = "simple") -> str:
    from tabulate import tabulate

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
    headers = ["entry", "kind", "devices", "basis", "precision", "of", "operations/s"]
    align = ("left", "left", "right", "left", "left", "left", "right")
    return str(tabulate(rows, headers=headers, tablefmt=form, colalign=align, disable_numparse=True)) if rows else ""


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
    if one.facility_w is not None and one.energy_j_per_year is not None:
        pue = f" at PUE {units.decimal(asked.pue)}" if asked.pue is not None else ""
        lines.append(
            f"{name}: power {units.decimal(one.facility_w / 1000)} kW{pue} ({one.power_source}), "
            f"{units.decimal(one.energy_j_per_year / 3_600_000_000)} MWh in a year of 8,760 h"
        )
    if one.cost is not None:
        lines.append(f"{name}: cost {units.decimal(one.cost)} {asked.currency}".rstrip())
        lines += [
            f"{name}: {units.decimal(one.cost / (figure.operations_per_s / 10**15))} {asked.currency} per "
            f"{figure.basis} P at {figure.precision}" + (f", {figure.work}" if figure.work else "")
            for figure in one.figures
        ]
    return lines


def need_line(one: Need) -> str:
    """ "how many" in one line, with the figure it rests on."""
    figure = one.figure
    work = f", {figure.work}" if figure.work else ""
    return (
        f"{units.text(one.wanted)} {figure.basis} at {figure.precision}{work}: {one.count:,} of {one.device} "
        f"({units.decimal(one.exact)}, each {units.text(figure.operations_per_s)}: {figure.source})"
    )


def report(plan: Plan) -> str:
    """A capability report in markdown, in the order in which such reports go; what was not measured says so."""
    energy = [line for one in plan.entries for line in entry_lines(one)]
    effective = any(figure.basis == "effective" for one in plan.entries for figure in one.figures)
    chapters: Sequence[tuple[str, list[str]]] = (
        ("Scale by precision", [_table(plan, "github"), "", *(f"- {basis}: {MEANING[basis]}" for basis in BASES)]),
        ("Interconnect", [f"Not measured by this plan. {NO_JOINING.capitalize()}."]),
        (
            "Training and inference effectiveness",
            [
                "See the rows `effective` above: of one device, times the count."
                if effective
                else "Not measured: no run of these devices was given.",
                *(f"- {need_line(one)}" for one in plan.needs),
            ],
        ),
        ("Availability", ["Not measured: a plan knows of no time in which devices were out of service."]),
        ("Energy, cost and assumptions", [f"- {line}" for line in energy] or ["Nothing was stated."]),
    )
    text = "# Capability report\n"
    for number, (title, lines) in enumerate(chapters, start=1):
        text += f"\n## {number}. {title}\n\n" + "\n".join(lines) + "\n"
    return text
