"""The plain loop that several benchmarks time, two sides in turn, and the ratio of what they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.devices import Backend
from bench.kernel import Call
from bench.stats.intervals import median_interval
from bench.stats.robust import median


def seconds_per_call(device: Backend, call: Call, calls: int) -> float:
    """Seconds per call of so many calls in a row, with nothing of the harness between them."""
    device.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    device.synchronize()
    return (time.perf_counter() - start) / calls


def alternate(pairs: int, first: Callable[[], float], second: Callable[[], float]) -> list[tuple[float, float]]:
    """(first, second) of each pair, in the order first second, second first, …; one pair before them warms both up."""
    first(), second()
    measured = []
    for pair in range(pairs):
        if pair % 2:
            b = second()
            a = first()
        else:
            a = first()
            b = second()
        measured.append((a, b))
    return measured


def ratio_of(pairs: Sequence[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """The median of first / second and its 95 % interval (order statistics). ValueError for fewer than 6 pairs."""
    ratios = [first / second for first, second in pairs]
    interval = median_interval(ratios)
    if interval is None:
        raise ValueError(f"{len(ratios)} pairs are too few for an interval of their median")
    return median(ratios), interval
