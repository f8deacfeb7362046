"""The rule for stored runs: where the noise comes from, and how little a single launch says."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.stored import ASSUMED_CPU, Launches, Noise, believed, judge_stored, launch_noises
from bench.stats.moderated import Spread

TIMES = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=5).map(tuple)
CALM = Noise(Spread(0.01, 20.0), "calm")


def suite(seed: int, series: int, launches: int, noise: float, first: float = 1.0) -> list[Launches]:
    """Series of two runs, the first of them slower by `first`."""
    draw = random.Random(seed)

    def side(ratio: float) -> tuple[float, ...]:
        return tuple(ratio * math.exp(draw.gauss(0.0, noise)) for _ in range(launches))

    return [Launches(side(1.0), side(first if place == 0 else 1.0)) for place in range(series)]


def judged(sides: list[Launches], threshold: float = 0.05) -> list[str]:
    noises = launch_noises(sides, ASSUMED_CPU)
    found = [judge_stored(one, noise, threshold=threshold) for one, noise in zip(sides, noises, strict=True)]
    return [one.verdict for one in believed(found)]


def test_three_launches_a_side_call_a_clear_slow_down_and_leave_the_others_alone() -> None:
    found = judged(suite(1, 10, 3, 0.01, 1.3))
    assert found[0] == "regression"
    assert set(found[1:]) <= {"same", "ambiguous"}


def test_a_single_launch_never_says_the_same_where_the_noise_is_only_assumed() -> None:
    sides = [Launches((1.0,), (1.0,))]
    noise = launch_noises(sides, ASSUMED_CPU)[0]
    found = judge_stored(sides[0], noise, threshold=0.05)
    assert (noise.source, found.verdict, found.reason) == ("assumed", "ambiguous", "one_launch")
    assert "weak" in found.evidence


@pytest.mark.parametrize(("ratio", "verdict"), [(1.10, "ambiguous"), (1.20, "ambiguous"), (1.5, "regression")])
def test_a_single_launch_calls_only_what_clears_threshold_and_assumed_noise(ratio: float, verdict: str) -> None:
    """However tight each launch is within: the interval within a launch knows nothing of the next one."""
    assert judged([Launches((1.0,), (ratio,), 1e-4, 1e-4)]) == [verdict]


def test_a_launch_that_is_noisy_within_says_even_less() -> None:
    noise = Noise(Spread(0.045, 2.5), "assumed")
    tight, loose = (judge_stored(Launches((1.0,), (1.2,), w, w), noise, threshold=0.05) for w in (0.0, 0.2))
    assert loose.ci95_low is not None and tight.ci95_low is not None
    assert loose.ci95_low < tight.ci95_low


def test_noise_comes_from_the_best_source_there_is() -> None:
    assert launch_noises(suite(1, 10, 3, 0.05), 0.1)[0].source == "launches of 10 series"
    assert launch_noises(suite(1, 2, 3, 0.05), 0.1)[0].source == "its own launches"
    scattered = launch_noises(suite(1, 200, 1, 0.05), 0.1)[0]
    assert scattered.source == "how 200 series differ between the runs"
    assert scattered.spread.sigma == pytest.approx(0.05, rel=0.2)
    assert launch_noises(suite(1, 3, 1, 0.05), 0.1)[0] == Noise(Spread(0.1, 2.5), "assumed")


def test_one_slower_series_is_no_noise_of_the_others() -> None:
    calm = launch_noises(suite(1, 20, 1, 0.01), 0.1)[0].spread.sigma
    assert launch_noises(suite(1, 20, 1, 0.01, 3.0), 0.1)[1].spread.sigma == pytest.approx(calm, rel=0.3)


def test_a_regression_needs_its_whole_interval_above_the_threshold_and_twice_the_noise() -> None:
    sides = Launches((1.0, 1.0, 1.0), (1.08, 1.08, 1.08))
    assert judge_stored(sides, CALM, threshold=0.05).verdict == "regression"
    close = judge_stored(sides, CALM, threshold=0.07)
    assert (close.verdict, close.reason) == ("ambiguous", "near_threshold")
    assert judge_stored(sides, CALM, threshold=0.15).verdict == "same"
    many = Launches((1.0,) * 40, (1.14,) * 40)
    noisy = judge_stored(many, Noise(Spread(0.1, 80.0), "noisy"), threshold=0.05)
    assert (noisy.verdict, noisy.reason) == ("ambiguous", "below_noise")
    assert noisy.threshold == pytest.approx(math.exp(0.2) - 1)


def test_one_of_many_that_stands_out_a_little_is_put_down_to_chance() -> None:
    out = judge_stored(Launches((1.0,) * 3, (1.13,) * 3), Noise(Spread(0.025, 6.0), ""), threshold=0.05)
    still = judge_stored(Launches((1.0,) * 3, (1.0,) * 3), Noise(Spread(0.025, 6.0), ""), threshold=0.05)
    assert believed([out])[0].verdict == "regression"
    among = believed([out, *[still] * 299])
    assert (among[0].verdict, among[0].reason) == ("ambiguous", "one_of_many")
    assert "300 series" in among[0].text


@given(TIMES, TIMES)
def test_turning_the_sides_turns_ratio_and_interval(base: tuple[float, ...], new: tuple[float, ...]) -> None:
    there = judge_stored(Launches(base, new), CALM, threshold=0.05)
    back = judge_stored(Launches(new, base), CALM, threshold=0.05)
    assert there.ratio and back.ratio and there.ci95_low and back.ci95_high
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert there.ci95_low * back.ci95_high == pytest.approx(1.0)
    turned = {"regression": "improvement", "improvement": "regression"}
    assert back.verdict == turned.get(there.verdict, there.verdict)


@given(TIMES, TIMES)
def test_the_ratio_lies_in_its_interval(base: tuple[float, ...], new: tuple[float, ...]) -> None:
    found = judge_stored(Launches(base, new), CALM, threshold=0.05)
    assert found.ci95_low and found.ratio and found.ci95_high
    assert found.ci95_low <= found.ratio * (1 + 1e-9) and found.ratio <= found.ci95_high * (1 + 1e-9)


def test_unchanged_suites_raise_few_alarms() -> None:
    for launches in (1, 3):
        suites = [judged(suite(seed, 30, launches, 0.05)) for seed in range(60)]
        assert sum("regression" in found or "improvement" in found for found in suites) <= 3
