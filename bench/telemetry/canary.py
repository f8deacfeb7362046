"""A few milliseconds of known work before and after a case on a CPU: is the clock slow, or are the units shared?

A chain of dependent instructions gives the clock, whatever a neighbour does; a burst of multiply-adds gives what is
left of the units. Runs in the worker, never while something is timed.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.devices.clock import Chain, chain_for
from bench.devices.cpuinfo import parse_cpuinfo
from bench.devices.files import read_text
from bench.devices.host import normalized_machine
from bench.devices.machine_code import ExecutablePage
from bench.telemetry.burst import Burst, burst_for

_BURST_S: Final = 0.001
"""Long against a call through ctypes (1 µs), short against a time slice (some ms)."""
_CLOCK_BURSTS, _CLOCK_BURST_S = 12, 0.0004
"""Many and short: one that runs undisturbed is enough, and timing it costs a four-hundredth."""
_FMA_BURSTS: Final = 7
_TOGETHER_BURSTS: Final = 8
"""Of each thread, one after the other: threads start up to milliseconds apart where a virtual CPU has to be woken."""
_WARM_UP_S: Final = 0.02
"""Once, when the canary is made: wide units and clocks need some ms to come up."""


@dataclass(frozen=True)
class Canary:
    """What one core and all threads together could do at one moment. None: not measured, `why` says why."""

    time_s: float
    """time.monotonic() at its beginning."""
    seconds: float
    threads: int
    unit: str = ""
    """What the burst ran on: "AVX2 FMA"."""
    clock_hz: float | None = None
    """The fastest burst of the chain: interrupts only ever slow one."""
    fma_flops_one: float | None = None
    """FP32 operations per second of one thread alone: the median burst, so that one interrupt does not count."""
    fma_flops_all: float | None = None
    """… of all threads at once, added up: each by its median burst."""
    clock_hz_all: float | None = None
    """The mean clock over all threads at once: a thread that waits for its CPU lowers it, shared units do not."""
    involuntary_switches: int | None = None
    """How often threads of this process had been taken off their CPUs until then: two canaries' difference counts."""
    why: str = ""

    @property
    def siblings_ratio(self) -> float | None:
        """All threads over one: as many as there are cores. Two threads: 2 separate cores, 1 siblings on one core.

        Siblings only if `clock_hz_all` is as high as `clock_hz`; else a thread was kept waiting.
        """
        if not self.fma_flops_one or self.fma_flops_all is None:
            return None
        return self.fma_flops_all / self.fma_flops_one

    @property
    def flops_per_cycle(self) -> float | None:
        """Of one thread: what is missing to the core's rated number went to a neighbour on the same core."""
        return self.fma_flops_one / self.clock_hz if self.fma_flops_one and self.clock_hz else None

    def to_record(self) -> dict[str, Any]:
        """For the run file: what is not known is absent."""
        values = {**asdict(self), "siblings_ratio": self.siblings_ratio, "flops_per_cycle": self.flops_per_cycle}
        return {key: value for key, value in values.items() if value is not None and value != ""}


class Probe:
    """The canary's machine code, made and sized once; `measure` takes 30 to 60 ms each time."""

    def __init__(self, threads: int, isa: Collection[str] | None = None) -> None:
        """`threads` as the kernels have them; `isa` a CPU's flags, read from /proc/cpuinfo where not given."""
        identity = parse_cpuinfo(read_text(Path("/proc/cpuinfo")) or "")
        machine = normalized_machine()
        self.threads = max(1, threads)
        self._why: list[str] = []
        self._chain = _ready(chain_for(machine, sys.platform, identity.details), self._why)
        self._burst = _ready(burst_for(machine, sys.platform, identity.isa if isa is None else isa), self._why)

    def measure(self) -> Canary:
        """The clock, of one thread and of all, then the units, of one and of all; each takes 5 to 20 ms."""
        start_s = time.monotonic()
        clock_hz = clock_all_hz = one = together = None
        if self._chain is not None:
            clock_hz = max(self._chain.rate(_CLOCK_BURST_S) for _ in range(_CLOCK_BURSTS))
            clock_all_hz = _together(self._chain, self.threads, _CLOCK_BURST_S) / self.threads
        if self._burst is not None:
            one = statistics.median(self._burst.rate() for _ in range(_FMA_BURSTS))
            together = one if self.threads == 1 else _together(self._burst, self.threads, _BURST_S)
        return Canary(
            time_s=start_s,
            seconds=time.monotonic() - start_s,
            threads=self.threads,
            unit="" if self._burst is None else self._burst.unit,
            clock_hz=clock_hz,
            clock_hz_all=clock_all_hz,
            fma_flops_one=one,
            fma_flops_all=together,
            involuntary_switches=own_involuntary_switches(),
            why="; ".join(self._why),
        )


def own_involuntary_switches() -> int | None:
    """How often a thread of this process was taken off its CPU, since it began (getrusage(2)); None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


class _Loop:
    """Machine code whose every turn is worth a known amount (cycles or operations), and how many turns fill a burst."""

    def __init__(self, code: bytes, worth_per_turn: int, unit: str) -> None:
        self.unit = unit
        self._page = ExecutablePage(code)
        self._worth = worth_per_turn
        self._turns = 1
        self._size()

    def rate(self, seconds: float = _BURST_S) -> float:
        """Worth per second over one burst of about `seconds`."""
        turns = max(1, int(self._turns * seconds / _BURST_S))
        return turns * self._worth / self._timed(turns)

    def _size(self) -> None:
        deadline = time.perf_counter() + _WARM_UP_S
        while (spent := self._timed(self._turns)) < _BURST_S / 2:
            self._turns *= 2
        while time.perf_counter() < deadline:
            spent = min(spent, self._timed(self._turns))
        self._turns = max(1, round(self._turns * _BURST_S / spent))

    def _timed(self, turns: int) -> float:
        start = time.perf_counter_ns()
        self._page.call(turns)
        return (time.perf_counter_ns() - start) * 1e-9


def _ready(found: Chain | Burst | str, why: list[str]) -> _Loop | None:
    if isinstance(found, str):
        why.append(found)
        return None
    try:
        if isinstance(found, Chain):
            return _Loop(found.code, found.cycles_per_turn, found.source)
        return _Loop(found.code, found.operations_per_turn, found.unit)
    except (OSError, ValueError, AttributeError) as error:
        why.append(f"machine code can't be run here: {error}")
        return None


def _together(loop: _Loop, threads: int, seconds: float) -> float:
    """The sum of the rates of `threads` threads that run at once (ctypes releases the interpreter's lock).

    Of each thread the median burst, so that an interrupt on one core does not pass for a neighbour.
    """
    sung: list[list[tuple[float, float, float]]] = [[] for _ in range(threads)]
    barrier = threading.Barrier(threads)
    pins = _pins(threads)

    def sing(index: int) -> None:
        if pins:
            # Threads that wake together may be put on one CPU for a moment, and would pass for siblings.
            os.sched_setaffinity(0, {pins[index]})
        barrier.wait()
        for _ in range(_TOGETHER_BURSTS):
            start_s = time.perf_counter()
            rate = loop.rate(seconds)
            sung[index].append((start_s, time.perf_counter(), rate))

    choir = [threading.Thread(target=_quietly(sing, index, barrier)) for index in range(threads)]
    for thread in choir:
        thread.start()
    for thread in choir:
        thread.join()
    return together_rate(sung)


def together_rate(sung: Sequence[Sequence[tuple[float, float, float]]]) -> float:
    """The sum over threads of the median of (start, end, rate) bursts that ran while every thread did.

    A thread none of whose bursts did is judged by all of them; one that has none adds nothing.
    """
    at_work = [bursts for bursts in sung if bursts]
    if not at_work:
        return 0.0
    begin, end = max(bursts[0][0] for bursts in at_work), min(bursts[-1][1] for bursts in at_work)
    total = 0.0
    for bursts in at_work:
        shared = [rate for start_s, end_s, rate in bursts if start_s >= begin and end_s <= end]
        total += statistics.median(shared or [rate for _, _, rate in bursts])
    return total


def _quietly(sing: Callable[[int], None], index: int, barrier: threading.Barrier) -> Callable[[], None]:
    """A thread that fails (a CPU taken away meanwhile) must free the others, and counts nothing."""

    def call() -> None:
        try:
            sing(index)
        except (OSError, threading.BrokenBarrierError):
            barrier.abort()

    return call


def _pins(threads: int) -> list[int]:
    """A CPU a thread where there are exactly as many; with fewer threads any choice could be a pair of siblings."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    allowed = sorted(os.sched_getaffinity(0))
    return allowed if len(allowed) == threads else []
