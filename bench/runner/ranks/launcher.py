"""Starts the ranks of a run on this machine, one process each, and stays until all have ended: torchrun's part here.

The store in which the ranks meet is in this process, so it outlives whichever of them is lost.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from bench.errors import UnavailableError
from bench.runner.ranks.board import Board, Ended, Over, open_store
from bench.runner.ranks.place import Place, variables

LOOPBACK: Final = "127.0.0.1"
POLL_S: Final = 0.25
"""How often the launcher looks whether its ranks are there (ours): it runs beside what they measure."""
KILL_AFTER_S: Final = 30.0
"""How long a rank may stay after a signal, or after the run file is written: torchrun's own figure, and more than a
rank itself stays then (`member`: 10 s for the others and 5 s for their goodbye)."""


def launch(devices: Sequence[str | None], words: Sequence[str], *, spent_s: float = 0.0) -> int:
    """`python -m bench WORDS…` in one process a rank; the run's exit code, when the last of them has ended.

    A rank measures its device of `devices` or, where that is None, the one of its number, as under torchrun. `spent_s`
    is wall time that the run's budget has lost already. The ranks write to this process's stdout and stderr. Ctrl-C and
    SIGTERM end them, and where this process is killed they end by themselves. Raises UnavailableError without a store,
    and KeyboardInterrupt where the run was ended before there was anything to write.
    """
    job = secrets.token_hex(8)
    with socket.socket() as listening:
        try:
            listening.bind((LOOPBACK, 0))
            listening.listen(len(devices) + 1)  # a rank that comes before the store is open waits in the queue
        except OSError as error:
            raise UnavailableError(f"--ranks: cannot listen at {LOOPBACK}: {error.strerror or error}") from None
        port = listening.getsockname()[1]
        with _started() as ranks:
            for number, device in enumerate(devices):
                ranks.start(words, _place(number, len(devices), port, job, device, spent_s))
            board = open_store(listening, job)
            ranks.wait(board)
    over = ranks.over(board)
    if over is not None:
        return over.exit_code
    if ranks.asked:
        raise KeyboardInterrupt
    codes = ranks.exit_codes()
    if any(code < 0 for code in codes):
        path = board.read("path", str)
        where = f"; each one's rows are beside {path}" if path else ""
        print(f"bench: no rank was left to write the run file{where}", file=sys.stderr)
    return next((code for code in codes if code > 0), UnavailableError.exit_code)


def _place(number: int, world: int, port: int, job: str, device: str | None, spent_s: float) -> Place:
    return Place(
        rank=number,
        world=world,
        local_rank=number,
        address=LOOPBACK,
        port=port,
        agent_store=True,
        launcher="bench",
        job=job,
        device=device,
        parent=os.getpid(),
        spent_s=round(spent_s),
    )


class _Ranks:
    """The ranks' processes, and how long they may stay."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over: Over | None = None
        self._kill_at = math.inf
        self.asked = False
        """Whether a signal came that ends the run."""

    def start(self, words: Sequence[str], place: Place) -> None:
        """One more rank; none once the run is to end."""
        if self.asked:
            return
        command = [sys.executable, "-m", "bench", *words]
        environment = {**os.environ, **variables(place)}
        self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment))
        if self.asked:  # while it was started
            self._processes[-1].terminate()

    def hand_on(self, number: int, frame: FrameType | None) -> None:
        """A signal handler. Always SIGTERM: Ctrl-C in a terminal reaches the ranks by itself too, and a second one
        would be an error where a rank has only begun to start."""
        self.asked = True
        self._end_within_limit()
        for each in self._processes:
            each.terminate()

    def wait(self, board: Board) -> None:
        """Until every rank has ended, which the others are told of each; those that stay too long are killed."""
        told = 0
        while alive := [each for each in self._processes if each.poll() is None]:
            ended = {rank: each.returncode for rank, each in enumerate(self._processes) if each.returncode is not None}
            if len(ended) > told:
                board.post("ended", Ended(exit_codes=ended))
                told = len(ended)
            if len(alive) < len(self._processes) and self.over(board) is not None:
                self._end_within_limit()
            if time.monotonic() > self._kill_at:
                self._kill(alive)
            time.sleep(POLL_S)

    def over(self, board: Board) -> Over | None:
        """What the leader said when the run file was written; None where it has not."""
        if self._over is None:
            self._over = board.read("final", Over)
        return self._over

    def exit_codes(self) -> list[int]:
        """Of the ranks in order; that of a signal is negative."""
        return [each.wait() for each in self._processes]

    def end(self) -> None:
        """Kill whoever is still there."""
        for each in self._processes:
            each.kill()
            each.wait()

    def _end_within_limit(self) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + KILL_AFTER_S)

    def _kill(self, alive: Sequence[subprocess.Popen[bytes]]) -> None:
        # Who wrote the run file may still be sending it to a store far away.
        writer = None if self._over is None or self.asked else self._processes[self._over.rank]
        for each in alive:
            if each is not writer:
                each.kill()


@contextmanager
def _started() -> Iterator[_Ranks]:
    """A place for ranks: signals go to them, and none is left when it closes."""
    ranks = _Ranks()
    before = {number: signal.signal(number, ranks.hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ranks
    finally:
        ranks.end()
        for number, handler in before.items():
            signal.signal(number, handler)
