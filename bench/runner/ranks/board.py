"""What ranks write for one another to read: typed notes under keys of a torch store, no call of which blocks for long.

A note of a rank is under NAME/RANK. What it is for is said where it is used, in `member` and `leader`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar

import msgspec

from bench import records
from bench.errors import UnavailableError
from bench.runner.ranks.place import Place

STORE_TIMEOUT_S: Final = 30.0
"""Longest that one call of the store may take before the store counts as gone."""

CPP_LOG_LEVEL: Final = "TORCH_CPP_LOG_LEVEL"
"""Read by torch when it is loaded."""

Note = TypeVar("Note")


class BoardLost(Exception):
    """The store does not answer: whoever held it is gone."""


class Hello(msgspec.Struct, kw_only=True):
    """I am here; note `hello`."""

    host: str
    shown_host: str
    """As the run file may name it."""
    pid: int
    cpus: list[int]


class Seat(msgspec.Struct, kw_only=True):
    """Who else is on a rank's node, by the leader, before it starts; note `seat`."""

    masks: dict[int, list[int]]
    """Rank → the logical CPUs that it may run on: of each rank on the node, itself included."""


class Ready(msgspec.Struct, kw_only=True):
    """The head of a rank's run file: its plan is laid out; note `ready`."""

    run: records.Run
    devices: list[records.Device]
    spent_s: float
    """Wall time since its preparation began: of the run's budget."""


class Done(msgspec.Struct, kw_only=True):
    """How a rank ended; note `done`."""

    status: Literal["complete", "interrupted", "failed"]
    """As of the `end` line of its run file."""
    reason: str = ""


class Over(msgspec.Struct, kw_only=True):
    """The run file of all is written, or can't be, and nobody needs to stay; by the leader, note `final`."""

    rank: int
    exit_code: int
    """Of the whole run."""


class Ended(msgspec.Struct, kw_only=True):
    """The ranks whose processes have ended, by a launcher of ours, whose children they are; note `ended`."""

    exit_codes: dict[int, int]
    """Rank → its process's exit code; that of a signal is negative."""


class State(msgspec.Struct, kw_only=True, array_like=True):
    """A rank's pulse, renewed every second; note `state`."""

    beat: int = 0
    gate: int = -1
    """The last barrier that it has come to: 0 when it is ready, n before its row n."""
    rows: int = 0
    """Rows of its plan; 0 before it is ready."""
    posted: int = 0
    """Rows that it has posted, as `row/RANK/1` …"""
    done: bool = False


class Board:
    """The notes of one run, over any torch store; every failure of the store is a BoardLost."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def post(self, name: str, note: Any, rank: int | None = None) -> None:
        """Write a note, over an older one of that name."""
        data = zlib.compress(msgspec.json.encode(note), 1)
        with _lost():
            self._store.set(_key(name, rank), data)

    def read(self, name: str, kind: type[Note], rank: int | None = None) -> Note | None:
        """A note, or None where there is none yet."""
        key = _key(name, rank)
        with _lost():
            data = self._store.get(key) if self._store.check([key]) else None
        return None if data is None else _decoded(data, kind)

    def has(self, name: str, rank: int | None = None) -> bool:
        """Whether there is such a note."""
        with _lost():
            return bool(self._store.check([_key(name, rank)]))

    def read_all(self, name: str, kind: type[Note], ranks: Sequence[int]) -> list[Note]:
        """The notes of that name of several ranks, all of which are known to be there."""
        if not ranks:
            return []
        with _lost():
            found = self._store.multi_get([_key(name, rank) for rank in ranks])
        return [_decoded(data, kind) for data in found]


def fallen(board: Board) -> dict[int, str]:
    """Rank → how its process ended, of those that our launcher knows to have ended and that never said hello."""
    ended = board.read("ended", Ended)
    if ended is None:
        return {}
    # Only now it is asked who said hello: whoever ended before that look had said it by then, or never will.
    return {
        rank: f"its process ended before it said a word: {_how(code)}"
        for rank, code in ended.exit_codes.items()
        if not board.has("hello", rank)
    }


def connect(place: Place, patience_s: float) -> Board:
    """The board of this run; waits that long for whoever opens the store. UnavailableError where it can't be had."""
    distributed = _distributed(f"rank {place.rank}")
    opens = place.rank == 0 and not place.agent_store
    try:
        store = distributed.TCPStore(
            place.address,
            place.port,
            is_master=opens,
            timeout=timedelta(seconds=patience_s),
            wait_for_workers=False,
        )
    except RuntimeError as error:
        what = "open" if opens else "reach"
        words = str(error).strip().splitlines()[0][:200]
        raise UnavailableError(
            f"rank {place.rank}: cannot {what} the store of the run at {place.address}:{place.port}: {words}"
        ) from None
    store.set_timeout(timedelta(seconds=STORE_TIMEOUT_S))
    return _board(distributed, store, place.job)


def visit(address: str, port: int, job: str) -> Board:
    """The board of a run whose store is open, for a worker of one of its ranks. Raises BoardLost where it is gone."""
    distributed = _distributed(job)
    timeout = timedelta(seconds=STORE_TIMEOUT_S)
    with _lost():
        store = distributed.TCPStore(address, port, is_master=False, timeout=timeout, wait_for_workers=False)
    return _board(distributed, store, job)


def open_store(listening: socket.socket, job: str) -> Board:
    """A store in this process, at a socket that listens already and is the store's from now on; its board of a run.

    Raises UnavailableError where this torch has no store.
    """
    distributed = _distributed("--ranks")
    address, port = listening.getsockname()
    store = distributed.TCPStore(
        address,
        port,
        is_master=True,
        timeout=timedelta(seconds=STORE_TIMEOUT_S),
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )
    return _board(distributed, store, job)


def _board(distributed: Any, store: Any, job: str) -> Board:
    return Board(distributed.PrefixStore(f"bench/{job}", store))


def _distributed(who: str) -> Any:
    """torch.distributed, of which a torch may be built without."""
    with _quiet_store():
        from torch import distributed

    if not distributed.is_available():
        raise UnavailableError(f"{who}: this torch is built without torch.distributed")
    return distributed


@contextlib.contextmanager
def _quiet_store() -> Iterator[None]:
    """Import torch so that its store says what is wrong by its exceptions alone, not by pages of C++ frames too."""
    ours = CPP_LOG_LEVEL not in os.environ
    os.environ.setdefault(CPP_LOG_LEVEL, "ERROR")
    try:
        yield
    finally:
        if ours:  # the workers have the environment that the user gave them
            os.environ.pop(CPP_LOG_LEVEL, None)


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch's DistError and all below it
        raise BoardLost(str(error).strip().split("\n")[0][:200]) from error


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    with contextlib.suppress(ValueError):  # a real-time signal has no name
        return signal.Signals(-exit_code).name
    return f"signal {-exit_code}"


def _key(name: str, rank: int | None) -> str:
    return name if rank is None else f"{name}/{rank}"


def _decoded(data: bytes, kind: type[Note]) -> Note:
    return msgspec.json.decode(zlib.decompress(data), type=kind)
