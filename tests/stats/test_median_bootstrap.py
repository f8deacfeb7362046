"""The exact bootstrap of medians beside every resample written out."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import isclose, log
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.median_bootstrap import bootstrap_medians, ratio_interval


@settings(max_examples=40)
@given(st.lists(st.integers(1, 5).map(float), min_size=1, max_size=5))
def test_the_count_is_that_of_every_resample(samples: list[float]) -> None:
    written_out = Counter(median(choice) for choice in product(samples, repeat=len(samples)))
    counted: Counter[float] = Counter()
    for value, p in bootstrap_medians(samples):
        counted[value] += p  # type: ignore[assignment]  # a Counter of probabilities
    assert set(counted) == set(written_out)
    for value, times in written_out.items():
        assert isclose(counted[value], times / len(samples) ** len(samples))


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=12), st.lists(st.floats(0.5, 2.0), min_size=2, max_size=12))
def test_the_interval_holds_the_ratio_of_the_medians_and_turns_with_its_sides(
    base: list[float], new: list[float]
) -> None:
    low, high = ratio_interval(base, new)
    assert low - 1e-9 <= log(median(new) / median(base)) <= high + 1e-9
    back_low, back_high = ratio_interval(new, base)
    assert isclose(low, -back_high, abs_tol=1e-9)
    assert isclose(high, -back_low, abs_tol=1e-9)


def test_of_three_launches_the_interval_is_their_whole_range() -> None:
    low, high = ratio_interval([1.0, 1.1, 1.2], [2.0, 2.2, 2.4])
    assert isclose(low, log(2.0 / 1.2))
    assert isclose(high, log(2.4 / 1.0))


def test_many_samples_are_known_closer_than_few() -> None:
    few, many = ([1.0 + 0.1 * i / n for i in range(n)] for n in (4, 40))
    assert ratio_interval(many, many)[1] < ratio_interval(few, few)[1]


def test_nothing_and_no_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        bootstrap_medians([])
    with pytest.raises(ValueError, match="confidence"):
        ratio_interval([1.0], [1.0], 0.0)
