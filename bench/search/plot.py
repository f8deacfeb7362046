"""Draws a landscape: in characters for a terminal, and as SVG."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from bench.report.numbers import percent, prefix, short_case
from bench.search.landscape import Cell, Landscape, narrowed
from bench.search.space import Space

LEVELS: Final = (0.5, 0.75, 0.9, 0.98)
"""Shares of the best rate that separate the shades."""
BLOCKS: Final = ("░", "▒", "▓", "█", "█")
PLAIN: Final = (".", "-", "+", "%", "#")
UNSEEN, UNSEEN_PLAIN, BEST, BEST_PLAIN = "·", " ", "★", "@"
COLOURS: Final = ("38;5;61", "38;5;67", "38;5;72", "38;5;149", "38;5;220")
"""256-colour codes of the shades, dark to light as the SVG's."""
SHADES: Final = ("#46327e", "#365c8d", "#277f8e", "#4ac16d", "#fde725")
"""Of matplotlib's viridis: even to the eye, and readable by colour-blind readers."""
UNSEEN_SHADE: Final = "#eeeeee"
LEAST_COLUMNS: Final = 8
MOST_ROWS: Final = 24
"""Of a map on a terminal; neighbouring values share a row beyond that."""
MOST_CELLS: Final = 96
"""The same of a drawing, each way."""

CELL: Final = 34
"""Side of a cell, in SVG units; half where an axis is long."""
LONG_AXIS: Final = 24
LEFT, TOP, BOTTOM, RIGHT = 92, 56, 92, 24


def terminal(one: Landscape, width: int, *, plain: bool = False, colour: bool = False) -> str:
    """The map in characters: y upwards, x to the right, one pair of columns a value.

    `plain` for terminals without block characters; `colour` adds ANSI colours.
    """
    margin = max(len(one.y.name), *(len(str(value)) for value in one.y.values)) + 1
    shown = narrowed(one, max(LEAST_COLUMNS, (width - margin) // 2), MOST_ROWS)
    labels = [str(value) for value in shown.y.values]
    rows = [f"{one.y.name:>{margin - 1}}"] if one.y.name else []
    for y in range(len(labels) - 1, -1, -1):
        cells = "".join(_character(shown, (x, y), plain, colour) for x in range(len(shown.x.values)))
        rows.append(f"{labels[y]:>{margin - 1}} {cells.rstrip() if not colour else cells}")
    rows += [" " * margin + line for line in _x_labels(shown)]
    marks = (PLAIN, UNSEEN_PLAIN, BEST_PLAIN) if plain else (BLOCKS, UNSEEN, BEST)
    rows.append(_legend(marks, colour))
    return "\n".join(rows)


def _character(one: Landscape, where: tuple[int, int], plain: bool, colour: bool) -> str:
    cell = one.cells.get(where)
    if cell is None:
        return (UNSEEN_PLAIN if plain else UNSEEN) + " "
    level = _level(one, cell)
    text = (PLAIN if plain else BLOCKS)[level] * 2
    if where == one.best:
        text = (BEST_PLAIN if plain else BEST) + " "
    return f"\x1b[{COLOURS[level]}m{text}\x1b[0m" if colour else text


def _level(one: Landscape, cell: Cell) -> int:
    return sum(one.share(cell) >= level for level in LEVELS)


def _x_labels(one: Landscape) -> list[str]:
    """The values below the columns, as many as fit, and the axis' name."""
    line, end = "", 0
    for place, value in enumerate(one.x.values):
        if 2 * place >= end:
            line = f"{line:<{2 * place}}{value}"
            end = len(line) + 1
    return [line, one.x.name]


def _legend(marks: tuple[tuple[str, ...], str, str], colour: bool) -> str:
    shades, unseen, best = marks
    words = ["below 50 %", "50 %", "75 %", "90 %", "98 %"]
    pairs: list[tuple[str, str]] = []
    for level, (shade, word) in enumerate(zip(shades, words, strict=True)):
        if not colour and pairs and pairs[-1][0] == shade:
            continue  # the same character without colour: the shade below says enough
        pairs.append((f"\x1b[{COLOURS[level]}m{shade}\x1b[0m" if colour else shade, word))
    listed = "  ".join(f"{shade} {word}" for shade, word in pairs)
    nothing = "blank" if unseen == " " else unseen
    return f"best rate seen in each cell, of the best of all:\n{listed}  {best} the best  {nothing} not looked at"


def svg(whole: Landscape, space: Space, title: str, unit: str) -> str:
    """The map as SVG: each cell's shape, rate and share stand in its tooltip."""
    one = narrowed(whole, MOST_CELLS, MOST_CELLS)
    side = CELL if max(len(one.x.values), len(one.y.values)) <= LONG_AXIS else CELL // 2
    width = LEFT + max(side * len(one.x.values), 12 * CELL) + RIGHT
    bottom = TOP + side * len(one.y.values)
    height = bottom + BOTTOM
    factor, letter = prefix([one.rate])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{LEFT}" y="40" fill="#555">the best of all: {one.rate / factor:.4g} {letter}{unit}</text>',
    ]
    for y in range(len(one.y.values)):
        top = bottom - side * (y + 1)
        for x in range(len(one.x.values)):
            parts.append(_cell(one, (x, y), LEFT + side * x, top, side, _tooltip(space, factor, letter + unit)))
        if _labelled(y, len(one.y.values)):
            parts.append(_text(LEFT - 8, top + side / 2 + 4, str(one.y.values[y]), "end"))
    for x, value in enumerate(one.x.values):
        if _labelled(x, len(one.x.values)):
            centre = LEFT + side * (x + 0.5)
            parts.append(
                f'<text x="{centre:g}" y="{bottom + 12}" text-anchor="end" '
                f'transform="rotate(-45 {centre:g} {bottom + 12})">{escape(str(value))}</text>'
            )
    parts.append(_text(LEFT + side * len(one.x.values) / 2, bottom + 48, one.x.name, "middle"))
    parts.append(_text(12, TOP + side * len(one.y.values) / 2, one.y.name, "start"))
    parts += _svg_legend(bottom + 66)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _tooltip(space: Space, factor: float, unit: str) -> Callable[[Cell, float], str]:
    def words(cell: Cell, share: float) -> str:
        point = cell.best.point
        what = " ".join(filter(None, (short_case(space.case(point)), space.implementation(point))))
        return f"{what}: {cell.best.rate / factor:.4g} {unit}, {percent(share)} of the best ({cell.points} looked at)"

    return words


def _cell(
    one: Landscape, where: tuple[int, int], left: float, top: float, side: int, words: Callable[[Cell, float], str]
) -> str:
    cell = one.cells.get(where)
    shade = UNSEEN_SHADE if cell is None else SHADES[_level(one, cell)]
    edge = ' stroke="#d00000" stroke-width="3"' if where == one.best else ' stroke="white"'
    tip = "not looked at" if cell is None else words(cell, one.share(cell))
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{side}" height="{side}" fill="{shade}"{edge}>'
        f"<title>{escape(tip)}</title></rect>"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _labelled(place: int, count: int) -> bool:
    """Whether a value has its label: all of a short axis, every fourth of a long one."""
    return count <= LONG_AXIS or place % 4 == 0


def _svg_legend(top: float) -> list[str]:
    words = ("< 50 %", "≥ 50 %", "≥ 75 %", "≥ 90 %", "≥ 98 %")
    parts, left = [], LEFT
    for shade, word in (*zip(SHADES, words, strict=True), (UNSEEN_SHADE, "not looked at")):
        parts.append(f'<rect x="{left}" y="{top:g}" width="12" height="12" fill="{shade}"/>')
        parts.append(_text(left + 16, top + 10, word, "start"))
        left += 66
    return parts
