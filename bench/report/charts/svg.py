"""SVG as text: escaping, phrases that a page can switch to another language, axes; no chart of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from math import ceil, floor, log10
from typing import Final

from bench.report.numbers import with_interval
from bench.report.report_words import LANGUAGES, say
from bench.store.index import printable as spelt_out

WIDTH: Final = 460
"""Of every chart: a phone shows it whole, and a wide page two or three beside each other."""
MARKERS: Final = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.6 3.6H-4.6z",
    "M0 -5L5 0L0 5L-5 0z",
    "M0 4.8L4.6 -3.6H-4.6z",
    "M-4.5 -1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3z",
)
"""Shapes of series, so that no reader needs the colours: circle, square, triangle, diamond, triangle down, cross."""


def printable(text: str) -> str:
    """`bench.store.index.printable`, at once where nothing has to be spelt out: a large page asks 300,000 times."""
    return text if text.isprintable() else spelt_out(text)


def clean(text: object, most: int = 0) -> str:
    """Text of a run file, escaped for HTML and SVG; control and direction marks spelt out, cut to `most` characters."""
    shown = printable(str(text))
    return escape(shown if not most or len(shown) <= most else f"{shown[: most - 1]}…")


def number(value: float) -> str:
    """A coordinate: two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(x: float, y: float, content: object, kind: str = "", anchor: str = "", most: int = 0) -> str:
    """A text element of something that is not ours."""
    return f'<text x="{number(x)}" y="{number(y)}"{_class(kind)}{_anchor(anchor)}>{clean(content, most)}</text>'


def phrase(x: float, y: float, key: str, language: str, kind: str = "", anchor: str = "") -> str:
    """A text element of our own words, which a page can switch."""
    words = escape(say(key, language))
    return f'<text x="{number(x)}" y="{number(y)}"{_class(kind)}{_anchor(anchor)} data-i18n="{key}">{words}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(max(0.0, width))}" height="{number(height)}"'
        f'{_class(kind)} rx="1.5"/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"{_class(kind)}/>'


def mark(x: float, y: float, target: str, name: str, series: int, shape: int | None = None) -> str:
    """A point that names itself on hover and by keyboard, and leads to the evidence of its row."""
    path, shown = MARKERS[(series if shape is None else shape) % len(MARKERS)], clean(name)
    return (
        f'<a href="#{target}" class="mark" aria-label="{shown}"><title>{shown}</title>'
        f'<path class="s{series % len(MARKERS)}" transform="translate({number(x)} {number(y)})" d="{path}"/></a>'
    )


def chart(height: float, body: Sequence[str], alt: Callable[[str], str], language: str, points: bool = False) -> str:
    """The whole chart. `alt` is its text alternative in a language; `points`: it holds links, so it is a group."""
    labels = {one: clean(alt(one)) for one in LANGUAGES}
    others = "".join(f' data-label-{one}="{label}"' for one, label in labels.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {number(height)}" '
        f'role="{"group" if points else "img"}" aria-label="{labels[language]}"{others}>{"".join(body)}</svg>'
    )


def standalone(svg: str, styles: Sequence[str] = ()) -> str:
    """A chart as a file: with its colours, light or dark as the reader's system, on a ground of its own.

    `styles`: those that it needs beside every chart's, of `templates/report_chart_….css`.
    """
    folder = files("bench.report") / "templates"
    parts = ("_alone", "", *(f"_{name}{end}" for name in styles for end in ("_alone", "")))
    style = "".join((folder / f"report_chart{part}.css").read_text("utf-8") for part in parts)
    head, rest = svg.split(">", 1)
    head = head.replace('class="chart"', 'class="chart alone" font-family="system-ui, sans-serif"')
    return f'{head}><style>{style}</style><rect class="ground" width="100%" height="100%"/>{rest}\n'


class Log:
    """A logarithmic axis from values to a range of coordinates, with whole decades or 1-2-5 as ticks."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = log10(min(values)), log10(max(values))
        air = max(0.06 * (high - low), 0.08)
        self.low, self.high, self.start, self.end = low - air, high + air, start, end

    def __call__(self, value: float) -> float:
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * share

    def ticks(self, most: int = 7) -> list[float]:
        """Round values inside the axis."""
        decades = range(floor(self.low), ceil(self.high) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [f * 10.0**d for d in decades for f in factors if self.low <= log10(f * 10.0**d) <= self.high]
            if len(found) <= most:
                return found
        return found[:: ceil(len(found) / most)]


class Linear:
    """A linear axis from zero to the largest value."""

    def __init__(self, largest: float, start: float, end: float) -> None:
        self.largest, self.start, self.end = largest * 1.06 or 1.0, start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * value / self.largest

    def ticks(self) -> Iterator[float]:
        """Round values, about four."""
        rough = self.largest / 4
        power = 10.0 ** floor(log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        count = 0
        while count * step <= self.largest:
            yield count * step
            count += 1


SI: Final = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


ROUNDED_UP: Final = 0.9995
"""From this share of a prefix on, three digits are rounded up to it: 999,600 is "1 M" and not "1e+03 k"."""


def short(value: float, unit: str = "") -> str:
    """ "200 G": at most three significant digits."""
    factor, letter = _prefix(value / ROUNDED_UP)
    scaled = value / factor
    shown = f"{scaled:.3g}" if scaled < 999.5 else f"{scaled:.0f}"
    return f"{shown} {letter}{unit}".strip()


def rate(value: float, unit: str, low: float | None = None, high: float | None = None) -> str:
    """ "137.6 ± 0.4 GFLOPS", with no more digits than the interval supports."""
    factor, letter = _prefix(abs(value))
    bounds = (None if low is None else low / factor, None if high is None else high / factor)
    return f"{with_interval(value / factor, *bounds)} {letter}{unit}"


def _prefix(value: float) -> tuple[float, str]:
    # A plain loop: a large page asks a hundred thousand times, and a generator costs more than all the rest.
    for prefix in SI:
        if value >= prefix[0]:
            return prefix
    return 1.0, ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _anchor(anchor: str) -> str:
    return f' text-anchor="{anchor}"' if anchor else ""
