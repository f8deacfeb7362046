"""Histories on a terminal of any width: a sparkline a series, its changes below it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bench.analysis.history import History
from bench.analysis.words import counted
from bench.report.history import change_words, suspicion_words, time_words
from bench.report.table import ASCII
from bench.stats.robust import median
from bench.store.index import printable

LEVELS: Final = "▁▂▃▄▅▆▇█"
ASCII_LEVELS: Final = "_.-=^"
ASCII_STEP: Final = "|"
ASCII_MORE: Final = ASCII | str.maketrans({"→": "->", "▲": "^", "▼": "v", "│": "|", "µ": "u"})
STEP: Final = "│"
"""Stands where the level changed."""
FLAT: Final = 0.03
"""Half of the smallest range that a sparkline spans, relative: noise below the size of a change stays flat."""
LEAST_WIDTH: Final = 40
MOST_SPARK: Final = 100
INDENT: Final = "  "


@dataclass
class Tally:
    """What the last line says of all series."""

    series: int = 0
    slower: int = 0
    faster: int = 0
    suspected: int = 0
    grey: int = 0

    def add(self, one: History) -> None:
        """Count one series; a series that went up and down counts on both sides."""
        open_changes = [change for change in one.changes if change.status != "accepted"]
        self.series += 1
        self.slower += any(change.change > 0 for change in open_changes)
        self.faster += any(change.change < 0 for change in open_changes)
        self.suspected += one.suspected
        self.grey += len(one.points) - len(one.used)

    @property
    def words(self) -> str:
        """One line."""
        parts = [f"{self.series} series", f"{self.slower} became slower", f"{self.faster} became faster"]
        parts += [f"{self.suspected} suspected"]
        if self.grey:
            parts.append(f"{counted(self.grey, 'point')} not used (in quarantine, or without a usable value)")
        return ", ".join(parts)


def lines(histories: Iterable[History], width: int, ascii_only: bool = False) -> Iterator[str]:
    """The report line by line; one series is held at a time."""
    tally = Tally()
    for one in histories:
        tally.add(one)
        yield from _block(one, max(width, LEAST_WIDTH), ascii_only)
        yield ""
    yield from textwrap.wrap(tally.words, max(width, LEAST_WIDTH))


def sparkline(values: Sequence[float], changes: Sequence[int], width: int, ascii_only: bool = False) -> str:
    """Values as bars of one character, at most `width` in all; a line stands before each index in `changes`.

    Where there are more values than columns, a column is the median of its values.
    """
    columns = max(1, min(len(values), width - len(changes)))
    edges = [len(values) * i // columns for i in range(columns + 1)]
    heights = [median(values[start:end]) for start, end in pairwise(edges)]
    middle = median(heights)
    low, high = min(*heights, middle * (1 - FLAT)), max(*heights, middle * (1 + FLAT))
    levels = ASCII_LEVELS if ascii_only else LEVELS
    steps = {next(i for i, end in enumerate(edges[1:]) if end > index) for index in changes}
    bars = [levels[min(len(levels) - 1, int((height - low) / (high - low) * len(levels)))] for height in heights]
    step = ASCII_STEP if ascii_only else STEP
    return "".join((step if i in steps else "") + bar for i, bar in enumerate(bars))


def _block(one: History, width: int, ascii_only: bool) -> Iterator[str]:
    name = _spelt(printable(one.series), ascii_only)
    yield from textwrap.wrap(name, width, subsequent_indent=INDENT, break_on_hyphens=False) or ["''"]
    values = one.values_s
    if not values:
        yield f"{INDENT}no usable value in {counted(len(one.points), 'run')}"
        return
    runs = counted(len(values), "run")
    facts = f"  {time_words(values[-1])}, {runs}" + (f", class {printable(one.class_id[:8])}" if one.class_id else "")
    facts = _spelt(facts, ascii_only)
    room = min(MOST_SPARK, width - len(INDENT) - len(facts))
    yield INDENT + sparkline(values, [change.index for change in one.changes], room, ascii_only) + facts
    notes = [change_words(change, one.used[change.index].started) for change in one.changes]
    for note in [*notes, *filter(None, [suspicion_words(one)])]:
        spelt = _spelt(note, ascii_only)
        yield from textwrap.wrap(
            spelt, width, initial_indent=INDENT, subsequent_indent=INDENT * 2, break_on_hyphens=False
        )


def _spelt(text: str, ascii_only: bool) -> str:
    """Before it is wrapped: an arrow takes two columns in ASCII."""
    return text.translate(ASCII_MORE).encode("ascii", "replace").decode() if ascii_only else text
