"""CSV, in and out: no cell is a formula to a spreadsheet, and every digit of a number is kept."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from bench.interop import reading
from bench.interop.reading import MalformedError, Node

FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet takes for a formula; such a text gets an apostrophe before it, and loses it when it is read."""
MAX_COLUMNS: Final = 10_000
DELIMITERS: Final = (",", ";", "\t")


def written(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV with that header: None is an empty cell, a float has all of its digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def read(text: str) -> tuple[list[str], Iterator[tuple[int, dict[str, Node]]]]:
    """The header, and (line, column → cell) of each line that has something. An empty cell is missing.

    Raises MalformedError for a header without names or with one twice, and for a line longer than it.
    """
    reading.limit_values(text, "\n,;\t")
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    cells = _next(lines, 1) or []
    if len(cells) > MAX_COLUMNS:
        raise MalformedError(f"line 1: has more than {MAX_COLUMNS:,} columns, which is the limit")
    header = [reading.cleaned(_uncell(cell).strip(), "line 1") for cell in cells]
    names = Counter(filter(None, header))
    if not names:
        raise MalformedError("line 1: a header with the names of the columns is expected")
    name, times = names.most_common(1)[0]
    if times > 1:
        raise MalformedError(f"line 1: names column {reading.shown(name)} twice")
    return header, _rows(header, lines)


def _rows(header: Sequence[str], lines: Iterator[list[str]]) -> Iterator[tuple[int, dict[str, Node]]]:
    number = 1
    while True:
        number += 1
        cells = _next(lines, number)
        if cells is None:
            return
        if len(cells) > len(header):
            raise MalformedError(f"line {number}: has {len(cells)} cells, and the header {len(header)}")
        if any(cell.strip() for cell in cells):
            named = [(name, cell) for name, cell in zip_longest(header, cells, fillvalue="") if name]
            yield number, {name: _node(cell, f"line {number}, {reading.short(name)}") for name, cell in named}


def _node(cell: str, place: str) -> Node:
    return Node(_uncell(cell) if cell.strip() else None, place)


def _next(lines: Iterator[list[str]], number: int) -> list[str] | None:
    try:
        return next(lines, None)
    except csv.Error as error:
        raise MalformedError(f"line {number}: is not CSV: {error}") from None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    text = str(value).replace("\r", " ")  # the writer would not quote it
    return f"'{text}" if isinstance(value, str) and FORMULA.match(text) else text


def _uncell(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
