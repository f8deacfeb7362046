"""The fall of a rate over time: exact on exponentials, silent on noise."""

from __future__ import annotations

import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.droop import MINIMUM_SLICES, droop


@given(st.floats(0.3, 0.95), st.floats(0.5, 4.0))
def test_an_exponential_fall_is_read_back(final: float, constant_s: float) -> None:
    times = [0.1 * n for n in range(1, 301)]
    found = droop(times, [100 * (final + (1 - final) * exp(-t / constant_s)) for t in times])
    assert found is not None and found.time_constant_s is not None
    # The initial rate is the second slice's, 0.2 s into the fall.
    assert found.ratio == pytest.approx(final / (final + (1 - final) * exp(-0.2 / constant_s)), rel=0.02)
    assert found.time_constant_s == pytest.approx(constant_s + 0.2, rel=0.15, abs=0.2)


@given(st.integers(0, 10_000))
def test_scatter_around_a_constant_has_no_time_constant_that_matters(seed: int) -> None:
    noise = random.Random(seed)
    found = droop([0.1 * n for n in range(1, 101)], [100 * (1 + noise.gauss(0, 0.01)) for _ in range(100)])
    assert found is not None and found.ratio == pytest.approx(1.0, abs=0.03)


def test_a_constant_rate_does_not_droop() -> None:
    found = droop([float(n) for n in range(1, 20)], [5.0] * 19)
    assert found is not None and found.ratio == 1.0 and found.time_constant_s is None


def test_a_rising_rate_has_a_ratio_above_one_and_no_time_constant() -> None:
    found = droop([float(n) for n in range(1, 31)], [100.0 + n for n in range(30)])
    assert found is not None and found.ratio > 1 and found.time_constant_s is None


def test_too_few_slices_say_nothing() -> None:
    few = MINIMUM_SLICES - 1
    assert droop([float(n) for n in range(few)], [1.0] * few) is None


@pytest.mark.parametrize("rates", [[1.0] * 9, [1.0] * 9 + [0.0], [1.0] * 9 + [float("nan")]])
def test_what_cannot_be_a_rate_is_refused(rates: list[float]) -> None:
    with pytest.raises(ValueError, match=r"times|positive"):
        droop([float(n) for n in range(10)], rates)
