"""Intervals of a share, against printed values, their definition and their symmetry."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.proportions import wilson_interval

counts = st.integers(1, 300).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


def test_the_interval_of_printed_examples() -> None:
    # Newcombe, Statist. Med. 17 (1998), table I, method 3 (score, no continuity correction).
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(counts)
def test_its_ends_are_where_the_score_test_just_rejects(example: tuple[int, int]) -> None:
    count, total = example
    for end in wilson_interval(count, total):
        if 0.0 < end < 1.0:
            score = abs(count / total - end) / sqrt(end * (1 - end) / total)
            assert score == pytest.approx(1.959964, rel=1e-5)


@given(counts)
def test_it_holds_the_share_and_mirrors_its_complement(example: tuple[int, int]) -> None:
    count, total = example
    low, high = wilson_interval(count, total)
    assert 0.0 <= low <= count / total <= high <= 1.0
    mirrored = wilson_interval(total - count, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(count, total)


def test_a_confidence_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, 1.0)
