"""A report's figures and sentences as plain text, for a terminal and for markdown: no layout, and nothing escaped.

What a run file says has its control and direction marks spelt out; names are cut to `wording.NAME` characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import bench
from bench.analysis.report_view import BANDWIDTH, DeviceView, Headline, ReportView, Row, per_money, unit_of
from bench.report.charts import svg
from bench.report.charts.svg import printable
from bench.report.numbers import percent, prefix, with_interval
from bench.report.page.wording import NOTHING_LOST, Defaults, cut, name_of
from bench.report.report_words import say

NAMED: Final = 6
"""Rows of one reason that are named; the others are counted."""
RUNS_NAMED: Final = 6
LONGEST: Final = 400
"""Characters of a reason or a source."""
NUMBER: Final = re.compile(r"(?<![\w.])\d[\d,]*(?<!,)(?:\.\d+)?(?!\w)", re.ASCII)
"""A number of its own: not the one in "fp16" or "m=64x"."""
WORK: Final = {"FLOPS": "FLOP", "OPS": "OP", "B/s": "B"}
"""Unit of a rate → unit of the work done."""


@dataclass(frozen=True)
class Figures:
    """One headline in words; "n/a" is unknown, and never zero."""

    device: str
    label: str
    name: str
    """Kernel, case and implementation; the kernel alone where no row of it is ranked; "" where none was measured."""
    measured: str
    rated: str
    share: str
    money: str
    """Operations (or bytes) for one unit of money."""
    status: str
    reason: str


def ordered(view: ReportView) -> list[Headline]:
    """By precision, then the highest rate first; what has none stands last."""
    return sorted(view.headlines, key=lambda one: (view.labels.index(one.label), one.value is None, -(one.value or 0)))


def figures(view: ReportView, one: Headline, defaults: Defaults, language: str = "en") -> Figures:
    """The words of one headline: measured and rated with the same SI prefix."""
    device, unknown = view.device(one.device), say("na", language)
    factor, letter = prefix([one.value or one.rated_per_s or 0.0])
    unit = f"{letter}{unit_of(one.label)}"
    money = per_money(one, device)
    return Figures(
        device=cut(device.label),
        label=label_words(one.label, language),
        name=name_of(one.row, defaults) if one.row else cut(one.kernel),
        measured=measured_words(one, factor, unit, language) or unknown,
        rated=rated_words(one, factor, unit, language),
        share=unknown if one.utilization is None else percent(one.utilization),
        money=svg.short(money, WORK[unit_of(one.label)]) if money else unknown,
        status=say(f"status.{one.status}", language),
        # That a row is noisy, its interval says already.
        reason=shortened(one.reason) if one.row is None else "",
    )


def shortened(text: str) -> str:
    """A sentence of a run file or a rating: control marks spelt out, cut only where it is longer than any of ours."""
    shown = printable(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def label_words(label: str, language: str = "en") -> str:
    """A precision as a reader calls it; bandwidth is a word and has a translation."""
    return say("bandwidth", language) if label == BANDWIDTH else cut(label)


def measured_words(one: Headline, factor: float, unit: str, language: str = "en") -> str:
    """ "712.3 ± 0.4 TFLOPS"; launches are counted where ± is their range; "" where nothing usable was measured."""
    if one.row is None or not one.value:
        return ""
    series = one.row.series
    low, high = (None if bound is None else bound / factor for bound in (series.low, series.high))
    words = f"{with_interval(one.value / factor, low, high)} {unit}".rstrip()
    if series.spread == "between launches":
        words += f" ({say('lines.launches', language, n=len(series.rows))})"
    return words


def rated_words(one: Headline, factor: float, unit: str, language: str = "en") -> str:
    """ "989 TFLOPS (data sheet)"; where there is no figure, why: undisclosed or n/a."""
    if one.rated is None:
        return say("na", language)
    kind = say(f"kind.{one.rated.kind}", language)
    if not one.rated_per_s:
        return kind if one.rated.kind == "undisclosed" else say("na", language)
    return f"{with_interval(one.rated_per_s / factor, None, None)} {unit} ({kind})"


def loss_lines(view: ReportView, defaults: Defaults, language: str = "en") -> Iterator[str]:
    """Of the best row of each device and precision: where the rest went, or why that is unknown."""
    for one in view.best():
        if one.row is None:
            continue
        device = cut(view.device(one.device).label)
        head = f"{device}, {label_words(one.label, language)} ({name_of(one.row, defaults)}): "
        if one.utilization is None:
            reason = one.row.evidence.utilization_reason or "–"
            yield head + say("losses.none", language, reason=shortened(reason))
            continue
        lost = [
            f"{say(f'factor.{loss.factor}', language)} {percent(loss.ratio)} ({shortened(loss.why)})"
            for loss in one.row.losses or ()
            if abs(1 - loss.ratio) >= NOTHING_LOST
        ]
        share = say("lines.share", language, share=percent(one.utilization))
        yield head + (f"{share}: {' × '.join(lost)}" if lost else share)


def excluded_lines(view: ReportView, defaults: Defaults, language: str = "en") -> Iterator[str]:
    """Every row that is not ranked, by device and reason; of many with one reason some are named and all counted.

    Reasons that differ in their numbers alone are one, with the range of each number.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for row in view.rows:
        if not row.ranked:
            groups.setdefault((row.device, tuple(NUMBER.split(row.excluded))), []).append(row)
    for (device, between), rows in groups.items():
        names = [f"{label_words(row.label, language)} {name_of(row, defaults)}" for row in rows]
        more = len(names) - NAMED
        shown = [*names[:NAMED], *([say("lines.more", language, n=more)] if more > 0 else [])]
        reason = _with_ranges(between, [NUMBER.findall(row.excluded) for row in rows])
        yield f"{cut(view.device(device).label)}: {shortened(reason)}: {'; '.join(shown)}"


def _with_ranges(between: Sequence[str], numbers: Sequence[Sequence[str]]) -> str:
    """A sentence of which there are several: the words between its numbers, and of each number "5.4" or "5.4–32"."""
    words = [between[0]]
    for place, follows in enumerate(between[1:]):
        found = sorted({each[place] for each in numbers}, key=lambda number: float(number.replace(",", "")))
        words += [found[0] if len(found) == 1 else f"{found[0]}–{found[-1]}", follows]
    return "".join(words)


def scenario_lines(view: ReportView, language: str = "en") -> Iterator[str]:
    """What each application's step comes to on each device and precision, or which of its calls are missing."""
    for one in view.scenarios:
        planned, missing = one.outcome.planned, one.outcome.missing
        where = f"{cut(view.device(one.device).label)}, {label_words(one.label, language)}"
        head = f"{cut(planned.suite)} ({planned.size}), {where}: "
        if one.value is None:
            yield head + say("scenarios.missing", language, missing=len(missing), calls=one.outcome.calls)
            continue
        share = percent(one.utilization) if one.utilization is not None else say("na", language)
        figure = f"{svg.rate(one.value, unit_of(one.label))}, {say('lines.share', language, share=share)}"
        yield head + figure + (f" ({cut(one.excluded)})" if one.excluded else "")


def price_lines(view: ReportView, language: str = "en") -> Iterator[str]:
    """What was said to be paid."""
    if view.prices:
        prices = ", ".join(f"{cut(one.pattern)} {one.per_hour:g}" for one in view.prices)
        yield say("lines.prices", language, prices=prices)


def source_lines(view: ReportView, language: str = "en") -> Iterator[str]:
    """Where the rated figures come from, each source once, with the devices and precisions that it serves."""
    serves: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in view.headlines:
        if one.rated is None or not one.rated.source:
            continue
        names = serves.setdefault((one.rated.kind, one.rated.source), {})
        labels = names.setdefault(cut(view.device(one.device).label), [])
        if (label := label_words(one.label, language)) not in labels:
            labels.append(label)
    for (kind, source), names in serves.items():
        of = "; ".join(f"{device} ({', '.join(labels)})" for device, labels in names.items())
        yield f"{of}: {say(f'kind.{kind}', language)}: {shortened(source)}"


def spread_lines(view: ReportView, language: str = "en") -> Iterator[str]:
    """What ± is in this report, for each kind of spread that it has."""
    shown = {one.row.series.spread for one in view.headlines if one.row}
    for spread in ("within one launch", "between launches"):
        if spread in shown:
            yield say(f"lines.spread.{spread}", language)


def provenance(view: ReportView, language: str = "en") -> str:
    """One line: the runs with their software, and what made the report."""
    runs = list({one.file: one for one in view.devices if one.run is not None}.values())
    words = [_run_words(one) for one in runs[:RUNS_NAMED]]
    if len(runs) > RUNS_NAMED:
        words.append(say("lines.more", language, n=len(runs) - RUNS_NAMED))
    listed = "; ".join(words) or say("lines.no run", language)
    return say("lines.provenance", language, version=bench.__version__, runs=listed)


def _run_words(one: DeviceView) -> str:
    run = one.run
    assert run is not None
    named = f"{one.source} ({run.id})" if one.source not in ("", run.id) else run.id
    torch = run.software.get("torch", "unknown")
    facts = [named, run.started, f"torch {torch}"]
    if one.device is not None and one.device.driver:
        facts.append(f"driver {one.device.driver}")
    facts.append(f"method {run.method_version}")
    if one.end is not None and one.end.status != "complete":
        facts.append(one.end.status)
    return ", ".join(cut(fact) for fact in facts)
