"""Back to back for a wall time: no flush, no pause, nothing dropped; the rate over time is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.timing.backend import Backend
from bench.timing.measure import garbage_collection_off
from bench.timing.timers import Clock

SLICE_S: Final = 0.1
"""Seconds of calls between two looks at the clock: a synchronise costs microseconds, and ten a second show a fall."""
SLICES_KEPT: Final = 600
"""Slices in a record: a minute at full resolution, longer runs thinned evenly."""


@dataclass(frozen=True)
class Sustained:
    """What a sustained measurement gave. `ends_s` count from its start; all times are seconds."""

    ends_s: list[float]
    per_call_s: list[float]
    calls: int
    wall_s: float


def sustain(
    call: Callable[[], object], backend: Backend, *, wall_s: float, clock: Clock = time.perf_counter_ns
) -> Sustained:
    """Call without pause for `wall_s`, at least one slice; each slice's mean time per call is kept.

    The host enqueues a slice of calls and waits for all of them, so that a device with a queue never starves within a
    slice. What a call raises is passed on.
    """
    with garbage_collection_off():
        calls_per_slice = _calls_per_slice(call, backend, clock)
        ends_s: list[float] = []
        per_call_s: list[float] = []
        start = before = clock()
        while not ends_s or ends_s[-1] < wall_s:
            for _ in range(calls_per_slice):
                call()
            backend.synchronize()
            now = clock()
            per_call_s.append((now - before) * 1e-9 / calls_per_slice)
            ends_s.append((now - start) * 1e-9)
            before = now
    return Sustained(ends_s, per_call_s, calls_per_slice * len(ends_s), ends_s[-1])


def _calls_per_slice(call: Callable[[], object], backend: Backend, clock: Clock) -> int:
    """Calls that take about a slice, by doubling: the estimate of a short call must not be its launch alone."""
    count = 1
    while True:
        backend.synchronize()
        start = clock()
        for _ in range(count):
            call()
        backend.synchronize()
        elapsed_s = max((clock() - start) * 1e-9, 1e-9)
        if elapsed_s >= SLICE_S / 4:
            return max(1, round(count * SLICE_S / elapsed_s))
        count *= 2
