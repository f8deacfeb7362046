"""One rank's side of the board: its pulse, its waiting for the others, taking the lead when those before it died."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

import msgspec

from bench import records
from bench.devices.cores import affinity
from bench.errors import UnavailableError
from bench.runner import host
from bench.runner.ranks.board import Board, BoardLost, Done, Hello, Over, Ready, Seat, State, fallen
from bench.runner.ranks.leader import Alive, Fate, Heard, Leader, LeaderThread, process_of
from bench.runner.ranks.place import Place

BEAT_S: Final = 1.0
LOOK_S: Final = 0.1
"""How often a rank looks for the note that it waits for; with more than a hundred ranks as much less often (ours)."""
LOOKING_RANKS: Final = 100
END_GRACE_S: Final = 10.0
"""After SIGTERM, how long the others are waited for: torchrun and Slurm kill 30 s after it."""
GOODBYE_S: Final = 5.0
"""How long the leader stays for those who have not read that the run is over."""

Value = TypeVar("Value")


class Terminated(KeyboardInterrupt):
    """SIGTERM or Ctrl-C: what is measured is kept and handed over."""


class Ending:
    """The first SIGTERM or SIGINT interrupts what is going on, once; later ones, and those at the end, only show."""

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self.may_interrupt = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.asked_at is None:
            self.asked_at = time.monotonic()
        if self.may_interrupt:
            self.may_interrupt = False
            raise Terminated(f"ended by {signal.Signals(number).name}")

    @property
    def overdue(self) -> bool:
        """Whether it is time to go, finished or not."""
        return self.asked_at is not None and time.monotonic() - self.asked_at > END_GRACE_S


class Member:
    """This process among the ranks."""

    def __init__(
        self,
        board: Board,
        place: Place,
        *,
        limit_s: float,
        stagger: bool,
        stuck_s: float,
        anonymize: bool,
        ending: Ending,
        path_of: Callable[[], Path],
    ) -> None:
        """`path_of` says where the run file goes, and is asked in the rank that leads first."""
        self._board = board
        self.place = place
        self._limit_s = limit_s
        self._stagger = stagger
        self._stuck_s = stuck_s
        self.ending = ending
        self._path_of = path_of
        self._pause_s = LOOK_S * max(1.0, place.world / LOOKING_RANKS)
        self._leader = 0
        self._lost: dict[int, Fate] = {}
        self._leader_state = State()
        self._leader_heard = time.monotonic()
        self._node = socket.gethostname()
        self._neighbours: dict[int, Alive] = {}
        """Process id → whether it lives, of the ranks on this node, looked up while they did."""
        self.leading: LeaderThread | None = None
        self._state = State()
        self._silent = threading.Event()
        self._lock = threading.Lock()
        self._beat()
        cpus = sorted(affinity() or ())
        hello = Hello(host=self._node, shown_host=host.name(anonymize), pid=os.getpid(), cpus=cpus)
        board.post("hello", hello, place.rank)
        threading.Thread(target=self._pulse, name="pulse", daemon=True).start()
        if place.rank == 0:
            self._lead()

    # --- what the others are told -----------------------------------------------------------------------------------

    def ready(self, run: records.Run, devices: list[records.Device], rows: int, spent_s: float) -> float:
        """Say that the plan is laid out and wait until all are ready; the wall time that the budget has lost by then.

        That is the time of the slowest, so that the ranks' budgets end together. Staggered it is one's own.
        """
        self._board.post("ready", Ready(run=run, devices=devices, spent_s=spent_s), self.place.rank)
        self._tell(gate=0, rows=rows)
        if self._stagger:
            return spent_s
        return self._until(lambda: self._board.read("go", float, 0))

    def row_started(self, number: int, row: records.Measurement) -> None:
        """Say which row comes next, and wait until all have come to it."""
        self._board.post("in_flight", row, self.place.rank)
        self._tell(gate=number)
        if not self._stagger:
            self._until(lambda: self._board.read("go", float, number))

    def row_done(self, row: records.Measurement) -> None:
        """Hand a finished row over."""
        self._board.post(f"row/{self.place.rank}", row, self._state.posted + 1)
        self._tell(posted=self._state.posted + 1)

    def done(self, done: Done) -> None:
        """Say how this rank ended."""
        self._board.post("done", done, self.place.rank)
        self._tell(done=True)

    # --- what it waits for ------------------------------------------------------------------------------------------

    def seat(self) -> Seat:
        """Wait until everybody has come or is given up, and with `stagger` for one's turn; who is on this node."""
        seat = self._until(lambda: self._board.read("seat", Seat, self.place.rank))
        for hello in self._board.read_all("hello", Hello, sorted(seat.masks)):
            self._alive(hello)
        if self._stagger:
            self._until(lambda: self._board.read("turn", bool, self.place.rank))
        return seat

    def path(self) -> Path:
        """Where the run file goes, by rank 0; by whoever leads where that was lost before it had said so."""

        def said() -> str | None:
            if self.leading is not None and not self._board.has("path"):
                self._board.post("path", str(self._path_of().absolute()))
            return self._board.read("path", str)

        return Path(self._until(said))

    def over(self) -> bool:
        """Wait until the leader has written the run file; False where this rank is the leader, and is to write it.

        Raises BoardLost where it can't be told, and after SIGTERM when the time is up.
        """

        def written() -> bool | None:
            if self.leading is not None:
                return True
            if self.ending.overdue:
                raise BoardLost("no word of the run file")
            return self._board.has("final") or None

        self._until(written)
        return self.leading is None

    def everybody(self) -> Leader:
        """As the leader: wait until every rank has ended; after SIGTERM no longer than the grace."""
        assert self.leading is not None
        while not self.leading.wait(self._pause_s) and not self.ending.overdue:
            pass
        self.leading.stop()
        if self.leading.error is not None:
            raise self.leading.error
        if not self.leading.leader.finished:
            self.leading.leader.give_up("the run was ended, and nothing heard of it any more")
        return self.leading.leader

    def announce(self, here: Leader, exit_code: int) -> None:
        """As the leader: say that the run is over, and stay until all have read it and, where seen, ended.

        The store may be ours; and torchrun sends SIGTERM to whoever is still there when one process fails.
        """
        self._board.post("final", Over(rank=self.place.rank, exit_code=exit_code))
        until = time.monotonic() + GOODBYE_S
        others = [each for rank, each in here.ranks.items() if rank != self.place.rank]
        left = [each for each in others if each.fate and each.fate.status not in ("crashed", "timeout")]
        while left and time.monotonic() < until:
            time.sleep(self._pause_s)
            left = [each for each in left if not self._has_left(each)]

    def goodbye(self) -> None:
        """Stop the pulse and let the store go."""
        self._silent.set()
        self._board.post("goodbye", True, self.place.rank)

    def _has_left(self, each: Heard) -> bool:
        return not each.alive() if each.alive else self._board.has("goodbye", each.rank)

    def _until(self, found: Callable[[], Value | None]) -> Value:
        while (value := found()) is None:
            if self._board.has("lost", self.place.rank):
                reason = self._board.read("lost", str, self.place.rank)
                raise UnavailableError(f"rank {self.place.rank} was given up by the others: {reason}")
            self._watch_leader()
            time.sleep(self._pause_s)
        return value

    # --- pulse and succession ---------------------------------------------------------------------------------------

    def _tell(self, **changes: object) -> None:
        with self._lock:
            self._state = msgspec.structs.replace(self._state, **changes)
        self._beat()

    def _beat(self) -> None:
        with self._lock:
            self._state = msgspec.structs.replace(self._state, beat=self._state.beat + 1)
            self._board.post("state", self._state, self.place.rank)

    def _pulse(self) -> None:
        while not self._silent.wait(BEAT_S):
            try:
                self._beat()
            except BoardLost:
                return

    def _watch_leader(self) -> None:
        """Where the leader is gone the next rank takes its place: this one, or one to be watched in its stead."""
        if self.leading is not None:
            if self.leading.error is not None:
                raise self.leading.error
            return
        state = self._board.read("state", State, self._leader)
        if state is not None and state.beat != self._leader_state.beat:
            self._leader_state, self._leader_heard = state, time.monotonic()
        hello = self._board.read("hello", Hello, self._leader)
        alive = self._alive(hello) if hello is not None else None
        gone = "its process ended without a word: killed?" if alive is not None and not alive() else ""
        if hello is None:
            gone = fallen(self._board).get(self._leader, "")
        if not gone and time.monotonic() - self._leader_heard <= self._limit_s:
            return
        if self._board.has("final"):
            return  # it has done its work and gone
        reason = gone or f"nothing heard of it in {self._limit_s:g} s"
        self._lost[self._leader] = Fate("crashed" if gone else "timeout", reason)
        self._leader += 1
        self._leader_state, self._leader_heard = State(), time.monotonic()
        if self._leader == self.place.rank:
            print(f"bench: rank {self.place.rank} takes over: {reason}", file=sys.stderr, flush=True)
            self._lead()

    def _lead(self) -> None:
        leader = Leader(
            self._board,
            self.place.world,
            limit_s=self._limit_s,
            stagger=self._stagger,
            stuck_s=self._stuck_s,
            lost=self._lost,
            alive=self._alive,
        )
        self.leading = LeaderThread(leader, self._silent.set)

    def _alive(self, hello: Hello) -> Alive | None:
        if hello.host != self._node:
            return None
        if hello.pid not in self._neighbours and (alive := process_of(hello)) is not None:
            self._neighbours[hello.pid] = alive
        return self._neighbours.get(hello.pid)
