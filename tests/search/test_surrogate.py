"""The model of a landscape: it learns a sum of effects, and knows where it has not looked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.search.space import Axis
from bench.search.surrogate import Surrogate
from tests.search.spaces import space_of


def test_a_sum_of_effects_is_learnt_from_a_twentieth_of_the_points() -> None:
    space = space_of(10, 10, 10, words=2)
    draw = random.Random(5)
    effects = [[draw.uniform(-1, 1) for _ in axis.values] for axis in space.axes]

    def truth(point: tuple[int, ...]) -> float:
        return 7.0 + sum(effect[place] for effect, place in zip(effects, point, strict=True))

    points = list(space.points())
    model = Surrogate(space.axes, {point: truth(point) for point in draw.sample(points, 100)})
    errors = sorted(abs(model.predict(point).mean - truth(point)) for point in points)
    assert errors[len(errors) // 2] < 0.25, "half of all, against effects that span two"
    ranked = sorted(points, key=lambda point: -model.predict(point).mean)
    assert truth(ranked[0]) > max(map(truth, points)) - 0.4


def test_a_value_that_nobody_looked_at_lies_between_its_neighbours() -> None:
    axis = Axis("x", (1, 2, 3, 4, 5))
    model = Surrogate([axis], {(place,): float(place) for place in (0, 1, 3, 4)})
    assert model.effects[0][1] < model.effects[0][2] < model.effects[0][3]


def test_ignorance_is_least_at_what_was_seen_and_one_far_away() -> None:
    space = space_of(40, 40)
    model = Surrogate(space.axes, {(0, 0): 1.0, (1, 1): 2.0, (0, 1): 1.5})
    assert model.predict((0, 0)).ignorance < model.predict((4, 4)).ignorance <= model.predict((39, 39)).ignorance == 1.0


@given(
    st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 1)), st.floats(-50, 50), max_size=8),
    st.tuples(st.integers(0, 3), st.integers(0, 1)),
)
def test_every_prediction_is_a_number_within_reach_of_what_was_seen(
    observed: dict[tuple[int, int], float], point: tuple[int, int]
) -> None:
    found = Surrogate(space_of(4, words=2).axes, observed).predict(point)
    largest = max(map(abs, observed.values()), default=0.0)
    assert abs(found.mean) <= 10 * largest + 1e-9
    assert 0.0 < found.ignorance <= 1.0


def test_nothing_seen_is_a_flat_landscape() -> None:
    found = Surrogate(space_of(3, 3).axes, {}).predict((1, 1))
    assert (found.mean, found.ignorance) == (0.0, 1.0)


def test_the_same_looks_in_another_order_make_the_same_model() -> None:
    observed = {(x, y): x - 0.5 * y for x in range(4) for y in range(3)}
    there = Surrogate(space_of(4, 3).axes, observed)
    back = Surrogate(space_of(4, 3).axes, dict(reversed(observed.items())))
    assert there.predict((3, 0)).mean == pytest.approx(back.predict((3, 0)).mean)
