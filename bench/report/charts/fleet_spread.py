"""How the devices of one kind are spread in time, a band a series: dots of few, bars of many, and where sick begins."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bench.analysis.fleet_spread import Distribution
from bench.analysis.report_view import precision_label
from bench.report.charts import svg
from bench.report.charts.fleet import SICK, TRIANGLE
from bench.report.numbers import short_case
from bench.report.report_words import say
from bench.stats.robust import quantile_of_sorted

DOTS: Final = 80
"""Devices up to which each is a dot."""
BINS: Final = 46
BAND: Final = 48
"""A series: its line of words, then its dots or bars."""
WORDS: Final = 15
ROOM: Final = 22
NARROWEST: Final = (0.95, 1.05)
"""The axis has at least this range …"""
SLOWEST: Final = 2.0
"""… and at most this range to the right of its bounds; what lies beyond stands at its edge."""
FASTEST: Final = 0.8
STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TICKS: Final = 6
NAME: Final = 38


def name_of(one: Distribution) -> str:
    """ "gemm m=n=k=1024 FP16, 1 of 3 cases" without words: "gemm m=n=k=1024 FP16 · 1/3"; "" over all series."""
    if one.key is None:
        return ""
    sustained = " sustained" if one.key.mode == "sustained" else ""
    label = precision_label(one.key.precision, one.key.accumulate or None)
    of = f" · 1/{one.cases}" if one.cases > 1 else ""
    return f"{one.key.kernel} {short_case(dict(one.key.case))} {label}{sustained}{of}"


def quantiles(one: Distribution) -> tuple[float, float, float, float, float]:
    """Relative time of the fastest device, the quartiles and the slowest."""
    low, q1, middle, q3, high = (quantile_of_sorted(one.times, p) for p in (0.0, 0.25, 0.5, 0.75, 1.0))
    return low, q1, middle, q3, high


def spread(found: Sequence[Distribution], language: str = "en") -> str:
    """The distributions of one kind on one axis. "" of none."""
    if not found:
        return ""
    axis = _Axis(found)
    body: list[str] = []
    for place, one in enumerate(found):
        top = place * BAND
        low, _, middle, _, high = quantiles(one)
        if one.key is None:
            body.append(svg.phrase(1, top + 11, "fleet.spread.all", language, "name"))
        else:
            body.append(svg.text(1, top + 11, name_of(one), "name", most=NAME))
        body.append(svg.text(svg.WIDTH - 1, top + 11, f"{low:.3f} … {middle:.3f} … {high:.3f}", "figure", "end"))
        bottom = top + WORDS + ROOM
        body.append(svg.line(0, bottom, svg.WIDTH, bottom, "grid"))
        body += _dots(one, axis, bottom) if len(one.times) <= DOTS else _bars(one, axis, bottom)
        body.append(svg.line(axis(one.bound), top + WORDS, axis(one.bound), bottom + 4, "rated-line"))
    bottom = len(found) * BAND
    for value in axis.ticks():
        body.append(svg.line(axis(value), bottom - 6, axis(value), bottom - 2, "grid"))
        body.append(svg.text(axis(value), bottom + 9, f"{value:.2f}", "small", "middle"))
    body.append(svg.phrase(svg.WIDTH - 1, bottom + 25, "fleet.map.x", language, "soft", "end"))

    def alt(language: str) -> str:
        items = " ".join(_item(one, language) for one in found)
        return say("fleet.spread.alt", language, sku=found[0].sku, n=f"{len(found[0].times):,}", items=items)

    return svg.chart(bottom + 30, body, alt, language)


def _item(one: Distribution, language: str) -> str:
    low, q1, middle, q3, high = (f"{value:.3f}" for value in quantiles(one))
    return say(
        "fleet.spread.item",
        language,
        name=name_of(one) or say("fleet.spread.all", language),
        low=low, q1=q1, middle=middle, q3=q3, high=high,
        bound=f"{one.bound:.3f}",
    )  # fmt: skip


class _Axis:
    """A linear axis from the fastest device to a little beyond the bounds; what lies outside stands at its edge."""

    def __init__(self, found: Sequence[Distribution]) -> None:
        lowest, highest = min(one.times[0] for one in found), max(one.times[-1] for one in found)
        bound = min(max(one.bound for one in found), SLOWEST)
        self.low = max(FASTEST, min(NARROWEST[0], lowest))
        self.high = max(NARROWEST[1], min(highest, bound * 1.1), bound * 1.02)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return 6 + (svg.WIDTH - 12) * min(1.0, max(0.0, share))

    def ticks(self) -> list[float]:
        """Round values, about six."""
        step = next((step for step in STEPS if (self.high - self.low) / step <= TICKS), STEPS[-1])
        first, last = int(self.low / step), int(self.high / step) + 1
        return [place * step for place in range(first, last + 1) if self.low <= place * step <= self.high]


def _dots(one: Distribution, axis: _Axis, bottom: float) -> list[str]:
    """A dot a device, a triangle from the bound on; neighbours stand at different heights."""
    drawn = []
    for place, time in enumerate(one.times):
        x, y = axis(time), bottom - 5 - 5 * (place % 3)
        if time >= one.bound:
            where = f'transform="translate({svg.number(x)} {svg.number(y)})"'
            drawn.append(f'<g class="mark"><path class="s{SICK}" {where} d="{svg.MARKERS[TRIANGLE]}"/></g>')
        else:
            drawn.append(f'<circle class="dot" cx="{svg.number(x)}" cy="{svg.number(y)}" r="3"/>')
    return drawn


def _bars(one: Distribution, axis: _Axis, bottom: float) -> list[str]:
    """How many devices have which time: at equal widths, a lone device never too low to be seen."""
    edges = [axis.low + (axis.high - axis.low) * place / BINS for place in range(BINS + 1)]
    places = [0, *(bisect_left(one.times, edge) for edge in edges[1:-1]), len(one.times)]
    counts = [after - before for before, after in pairwise(places)]
    drawn = []
    for count, (low, high) in zip(counts, pairwise(edges), strict=True):
        height = max(2.0, ROOM * count / max(counts))
        kind = "lost" if low >= one.bound else "delivered"
        if count:
            drawn.append(svg.rect(axis(low), bottom - height, axis(high) - axis(low) - 0.5, height, kind))
    return drawn
