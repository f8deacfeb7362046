"""The geometry of a history's chart: where each dot, level, mark and tick stands, in SVG units. A template draws it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final, Literal

from bench.analysis.history import Change, History, Point, usable, value_of
from bench.analysis.words import counted
from bench.report.history import (
    arrow,
    commit_words,
    day,
    not_used,
    number,
    signed_percent,
    time_words,
    unit_of,
)
from bench.stats.robust import median
from bench.store.index import printable

WIDTH: Final = 960
HEIGHT: Final = 280
LEFT: Final = 64
RIGHT: Final = 14
TOP: Final = 44
BOTTOM: Final = 30
INSET: Final = 12
"""Between the axis and the first dot."""
PADDING: Final = 0.12
"""Of the values' range, above and below it."""
LEAST_SPAN: Final = 0.03
"""Half of the smallest range shown, relative: noise below the size of a change stays flat."""
TICKS: Final = 5
DATE_TICKS: Final = 6
LABEL_WIDTH: Final = 64
"""Room that the label of a mark needs; a neighbour closer than that goes one row lower."""
LABEL_ROWS: Final = 2
ROW_HEIGHT: Final = 15

STATUS_SIGNS: Final = {"possible": " ?", "accepted": " ✓"}

DotKind = Literal["used", "suspected", "grey"]


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    kind: DotKind
    label: str


@dataclass(frozen=True)
class Line:
    x1: float
    x2: float
    y: float


@dataclass(frozen=True)
class Mark:
    """A change: a line from top to bottom, with a label that needs no colour to be read."""

    x: float
    y: float
    label: str
    kind: Literal["slower", "faster"]
    status: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True)
class Chart:
    unit: str
    dots: tuple[Dot, ...]
    path: str
    """The points of the line through the used values: "x,y x,y …"."""
    levels: tuple[Line, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    dates: tuple[Tick, ...]


@dataclass(frozen=True)
class _Scale:
    """From place and value to SVG units."""

    count: int
    low_s: float
    high_s: float

    def x(self, place: float) -> float:
        room = WIDTH - LEFT - RIGHT - 2 * INSET
        share = place / (self.count - 1) if self.count > 1 else 0.5
        return round(LEFT + INSET + room * share, 1)

    def y(self, value_s: float) -> float:
        """A value outside the range, which only a grey one can have, stands at its edge."""
        share = (min(max(value_s, self.low_s), self.high_s) - self.low_s) / (self.high_s - self.low_s)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)


def chart(one: History) -> Chart | None:
    """The chart of a history; None where it has no usable value. Runs stand at even distances, in their order."""
    if not one.used:
        return None
    low_s, high_s = _span(one.values_s)
    scale = _Scale(len(one.points), low_s, high_s)
    unit = unit_of_history(one)
    places = [place for place, point in enumerate(one.points) if usable(point)]
    return Chart(
        unit=unit[1],
        dots=tuple(_dots(one, scale, unit)),
        path=" ".join(f"{scale.x(place)},{scale.y(value)}" for place, value in zip(places, one.values_s, strict=True)),
        levels=tuple(
            Line(scale.x(places[level.first]), scale.x(places[level.last]), scale.y(level.value_s))
            for level in one.levels
        ),
        marks=tuple(_marks(one.changes, places, scale)),
        ticks=tuple(_ticks(scale, unit[0])),
        dates=tuple(_dates(one.points, scale)),
    )


def spark_path(values: Sequence[float], width: int = 160, height: int = 28) -> str:
    """The points of a small line without axes, for a list."""
    low, high = _span(values)
    last = max(1, len(values) - 1)
    return " ".join(
        f"{2 + (width - 4) * i / last:.1f},{height - 2 - (height - 4) * (value - low) / (high - low):.1f}"
        for i, value in enumerate(values)
    )


def point_words(point: Point, unit: tuple[float, str]) -> str:
    """A point as a reader hears it."""
    value = "no value" if point.value_s is None else time_words(point.value_s, unit)
    why = not_used(point)
    return ", ".join(
        [value, f"commit {commit_words(point.commit)}", f"run {printable(point.run_id)}", printable(point.started)]
        + ([f"not used: {why}"] if why else [])
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The range shown: all values with some air, and never so narrow that mere noise fills it."""
    middle = median(values)
    low, high = min(*values, middle * (1 - LEAST_SPAN)), max(*values, middle * (1 + LEAST_SPAN))
    air = PADDING * (high - low)
    return max(0.0, low - air), high + air


def _dots(one: History, scale: _Scale, unit: tuple[float, str]) -> Iterator[Dot]:
    for place, point in enumerate(one.points):
        if usable(point):
            newest = one.suspected and point is one.used[-1]
            kind: DotKind = "suspected" if newest else "used"
            yield Dot(scale.x(place), scale.y(value_of(point)), kind, point_words(point, unit))
        else:
            # Without a value it stands on the axis: that the run was there is worth seeing.
            value_s = scale.low_s if point.value_s is None else point.value_s
            yield Dot(scale.x(place), scale.y(value_s), "grey", point_words(point, unit))


def _marks(changes: Sequence[Change], places: Sequence[int], scale: _Scale) -> Iterator[Mark]:
    taken = [float("-inf")] * LABEL_ROWS
    for change in changes:
        x = scale.x((places[change.index - 1] + places[change.index]) / 2)
        row = next((row for row in range(LABEL_ROWS) if x - taken[row] >= LABEL_WIDTH), LABEL_ROWS - 1)
        taken[row] = x
        yield Mark(
            x=round(x, 1),
            y=TOP - 8 - ROW_HEIGHT * (LABEL_ROWS - 1 - row),
            label=f"{arrow(change)} {signed_percent(change.change)}{STATUS_SIGNS.get(change.status, '')}",
            kind="slower" if change.change > 0 else "faster",
            status=change.status,
        )


def _ticks(scale: _Scale, unit_s: float) -> Iterator[Tick]:
    """Round values: 1, 2 or 5 times a power of ten apart."""
    low, high = scale.low_s / unit_s, scale.high_s / unit_s
    rough = (high - low) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, -floor(log10(step)))
    for multiple in range(ceil(low / step), floor(high / step) + 1):
        yield Tick(scale.y(multiple * step * unit_s), f"{multiple * step:.{digits}f}")


def _dates(points: Sequence[Point], scale: _Scale) -> Iterator[Tick]:
    """The days of some runs, the first and the last among them."""
    count = min(DATE_TICKS, len(points))
    shown = sorted({(len(points) - 1) * i // max(1, count - 1) for i in range(count)})
    last_label = ""
    for place in shown:
        label = day(points[place].started)
        if label == last_label:
            continue
        last_label = label
        yield Tick(scale.x(place), label, "start" if place == 0 else "end" if place == len(points) - 1 else "middle")


def summary(one: History) -> str:
    """A chart in a sentence or two, for those who can't see it."""
    if not one.used:
        return f"No usable value in {counted(len(one.points), 'run')}."
    values = one.values_s
    unit = unit_of(median(values))
    words = f"{counted(len(values), 'run')} from {day(one.used[0].started)} to {day(one.used[-1].started)}, "
    words += f"time per call between {number(min(values) / unit[0])} and {time_words(max(values), unit)}, "
    words += f"newest {time_words(values[-1], unit)}. "
    if not one.changes:
        return words + "No change of level."
    sizes = ", ".join(signed_percent(change.change) for change in one.changes)
    return words + f"{counted(len(one.changes), 'change')} of level: {sizes}."


def unit_of_history(one: History) -> tuple[float, str]:
    """The unit of time for all of a history's points, as (seconds, name)."""
    known = one.values_s or [point.value_s for point in one.points if point.value_s]
    return unit_of(median(known)) if known else unit_of(1.0)
