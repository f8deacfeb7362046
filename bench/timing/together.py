"""One measurement that several processes make together: each block of calls begins for all of them, and ends for all.

Nothing here branches on what the others do not know. Durations are exchanged and the slowest process's counts; how many
calls make a block and when to stop is rank 0's word, which every rank follows: a stop that each decided for itself
would leave those who go on waiting for ever. How the ranks find each other is `bench.runner`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol, get_args

from bench.stats.stopping import Rules, State, StopReason, decide
from bench.timing.backend import Backend
from bench.timing.measure import Timing, garbage_collection_off, noise_words
from bench.timing.timers import Call, Clock

WARMUP_CALLS: Final = 5  # at least, before the first sample; nccl-tests' default
BLOCK_S: Final = 0.02
"""Ours: seconds of calls between two looks at the clock. Two exchanges between blocks take a few tenths of a
millisecond, and a block of so many calls is begun by all ranks within less than a hundredth of its time."""
MAXIMUM_BLOCK: Final = 100_000
SETTLING_SHARE: Final = 0.3
"""Ours: share of the budget at which the search for the block's size ends, done or not."""
WHY_WARM: Final = "the same buffers in each call, as nccl-tests has it"

_STOPS: Final[tuple[StopReason, ...]] = get_args(StopReason)


class Group(Protocol):
    """Those who measure together. An exchange is made by all of them, in the same order, or it raises at each."""

    @property
    def rank(self) -> int:
        """This process's number."""
        ...

    @property
    def ranks(self) -> int:
        """How many there are."""
        ...

    def exchange(self, values: Sequence[float]) -> list[list[float]]:
        """Every rank's values by rank, all of the same length; returns after all ranks have come to it."""
        ...

    def exchange_words(self, words: str) -> list[str]:
        """The same for a short text, cut off where it is long."""
        ...


def measure_together(
    call: Call,
    backend: Backend,
    group: Group,
    *,
    budget_s: float,
    rules: Rules | None = None,
    clock: Clock = time.perf_counter_ns,
) -> Timing:
    """Time a call that all ranks of the group make together, until rank 0 finds that a stopping rule ends it.

    A sample is a block of calls between two synchronises by the host's clock, divided by their number, of the rank that
    took longest: all ranks return the same samples. `budget_s` is the wall time of it all, the same at each rank,
    exceeded by one block at most. What a call or an exchange raises is passed on.
    """
    with garbage_collection_off():
        return _Together(call, backend, group, State(budget_s, rules or Rules()), clock).run()


class _Together:
    """The steps of one measurement, and the clock that they share."""

    def __init__(self, call: Call, backend: Backend, group: Group, state: State, clock: Clock) -> None:
        self._call = call
        self._backend = backend
        self._group = group
        self._state = state
        self._clock = clock
        self._started = clock()

    def run(self) -> Timing:
        calls = self._settled()
        warmup_s = self._elapsed_s()
        state = self._state
        stop: StopReason | None = None
        while stop is None:
            slowest_s, state.elapsed_s = self._block(calls)
            state.add(slowest_s / calls, slowest_s)
            stop = self._word_on(decide(state))
        return Timing(
            samples_s=state.samples,
            calls_per_sample=calls,
            timer="host",
            stop=stop,
            cache="warm",
            reached_target=state.reached_target,
            noise_reason="" if state.reached_target else noise_words(state, stop),
            warmup_s=warmup_s,
            timed_s=state.timed_s,
            overhead_s=max(0.0, self._elapsed_s() - warmup_s - state.timed_s),
        )

    def _elapsed_s(self) -> float:
        return (self._clock() - self._started) * 1e-9

    def _block(self, calls: int) -> tuple[float, float]:
        """Seconds of a block of calls at the slowest rank, and the wall time until the last one was through.

        An exchange has gone before it, so that all ranks begin at once.
        """
        self._backend.synchronize()
        start = self._clock()
        for _ in range(calls):
            self._call()
        self._backend.synchronize()
        mine_s = (self._clock() - start) * 1e-9
        every = self._group.exchange([mine_s, self._elapsed_s()])
        return max(one[0] for one in every), max(one[1] for one in every)

    def _settled(self) -> int:
        """Calls in a block of about `BLOCK_S`, found by doubling; the calls that this takes are the warm-up."""
        self._word([0.0])
        calls, made = 1, 0
        while True:
            slowest_s, elapsed_s = self._block(calls)
            made += calls
            long_enough = made >= WARMUP_CALLS and slowest_s >= BLOCK_S / 2
            late = elapsed_s + 2 * slowest_s > SETTLING_SHARE * self._state.budget_s
            if long_enough or late:
                wanted = calls * BLOCK_S / max(slowest_s, 1e-9)
            else:
                wanted = 2.0 * calls if slowest_s < BLOCK_S / 2 else float(calls)
            over, wanted = self._word([float(long_enough or late), min(max(1.0, round(wanted)), MAXIMUM_BLOCK)])
            calls = int(wanted)
            if over:
                return calls

    def _word_on(self, stop: StopReason | None) -> StopReason | None:
        """Rank 0's word on whether to stop, and by which rule."""
        said = int(self._word([0.0 if stop is None else 1.0 + _STOPS.index(stop)])[0])
        return _STOPS[said - 1] if said else None

    def _word(self, values: Sequence[float]) -> list[float]:
        """What rank 0 says; all ranks are at this place when it returns."""
        return self._group.exchange(values)[0]
