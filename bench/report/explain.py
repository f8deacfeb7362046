"""`show --explain`: for each series where the rest of the rated figure went, and the roofline of each precision."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from bench import records
from bench.analysis.losses import of_file
from bench.analysis.roofline import Ceilings, Roofline, intensity, is_ceiling, is_warm, rooflines
from bench.analysis.summary import Series, series
from bench.ratings import load
from bench.report import waterfall
from bench.report.numbers import percent, prefix, short_case, with_interval

Defaults = Mapping[str, Mapping[str, int | str | None]]

ASCII: Final = str.maketrans(
    {"→": "->", "█": "#", "░": ".", "–": "-", "×": "x", "±": "+-", "…": "...", "·": "*", "≥": ">=", "≤": "<="}
)
LEAST_WIDTH: Final = 60


def explain(run: records.RunFile, defaults: Defaults, width: int, ascii_only: bool = False) -> str:
    """The losses of every timed series as a waterfall, then the rooflines; for a terminal of `width` columns."""
    timed = [one for one in series(run.measurements) if one.value is not None]
    parts = ["where the rest of the rated figure went (docs/losses.md)"]
    for one in timed:
        parts += ["", *_series(one, run, defaults, width)]
    for roofline in rooflines(run.measurements, run.devices):
        parts += ["", *_roofline(roofline, timed, defaults)]
    text = "\n".join(parts if timed else ["nothing was measured, so nothing is to be explained"])
    return text.translate(ASCII) if ascii_only else text


def _series(one: Series, run: records.RunFile, defaults: Defaults, width: int) -> list[str]:
    row = waterfall.explained_row(one)
    found = of_file(row, run, load())
    heading = _heading(one, row, run, defaults)
    warnings = [line for text in row.warnings for line in _wrapped(f"  warning: {text}", width)]
    if not found:
        return [heading, *_wrapped(f"  share of rated n/a: {row.utilization_reason or 'no rating'}", width), *warnings]
    rated = row.rated and (row.rated.bytes_per_s if one.unit == "B/s" else row.rated.operations_per_s)
    factor, letter = prefix([rated or 0.0])
    line = _wrapped("  " + waterfall.chain(row, one, found, factor, letter), width)
    return [heading, *line, *waterfall.bars(row, one, found, factor, width), *warnings]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, LEAST_WIDTH), subsequent_indent="    ")


def _heading(one: Series, row: records.Measurement, run: records.RunFile, defaults: Defaults) -> str:
    where = f" on {row.device}" if len(run.devices) > 1 else ""
    launch = f", launch {row.launch + 1} of {len(one.rows)}" if len(one.rows) > 1 else ""
    state = "" if one.status == "ok" else f" ({one.status})"
    what = f"{row.kernel} {short_case(row.case, defaults.get(row.kernel))}, {row.precision}, {row.implementation}"
    return f"{what}{where}{launch}{state}"


def _roofline(one: Roofline, timed: Sequence[Series], defaults: Defaults) -> list[str]:
    accumulate = f" with {one.accumulate} accumulation" if one.accumulate not in (None, one.precision) else ""
    return [
        f"roofline of {one.device}, {one.precision}{accumulate}, data {'in a cache' if one.warm else 'in memory'}",
        f"  measured  {_ceilings(one, one.measured)}{'' if one.of_products else ' (peak: the ceiling)'}",
        f"  rated     {_ceilings(one, one.rated)}",
        *_cases(one, timed, defaults),
    ]


def _ceilings(one: Roofline, ceilings: Ceilings) -> str:
    unit = "OPS" if one.precision.startswith("int") else "FLOPS"
    peak = _rate(ceilings.operations_per_s, unit) or "peak n/a"
    bandwidth = _rate(ceilings.bytes_per_s, "B/s") or "bandwidth n/a"
    ridge = "" if ceilings.ridge is None else f", bound by compute from {_plain(ceilings.ridge)} operations per byte"
    return f"{peak}, {bandwidth}{ridge}"


def _cases(one: Roofline, timed: Sequence[Series], defaults: Defaults) -> list[str]:
    """Each case's operations per byte, what bounds it, and its share of what the measured roofline allows."""
    from tabulate import tabulate

    body = []
    for each in timed:
        row = waterfall.explained_row(each)
        per_byte = intensity(row)
        if each.unit == "B/s" or is_ceiling(row) or per_byte is None or each.value is None or not _belongs(row, one):
            continue
        case = f"{row.kernel} {short_case(row.case, defaults.get(row.kernel))}"
        allowed = one.allows(per_byte)
        reached = (_rate(allowed, ""), percent(each.value / allowed)) if allowed else ("n/a", "n/a")
        body.append([case, _plain(per_byte), one.bound(per_byte) or "n/a", *reached])
    headers = ["case", "operations per byte", "bound by", "allowed", "reached"]
    align = ("left", "right", "left", "right", "right")
    table = tabulate(body, headers=headers, tablefmt="plain", colalign=align, disable_numparse=True)
    return [f"  {line}" for line in table.splitlines()]


def _belongs(row: records.Measurement, one: Roofline) -> bool:
    key = (row.device, row.precision, row.accumulate, is_warm(row))
    return key == (one.device, one.precision, one.accumulate, one.warm)


def _rate(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    factor, letter = prefix([value])
    return f"{with_interval(value / factor, None, None)} {letter}{unit}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
