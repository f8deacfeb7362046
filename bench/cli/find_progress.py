"""The screen while a search goes on, on stderr: that of a run, with a word on the looks that come before its rows."""

from __future__ import annotations

import sys
import time
from typing import Final, Protocol

from bench import records
from bench.analysis.words import counted
from bench.cli import progress as run_progress
from bench.report.numbers import prefix, short_case
from bench.report.table import Defaults
from bench.runner.plan import Item
from bench.search.looks import Estimate
from bench.search.request import Search
from bench.search.space import Space

WORD_S: Final = 5.0
"""Between two words on the looks, where they can't overwrite each other."""


class Progress(run_progress.Progress, Protocol):
    """A search's observer that is opened before it and closed after it."""

    def searching(self, search: Search, already: int) -> None: ...
    def looked(self, trial: records.Trial, best: Estimate | None, left_s: float) -> None: ...


def progress(defaults: Defaults) -> Progress:
    """The live bar where stderr is a terminal, else plain lines."""
    return LiveProgress(defaults) if sys.stderr.isatty() else PlainProgress(defaults)


class PlainProgress(run_progress.PlainProgress):
    """A line every few seconds, and one a finalist: for logs and pipes."""

    def __init__(self, defaults: Defaults) -> None:
        super().__init__(defaults)
        self._next_word = 0.0
        self._space: Space | None = None

    def searching(self, search: Search, already: int) -> None:
        """The space is known."""
        self._space, self._rows = search.space, search.request.finalists
        self.message(_space_words(search.space, already))

    def looked(self, trial: records.Trial, best: Estimate | None, left_s: float) -> None:
        """How far it has come, every few seconds."""
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + WORD_S
            self.message(_look_words(self._space, self._defaults, trial, best, left_s))

    def row_started(self, number: int, item: Item, launch: int) -> None:
        """A finalist that can't be timed makes room for one more."""
        super().row_started(number, item, launch)
        self._rows = max(self._rows, number)


class LiveProgress(run_progress.LiveProgress):
    """A bar that counts the looks, then the finalists; finished rows scroll by above it."""

    def __init__(self, defaults: Defaults) -> None:
        super().__init__(defaults)
        self._rows = 0
        self._space: Space | None = None

    def searching(self, search: Search, already: int) -> None:
        """The space is known."""
        self._space, self._rows = search.space, search.request.finalists
        self.message(_space_words(search.space, already))

    def looked(self, trial: records.Trial, best: Estimate | None, left_s: float) -> None:
        """How far it has come."""
        words = _look_words(self._space, self._defaults, trial, best, left_s)
        self._bar.update(self._task, description=words, completed=trial.number)

    def row_started(self, number: int, item: Item, launch: int) -> None:
        """From the looks to the finalists: the bar gets its length."""
        self._bar.update(self._task, total=max(self._rows, number))
        super().row_started(number, item, launch)


def _space_words(space: Space, already: int) -> str:
    resumed = f", {counted(already, 'look')} from before" if already else ""
    return f"searching {counted(space.size, 'point')}{resumed}; Ctrl-C ends it with what was found until then"


def _look_words(
    space: Space | None, defaults: Defaults, trial: records.Trial, best: Estimate | None, left_s: float
) -> str:
    left = f"{max(0.0, left_s):.0f} s left"
    if best is None or space is None:
        return f"{counted(trial.number, 'look')}, none ran yet ({trial.status}), {left}"
    factor, letter = prefix([best.rate])
    case = short_case(space.case(best.point), defaults.get(trial.kernel))
    return f"{counted(trial.number, 'look')}, best about {best.rate / factor:.3g} {letter} a second at {case}, {left}"
