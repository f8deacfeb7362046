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
from bench.errors import BenchError, UnavailableError
from bench.runner import plan
from bench.runner.campaign import command_words, measure_more, run_record
from bench.runner.journal import Journal
from bench.runner.process import MemoryExceeded, WorkerDied
from bench.runner.protocol import Refused, Tried, Try
from bench.runner.session import Observer, describe, new_worker
from bench.search.findings import cliffs, rate_of
from bench.search.looks import Estimate
from bench.search.request import DEFAULT_BUDGET_S, Search
from bench.search.space import Point, Space
from bench.search.strategy import Ask, Strategy

LOOK_TIMEOUT_S: Final = 180.0
FINAL_SHARE: Final = 0.3
"""Of the budget, the most that is kept for measuring the finalists (ours)."""
FINAL_S: Final = 4.0
"""Kept for each finalist: a quick run's row and its checks."""
CONFIRM_SHARE: Final = 0.1
"""Of the budget, the most that second looks at cliffs take (ours)."""
MOST_CLIFFS: Final = 6
"""Cliffs that are confirmed: the deepest first."""
DEAD_LOOKS: Final = 5
"""Looks that may end their worker; then something is wrong that no other shape mends (ours)."""


class Watcher(Observer, Protocol):
    """Whoever watches a search: the screen of a run, and a word on each look."""

    def searching(self, space: Space, already: int) -> None: ...
    def looked(self, trial: records.Trial, best: Estimate | None, elapsed_share: float) -> None: ...


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
        self.left_out = ""
        self.deaths = 0
        self.budget_s = self.prepared.budget_s or DEFAULT_BUDGET_S
        for trial in journal.file.trials:
            self._tell(trial)

    def run(self) -> None:
        """Look until the time for looking is over or nothing is left to look at; then the finalists."""
        self.watcher.searching(self.search.space, len(self.journal.file.trials))
        reserve_s = min(self.search.request.finalists * FINAL_S, FINAL_SHARE * self.budget_s)
        confirm_s = 0.0 if self.search.request.everything else CONFIRM_SHARE * self.budget_s
        for ask in self._asks():
            if self._left_s() <= reserve_s + confirm_s:
                self.left_out = f"the budget of {self.budget_s:g} s ended the search"
                break
            self._look(ask)
        for ask in self._doubtful_cliffs():
            if self._left_s() <= reserve_s:
                break
            self._look(ask)
        self._measure_finalists()

    def _asks(self) -> Iterator[Ask]:
        if self.search.request.everything:
            yield from (Ask(point, "sweep") for point in self.search.space.points() if not self.strategy.seen(point))
            return
        while (ask := self.strategy.ask()) is not None:
            yield ask

    def _doubtful_cliffs(self) -> Iterator[Ask]:
        """Both sides of the deepest cliffs that rest on a single look."""
        if self.search.request.everything:
            return
        deepest = cliffs(self.search.space, self.strategy.looks.estimates(), self.strategy.looks.noise)
        points: dict[Point, None] = {}
        for cliff in deepest[:MOST_CLIFFS]:
            points |= {one.point: None for one in (cliff.bad, cliff.good) if one.looks < 2}
        yield from (Ask(point, "confirm") for point in points)

    def _left_s(self) -> float:
        return self.budget_s - (time.monotonic() - self.prepared.started)

    # --- looks ----------------------------------------------------------------------------------------------------

    def _look(self, ask: Ask) -> None:
        space, request = self.search.space, self.search.request
        case, implementation = space.case(ask.point), self._implementation(ask.point)
        options = self.prepared.options
        wanted = Try(
            device=self.search.device.device,
            kernel=self.search.kernel.name,
            case=case,
            precision=request.precision,
            implementation=implementation,
            data=options.data,
            cache=options.cache,
            seed=options.seed,
            look_s=request.look_s,
        )
        tried = self._tried(wanted)
        trial = records.Trial(
            number=len(self.journal.file.trials) + 1,
            device=wanted.device,
            kernel=wanted.kernel,
            case=case,
            precision=wanted.precision,
            implementation=implementation,
            stage=ask.stage,
            status=tried.status,
            reason=tried.reason,
            call_s=tried.call_s,
            rate=self._rate(case, tried.call_s),
            spent_s=tried.spent_s,
        )
        self.journal.look(trial)
        self._tell(trial)
        best = None if request.everything else next(iter(self.strategy.looks.estimates()), None)
        self.watcher.looked(trial, best, 1.0 - self._left_s() / self.budget_s)

    def _implementation(self, point: Point) -> str:
        return self.search.space.implementation(point)

    def _tried(self, wanted: Try) -> Tried:
        """The worker's answer; one that dies is replaced, and its look is a failed one."""
        started = time.monotonic()
        status: records.Status
        try:
            reply = self.prepared.worker.ask(wanted, LOOK_TIMEOUT_S)
        except WorkerDied as death:
            status, reason = "crashed", str(death)
        except TimeoutError:
            status, reason = "timeout", f"no result after {LOOK_TIMEOUT_S:g} s"
        except MemoryExceeded as error:
            status, reason = "out_of_memory", str(error)
        else:
            if isinstance(reply, Tried):
                if reply.device_lost:
                    self._new_worker(reply.reason)
                return reply
            reason = reply.message if isinstance(reply, Refused) else f"unexpected answer {type(reply).__name__}"
            return Tried(status="failed", reason=reason, spent_s=time.monotonic() - started)
        spent_s = time.monotonic() - started
        self._new_worker(reason)
        return Tried(status=status, reason=reason, spent_s=spent_s)

    def _new_worker(self, reason: str) -> None:
        self.prepared.worker.kill()
        self.deaths += 1
        if self.deaths > DEAD_LOOKS:
            raise UnavailableError(f"the worker was lost {self.deaths} times; the last time: {reason}")
        self.prepared.worker = new_worker(self.prepared.options)
        described = describe(self.prepared.worker, self.prepared.options)
        for watch in self.prepared.watches.values():
            watch.new_launch(described.canaries)

    def _rate(self, case: dict[str, int | str], call_s: float | None) -> records.Rate | None:
        if not call_s:
            return None
        work = self.search.kernel.work(case, self.search.request.precision)
        return records.Rate(
            operations_per_s=work.operations / call_s if work.operations else None,
            bytes_per_s=work.bytes / call_s if work.bytes else None,
        )

    def _tell(self, trial: records.Trial) -> None:
        point = self.search.space.point(trial.case, trial.implementation)
        if point is not None:
            self.strategy.tell(point, rate_of(trial, self.search.unit))

    # --- finalists ------------------------------------------------------------------------------------------------

    def _measure_finalists(self) -> None:
        """The best points by the ordinary way, each with its share of what is left; one that fails makes room."""
        device = self.search.device.device
        rows = self.journal.file.measurements
        wanted = self.search.request.finalists
        usable = 0
        for estimate in self.strategy.finalists(wanted * 3):
            if usable >= wanted or (usable and self._left_s() <= 0):
                break
            item = self._item(estimate.point)
            held = [row for row in rows if row.case == item.case and row.implementation == item.label]
            if not held:
                # What the finalists after this one will want is kept from it.
                kept_s = FINAL_S * (wanted - usable - 1)
                self.prepared.budget_s = self.budget_s - (kept_s if self._left_s() > kept_s else 0.0)
                # Rows are numbered through the file: those that it holds stand before the new one.
                self.prepared.items = {device: [item] * (len(rows) + 1)}
                measure_more(self.prepared, self.journal, self.watcher)
                held = rows[-1:]
            usable += any(row.status in records.USABLE for row in held)
        self.prepared.budget_s = self.budget_s

    def _item(self, point: Point) -> plan.Item:
        name = self._implementation(point)
        return plan.Item(
            kernel=self.search.kernel.name,
            role=self.search.kernel.role,
            case=self.search.space.case(point),
            precision=self.search.request.precision,
            label=name,
            candidates=(name,),
            unsupported=(),
        )
