"""The timers: each takes samples of seconds per call in its own way, and one function picks by the call's length.

Constants are those of docs/method.md, "Timers". When to stop is `bench.stats.stopping`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from statistics import median
from typing import Final, Literal, Protocol, TypeAlias

from bench.timing.backend import Backend, Event

TimerName: TypeAlias = Literal["event", "event-busy", "graph", "host"]
Clock: TypeAlias = Callable[[], int]
"""Nanoseconds, as time.perf_counter_ns."""
Call: TypeAlias = Callable[[], object]

LONG_CALL_S: Final = 1e-3
"""From here on a device-event pair needs no help (method, section 2)."""
SHORT_CALL_S: Final = 50e-6
"""Below it a launch and an event pair are no longer small beside the call: calls are put into a graph."""
TIMER_OVERHEAD: Final = 1e-4  # of a block; torch.utils.benchmark
BLOCK_GROWTH: Final = 10  # torch.utils.benchmark
MAXIMUM_BLOCK: Final = 10**7
GRAPH_S: Final = 5e-3
"""Ours: a graph lasts about this long, so that an event's few microseconds are under a thousandth of it."""
GRAPH_CALLS_OF_ZERO: Final = 1000
"""Calls in a graph where the estimate is zero (triton.testing)."""
MAXIMUM_GRAPH_CALLS: Final = 10_000
BEHIND_SHARE: Final = 0.1
"""Ours: where the device has waited for the host in more than this share of the samples, the timer is not trusted."""
HEAD_START: Final = 2.0
"""Ours: how long the stream is kept asleep, in times of what the host takes to enqueue one sample."""


class Timer(Protocol):
    """Takes samples. One sample is the mean over `calls_per_sample` calls that are timed together."""

    @property
    def name(self) -> TimerName: ...

    @property
    def calls_per_sample(self) -> int: ...

    def sample(self, count: int) -> list[float]:
        """Take `count` samples: seconds per call."""
        ...

    def warnings(self) -> list[str]:
        """What a reader of the samples should know."""
        ...


class HostTimer:
    """Synchronise and read the host's clock around a block of calls; for devices without events."""

    name: Final = "host"

    def __init__(
        self,
        calls: Sequence[Call],
        backend: Backend,
        call_s: float,
        clock: Clock,
        flush: Call | None = None,
        left_s: float = 1.0,
    ) -> None:
        """`call_s` is the estimate of one call, `left_s` the seconds that finding the block may take at most."""
        self._rotation = cycle(calls)
        self._backend = backend
        self._clock = clock
        self._flush = flush
        self.calls_per_sample = 1
        if call_s < LONG_CALL_S and flush is None:
            self.calls_per_sample = self._grow(left_s)

    def sample(self, count: int) -> list[float]:
        return [self._block(self.calls_per_sample) / self.calls_per_sample for _ in range(count)]

    def warnings(self) -> list[str]:
        if self._flush is None:
            return []
        return ["flushed calls timed one by one by the host's clock: times include the launch and the synchronise"]

    def _block(self, size: int) -> float:
        """Seconds of `size` calls, one after another through the rotation."""
        if self._flush:
            self._flush()
        block = islice(self._rotation, size)
        self._backend.synchronize()
        start = self._clock()
        for call in block:
            call()
        self._backend.synchronize()
        return (self._clock() - start) * 1e-9

    def _grow(self, left_s: float) -> int:
        """The smallest power of ten of calls beside which the timer itself is at most 1e-4."""
        overhead = median(self._block(0) for _ in range(5))
        size, spent = 1, 0.0
        while True:
            block_s = self._block(size)
            spent += block_s
            if overhead <= TIMER_OVERHEAD * block_s or size >= MAXIMUM_BLOCK or spent + BLOCK_GROWTH * block_s > left_s:
                return size
            size *= BLOCK_GROWTH


class EventTimer:
    """A device-event pair around each call, one synchronise at the end of the batch.

    `prepare` is enqueued before each call: the flush, or a sleep that lets the host run ahead. With `busy` a sample
    counts as behind when the device had come to its start before the host had enqueued its end: it then waited for the
    host, and that wait is in the sample.
    """

    calls_per_sample: Final = 1

    def __init__(
        self, calls: Sequence[Call], backend: Backend, prepare: Call | None = None, busy: bool = False
    ) -> None:
        self._rotation = cycle(calls)
        self._backend = backend
        self._prepare = prepare
        self._busy = busy
        self.name: TimerName = "event-busy" if busy else "event"
        self._pairs: list[tuple[Event, Event]] = []
        self._taken = 0
        self._behind = 0

    @property
    def behind_share(self) -> float:
        """Share of the samples in which the device waited for the host."""
        return self._behind / self._taken if self._taken else 0.0

    def sample(self, count: int) -> list[float]:
        while len(self._pairs) < count:
            self._pairs.append((self._backend.event(), self._backend.event()))
        for start, end in self._pairs[:count]:
            call = next(self._rotation)
            if self._prepare:
                self._prepare()
            start.record()
            call()
            end.record()
            if self._busy:
                self._taken += 1
                self._behind += bool(start.query())
        self._backend.synchronize()
        return [self._backend.elapsed_s(start, end) for start, end in self._pairs[:count]]

    def warnings(self) -> list[str]:
        if self.behind_share <= BEHIND_SHARE:
            return []
        return [f"the device waited for the host in {self.behind_share:.0%} of the samples: times include launch gaps"]


class GraphTimer:
    """An event pair around the replay of a graph that holds k calls over the rotated inputs; a sample is time / k."""

    name: Final = "graph"

    def __init__(self, calls: Sequence[Call], backend: Backend, call_s: float) -> None:
        """Captures the graph; raises what the capture raises where the call can't be captured."""
        self.calls_per_sample = graph_calls(call_s, len(calls))
        self._backend = backend
        rounds = self.calls_per_sample // len(calls)

        def run() -> None:
            for _ in range(rounds):
                for call in calls:
                    call()

        self._replay = backend.capture(run)
        self._timer = EventTimer([self._replay], backend)
        self._replay()  # the first replay uploads the graph
        backend.synchronize()

    def sample(self, count: int) -> list[float]:
        return [seconds / self.calls_per_sample for seconds in self._timer.sample(count)]

    def warnings(self) -> list[str]:
        return []


def graph_calls(call_s: float, copies: int) -> int:
    """Calls in one graph: enough for `GRAPH_S`, at least one turn through the copies, and whole turns only.

    A graph shorter than the rotation measures a warm cache (a known error of 36 %).
    """
    wanted = GRAPH_CALLS_OF_ZERO if call_s <= 0.0 else int(min(MAXIMUM_GRAPH_CALLS, GRAPH_S / call_s)) + 1
    return copies * max(1, -(-wanted // copies))
