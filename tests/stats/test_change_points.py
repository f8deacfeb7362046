"""Change points: a slow, obviously right version agrees; what is stationary stays whole; steps are found in place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from math import log, nan, sqrt
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import change_points as fast
from bench.stats.student import two_sided_p

UNIT = 64.0
"""Values are whole numbers over this: sums of them are exact, so that the slow version must agree to the last split."""

whole = st.integers(-30, 30)
flat = st.lists(st.integers(-3, 3), min_size=4, max_size=24)
stepped = st.lists(st.tuples(whole, flat), min_size=1, max_size=5).map(
    lambda parts: [level + wobble for level, wobbles in parts for wobble in wobbles]
)
any_series = st.one_of(stepped, st.lists(whole, min_size=1, max_size=90))


def scaled(values: Sequence[int]) -> list[float]:
    return [value / UNIT for value in values]


def mean_distance(pairs: list[tuple[int, int]]) -> Fraction:
    return Fraction(sum(abs(x - y) for x, y in pairs), len(pairs))


def slow_split(values: Sequence[int], least: int) -> int | None:
    """Székely and Rizzo's statistic by its definition, in exact fractions; the first of equal maxima."""
    best: tuple[Fraction, int] | None = None
    for split in range(least, len(values) - least + 1):
        left, right = values[:split], values[split:]
        between = mean_distance([(x, y) for x in left for y in right])
        within = mean_distance(list(combinations(left, 2))) + mean_distance(list(combinations(right, 2)))
        q = Fraction(len(left) * len(right), len(values)) * (2 * between - within)
        if best is None or q > best[0]:
            best = q, split
    return best[1] if best else None


def slow_squares(values: Sequence[float]) -> Fraction:
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    return sum(((value - mean) ** 2 for value in exact), Fraction(0))


def slow_p(left: Sequence[float], right: Sequence[float]) -> float:
    squares = sum((x - fmean(left)) ** 2 for x in left) + sum((x - fmean(right)) ** 2 for x in right)
    degrees = len(left) + len(right) - 2
    difference = fmean(left) - fmean(right)
    if squares < 1e-18:
        return 1.0 if abs(difference) < 1e-9 else 0.0
    return two_sided_p(difference / sqrt(squares / degrees * (1 / len(left) + 1 / len(right))), degrees)


def slow_candidates(values: Sequence[int], rules: fast.Rules) -> list[int]:
    found: set[int] = set()
    starts = [(width, start) for width in rules.windows for start in range(0, len(values), width // 2)]
    for width, start in starts:
        if start > 0 and start - width // 2 + width >= len(values):
            continue  # the window before reached the end
        window = values[start : start + width]
        inside = []
        stretches = [(0, len(window))]
        while stretches:
            low, high = stretches.pop()
            split = slow_split(window[low:high], rules.least)
            if split is None:
                continue
            left, right = window[low : low + split], window[low + split : high]
            if slow_p(left, right) < rules.weak_factor * rules.p:
                inside.append(low + split)
                stretches += [(low, low + split), (low + split, high)]
        found |= {start + index for index in inside}
    return sorted(found)


def slow_premature(values: Sequence[int], index: int, kept: Sequence[int], rules: fast.Rules) -> bool:
    before = max([0] + [other for other in kept if other < index])
    after = min([len(values)] + [other for other in kept if other > index])
    for other in range(before + 1, after):
        moved = [(other - before, index - before), (after - other, after - index)]
        shorter = any(now < rules.least and was < 2 * rules.least for now, was in moved)
        if shorter:
            here, there = (slow_squares(values[before:at]) + slow_squares(values[at:after]) for at in (index, other))
            # The likelihood of normal values: squares to the power of minus half their number.
            if here > 0 and (there / here) ** Fraction(after - before, 2) < 1 / rules.far_better:
                return True
    return False


def slow_change_points(values: Sequence[int], rules: fast.Rules) -> list[int]:
    """The whole, with nothing kept from one look to the next."""
    kept = slow_candidates(values, rules)

    def sides(index: int, among: Sequence[int]) -> tuple[list[float], list[float]]:
        before = max([0] + [other for other in among if other < index])
        after = min([len(values)] + [other for other in among if other > index])
        return scaled(values[before:index]), scaled(values[index:after])

    while True:
        near = next((pair for pair in pairwise(kept) if pair[1] - pair[0] < rules.least), None)
        if near is None:
            break
        first, second = (
            sum(map(slow_squares, sides(one, [other for other in kept if other not in near]))) for one in near
        )
        kept.remove(near[0] if second < first else near[1])
    while kept:
        p = {index: slow_p(*sides(index, kept)) for index in kept}
        worst = max(kept, key=lambda index: p[index])
        if p[worst] < rules.p:
            spare = {}
            for index in kept:
                left, right = sides(index, kept)
                squares = sum((x - fmean(left)) ** 2 for x in left) + sum((x - fmean(right)) ** 2 for x in right)
                noise = sqrt(squares / (len(left) + len(right) - 2))
                spare[index] = abs(fmean(left) - fmean(right)) - max(rules.size, rules.noise_widths * noise)
            worst = min(kept, key=lambda index: spare[index])
            if spare[worst] > 0:
                early = [index for index in kept if slow_premature(values, index, kept, rules)]
                if not early:
                    return kept
                worst = early[0]
        kept.remove(worst)
    return kept


@settings(max_examples=60)
@given(any_series.filter(lambda values: len(values) <= 45))
def test_the_best_split_is_that_of_the_definition(values: list[int]) -> None:
    found = fast.best_split(scaled(values), 4)
    assert (found[0] if found else None) == slow_split(values, 4)


@settings(max_examples=60)
@given(stepped)
def test_the_change_points_are_those_of_the_slow_version(values: list[int]) -> None:
    found = [point.index for point in fast.change_points(scaled(values))]
    assert found == slow_change_points(values, fast.RULES)


@settings(max_examples=20)
@given(st.lists(whole, min_size=1, max_size=70), st.sampled_from([12, 20, 50]))
def test_other_rules_agree_with_the_slow_version_too(values: list[int], window: int) -> None:
    rules = fast.Rules(windows=(window, window // 2), p=0.01, least=3, size=0.0, noise_widths=0.5)
    found = [point.index for point in fast.change_points(scaled(values), rules)]
    assert found == slow_change_points(values, rules)


@given(any_series)
def test_every_change_point_keeps_the_rules(values: list[int]) -> None:
    series = scaled(values)
    points = fast.change_points(series)
    bounds = [0, *(point.index for point in points), len(series)]
    assert all(end - start >= fast.RULES.least for start, end in pairwise(bounds)) or not points
    for point in points:
        assert point.p < 1e-4
        assert point.size > max(log(1.03), 2 * point.noise)


@given(any_series, st.integers(-5, 5))
def test_a_shift_of_the_whole_series_changes_nothing(values: list[int], shift: int) -> None:
    here = [point.index for point in fast.change_points(scaled(values))]
    there = [point.index for point in fast.change_points([value + shift for value in scaled(values)])]
    assert here == there


@pytest.mark.parametrize("index", [4, 10, 25, 47, 50, 60, 96])
def test_a_clean_step_is_found_exactly_where_it_is(index: int) -> None:
    values = [0.0] * index + [0.1] * (100 - index)
    (point,) = fast.change_points(values)
    assert (point.index, point.before, point.after, point.noise, point.p) == (index, 0.0, 0.1, 0.0, 0.0)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 49, 50, 51, 75, 76])
def test_a_constant_series_of_any_length_has_none(length: int) -> None:
    assert fast.change_points([1.5] * length) == ()
    assert fast.autocorrelation([1.5] * length) == 0.0


def test_a_small_step_without_noise_is_no_change() -> None:
    assert fast.change_points([0.0] * 30 + [0.02] * 30) == ()
    assert [point.index for point in fast.change_points([0.0] * 30 + [0.04] * 30)] == [30]


def test_three_values_are_not_a_segment() -> None:
    draw = random.Random(4)
    noise = [draw.gauss(0.0, 0.01) for _ in range(60)]
    assert fast.change_points([*noise[:57], 0.5, 0.5, 0.5]) == ()
    assert fast.change_points([*noise[:59], 0.5]) == ()
    assert fast.change_points([*noise[:30], 0.5, 0.51, 0.5, *noise[30:]]) == ()
    assert fast.change_points([0.5, 0.51, *noise]) == ()
    assert [point.index for point in fast.change_points([*noise[:56], 0.5, 0.51, 0.5, 0.51])] == [56]


def test_a_slow_down_and_its_mending_are_two_changes() -> None:
    draw = random.Random(5)
    levels = [0.0] * 40 + [0.2] * 12 + [0.0] * 40
    points = fast.change_points([level + draw.gauss(0.0, 0.02) for level in levels])
    assert [point.index for point in points] == [40, 52]
    assert points[0].after > points[0].before and points[1].after < points[1].before


def test_ten_thousand_values_with_many_steps() -> None:
    draw = random.Random(6)
    levels = [0.2 * (index // 250 % 2) for index in range(10_000)]
    points = fast.change_points([level + draw.gauss(0.0, 0.02) for level in levels])
    steps = [250 * i for i in range(1, 40)]
    assert all(any(abs(point.index - step) <= 1 for point in points) for step in steps)
    assert len(points) <= len(steps) + 2  # ten thousand values have a false one now and then, with its end


def test_permuted_stationary_series_are_hardly_ever_divided() -> None:
    draw = random.Random(7)
    false = 0
    for _ in range(300):
        wander, series = 0.0, []
        for _ in range(100):
            wander = 0.6 * wander + draw.gauss(0.0, 0.03)
            series.append(wander)
        draw.shuffle(series)
        false += bool(fast.change_points(series))
    assert false <= 3


def test_steps_of_three_noise_widths_are_found_and_placed() -> None:
    draw = random.Random(8)
    found = 0
    for _ in range(100):
        index = draw.randrange(20, 96)
        series = [draw.gauss(0.0, 0.05) + (0.15 if i >= index else 0.0) for i in range(100)]
        found += any(abs(point.index - index) <= 4 for point in fast.change_points(series))
    assert found >= 80


def test_what_follows_its_predecessor_is_autocorrelated_and_what_does_not_is_not() -> None:
    draw = random.Random(9)
    noise = [draw.gauss(0.0, 1.0) for _ in range(2000)]
    wander = [0.0]
    for value in noise:
        wander.append(0.6 * wander[-1] + value)
    assert fast.autocorrelation(noise) == pytest.approx(0.0, abs=0.08)
    assert fast.autocorrelation(wander) == pytest.approx(0.6, abs=0.08)
    steps = [value + 100.0 * (i >= 1000) for i, value in enumerate(noise)]
    assert fast.autocorrelation(steps, [1000]) == pytest.approx(0.0, abs=0.08)
    assert fast.autocorrelation(steps) > 0.9


def test_the_newest_value_is_suspected_by_the_scale_of_its_past() -> None:
    draw = random.Random(10)
    past = [draw.gauss(0.0, 0.02) for _ in range(40)]
    z = fast.newest_z([*past, 0.3])
    assert z is not None and z > 5
    calm = fast.newest_z([*past, 0.045])
    assert calm is not None and abs(calm) < 5
    low = fast.newest_z([*past, -0.3])
    assert low is not None and low < -5


def test_a_newest_value_below_the_size_of_a_change_is_not_judged() -> None:
    assert fast.newest_z([0.0] * 30 + [0.02]) is None
    assert fast.newest_z([0.0] * 30 + [0.04]) == float("inf")


def test_a_newest_value_without_enough_past_is_not_judged() -> None:
    assert fast.newest_z([0.0] * 9 + [1.0]) is None
    assert fast.newest_z([0.0] * 20 + [1.0, 1.0, 1.0, 2.0], [20]) is None
    assert fast.newest_z([0.0] * 20 + [1.0, 1.0, 1.0, 1.0, 2.0], [20]) is not None


def test_a_known_step_is_compared_by_all_values_on_both_sides() -> None:
    point = fast.compare([0.0, 0.2, 1.0, 1.2], 2)
    assert point is not None
    assert (point.before, point.after) == (pytest.approx(0.1), pytest.approx(1.1))
    assert fast.compare([0.0, 1.0], 1) is None
    assert fast.compare([0.0, 1.0, 2.0], 3) is None


@pytest.mark.parametrize("values", [[], [0.0, nan]])
def test_none_and_nan_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no samples|NaN"):
        fast.change_points(values)
