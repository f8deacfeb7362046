"""Bars: what devices delivered beside their rated peaks, and the way down from a rated peak."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Final

from bench.analysis.report_view import BANDWIDTH, Headline, ReportView, Row, unit_of
from bench.report.charts import svg
from bench.report.numbers import percent
from bench.report.report_words import say

PANEL_ROW: Final = 46
STEP_ROW: Final = 24
NAME: Final = 66
"""Columns of the waterfall's names, in SVG units."""
FIGURE: Final = 116
NAME_CHARACTERS: Final = 46


def delivered(view: ReportView, label: str, language: str = "en") -> str:
    """One precision: each device's best rate as a bar, its rated peak as an outline, the share beside it."""
    found = [one for one in view.best() if one.label == label]
    largest = max((value for one in found for value in (one.value, one.rated_per_s) if value), default=1.0)
    unit = unit_of(label)
    body = []
    room = svg.WIDTH - 2
    for place, one in enumerate(found):
        top = place * PANEL_ROW
        body.append(svg.text(1, top + 14, view.device(one.device).label, "name", most=NAME_CHARACTERS))
        if one.value:
            share = f" · {percent(one.utilization)}" if one.utilization is not None else ""
            body.append(svg.text(svg.WIDTH - 1, top + 14, svg.rate(one.value, unit) + share, "figure", "end"))
        else:
            body.append(svg.phrase(svg.WIDTH - 1, top + 14, f"status.{one.status}", language, "soft", "end"))
        if one.rated_per_s:
            body.append(svg.rect(1, top + 21, room * one.rated_per_s / largest, 14, "rated"))
        if one.value:
            body.append(svg.rect(1, top + 21, room * one.value / largest, 14, "delivered"))

    def alt(language: str) -> str:
        items = " ".join(_item(view, one, unit, language) for one in found)
        return say("delivered.alt", language, label=label_words(label, language), items=items)

    return svg.chart(max(1, len(found)) * PANEL_ROW, body, alt, language)


def label_words(label: str, language: str) -> str:
    """A precision as a reader calls it; bandwidth is a word and has a translation."""
    return say("bandwidth", language) if label == BANDWIDTH else label


def _item(view: ReportView, one: Headline, unit: str, language: str) -> str:
    unknown = say("na", language)
    return say(
        "delivered.item",
        language,
        device=view.device(one.device).label,
        value=svg.rate(one.value, unit) if one.value else say(f"status.{one.status}", language),
        rated=svg.rate(one.rated_per_s, unit) if one.rated_per_s else unknown,
        share=percent(one.utilization) if one.utilization is not None else unknown,
    )


def energy_unit(label: str) -> str:
    """What a joule of a precision is counted in."""
    return "OP/J" if unit_of(label) == "OPS" else "FLOP/J"


def energy(view: ReportView, label: str, rows: Sequence[tuple[Row, float]], language: str = "en") -> str:
    """Operations per joule at one precision: each device's best of `rows`, the highest first; "" for fewer than two."""
    best: dict[str, float] = {}
    for row, per_j in rows:
        if row.label == label:
            best[row.device] = max(per_j, best.get(row.device, 0.0))
    if len(best) < 2:
        return ""
    found = sorted(best.items(), key=lambda entry: -entry[1])
    unit, largest = energy_unit(label), found[0][1]
    body = []
    for place, (device, per_j) in enumerate(found):
        top = place * PANEL_ROW
        body.append(svg.text(1, top + 14, view.device(device).label, "name", most=NAME_CHARACTERS))
        body.append(svg.text(svg.WIDTH - 1, top + 14, svg.short(per_j, unit), "figure", "end"))
        body.append(svg.rect(1, top + 21, (svg.WIDTH - 2) * per_j / largest, 14, "delivered"))

    def alt(language: str) -> str:
        items = " ".join(
            say("energy.item", language, device=view.device(device).label, value=svg.short(per_j, unit))
            for device, per_j in found
        )
        return say("energy.alt", language, label=label_words(label, language), items=items)

    return svg.chart(len(found) * PANEL_ROW, body, alt, language)


def waterfall(view: ReportView, one: Headline, language: str = "en") -> str:
    """From the rated peak to what was delivered, a bar a factor with what it took; "" where losses are unknown."""
    steps = running(one)
    if not steps or one.row is None or one.row.losses is None:
        return ""
    unit, largest, losses = unit_of(one.label), max(steps), one.row.losses
    room = svg.WIDTH - NAME - FIGURE
    body = []
    names = ["rated", *(f"factor.{loss.factor}" for loss in losses)]
    for place, (name, left) in enumerate(zip(names, steps, strict=True)):
        top, before = place * STEP_ROW, steps[max(0, place - 1)]
        body.append(svg.phrase(0, top + 14, name, language, "name"))
        width = room * left / largest
        last = place == len(steps) - 1
        body.append(svg.rect(NAME, top + 3, width, 14, "delivered" if last else "left"))
        if before > left:
            body.append(svg.rect(NAME + width, top + 3, room * (before - left) / largest, 14, "lost"))
        body.append(svg.text(svg.WIDTH - 1, top + 14, svg.rate(left, unit), "figure" if last else "soft", "end"))

    def alt(language: str) -> str:
        items = (f"{say(f'factor.{loss.factor}', language)} {percent(loss.ratio)}." for loss in losses)
        return say(
            "losses.alt",
            language,
            device=view.device(one.device).label,
            label=label_words(one.label, language),
            rated=svg.rate(steps[0], unit),
            value=svg.rate(steps[-1], unit),
            items=" ".join(items),
        )

    return svg.chart(len(steps) * STEP_ROW, body, alt, language)


def running(one: Headline) -> Sequence[float]:
    """The rated figure and what each factor leaves of it; [] where either is unknown."""
    evidence = one.row.evidence if one.row else None
    rated = evidence.rated if evidence else None
    if one.row is None or not one.row.losses or rated is None:
        return []
    start = rated.bytes_per_s if one.label == BANDWIDTH else rated.operations_per_s
    return list(accumulate((loss.ratio for loss in one.row.losses), mul, initial=start)) if start else []
