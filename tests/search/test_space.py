"""A space: how it is written, what it refuses, and that points and cases are each other's names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.search.space import IMPLEMENTATION, Axis, checked_axes, parse_axes
from tests.search.spaces import Fields, fields_space, space_of

KERNEL = Fields()


def values(text: str) -> dict[str, tuple[int | str, ...]]:
    return {axis.name: axis.values for axis in checked_axes(KERNEL, parse_axes(text, KERNEL))}


def test_a_range_takes_both_ends_and_values_ascend_once_each() -> None:
    assert values("a=64:256:64,b=7|3|3|1:5:2") == {"a": (64, 128, 192, 256), "b": (1, 3, 5, 7)}


def test_fields_that_go_together_share_a_name_and_words_keep_their_order() -> None:
    assert values("a=b=2|4,layout=columns|rows") == {"a=b": (2, 4), "layout": ("columns", "rows")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=1,b=2,d=3", ["'d'", "choose from"]),
        ("a=1,b=2,a=3", ["'a'", "twice"]),
        ("a=a=1,b=2", ["'a'", "twice"]),
        ("a=1", ["needs values for b"]),
        ("a=1,b=2:1:1", ["'2:1:1'"]),
        ("a=1,b=1:2:0", ["'1:2:0'"]),
        ("a=1,b=1:2", ["'1:2'", "FROM:TO:STEP"]),
        ("a=1,b=1:10000:1", ["'1:10000:1'", "1000"]),
        ("a=1,b=x", ["'x'"]),
        ("a=1,b=²", ["'²'"]),
        ("a=1,b=-1", ["'-1'"]),
        ("a=1,b=" + "9" * 5000, ["FROM:TO:STEP"]),
        ("a=1,b=0", ["b=0", "1 … 10000"]),
        ("a=1,b=10001", ["b=10001"]),
        ("a=1,b", ["'b'", "FIELD=A|B|C"]),
        ("a=1,b=", ["'b='"]),
        ("=1,b=2", ["'=1'"]),
        ("a=1,b=2,layout=diagonal", ["layout", "diagonal"]),
        ("a=1,b=layout=2", ["joins"]),
        ("a=1:1000:1,b=1:1000:1,c=1:2:1", ["2000000 combinations"]),
        ("", ["needs values for a, b"]),
    ],
)
def test_what_can_not_be_meant_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        values(text)
    assert all(word in str(refused.value) for word in words), refused.value


@given(st.text(alphabet="ab=,|:0123456789 layourwscmn-²", max_size=40))
def test_any_text_is_axes_or_a_usage_error(text: str) -> None:
    try:
        found = checked_axes(KERNEL, parse_axes(text, KERNEL))
    except UsageError:
        return
    assert all(axis.values for axis in found)


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=6, unique=True),
)
def test_what_a_space_says_of_itself_reads_back(a: list[int], b: list[int]) -> None:
    space = fields_space([Axis("a", tuple(sorted(a))), Axis("b", tuple(sorted(b))), Axis(IMPLEMENTATION, ("one",))])
    assert parse_axes(space.text(), KERNEL) == list(space.axes[:-1])


def test_a_plugins_own_space_with_a_field_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'height'"):
        checked_axes(KERNEL, [Axis("height", (1, 2))])


def test_points_are_the_combinations_that_make_sense() -> None:
    space = fields_space([Axis("a", (1, 2)), Axis("b", (3, 4)), Axis(IMPLEMENTATION, ("one", "two"))])
    cases = [(space.case(point)["a"], space.case(point)["b"], space.implementation(point)) for point in space.points()]
    assert cases == [(1, 4, "one"), (1, 4, "two"), (2, 3, "one"), (2, 3, "two"), (2, 4, "one"), (2, 4, "two")]
    assert space.size == 6 and space.combinations == 8


def test_what_an_implementation_can_not_take_is_no_point() -> None:
    space = fields_space(
        [Axis("a", (2, 4)), Axis("b", (4,)), Axis(IMPLEMENTATION, ("one", "two"))],
        lambda case, implementation: "too large" if case["a"] == 4 and implementation == "two" else "",
    )
    assert space.size == 3


def test_each_point_is_found_again_by_its_case_and_foreign_cases_are_not() -> None:
    space = fields_space([Axis("a", (1, 2)), Axis("b", (3, 4)), Axis("layout", ("columns", "rows"))])
    assert all(space.point(space.case(point), "") == point for point in space.points())
    case = space.case((1, 1, 0))
    assert space.point(case | {"a": 3}, "") is None
    assert space.point(case | {"c": 2}, "") is None, "a field that the space leaves at its default"
    assert space.point({"a": 1, "b": 3, "c": 1, "layout": "rows"}, "") is None, "a combination that makes no sense"


def test_neighbours_are_a_step_along_a_direction_or_any_other_choice() -> None:
    space = space_of(5, words=3)
    assert set(space.neighbours((0, 1))) == {(1, 1), (0, 0), (0, 2)}
    assert set(space.neighbours((2, 0))) == {(1, 0), (3, 0), (2, 1), (2, 2)}


def test_the_size_of_a_large_space_is_estimated_and_close() -> None:
    space = fields_space([Axis("a", tuple(range(1, 201))), Axis("b", tuple(range(1, 151)))])
    exact = 200 * 150 - 100
    assert space.combinations > 20_000 and space.size == pytest.approx(exact, rel=0.01)
    assert space.valid(space.any_point(random.Random(3))) in (True, False)
