"""The rank that keeps the others in step: opens the barriers, notices who is gone, gathers everybody's rows.

All that it knows is on the board, so that the next rank can take over from one that died.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import psutil

from bench import records
from bench.runner.ranks.board import Board, Done, Hello, Ready, Seat, State, fallen

POLL_S: Final = 0.2
"""How often the leader looks at the board, with a hundred ranks or fewer; with more as much less often (ours)."""
POLLED_RANKS: Final = 100
STUCK_S: Final = 1200.0
"""A rank that lives but gets no further in so long is given up: more than the start of a worker (300 s) and the row
that is waited for longest (three times 180 s) may take together (ours). A sustained row's wall time comes on top."""

Alive = Callable[[], bool]


@dataclass(frozen=True)
class Fate:
    """How a rank ended. `status` is that of the row which says so; None where it ended by itself."""

    status: records.Status | None
    reason: str = ""


@dataclass
class Heard:
    """What the leader has of one rank."""

    rank: int
    hello: Hello | None = None
    ready: Ready | None = None
    rows: list[records.Measurement] = field(default_factory=list)
    in_flight: records.Measurement | None = None
    """The row that a rank was at when it was lost, its status still open."""
    fate: Fate | None = None
    state: State = field(default_factory=State)
    heard: float = 0.0
    moved: float = 0.0
    alive: Alive | None = None
    """Whether its process is there, where that can be seen from here."""

    @property
    def where(self) -> str:
        """ "rank 3 on node7"."""
        return f"rank {self.rank} on {self.hello.shown_host}" if self.hello else f"rank {self.rank}"


class Leader:
    """Looks at the board and acts on it, one `step` after another, until every rank has ended."""

    def __init__(
        self,
        board: Board,
        world: int,
        *,
        limit_s: float,
        stagger: bool = False,
        stuck_s: float = STUCK_S,
        lost: Mapping[int, Fate] | None = None,
        clock: Callable[[], float] = time.monotonic,
        alive: Callable[[Hello], Alive | None] | None = None,
    ) -> None:
        """`lost` are the fates of those that led before; `limit_s` is how long a rank may be silent, or late."""
        self._board = board
        self._limit_s = limit_s
        self._stagger = stagger
        self._stuck_s = stuck_s
        self._clock = clock
        self._alive = alive or process_of
        self._began = clock()
        self._open = False
        self._gate = 0
        self.ranks = {rank: Heard(rank, fate=(lost or {}).get(rank)) for rank in range(world)}

    @property
    def finished(self) -> bool:
        """Whether every rank has ended, one way or another."""
        return all(each.fate for each in self.ranks.values())

    def step(self) -> None:
        """One look at the board. Raises BoardLost where there is none any more."""
        if not self._open:
            self._gather()
        if not self._open:
            return
        self._listen()
        if self._stagger:
            self._give_turn()
        else:
            self._open_gates()

    def give_up(self, reason: str) -> None:
        """End the wait for whoever has not ended."""
        for each in self.ranks.values():
            if each.fate is None:
                self._lose(each, Fate("crashed" if each.hello else "timeout", reason))

    def _active(self) -> list[Heard]:
        return [each for each in self.ranks.values() if each.fate is None]

    def _gather(self) -> None:
        """Wait for everybody, no longer than the limit; then tell each who is on its node."""
        now = self._clock()
        for rank, reason in fallen(self._board).items():
            if self.ranks[rank].fate is None:
                self._lose(self.ranks[rank], Fate("crashed", reason))
        for each in self.ranks.values():
            if each.hello is None and (hello := self._board.read("hello", Hello, each.rank)) is not None:
                each.hello, each.heard, each.moved = hello, now, now
                each.alive = self._alive(hello)
        absent = [each for each in self._active() if each.hello is None]
        opened_before = self._board.has("open")
        if absent and not opened_before and now - self._began <= self._limit_s:
            return
        for each in absent:
            self._lose(each, Fate("timeout", f"never came: nothing heard of it in {self._limit_s:g} s"))
        if not opened_before:
            self._seat()
        self._open = True
        for each in self.ranks.values():
            if each.fate is not None and each.hello is not None:
                self._inherit(each, each.fate)

    def _inherit(self, each: Heard, fate: Fate) -> None:
        """What a leader that died has left on the board; its own word of its end goes before ours."""
        each.fate = None
        (state,) = self._board.read_all("state", State, [each.rank])
        self._hear(each, state)
        if each.fate is None:
            self._lose(each, fate)

    def _seat(self) -> None:
        nodes: dict[str, dict[int, list[int]]] = {}
        for each in self._active():
            if each.hello:
                nodes.setdefault(each.hello.host, {})[each.rank] = each.hello.cpus
        for masks in nodes.values():
            for rank in masks:
                self._board.post("seat", Seat(masks=masks), rank)
        self._board.post("open", True)

    def _listen(self) -> None:
        active = self._active()
        states = self._board.read_all("state", State, [each.rank for each in active])
        for each, state in zip(active, states, strict=True):
            self._hear(each, state)
            if each.fate is None:
                self._suspect(each)

    def _hear(self, each: Heard, state: State) -> None:
        now, before = self._clock(), each.state
        if state.beat != before.beat:
            each.heard = now
        if (state.gate, state.posted) != (before.gate, before.posted) or self._waits(each):
            each.moved = now
        each.state = state
        if each.ready is None and state.gate >= 0:
            each.ready = self._board.read("ready", Ready, each.rank)
        fresh = range(len(each.rows) + 1, state.posted + 1)
        each.rows += self._board.read_all(f"row/{each.rank}", records.Measurement, fresh)
        if state.done:
            done = self._board.read("done", Done, each.rank)
            failed = done is not None and done.status == "failed"
            each.fate = Fate("failed" if failed else None, done.reason if done else "")

    def _waits(self, each: Heard) -> bool:
        """Whether it is others that a rank waits for."""
        if not self._stagger:
            return each.state.gate >= self._gate
        return any(other.fate is None for other in self.ranks.values() if other.rank < each.rank)

    def _suspect(self, each: Heard) -> None:
        now = self._clock()
        if each.alive is not None and not each.alive():
            # It may have said goodbye between our look at its note and at its process.
            (state,) = self._board.read_all("state", State, [each.rank])
            self._hear(each, state)
            if each.fate is None:
                assert each.hello is not None
                self._lose(each, Fate("crashed", f"its process {each.hello.pid} ended without a word: killed?"))
        elif now - each.heard > self._limit_s:
            self._lose(each, Fate("timeout", f"nothing heard of it in {self._limit_s:g} s: dead, hung or cut off"))
        elif now - each.moved > self._stuck_s:
            self._lose(each, Fate("timeout", f"it lives and got no further in {self._stuck_s:g} s"))

    def _lose(self, each: Heard, fate: Fate) -> None:
        each.fate = fate
        each.in_flight = self._board.read("in_flight", records.Measurement, each.rank)
        self._board.post("lost", fate.reason, each.rank)

    def _open_gates(self) -> None:
        """Open each barrier that everybody who has that many rows has come to."""
        while True:
            concerned = [each for each in self._active() if each.ready is None or each.state.rows >= self._gate]
            if not concerned or any(each.state.gate < self._gate for each in concerned):
                return
            spent_s = max(each.ready.spent_s for each in concerned if each.ready)
            self._board.post("go", spent_s, self._gate)
            self._gate += 1

    def _give_turn(self) -> None:
        first = next(iter(self._active()), None)
        if first is not None and not self._board.has("turn", first.rank):
            self._board.post("turn", True, first.rank)


class LeaderThread:
    """A leader that steps beside the measurement of its own rank."""

    def __init__(self, leader: Leader, on_failure: Callable[[], None]) -> None:
        """`on_failure` is called where it can't go on, so that the others stop relying on it."""
        self.leader = leader
        self.error: BaseException | None = None
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, after at most so long: every rank has, or it could not go on."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End it after the step in hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = POLL_S * max(1.0, len(self.leader.ranks) / POLLED_RANKS)
        try:
            while not self.leader.finished and not self._stop.is_set():
                self.leader.step()
                self._stop.wait(pause_s)
        except BaseException as error:  # whatever it was: the run's other half hears of it by `error`
            self.error = error
            self._on_failure()


def process_of(hello: Hello) -> Alive | None:
    """How to see whether a rank's process lives; None where it is on another machine, or not to be seen from here."""
    if hello.host != socket.gethostname():
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(hello.pid)
        # Another container may bear our name, and its processes other numbers.
        if "bench" in " ".join(process.cmdline()):
            return lambda: _lives(process)
    return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
