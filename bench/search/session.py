"""One search on one device: short looks by one worker while the time lasts, then the finalists measured like any row.

Every look and every row is on the disk before the next is asked for, so that a search can be interrupted and resumed.
What is looked at next is `bench.search.strategy`'s to say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from bench import records
from bench.errors import BenchError
from bench.runner import plan
from bench.runner.campaign import command_words, measure_more, run_record
from bench.runner.journal import Journal
from bench.runner.session import Observer
from bench.search.findings import cliffs, figure_of, rate_of
from bench.search.looking import Looker
from bench.search.looks import Estimate
from bench.search.request import Search
from bench.search.space import Point
from bench.search.strategy import Ask, Strategy

MOST_TRIED: Final = 2
"""Rows that are tried for one finalist: one that can't be timed makes room for the next (ours)."""
FINAL_SHARE: Final = 0.3
"""Of the budget, the most that is kept for measuring the finalists (ours)."""
FINAL_S: Final = 4.0
"""Kept for each finalist: a quick run's row and its checks."""
CONFIRM_SHARE: Final = 0.1
"""Of the budget, the most that second looks at cliffs take (ours)."""
MOST_CLIFFS: Final = 6
"""Cliffs that are confirmed: the deepest first."""
LOOK_LEAST_S: Final = 20.0
LOOK_MOST_S: Final = 180.0
"""A look that takes longer than what is left of the budget is ended, but not before the first, at the latest after the
second: compiling a kernel takes a while, and a hung one must not take the search with it (ours)."""


class Watcher(Observer, Protocol):
    """Whoever watches a search: the screen of a run, and a word on each look."""

    def searching(self, search: Search, already: int) -> None: ...
    def looked(self, trial: records.Trial, best: Estimate | None, left_s: float) -> None: ...


def carry_out(search: Search, path: Path, watcher: Watcher, earlier: records.RunFile | None = None) -> records.RunFile:
    """Look, measure the finalists, write the run file line by line; returns what it then holds.

    With `earlier` its looks are taken as given and its rows are kept. Ctrl-C ends the file with status interrupted, and
    KeyboardInterrupt goes on up.
    """
    prepared = search.prepared
    if earlier is None:
        run = run_record(prepared, path)
        run.suite = None
        journal = Journal.new(path, run, prepared.devices, prepared.started)
    else:
        journal = Journal.resume(path, earlier, command_words(prepared), prepared.started)
    session = _Session(search, journal, watcher)
    try:
        for watch in prepared.watches.values():
            watch.start(idle=False)
        session.run()
        prepared.worker.stop()
        journal.end("complete", session.left_out)
    except KeyboardInterrupt:
        journal.end("interrupted", "interrupted by the user", exit_code=130)
        raise
    except BenchError as error:
        journal.end("failed", str(error), exit_code=error.exit_code)
        raise
    finally:
        prepared.worker.kill()
        for watch in prepared.watches.values():
            watch.stop()
        journal.close()
    return journal.file


class _Session:
    """The loop over looks, then over finalists."""

    def __init__(self, search: Search, journal: Journal, watcher: Watcher) -> None:
        self.search = search
        self.journal = journal
        self.watcher = watcher
        self.prepared = search.prepared
        self.strategy = Strategy(search.space, search.prepared.options.seed)
        self.looker = Looker(search)
        self.left_out = ""
        self.budget_s, self.finalists = search.request.budget_s, search.request.finalists
        for trial in journal.file.trials:
            self._tell(trial)

    def run(self) -> None:
        """Look until the time for looking is over or nothing is left to look at; then the finalists."""
        self.watcher.searching(self.search, len(self.journal.file.trials))
        reserve_s = min(self.finalists * FINAL_S, FINAL_SHARE * self.budget_s)
        confirm_s = CONFIRM_SHARE * self.budget_s
        while (ask := self.strategy.ask()) is not None:
            # One look in any case: a start-up that used the budget up leaves something to measure all the same.
            if self.journal.file.trials and self._left_s() <= reserve_s + confirm_s:
                self.left_out = f"the budget of {self.budget_s:g} s ended the search"
                break
            self._look(ask)
        for ask in self._doubtful_cliffs():
            if self._left_s() <= reserve_s:
                break
            self._look(ask)
        self._measure_finalists()

    def _doubtful_cliffs(self) -> Iterator[Ask]:
        """Both sides of the deepest cliffs that rest on a single look."""
        deepest = cliffs(self.search.space, self.strategy.looks.estimates(), self.strategy.looks.noise)
        points: dict[Point, None] = {}
        for cliff in deepest[:MOST_CLIFFS]:
            points |= {one.point: None for one in (cliff.bad, cliff.good) if one.looks < 2}
        yield from (Ask(point, "confirm") for point in points)

    def _left_s(self) -> float:
        return self.budget_s - (time.monotonic() - self.prepared.started)

    def _look(self, ask: Ask) -> None:
        trial = self.looker.look(
            ask.point,
            number=len(self.journal.file.trials) + 1,
            stage=ask.stage,
            timeout_s=min(LOOK_MOST_S, max(LOOK_LEAST_S, self._left_s())),
        )
        self.journal.look(trial)
        self._tell(trial)
        self.watcher.looked(trial, self.strategy.looks.best, self._left_s())

    def _tell(self, trial: records.Trial) -> None:
        point = self.search.space.point(trial.case, trial.implementation)
        if point is not None:
            self.strategy.tell(point, rate_of(trial.rate, figure_of(self.search.kernel)))

    def _measure_finalists(self) -> None:
        """The best points by the ordinary way, each with its share of what is left.

        One that was timed has had its turn, disturbed or not: what disturbed it meets the next one too. After a wrong
        answer nothing of that implementation is measured any more.
        """
        timed = tried = 0
        wrong: set[str] = set()
        for estimate in self.strategy.finalists():
            if timed >= self.finalists or tried >= MOST_TRIED * self.finalists or (tried and self._left_s() <= 0):
                break
            item = self._item(estimate.point)
            if item.label in wrong:
                continue
            row = self._row(item, still_to_come=self.finalists - timed - 1)
            tried += 1
            timed += row.status in records.MEASURED
            if row.status == "wrong":
                wrong.add(item.label)
        self.prepared.budget_s = self.budget_s

    def _row(self, item: plan.Item, still_to_come: int) -> records.Measurement:
        """The row of a finalist: the one that the file holds, or a new one that leaves time for those to come."""
        rows = self.journal.file.measurements
        held = [row for row in rows if row.case == item.case and row.implementation == item.label]
        if held:
            return held[-1]
        even_s = max(0.0, self._left_s()) * still_to_come / (still_to_come + 1)
        self.prepared.budget_s = self.budget_s - min(FINAL_S * still_to_come, even_s)
        # Rows are numbered through the file: those that it holds stand before the new one.
        self.prepared.items = {self.search.device.device: [item] * (len(rows) + 1)}
        measure_more(self.prepared, self.journal, self.watcher)
        return rows[-1]

    def _item(self, point: Point) -> plan.Item:
        name = self.search.space.implementation(point)
        return plan.Item(
            kernel=self.search.kernel.name,
            role=self.search.kernel.role,
            case=self.search.space.case(point),
            precision=self.search.request.precision,
            label=name,
            candidates=(name,),
            unsupported=(),
        )
