"""Measuring together: ranks as threads whose calls take different times make the same calls, get the same samples."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.stopping import Rules
from bench.timing import Timing, measure_together
from bench.timing.together import BLOCK_S
from tests.timing.ranks import Rank, at_once


def timed(rank: Rank, call_s: float, noise: float = 0.0, budget_s: float = 2.0, rules: Rules | None = None) -> Timing:
    """Measure a call that takes about so long at this rank."""
    draw = random.Random(rank.rank)
    call = rank.call(lambda: call_s * (1 + noise * draw.random()))
    return measure_together(call, rank, rank, budget_s=budget_s, rules=rules, clock=rank.clock)


@settings(deadline=None, max_examples=10)
@given(
    seconds=st.lists(st.floats(1e-4, 0.3), min_size=2, max_size=4),
    noise=st.floats(0.0, 2.0),
    budget_s=st.floats(0.1, 2.0),
)
def test_all_ranks_take_the_same_samples_and_stop_at_once(seconds: list[float], noise: float, budget_s: float) -> None:
    every = at_once(len(seconds), lambda rank: timed(rank, seconds[rank.rank], noise, budget_s))
    first, timing = every[0]
    for rank, other in every[1:]:
        assert other.samples_s == timing.samples_s
        assert (other.stop, other.calls_per_sample) == (timing.stop, timing.calls_per_sample)
        assert rank.calls == first.calls


def test_a_sample_is_that_of_the_slowest_rank() -> None:
    every = at_once(3, lambda rank: timed(rank, [0.001, 0.004, 0.002][rank.rank]))
    for _, timing in every:
        assert timing.to_time().median_s == pytest.approx(0.004)
        assert timing.calls_per_sample == pytest.approx(BLOCK_S / 0.004)
        assert timing.reached_target and timing.noise_reason == ""


def test_short_calls_are_timed_in_blocks_and_long_ones_alone() -> None:
    for call_s, calls in ((1e-5, 2000), (0.5, 1)):
        every = at_once(2, lambda rank, call_s=call_s: timed(rank, call_s))
        assert {timing.calls_per_sample for _, timing in every} == {calls}


def test_a_budget_is_exceeded_by_a_block_at_most() -> None:
    for rank, timing in at_once(2, lambda rank: timed(rank, 0.3, noise=1.0, budget_s=2.0)):
        assert timing.stop == "budget" and not timing.reached_target
        assert rank.now_s - 100.0 * rank.rank <= 2.0 + 0.61
        assert "time budget is spent" in timing.noise_reason


def test_the_first_rank_decides_when_to_stop_and_not_each_for_itself() -> None:
    hasty = Rules(minimum_samples=1, minimum_timed_s=0.0, target=10.0)
    rules = {0: Rules(), 1: hasty}
    (_, patient), (_, other) = at_once(2, lambda rank: timed(rank, 0.001, 0.5, rules=rules[rank.rank]))
    assert len(other.samples_s) == len(patient.samples_s) >= 10


def test_what_a_call_raises_at_one_rank_ends_the_wait_of_the_others() -> None:
    def work(rank: Rank) -> str:
        def call() -> None:
            rank.calls += 1
            rank.now_s += 0.001
            if rank.rank == 1 and rank.calls == 30:
                raise ValueError("no such tensor")

        try:
            measure_together(call, rank, rank, budget_s=2.0, clock=rank.clock)
        except ValueError:
            rank.room.barrier.abort()
            return "its own"
        except threading.BrokenBarrierError:
            return "the others'"
        return "none"

    assert [why for _, why in at_once(2, work)] == ["the others'", "its own"]
