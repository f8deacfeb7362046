"""Few values' spread, steadied; Student's quantiles against tables."""

from __future__ import annotations

import random
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.moderated import Spread, moderated, one_sided_p, spread, t_quantile, typical


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_the_spread_of_one_group_is_its_standard_deviation(values: list[float]) -> None:
    found = spread(values)
    assert found.sigma == pytest.approx(stdev(values), abs=1e-9)
    assert found.degrees_of_freedom == len(values) - 1


def test_a_shift_between_groups_is_no_spread() -> None:
    assert spread([1.0, 2.0], [101.0, 102.0]).sigma == pytest.approx(0.5**0.5)
    assert spread([1.0], [5.0], []) == Spread(0.0, 0.0)


def test_the_typical_spread_knows_only_those_that_have_one() -> None:
    assert typical([Spread(1.0, 2.0), Spread(3.0, 2.0), Spread(9.0, 2.0), Spread(0.0, 0.0)]) == 3.0
    assert typical([Spread(0.0, 0.0)]) == 0.0


def test_a_spread_is_drawn_towards_the_prior_the_less_the_more_it_rests_on() -> None:
    few, many = moderated(Spread(0.1, 2.0), 0.02), moderated(Spread(0.1, 200.0), 0.02)
    assert 0.02 < few.sigma < many.sigma < 0.1
    assert moderated(Spread(0.0, 0.0), 0.02, 4.0) == Spread(0.02, 4.0)


@pytest.mark.parametrize(
    ("confidence", "degrees", "t"),
    # Tables of Student's distribution, two-sided.
    [(0.95, 1, 12.706), (0.95, 4, 2.776), (0.95, 30, 2.042), (0.90, 10, 1.812), (0.99, 2, 9.925)],
)
def test_quantiles_are_those_of_the_tables(confidence: float, degrees: float, t: float) -> None:
    assert t_quantile(confidence, degrees) == pytest.approx(t, abs=6e-4)


def test_one_sided_p_is_half_of_the_tail_and_turns_with_the_sign() -> None:
    assert one_sided_p(2.776, 1.0, 4.0) == pytest.approx(0.025, abs=1e-4)
    assert one_sided_p(-2.776, 1.0, 4.0) == pytest.approx(0.975, abs=1e-4)
    assert one_sided_p(0.0, 1.0, 4.0) == pytest.approx(0.5)
    assert (one_sided_p(1.0, 0.0, 4.0), one_sided_p(0.0, 0.0, 4.0)) == (0.0, 1.0)


def test_a_steadied_spread_of_three_covers_better_than_its_own() -> None:
    """Three launches, scales that differ between series: 95 % intervals of the mean that hold it in about 95 %."""
    draw = random.Random(0)
    scales = [draw.gammavariate(1.25, 1.0) ** -0.5 for _ in range(2000)]
    held = 0
    groups = [[draw.gauss(0.0, scale) for _ in range(3)] for scale in scales]
    prior = typical([spread(group) for group in groups])
    for group in groups:
        found = moderated(spread(group), prior)
        half = t_quantile(0.95, found.degrees_of_freedom) * found.sigma / 3**0.5
        held += abs(sum(group) / 3) <= half
    assert 0.93 < held / 2000 < 0.97


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0])
def test_a_confidence_is_between_zero_and_one(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        t_quantile(confidence, 3.0)
