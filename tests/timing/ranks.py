"""Ranks as threads: what they exchange, a clock each, and operations over their tensors. A wait that lasts too long
is a failure at all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

PATIENCE_S = 60.0
"""How long a thread waits for the others: far longer than any needs on a busy machine."""

Value = TypeVar("Value")


class Room:
    """Where the ranks meet."""

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks
        self.barrier = threading.Barrier(ranks, timeout=PATIENCE_S)
        self.slots: list[Any] = [None] * ranks

    def swap(self, rank: int, value: Value) -> list[Value]:
        """Every rank's value."""
        self.slots[rank] = value
        self.barrier.wait()
        found = list(self.slots)
        self.barrier.wait()
        return found


class Rank:
    """One of them, as a `bench.timing.Group` and a `bench.timing.Backend` with a clock of its own."""

    torch_device = "cpu"
    has_events = supports_graphs = can_sleep = False

    def __init__(self, room: Room, rank: int) -> None:
        self.room = room
        self.rank = rank
        self.ranks = room.ranks
        self.now_s = 100.0 * rank
        """Their clocks began at different times."""
        self.calls = 0

    def clock(self) -> int:
        return round(self.now_s * 1e9)

    def exchange(self, values: Sequence[float]) -> list[list[float]]:
        began_s = 100.0 * self.rank
        every = self.room.swap(self.rank, (self.now_s - began_s, [float(value) for value in values]))
        # Whoever comes first waits for the last.
        self.now_s = began_s + max(elapsed_s for elapsed_s, _ in every) + 1e-5
        return [found for _, found in every]

    def exchange_words(self, words: str) -> list[str]:
        return self.room.swap(self.rank, words)

    def call(self, seconds: Callable[[], float]) -> Callable[[], None]:
        """A call that takes so long here."""

        def run() -> None:
            self.calls += 1
            self.now_s += seconds()

        return run

    def total(self, x: torch.Tensor) -> None:
        """All-reduce in place."""
        every = self.room.swap(self.rank, x.clone())
        x.copy_(torch.stack(every).sum(0))

    def synchronize(self) -> None:
        """Nothing is queued."""

    def memory_free_bytes(self) -> int | None:
        return None

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)


def at_once(ranks: int, work: Callable[[Rank], Value]) -> list[tuple[Rank, Value]]:
    """What each rank's thread gives; an exception of one is raised, and frees the others."""
    room = Room(ranks)

    def one(rank: Rank) -> tuple[Rank, Value]:
        try:
            return rank, work(rank)
        except BaseException:
            room.barrier.abort()
            raise

    with ThreadPoolExecutor(ranks) as pool:
        started = [pool.submit(one, Rank(room, rank)) for rank in range(ranks)]
        failures = [error for future in started if (error := future.exception()) is not None]
        for error in failures:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        return [future.result() for future in started]
