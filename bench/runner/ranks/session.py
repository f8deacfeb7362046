"""A run by many ranks, from this process's side: found its place, measured its device, handed its rows over."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench import records
from bench.devices.cores import read_topology
from bench.errors import BenchError, UnavailableError
from bench.runner import plan
from bench.runner.campaign import execute, run_record
from bench.runner.parent import end_with_parent
from bench.runner.protocol import Together
from bench.runner.ranks.board import BoardLost, Done, connect
from bench.runner.ranks.cores import cores_of, crowded, shares
from bench.runner.ranks.leader import STUCK_S
from bench.runner.ranks.member import Ending, Member, Terminated
from bench.runner.ranks.merge import merged, shared_devices, write, written
from bench.runner.ranks.place import Place, torchruns_own
from bench.runner.session import Observer, Options, Prepared, prepare

LIMIT_S: Final = 120.0
"""How long a rank may be late or silent before it is given up: torch comes from a cold network disk in minutes."""
INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Outcome:
    """What a rank leaves. `file` is the run file of all, at `path`, in the one process that wrote it, and else None."""

    path: Path | None
    file: records.RunFile | None
    exit_code: int


def measure(
    options: Options,
    place: Place,
    path_of: Callable[[], Path],
    screen: Observer,
    *,
    stagger: bool = False,
    limit_s: float = LIMIT_S,
) -> Outcome:
    """Measure this rank's device in step with the others; the leader writes the run file of all.

    `path_of` says where, and is asked in the leader alone. A rank's own trouble is a row of that file and exit code 0
    here: torchrun ends all when one process fails. Raises UnavailableError where there is nobody to measure with.
    """
    started = time.monotonic()
    # A rank whose launcher was killed hands over what it has, and is no orphan.
    end_with_parent(signal.SIGTERM)
    if place.parent is not None and os.getppid() != place.parent:
        raise UnavailableError(f"rank {place.rank}: its launcher was gone before it could begin")
    if place.launcher == "torchrun":
        for name in torchruns_own(os.environ):
            del os.environ[name]
    path_of = functools.cache(path_of)  # a run id is new each time
    if place.rank == 0:
        path_of()  # where it refuses, it does so before anybody waits
    board = connect(place, limit_s)
    ending = Ending()  # only now: until here a signal ends the process, and nothing is lost by it
    member = Member(
        board,
        place,
        limit_s=limit_s,
        stagger=stagger,
        stuck_s=STUCK_S + 3 * options.sustain_s,
        anonymize=options.anonymize,
        ending=ending,
        path_of=path_of,
    )
    rank = _Rank(member, options if stagger else replace(options, together=_together(place, limit_s)), screen, stagger)
    try:
        rank.measure()
        return _finish(rank, started)
    except BoardLost as lost:
        return rank.alone(lost)


def _together(place: Place, limit_s: float) -> Together:
    """What a worker is told of the other ranks, with which it measures collectives."""
    return Together(
        rank=place.rank, ranks=place.world, address=place.address, port=place.port, job=place.job, limit_s=limit_s
    )


def _finish(rank: _Rank, started: float) -> Outcome:
    """Hand over, wait for the others; as the leader write the run file of all."""
    member, ending = rank.member, rank.member.ending
    ending.may_interrupt = False
    own_code = INTERRUPTED if ending.asked_at is not None else 0
    if member.over():
        with contextlib.suppress(BoardLost):  # the leader has gone first, and the store with it
            member.goodbye()
        return Outcome(None, None, own_code)
    leader = member.everybody()
    heard = list(leader.ranks.values())
    for sentence in shared_devices(heard):
        rank.screen.message(f"warning: {sentence}")
    path = member.path()
    how = {"launcher": member.place.launcher, "stagger": rank.stagger}
    ended = "ended by a signal" if ending.asked_at is not None else ""
    exit_code = UnavailableError.exit_code
    try:
        file = merged(
            path.stem, heard, leader=member.place.rank, how=how, ended=ended, wall_s=time.monotonic() - started
        )
        there = written(path, file)
        if there is None:
            write(path, file)
        file = there or file
        assert file.end is not None
        exit_code = file.end.exit_code
    finally:
        with contextlib.suppress(BoardLost):  # what is written is written
            member.announce(leader, exit_code)
            member.goodbye()
    return Outcome(path, file, exit_code)


class _Rank:
    """One rank's measurement: its own run file, and what is told of it."""

    def __init__(self, member: Member, options: Options, screen: Observer, stagger: bool) -> None:
        self.member = member
        self.options = options
        self.screen = screen
        self.stagger = stagger
        self._own_path: Path | None = None
        self._own: records.RunFile | None = None

    def measure(self) -> None:
        """Everything up to the end of this rank's plan; how it went is told. Raises BoardLost."""
        try:
            self._own_path = own_path(self.member.path(), self.member.place.rank)
            done = self._measured(self._own_path)
        except Terminated as end:
            done = Done(status="interrupted", reason=str(end))
        except BenchError as error:
            print(f"bench: rank {self.member.place.rank}: {error}", file=sys.stderr, flush=True)
            done = Done(status="failed", reason=str(error))
        self.member.ending.may_interrupt = False
        self.member.done(done)

    def alone(self, lost: BoardLost) -> Outcome:
        """Where the store is gone, this rank's own run file is what is left."""
        where = f"; its rows are in {self._own_path}" if self._own_path and self._own_path.exists() else ""
        number = self.member.place.rank
        print(f"bench: rank {number}: the run's store is gone ({lost}){where}", file=sys.stderr, flush=True)
        if self.member.ending.asked_at is not None:
            return Outcome(None, None, INTERRUPTED)
        rows = self._own.measurements if self._own else []
        return Outcome(None, None, records.exit_code(rows))

    def _measured(self, own_path: Path) -> Done:
        prepared = self._prepared()
        try:
            run = run_record(prepared, own_path)
            observer = _Telling(self.member, self.screen, prepared)
            spent_s = time.monotonic() - prepared.started + self.member.place.spent_s
            spent_s = self.member.ready(run, prepared.devices, prepared.rows, spent_s)
            prepared.started = time.monotonic() - spent_s
            self._own = execute(prepared, own_path, observer)
        finally:
            prepared.worker.kill()
        assert self._own.end is not None
        if observer.lost is not None:
            raise observer.lost
        return Done(status="complete", reason=self._own.end.reason)

    def _prepared(self) -> Prepared:
        """The run laid out on this rank's device, a processor on the cores that are this rank's."""
        member = self.member
        masks = member.seat().masks
        number = member.place.rank
        topology = read_topology()
        share = shares(masks, topology) if masks[number] else {}
        options = replace(
            self.options,
            device=member.place.device or self.options.device,
            rank=number,
            local_rank=member.place.local_rank,
            neighbours=1 if self.stagger else len(masks),
            most_threads=cores_of(share[number], topology) if share and not self.stagger else None,
        )
        if self.stagger and options.budget_s is not None:
            options = replace(options, budget_s=options.budget_s / member.place.world)
        # Among devices given by name one is the processor at most: it keeps the cores that it has when alone.
        found = share if member.place.device is None else {}
        to_pin = bool(found) and sorted(found[number]) != masks[number] and hasattr(os, "sched_setaffinity")
        if crowded(found) and not self.stagger and number == min(masks) and options.device in ("auto", "cpu"):
            self.screen.message(
                f"warning: {len(masks)} ranks share {len(frozenset().union(*found.values()))} CPUs: where the device "
                "is the processor they disturb one another; --stagger measures one after another"
            )
        if to_pin and options.device == "cpu":
            os.sched_setaffinity(0, found[number])
        prepared = prepare(options, self.screen)
        if to_pin and options.device != "cpu" and all(device.kind == "cpu" for device in prepared.devices):
            # Only now it is known that the device is the processor: laid out again, on this rank's own part of it.
            prepared.worker.kill()
            os.sched_setaffinity(0, found[number])
            prepared = prepare(options, self.screen)
        return prepared


class _Telling:
    """Hands each row over as it is finished and waits before each for the others; without a store it just measures."""

    def __init__(self, member: Member, screen: Observer, prepared: Prepared) -> None:
        self._member = member
        self._screen = screen
        self._prepared = prepared
        self.lost: BoardLost | None = None

    def message(self, text: str) -> None:
        self._screen.message(text)

    def started(self, devices: Sequence[records.Device], rows: int) -> None:
        self._screen.started(devices, rows)

    def row_started(self, number: int, item: plan.Item, launch: int) -> None:
        self._screen.row_started(number, item, launch)
        self._tell(lambda: self._member.row_started(number, self._open_row(number, item, launch)))

    def phase(self, phase: str, detail: str) -> None:
        self._screen.phase(phase, detail)

    def row_done(self, row: records.Measurement) -> None:
        self._tell(lambda: self._member.row_done(row))
        self._screen.row_done(row)

    def _tell(self, say: Callable[[], None]) -> None:
        if self.lost is not None:
            return
        try:
            say()
        except BoardLost as lost:
            self.lost = lost

    def _open_row(self, number: int, item: plan.Item, launch: int) -> records.Measurement:
        """The row that comes next, for whoever has to say that this rank was lost at it."""
        options = self._prepared.options
        device = self._device(number, launch)
        return records.Measurement(
            id=f"{number:05d}",
            device=device.device,
            host=device.host,
            rank=device.rank,
            launch=launch,
            kernel=item.kernel,
            case=dict(item.case),
            precision=item.precision,
            accumulate=None,
            implementation=item.label,
            role=item.role,
            mode=options.mode,
            data=options.data,
            cache=options.cache or "not-applicable",
            status="failed",
            reason="not finished",
            scenario=item.scenario,
        )

    def _device(self, number: int, launch: int) -> records.Device:
        """The device of a row: a launch goes through the devices one after the other."""
        place = number - 1 - launch * (self._prepared.rows // self._prepared.launches)
        for device in self._prepared.devices:
            place -= len(self._prepared.items[device.device])
            if place < 0:
                return device
        return self._prepared.devices[-1]


def own_path(path: Path, rank: int) -> Path:
    """Where a rank keeps its own run file: beside that of all or, on a node that can't write there, with what is
    temporary."""
    folder = path.parent / f"{path.stem}.ranks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        folder = Path(tempfile.mkdtemp(prefix=f"{path.stem}.ranks-"))
        print(
            f"bench: rank {rank}: {path.parent} can't be written here: its own run file is in {folder}", file=sys.stderr
        )
    return folder / f"{path.stem}-rank{rank:05d}.jsonl"
