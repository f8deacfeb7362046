"""What a search found, for readers: on a terminal, in markdown, as one JSON document. The map itself is `plot`'s."""

from __future__ import annotations

import textwrap
from typing import Any, Final

import msgspec

from bench import records
from bench.analysis.words import counted
from bench.report import table
from bench.report.numbers import duration, percent, prefix, short_case, with_interval
from bench.search import plot
from bench.search.findings import Cliff, Findings
from bench.search.looks import Estimate

SCHEMA: Final = 1
ASCII: Final = table.ASCII | {ord("→"): "->"}
CLIFFS_SHOWN: Final = 8
BELIEVED_SHOWN: Final = 10
"""Points that the JSON document lists by their looks; the run file has them all."""


def terminal(
    found: Findings, file: records.RunFile, defaults: table.Defaults, width: int, *, plain: bool, colour: bool
) -> str:
    """The answer, the finalists' table, what was looked at, what to avoid, and the map."""
    parts = [_wrapped(answer(found, defaults), width), "", _table(found, file, defaults, width), ""]
    parts += [_wrapped(line, width) for line in _below(found, defaults)]
    if found.map is not None:
        parts += ["", plot.terminal(found.map, width, plain=plain, colour=colour)]
    text = "\n".join(parts)
    return text.translate(ASCII) if plain else text


def markdown(found: Findings, file: records.RunFile, defaults: table.Defaults) -> str:
    """The same for a pull request."""
    shown = msgspec.structs.replace(file, measurements=found.finalists)
    lines = "\n".join(f"- {line.lstrip()}" for line in _below(found, defaults))
    drawn = "" if found.map is None else f"\n\n```text\n{plot.terminal(found.map, 100)}\n```"
    return f"{answer(found, defaults)}\n\n{table.markdown(shown, defaults)}\n\n{lines}{drawn}"


def document(found: Findings, file: records.RunFile) -> dict[str, Any]:
    """The JSON document; rates are operations (or bytes) per second, as `unit` says, and null where there is none."""
    seen, end = found.coverage, file.end
    return {
        "schema": SCHEMA,
        "run": file.run.id,
        "status": end.status if end else None,
        "reason": end.reason if end else "",
        "unit": found.unit,
        "space": found.space.text(),
        "best": _row(found, found.best) if found.best else None,
        "finalists": [_row(found, row) for row in found.finalists],
        "believed": [_estimate(found, one) for one in found.estimates[:BELIEVED_SHOWN]],
        "looked_at": {
            "looks": seen.looks,
            "points": seen.points,
            "of": seen.space,
            "share": seen.share,
            "looks_s": seen.looks_s,
            "exhaustive_s": seen.exhaustive_s,
        },
        "avoid": [
            {"field": one.axis, "loss": one.loss, "bad": _estimate(found, one.bad), "good": _estimate(found, one.good)}
            for one in found.cliffs
        ],
    }


def answer(found: Findings, defaults: table.Defaults) -> str:
    """The best shape in a sentence, or what there is instead of one."""
    row = found.best
    if row is not None:
        value, low, high = _figure(found, row)
        factor, letter = prefix([value])
        bounds = (None if bound is None else bound / factor for bound in (low, high))
        rate = f"{with_interval(value / factor, *bounds)} {letter}{found.unit}"
        case = short_case(row.case, defaults.get(row.kernel))
        share = f"{percent(row.utilization)} of rated" if row.utilization else "share of rated n/a"
        return f"best: {row.kernel} {case} at {row.precision} by {row.implementation}: {rate}, {share}"
    if found.estimates:
        why = "no finalist can be ranked" if found.finalists else "nothing was measured in full"
        one = found.estimates[0]
        return f"{why}; best by short looks, unchecked: {_where(found, one, defaults)}: about {_rate(found, one.rate)}"
    return "no shape ran"


def _table(found: Findings, file: records.RunFile, defaults: table.Defaults, width: int) -> str:
    shown = msgspec.structs.replace(file, measurements=found.finalists)
    return table.terminal(shown, defaults, width)


def _below(found: Findings, defaults: table.Defaults) -> list[str]:
    """How much was looked at, and the shapes to avoid."""
    seen = found.coverage
    points = f"{seen.points:,} of {counted(seen.space, 'point')} ({percent(seen.share)})"
    line = f"{counted(seen.looks, 'look')} at {points} took {duration(seen.looks_s)}"
    if seen.exhaustive_s:
        line += f"; one look at each would take about {duration(seen.exhaustive_s)}"
    lines = [line]
    if found.failed:
        (status, reason), count = found.failed[0]
        others = f"; {sum(n for _, n in found.failed[1:])} for other reasons" if len(found.failed) > 1 else ""
        lines.append(f"did not run: {counted(count, 'look')}, {status}: {reason}{others}")
    if found.cliffs:
        lines.append("shapes to avoid, each slower than the next smaller one (short looks):")
        lines += [f"  {_cliff(found, one, defaults)}" for one in found.cliffs[:CLIFFS_SHOWN]]
        more = len(found.cliffs) - CLIFFS_SHOWN
        lines += [f"  and {more} more"] if more > 0 else []
    return lines


def _cliff(found: Findings, one: Cliff, defaults: table.Defaults) -> str:
    number = next(place for place, axis in enumerate(found.space.axes) if axis.name == one.axis)
    axis = found.space.axes[number]
    step = f"{one.axis} {axis.values[one.good.point[number]]} → {axis.values[one.bad.point[number]]}"
    elsewhere = _where(found, one.bad, defaults, without=axis.fields)
    factor, letter = prefix([one.good.rate])
    rates = f"{one.good.rate / factor:.3g} → {one.bad.rate / factor:.3g} {letter}{found.unit}"
    return f"{step} at {elsewhere}: {rates}, −{percent(one.loss)}"


def _where(found: Findings, one: Estimate, defaults: table.Defaults, without: tuple[str, ...] = ()) -> str:
    case = {name: value for name, value in found.space.case(one.point).items() if name not in without}
    words = short_case(case, defaults.get(found.kernel)) if case else ""
    return " ".join(filter(None, (words, "by", found.space.implementation(one.point))))


def _rate(found: Findings, rate: float) -> str:
    factor, letter = prefix([rate])
    return f"{rate / factor:.3g} {letter}{found.unit}"


def _figure(found: Findings, row: records.Measurement) -> tuple[float, float | None, float | None]:
    """Rate and the ends of its interval, within the launch; the row was timed."""
    assert row.work is not None and row.time is not None
    amount = row.work.bytes if found.unit == "B/s" else row.work.operations
    low, high = row.time.ci95_low_s, row.time.ci95_high_s
    return amount / row.time.median_s, high and amount / high, low and amount / low


def _row(found: Findings, row: records.Measurement) -> dict[str, Any]:
    rate, low, high = _figure(found, row) if row.time and row.work else (None, None, None)
    return {
        "id": row.id,
        "kernel": row.kernel,
        "case": row.case,
        "precision": row.precision,
        "implementation": row.implementation,
        "status": row.status,
        "reason": row.reason,
        "rate_per_s": rate,
        "ci95_low_per_s": low,
        "ci95_high_per_s": high,
        "utilization": row.utilization,
    }


def _estimate(found: Findings, one: Estimate) -> dict[str, Any]:
    return {
        "case": found.space.case(one.point),
        "implementation": found.space.implementation(one.point),
        "rate_per_s": one.rate,
        "looks": one.looks,
    }


def _wrapped(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return "\n".join(textwrap.wrap(line, max(width, table.TEXT_LEAST), subsequent_indent=indent))
