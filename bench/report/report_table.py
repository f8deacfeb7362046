"""A report as tables for a terminal: devices as columns, precisions and kernels as rows; the words stand below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

from bench.analysis.report_view import DeviceView, Headline, ReportView, per_money, unit_of
from bench.report import report_lines as lines
from bench.report.charts import svg
from bench.report.numbers import percent, prefix, with_interval
from bench.report.page.wording import Defaults, cut
from bench.report.report_words import say
from bench.report.table import ASCII, TEXT_LEAST

HEADERS: Final = ("precision", "kernel", "unit")
NAME_LEAST: Final = 14
"""Columns that a device's name is wrapped to where its figures are narrower."""
NAME_MOST: Final = 80
"""Characters of a device's name above its column; the lines below have more."""
GAP: Final = 2
"""Blanks between two columns, as tabulate's "simple" has them."""
UNKNOWN: Final = "n/a"
NOTHING: Final = "–"


@dataclass(frozen=True)
class Column:
    """One device: its name in lines, and its cells."""

    name: list[str]
    cells: list[str]

    @property
    def width(self) -> int:
        return max(len(part) for part in (*self.name, *self.cells))


@dataclass(frozen=True)
class Line:
    """What a row of the table is of: the rated peaks of a precision, a kernel at it, or what money buys of it."""

    kind: Literal["rated", "kernel", "money"]
    label: str
    kernel: str = ""
    factor: float = 1.0
    """Of the SI prefix that all figures of a precision share."""
    unit: str = ""

    @property
    def head(self) -> tuple[str, str, str]:
        """What stands before the figures."""
        what = cut(self.kernel) if self.kind == "kernel" else say("rated" if self.kind == "rated" else "col.money")
        return lines.label_words(self.label), what, self.unit


class Notes:
    """Reasons, each with a number that stands in the table."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """ "[1]", or "" for no text."""
        return f"[{self._numbers.setdefault(text, len(self._numbers) + 1)}]" if text else ""

    def __iter__(self) -> Iterator[str]:
        return (f"[{number}] {text}" for text, number in self._numbers.items())


def terminal(
    view: ReportView, width: int, *, title: str = "", defaults: Defaults | None = None, ascii_only: bool = False
) -> str:
    """The whole report for a terminal of `width` columns; as many tables one below the other as the devices need."""
    known = defaults or {}
    wrapped = max(width, TEXT_LEAST)
    parts = [cut(title), ""] if title else []
    tables, notes = _tables(view, width)
    parts += tables or [say("lines.empty"), ""]
    sections = (
        ("", [*notes]),
        ("", [say("lines.note"), *lines.spread_lines(view), *lines.price_lines(view)] if tables else []),
        (say("losses"), list(lines.loss_lines(view, known))),
        (say("scenarios"), list(lines.scenario_lines(view))),
        (say("excluded"), list(lines.excluded_lines(view, known))),
        (say("lines.sources"), list(lines.source_lines(view))),
        ("", [lines.provenance(view)]),
    )
    for heading, found in sections:
        if found:
            shown = [part for line in found for part in textwrap.wrap(line, wrapped, subsequent_indent="    ")]
            parts += [*([f"{heading}:"] if heading else []), *shown, ""]
    text = "\n".join(parts).rstrip()
    return text.translate(ASCII) if ascii_only else text


def _tables(view: ReportView, width: int) -> tuple[list[str], Notes]:
    """The tables, each followed by a blank line, and the notes that their cells name."""
    notes = Notes()
    rows = _lines(view)
    if not rows:
        return [], notes
    heads = [row.head for row in rows]
    taken = sum(max(map(len, column)) + GAP for column in zip(HEADERS, *heads, strict=True))
    cells = {(one.device, one.label, one.kernel): one for one in view.headlines}
    columns = [_column(device, rows, cells, notes) for device in view.devices]
    parts: list[str] = []
    for chosen in _blocks(columns, width - taken):
        parts += [_laid_out(heads, chosen), ""]
    return parts, notes


def _lines(view: ReportView) -> list[Line]:
    """Of each precision its rated peaks, its kernels in the order of the view, and what money buys."""
    found = []
    for label in view.labels:
        of_label = [one for one in view.headlines if one.label == label]
        found_here = [value for one in of_label for value in (one.value, one.rated_per_s) if value]
        # Between the smallest and the largest: neither a processor's nor a large GPU's figures become hard to read.
        factor, letter = prefix([sqrt(min(found_here)) * sqrt(max(found_here))] if found_here else [])
        unit = f"{letter}{unit_of(label)}"
        found.append(Line("rated", label, "", factor, unit))
        kernels = {one.kernel for one in of_label if one.kernel}
        found += [Line("kernel", label, kernel, factor, unit) for kernel in view.kernels if kernel in kernels]
        if view.prices:
            found.append(Line("money", label))
    return found


def _column(
    device: DeviceView, rows: Sequence[Line], cells: Mapping[tuple[str, str, str], Headline], notes: Notes
) -> Column:
    best = {label: one for (key, label, _), one in cells.items() if key == device.key and one.best}
    words = []
    for row in rows:
        one = cells.get((device.key, row.label, row.kernel)) if row.kind == "kernel" else best.get(row.label)
        if row.kind == "kernel":
            words.append(_figure(one, row.factor, notes))
        else:
            words.append(_rated(one, row.factor) if row.kind == "rated" else _money(one, device))
    room = max(NAME_LEAST, *map(len, words))
    return Column(textwrap.wrap(cut(device.label)[:NAME_MOST], room) or [NOTHING], words)


def _figure(one: Headline | None, factor: float, notes: Notes) -> str:
    """ "712.3 ± 0.4, 72 %", or why there is none."""
    if one is None:
        return NOTHING
    if one.row is None:
        return f"{say(f'status.{one.status}')} {notes.mark(lines.shortened(one.reason))}".rstrip()
    share = UNKNOWN if one.utilization is None else percent(one.utilization)
    noisy = f", {say('status.noisy')}" if one.status == "noisy" else ""
    return f"{lines.measured_words(one, factor, '')}, {share}{noisy}"


def _rated(one: Headline | None, factor: float) -> str:
    if one is None or one.rated is None:
        return UNKNOWN
    kind = say(f"kind.{one.rated.kind}")
    if not one.rated_per_s:
        return kind if one.rated.kind == "undisclosed" else UNKNOWN
    return f"{with_interval(one.rated_per_s / factor, None, None)} ({kind})"


def _money(one: Headline | None, device: DeviceView) -> str:
    money = per_money(one, device) if one else None
    return svg.short(money, lines.WORK[unit_of(one.label)]) if one and money else UNKNOWN


def _blocks(columns: Sequence[Column], room: int) -> Iterator[list[Column]]:
    """The columns in groups that fit beside each other; one that fits nowhere stands alone."""
    block: list[Column] = []
    for column in columns:
        if block and sum(one.width + GAP for one in (*block, column)) > room + GAP:
            yield block
            block = []
        block.append(column)
    if block:
        yield block


def _laid_out(heads: Sequence[Sequence[str]], columns: Sequence[Column]) -> str:
    """One table; a precision is named where it begins."""
    from tabulate import tabulate

    body, before = [], ""
    for place, head in enumerate(heads):
        first = "" if head[0] == before else head[0]
        before = head[0]
        body.append([first, *head[1:], *(column.cells[place] for column in columns)])
    headers = [*HEADERS, *("\n".join(column.name) for column in columns)]
    align = ["left"] * len(headers)
    return str(tabulate(body, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True))
