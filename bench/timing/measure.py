"""One measurement of a callable: estimate, warm-up, samples until a rule stops it. docs/method.md says why so."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from bench.records import Time
from bench.stats.intervals import summary, thin
from bench.stats.robust import median
from bench.stats.stopping import Rules, State, StopReason, decide
from bench.timing.backend import Backend
from bench.timing.cache import CachePlan, CacheState, flusher
from bench.timing.timers import (
    BEHIND_SHARE,
    HEAD_START,
    LONG_CALL_S,
    SHORT_CALL_S,
    Call,
    Clock,
    EventTimer,
    GraphTimer,
    HostTimer,
    Timer,
    TimerName,
)

ESTIMATE_CALLS: Final = 5  # triton.testing
ESTIMATE_SHARE: Final = 0.1
"""Ours: share of the budget beyond which the estimate is the first call's own time."""
WARMUP_CALLS: Final = 3
WARMUP_S: Final = 0.025  # triton.testing
WARMUP_SHARE: Final = 0.3
"""Ours: share of the budget at which warm-up ends, done or not."""
BLOCK_SHARE: Final = 0.25
"""Ours: share of what is left of the budget that finding the host timer's block may take."""
PROBE_SAMPLES: Final = 10
"""Ours: samples of the event-busy timer that show whether the host keeps ahead."""
BATCH_S: Final = 0.02
"""Ours: event samples are read together after about this long, so that the device rarely waits for a synchronise."""
BATCH_SAMPLES: Final = 64
"""Ours: at most, so that the driver's launch queue (1,024 entries on CUDA) never fills and blocks the host."""


@dataclass(frozen=True)
class Timing:
    """What one measurement gave. Times are seconds."""

    samples_s: list[float]
    """Seconds per call, in the order taken."""
    calls_per_sample: int
    timer: TimerName
    stop: StopReason
    cache: CacheState
    reached_target: bool
    """Whether the median is known as well as the rules ask; if not, the row is noisy."""
    noise_reason: str
    """One sentence on how well it is known and why sampling ended; "" where the target was reached."""
    warmup_s: float
    """The first call, the estimate and the warm-up."""
    timed_s: float
    """Inside timed calls."""
    overhead_s: float
    """The rest: flushes, synchronising, graph capture, bookkeeping."""
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of_slices(cls, per_call_s: Sequence[float], calls: int, wall_s: float, *, warmup_s: float) -> Timing:
        """The timing of calls made back to back in slices of equal length (`bench.timing.sustained`)."""
        state = State(wall_s, Rules())
        for sample_s in per_call_s:
            state.add(sample_s, sample_s * calls / len(per_call_s))
        state.elapsed_s = wall_s
        return cls(
            samples_s=state.samples,
            calls_per_sample=calls // len(per_call_s),
            timer="host",
            stop="budget",
            cache="warm",
            reached_target=state.reached_target,
            noise_reason="" if state.reached_target else noise_words(state, "budget"),
            warmup_s=warmup_s,
            timed_s=wall_s,
            overhead_s=0.0,
        )

    @property
    def spent_s(self) -> dict[str, float]:
        """Wall time by phase, for the record: warmup, timed, overhead."""
        return {"warmup": self.warmup_s, "timed": self.timed_s, "overhead": self.overhead_s}

    def thinned_samples_s(self) -> list[float]:
        """At most 1,000 of the samples, evenly spaced: what the run file keeps."""
        return thin(self.samples_s)

    def to_time(self) -> Time:
        """The record of all samples."""
        s = summary(self.samples_s)
        return Time(
            median_s=s.median,
            q1_s=s.q1,
            q3_s=s.q3,
            min_s=s.min,
            mean_s=s.mean,
            stdev_s=s.stdev,
            ci95_low_s=s.ci_low,
            ci95_high_s=s.ci_high,
            samples=s.samples,
            calls_per_sample=self.calls_per_sample,
            timer=self.timer,
            stop=self.stop,
        )


def measure(
    calls: Sequence[Call],
    backend: Backend,
    *,
    plan: CachePlan,
    capturable: bool,
    budget_s: float,
    on_sample: Callable[[Sequence[float]], None] | None = None,
    rules: Rules | None = None,
    clock: Clock = time.perf_counter_ns,
) -> Timing:
    """Time a call until a stopping rule ends it.

    Parameters
    ----------
    calls
        The implementation built on each rotated copy of the inputs: `plan.copies` of them.
    plan
        The cache state to measure in.
    capturable
        Whether a call may be recorded in a device graph.
    budget_s
        Wall time of it all; exceeded by one call or block at most.
    on_sample
        Called with the new samples (seconds per call) after each batch, outside the timed region.
    rules
        The stopping rules' constants, `Rules()` by default.
    clock
        Nanoseconds; the host's timer.

    Raises ValueError where `calls` are not as many as the plan's copies. What a call raises is passed on.
    """
    if len(calls) != plan.copies:
        raise ValueError(f"{len(calls)} calls for a plan of {plan.copies} copies")
    with garbage_collection_off():
        return _Measurement(calls, backend, plan, capturable, State(budget_s, rules or Rules()), clock).run(on_sample)


def screen(
    calls: Sequence[Call],
    backend: Backend,
    plan: CachePlan,
    seconds: float = 0.1,
    *,
    capturable: bool = True,
    clock: Clock = time.perf_counter_ns,
) -> float:
    """Seconds per call, roughly: the median of what `seconds` of wall time allow. For choosing, never for a record.

    `calls` may be fewer than the plan's copies (usually the one that the check built): choosing needs the same state
    for all candidates, not a cold one.
    """
    brief = CachePlan(
        plan.label, len(calls), plan.flush_bytes, plan.why, plan.rotation_cold and len(calls) == plan.copies
    )
    return median(measure(calls, backend, plan=brief, capturable=capturable, budget_s=seconds, clock=clock).samples_s)


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Hold Python's cyclic garbage collector off, and put it back as it was whatever happens."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Measurement:
    """The steps of one measurement and the clock that they share."""

    def __init__(
        self, calls: Sequence[Call], backend: Backend, plan: CachePlan, capturable: bool, state: State, clock: Clock
    ) -> None:
        self.calls = calls
        self.backend = backend
        self.plan = plan
        self.capturable = capturable
        self.state = state
        self.clock = clock
        self.started = clock()
        self.warnings: list[str] = []
        self.flush: Call | None = None

    def elapsed_s(self) -> float:
        return (self.clock() - self.started) * 1e-9

    def left_s(self) -> float:
        return self.state.budget_s - self.elapsed_s()

    def run(self, on_sample: Callable[[Sequence[float]], None] | None) -> Timing:
        first_s = self.host_time(self.calls[:1])
        if first_s >= self.state.budget_s:
            return self.only(first_s)
        call_s = self.estimate(first_s)
        self.flush = flusher(self.plan, self.backend.torch_device)
        self.warm_up()
        timer = self.choose(call_s)
        warmup_s = self.elapsed_s()
        state = self.state
        stop: StopReason | None = None
        while stop is None:
            samples = timer.sample(self.batch(timer, call_s))
            state.elapsed_s = self.elapsed_s()
            for sample in samples:
                state.add(sample, sample * timer.calls_per_sample)
                # A batch is kept whole: what was taken is reported, also past the sample that satisfied a rule.
                stop = stop or decide(state)
            if on_sample:
                on_sample(samples)
        return self.timing(timer.name, timer.calls_per_sample, stop, warmup_s, timer.warnings())

    def host_time(self, calls: Sequence[Call]) -> float:
        """Seconds of the calls by the host's clock, between two synchronises."""
        self.backend.synchronize()
        start = self.clock()
        for call in calls:
            call()
        self.backend.synchronize()
        return (self.clock() - start) * 1e-9

    def estimate(self, first_s: float) -> float:
        """Seconds of a call: 5 after the untimed first one, without flush; the first one's where 5 cost too much."""
        if ESTIMATE_CALLS * first_s > ESTIMATE_SHARE * self.state.budget_s:
            return first_s
        rotation = cycle(self.calls)
        calls = [next(rotation) for _ in range(ESTIMATE_CALLS)]
        if not self.backend.has_events:
            return self.host_time(calls) / ESTIMATE_CALLS
        start, end = self.backend.event(), self.backend.event()
        start.record()
        for call in calls:
            call()
        end.record()
        self.backend.synchronize()
        return self.backend.elapsed_s(start, end) / ESTIMATE_CALLS

    def warm_up(self) -> None:
        """At least 3 calls, 25 ms and each copy once, flushed as the samples will be, inside a share of the budget."""
        count, spent_s = 0, 0.0
        while count < max(WARMUP_CALLS, len(self.calls)) or spent_s < WARMUP_S:
            if self.elapsed_s() + (spent_s / count if count else 0.0) > WARMUP_SHARE * self.state.budget_s:
                if count < WARMUP_CALLS:
                    self.warnings.append(f"the budget allowed {count} of {WARMUP_CALLS} warm-up calls")
                return
            if self.flush:
                self.flush()
            spent_s += self.host_time([self.calls[count % len(self.calls)]])
            count += 1

    def choose(self, call_s: float) -> Timer:
        """The timer for calls of that length (docs/method.md, "Timers")."""
        if not self.backend.has_events:
            return HostTimer(self.calls, self.backend, call_s, self.clock, self.flush, BLOCK_SHARE * self.left_s())
        if call_s >= LONG_CALL_S:
            return EventTimer(self.calls, self.backend, self.flush)
        if call_s < SHORT_CALL_S:
            return self.graph(call_s) or self.one_by_one()
        busy = self.busy()
        if busy and busy.behind_share <= BEHIND_SHARE:
            return busy
        return self.graph(call_s) or busy or self.plain()

    def graph(self, call_s: float) -> GraphTimer | None:
        """The graph timer, or None where the call can't be captured or a graph would measure another cache state."""
        if not (self.backend.supports_graphs and self.capturable):
            return None
        if self.plan.label == "cold" and not self.plan.rotation_cold:
            self.warnings.append(
                "no graph: cold inputs would take too many copies; the cache is flushed before each call"
            )
            return None
        try:
            return GraphTimer(self.calls, self.backend, call_s)
        except Exception as error:  # what a capture raises is the backend's own; out of memory is passed on
            if self.backend.is_out_of_memory(error):
                raise
            self.warnings.append(f"no graph: the call can't be captured ({' '.join(str(error).split())[:200]})")
            return None

    def busy(self) -> EventTimer | None:
        """The event-busy timer, probed; None where nothing can keep the stream busy."""
        prepare = self.flush or self.sleep()
        if prepare is None:
            return None
        # The first samples create events and meet an idle stream: they don't count.
        EventTimer(self.calls, self.backend, prepare).sample(PROBE_SAMPLES)
        timer = EventTimer(self.calls, self.backend, prepare, busy=True)
        timer.sample(PROBE_SAMPLES)
        return timer

    def sleep(self) -> Call | None:
        """A device sleep that covers what the host takes to enqueue one sample."""
        if not self.backend.can_sleep:
            return None
        start_event, end_event = self.backend.event(), self.backend.event()
        self.backend.synchronize()
        start = self.clock()
        start_event.record()
        self.calls[0]()
        end_event.record()
        ahead_s = HEAD_START * (self.clock() - start) * 1e-9
        self.backend.synchronize()
        return lambda: self.backend.busy_sleep(ahead_s)

    def one_by_one(self) -> EventTimer:
        self.warnings.append("calls under 50 µs outside a graph: an event pair's few microseconds are in the times")
        return self.busy() or self.plain()

    def plain(self) -> EventTimer:
        self.warnings.append("calls under 1 ms between plain events: times include launch gaps")
        return EventTimer(self.calls, self.backend, self.flush)

    def batch(self, timer: Timer, call_s: float) -> int:
        """Samples to take before looking again: one by the host's clock, several between events, all in the budget."""
        if timer.name == "host":
            return 1
        samples = self.state.samples
        sample_s = (samples[-1] if samples else call_s) * timer.calls_per_sample
        room_s = min(BATCH_S, self.left_s())
        return max(1, min(BATCH_SAMPLES, int(room_s / sample_s) if sample_s > 0.0 else BATCH_SAMPLES))

    def only(self, first_s: float) -> Timing:
        """The budget went into the first call: its time is all there is."""
        self.state.elapsed_s = first_s
        self.state.add(first_s, first_s)
        self.warnings.append("the budget allowed a single call, without warm-up")
        return self.timing("host", 1, "budget", 0.0, [])

    def timing(
        self, timer: TimerName, calls_per_sample: int, stop: StopReason, warmup_s: float, warnings: list[str]
    ) -> Timing:
        state = self.state
        return Timing(
            samples_s=state.samples,
            calls_per_sample=calls_per_sample,
            timer=timer,
            stop=stop,
            cache=self.plan.label,
            reached_target=state.reached_target,
            noise_reason="" if state.reached_target else noise_words(state, stop),
            warmup_s=warmup_s,
            timed_s=state.timed_s,
            overhead_s=max(0.0, self.elapsed_s() - warmup_s - state.timed_s),
            warnings=self.warnings + warnings,
        )


def noise_words(state: State, stop: StopReason) -> str:
    """How well the median is known, and what ended the sampling before it was known well enough."""
    ended = "the noise is steady" if stop == "noise-stable" else "the time budget is spent"
    count, half_width = len(state.samples), state.relative_half_width
    if count < state.rules.minimum_samples or half_width is None:
        known = f"fewer than {state.rules.minimum_samples}"
    else:
        known = f"median known to ±{100 * half_width:.2g} %, not ±{100 * state.rules.target:g} %"
    return f"{ended} after {count} sample{'s' if count != 1 else ''}: {known}"
