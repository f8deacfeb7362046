"""When sampling stops: each rule alone, their order, and the running state against one computed from scratch."""

from __future__ import annotations

import random
import statistics
from math import fsum, inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.intervals import median_interval
from bench.stats.robust import relative_iqr
from bench.stats.stopping import Rules, State, StopReason, decide


def fed(samples: list[float], *, timed_s: float = 0.1, elapsed_s: float = 0.0, budget_s: float = 1e9) -> State:
    """A state that has seen the samples, each of `timed_s` seconds of timed calls."""
    state = State(budget_s)
    for sample in samples:
        state.add(sample, timed_s)
    state.elapsed_s = elapsed_s
    return state


def first_stop(state: State, samples: list[float], timed_s: float) -> tuple[int, StopReason | None]:
    """Feed until a rule says stop: how many samples that took, and which rule."""
    for count, sample in enumerate(samples, start=1):
        state.add(sample, timed_s)
        reason = decide(state)
        if reason:
            return count, reason
    return len(samples), None


def test_equal_samples_stop_at_the_tenth() -> None:
    assert first_stop(State(1e9), [1.0] * 50, 1.0) == (10, "interval")


def test_nothing_stops_before_half_a_second_is_timed() -> None:
    assert first_stop(State(1e9), [1.0] * 200, 0.01) == (50, "interval")


def test_a_narrow_middle_half_is_enough_where_the_interval_is_not() -> None:
    # Ten samples: the interval runs from the second to the ninth, the quartiles are inside.
    state = fed([0.9, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1])
    assert state.relative_half_width == pytest.approx(0.1)
    assert decide(state) == "iqr"
    assert state.reached_target


def test_the_budget_stops_what_is_not_precise_and_the_row_is_noisy() -> None:
    state = fed([1.0, 2.0], elapsed_s=5.0, budget_s=5.0)
    assert decide(state) == "budget"
    assert not state.reached_target


def test_without_a_sample_nothing_stops() -> None:
    state = State(0.0)
    state.elapsed_s = 1.0
    assert decide(state) is None
    assert state.relative_half_width is None
    assert state.relative_iqr is None
    assert not state.reached_target


def test_precision_is_named_before_the_budget() -> None:
    assert decide(fed([1.0] * 10, elapsed_s=9.0, budget_s=5.0)) == "interval"


def test_precise_samples_that_the_budget_cut_short_are_not_noisy() -> None:
    state = fed([1.0] * 12, timed_s=1e-3, elapsed_s=5.0, budget_s=5.0)
    assert decide(state) == "budget"
    assert state.reached_target


def test_too_few_samples_are_noisy_however_equal() -> None:
    assert not fed([1.0] * 9).reached_target


def test_steady_noise_gives_up_on_a_multiple_of_sixteen() -> None:
    generator = random.Random(1)
    samples = [generator.uniform(0.5, 1.5) for _ in range(3000)]
    state = State(1e9)
    count, reason = first_stop(state, samples, 0.1)
    assert reason == "noise-stable"
    assert count % 16 == 0
    assert count > 64
    assert not state.reached_target


def test_growing_noise_is_not_steady() -> None:
    samples = [1.0 + (0.9 if i % 2 else -0.9) * (i + 40) / 440 for i in range(400)]
    assert first_stop(State(1e9), samples, 0.1) == (400, None)


def slow_noise(samples: list[float]) -> list[float]:
    """nvbench's noise from scratch: the relative standard deviation after each sample from the fifth on."""
    noise = []
    for n in range(5, len(samples) + 1):
        mean = fsum(samples[:n]) / n
        noise.append(sqrt(fsum((x - mean) ** 2 for x in samples[:n]) / (n - 1)) / mean)
    return noise


@pytest.mark.parametrize("seed", range(2))
def test_the_noise_rule_is_that_of_the_slow_version(seed: int) -> None:
    generator = random.Random(seed)
    samples = [generator.lognormvariate(0.0, 0.3) for _ in range(800)]
    noise = slow_noise(samples)
    state = State(1e9)
    verdicts = set()
    for count, sample in enumerate(samples, start=1):
        state.add(sample, 1.0)
        if count % 16 == 0 and count - 4 > 64:
            window = noise[: count - 4][-512:]
            spread = sqrt(sum((x - window[-1]) ** 2 for x in window) / (len(window) - 1)) / window[-1]
            verdicts.add(spread < 0.05)
            assert (decide(state) == "noise-stable") == (spread < 0.05), count
    assert verdicts == {True, False}


@given(st.lists(st.floats(min_value=1e-6, max_value=10.0), min_size=1, max_size=80))
def test_the_running_state_agrees_with_the_samples(samples: list[float]) -> None:
    state = fed(samples)
    assert state.samples == samples
    assert state.timed_s == pytest.approx(0.1 * len(samples))
    assert state.relative_iqr == relative_iqr(samples)
    interval = median_interval(samples)
    if interval is None:
        assert state.relative_half_width is None
    else:
        expected = (interval[1] - interval[0]) / 2 / statistics.median(samples)
        assert state.relative_half_width == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(min_value=1e-6, max_value=10.0), min_size=10, max_size=80), st.booleans())
def test_a_rule_of_precision_always_means_that_the_target_is_reached(samples: list[float], spent: bool) -> None:
    state = fed(samples, elapsed_s=2.0 if spent else 0.0, budget_s=1.0)
    reason = decide(state)
    if reason in ("interval", "iqr"):
        assert state.reached_target
    if spent:
        assert reason is not None


def test_a_hundred_thousand_samples_are_no_trouble() -> None:
    generator = random.Random(3)
    state = State(1e9, Rules(noise_variation=0.0))
    looked = [decide(state) for _ in range(100_000) if state.add(generator.uniform(0.0, 2.0), 1e-5) is None]
    assert len(state.samples) == 100_000
    assert state.relative_half_width == pytest.approx(1.96 / sqrt(100_000), rel=0.2)
    assert set(looked) <= {None, "interval"}


@pytest.mark.parametrize("sample", [nan, inf])
def test_nan_and_infinity_are_refused(sample: float) -> None:
    state = fed([1.0])
    with pytest.raises(ValueError, match="sample"):
        state.add(sample, 1.0)
    assert state.samples == [1.0]
