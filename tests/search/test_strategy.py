"""The strategy on landscapes that are formulas: it comes close to the best, asks nothing twice in vain, and ends."""

from __future__ import annotations

from collections import Counter
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.search.space import Axis
from bench.search.strategy import MOST_LOOKS, Strategy
from tests.search.spaces import fields_space, matmul_like, searched, space_of

SEEDS = range(9001, 9013)
"""Of landscapes and searches; the strategy's constants were chosen on others."""


def test_a_twenty_fifth_of_two_thousand_points_is_enough_for_98_percent_of_the_best() -> None:
    space = space_of(10, 10, 10, words=2)
    reached = []
    for seed in SEEDS:
        rate = matmul_like(space, seed)
        strategy, asked = searched(space, rate, seed, looks=space.size // 25)
        assert len(asked) <= space.size // 25
        best = max(rate(one.point) for one in strategy.finalists()[:3])
        reached.append(best / max(map(rate, space.points())))
    assert median(reached) >= 0.98, reached
    assert min(reached) >= 0.93, reached


def test_it_finds_far_more_than_as_many_looks_at_random() -> None:
    space = space_of(16, 16, 12)
    for seed in SEEDS[:5]:
        rate = matmul_like(space, seed)
        strategy, _ = searched(space, rate, seed, looks=80)
        ranks = sorted(map(rate, space.points()), reverse=True)
        found = max(rate(one.point) for one in strategy.finalists()[:3])
        # The best of 80 at random is about the 38th of 3,072 (the median).
        assert ranks.index(found) < 38, seed


def test_the_same_seed_and_answers_ask_the_same_questions() -> None:
    space = space_of(8, 8, words=2)
    rate = matmul_like(space, 77)
    assert searched(space, rate, 5, looks=60)[1] == searched(space, rate, 5, looks=60)[1]
    assert searched(space, rate, 5, looks=60)[1] != searched(space, rate, 6, looks=60)[1]


def test_it_goes_on_from_looks_of_an_earlier_part() -> None:
    space = space_of(8, 8, 4)
    rate = matmul_like(space, 78)
    _, before = searched(space, rate, 5, looks=50)
    strategy = Strategy(space, 5)
    for point in before:
        strategy.tell(point, rate(point))
    ask = strategy.ask()
    assert ask is not None and (ask.point not in before or ask.stage == "again")


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=2),
    st.integers(0, 3),
    st.integers(0, 10**6),
    st.sampled_from((0.0, 0.01, 0.3)),
)
@settings(max_examples=60)
def test_a_small_space_is_soon_known(lengths: list[int], words: int, seed: int, noise: float) -> None:
    space = space_of(*lengths, words=words)
    rate = matmul_like(space, seed)
    strategy, asked = searched(space, rate, seed, looks=10_000, noise=noise)
    counts = Counter(asked)
    assert set(counts) == set(space.points()), "it ends once each point is known"
    assert max(counts.values()) <= MOST_LOOKS
    # Second looks: three a round of at least five new points, then at most one more a point.
    assert len(asked) <= 3 * space.size
    assert strategy.ask() is None


def test_a_flat_small_space_is_looked_at_twice_at_most_but_for_a_few() -> None:
    space = space_of(6, 6)
    _, asked = searched(space, lambda point: 1e9, 3, looks=10_000, noise=0.05)
    assert len(asked) <= 2.5 * space.size


@given(st.integers(0, 10**6), st.sampled_from((0.05, 0.5, 1.0)))
@settings(max_examples=30)
def test_points_that_fail_are_never_asked_for_again_nor_finalists(seed: int, share: float) -> None:
    space = space_of(6, 5)
    rate = matmul_like(space, seed)
    fails = {point for number, point in enumerate(space.points()) if (number * 7919 + seed) % 100 < 100 * share}
    strategy, asked = Strategy(space, seed), Counter()  # type: tuple[Strategy, Counter[tuple[int, ...]]]
    while (ask := strategy.ask()) is not None:
        asked[ask.point] += 1
        strategy.tell(ask.point, None if ask.point in fails else rate(ask.point))
    assert all(asked[point] == 1 for point in fails)
    assert not fails & {one.point for one in strategy.finalists()}
    assert set(asked) == set(space.points())


def test_only_points_that_make_sense_are_asked_for() -> None:
    space = fields_space([Axis("a", tuple(range(1, 21))), Axis("b", (2, 3, 4, 5))])
    _, asked = searched(space, lambda point: 1e9 + point[0], 4, looks=200)
    assert asked and all(map(space.valid, asked))


def test_a_finalist_by_one_lucky_look_comes_behind_one_that_is_known() -> None:
    space = space_of(4, 4)
    strategy = Strategy(space, 0)
    for _ in range(4):
        strategy.tell((1, 1), 100.0)
    strategy.tell((2, 2), 100.5)
    strategy.tell((3, 3), 50.0)
    assert [one.point for one in strategy.finalists()] == [(1, 1), (2, 2), (3, 3)]


def test_a_large_space_converges_before_it_is_exhausted() -> None:
    space = space_of(20, 20, 10)
    rate = matmul_like(space, 11)
    _, asked = searched(space, rate, 11, looks=4000, noise=0.005)
    assert len(asked) < 1200


@pytest.mark.parametrize("rate", [0.0, -1.0, None])
def test_a_rate_that_is_none_fails_the_point(rate: float | None) -> None:
    strategy = Strategy(space_of(3), 0)
    strategy.tell((0,), 5.0)
    strategy.tell((0,), rate)
    assert strategy.finalists() == [] and strategy.seen((0,))
