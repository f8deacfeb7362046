"""The rule for paired launches, what it can see, confirmation, and the whole of a suite."""

from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.verdicts import (
    CONFIRM_PAIRS,
    SCREEN_PAIRS,
    VERDICTS,
    SeriesVerdict,
    by_importance,
    cannot_see_below,
    change,
    confirmed,
    effective_threshold,
    judge_pairs,
    launch_noise,
    suite_shifts,
    what_can_be_seen,
    worst,
)

TIMES = st.floats(1e-6, 10.0)


def launches(draw: random.Random, count: int, noise: float, ratio: float = 1.0) -> tuple[list[float], list[float]]:
    """Launches of both sides, log-normal."""
    base = [math.exp(draw.gauss(0.0, noise)) for _ in range(count)]
    return base, [ratio * math.exp(draw.gauss(0.0, noise)) for _ in range(count)]


def verdict(name: str, kind: str = "same", ratio: float | None = 1.0, **more: object) -> SeriesVerdict:
    return SeriesVerdict(series=name, verdict=kind, reason="", text="", ratio=ratio, **more)  # type: ignore[arg-type]  # any kind


def test_a_clear_slow_down_is_a_regression_and_the_way_back_an_improvement() -> None:
    base = [1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.01, 0.99]
    new = [1.2 * time for time in reversed(base)]
    slower = judge_pairs(base, new, threshold=0.05)
    assert (slower.verdict, slower.reason) == ("regression", "slower")
    assert slower.ci95_low is not None and slower.ratio is not None and slower.ci95_high is not None
    assert 1.15 < slower.ci95_low <= slower.ratio <= slower.ci95_high < 1.25
    assert slower.p == 1 / 256
    faster = judge_pairs(new, base, threshold=0.05)
    assert (faster.verdict, faster.reason) == ("improvement", "faster")
    assert faster.ratio == pytest.approx(1 / slower.ratio)


def test_equal_sides_are_the_same() -> None:
    found = judge_pairs([1.0] * 8, [1.0] * 8, threshold=0.03)
    assert (found.verdict, found.reason, found.ratio, found.p) == ("same", "within_threshold", 1.0, 1.0)


def test_a_change_below_the_threshold_is_no_regression_however_sure() -> None:
    base = [1.0 + 1e-4 * i for i in range(16)]
    found = judge_pairs(base, [1.02 * time for time in base], threshold=0.03)
    assert found.verdict == "same"
    assert judge_pairs(base, [1.029 * time for time in base], threshold=0.03).verdict != "regression"
    assert judge_pairs(base, [1.032 * time for time in base], threshold=0.03).verdict == "regression"


def test_noise_raises_the_threshold_and_is_named() -> None:
    base, new = launches(random.Random(4), 8, 0.05, 1.08)
    found = judge_pairs(base, new, threshold=0.03)
    assert found.verdict == "ambiguous"
    assert found.threshold is not None and found.launch_noise is not None
    assert found.threshold == pytest.approx(math.exp(2 * found.launch_noise) - 1)
    assert found.threshold_asked == 0.03


def test_noise_that_is_known_from_before_counts_where_these_pairs_are_calm() -> None:
    base = [1.0] * 8
    new = [1.06] * 8
    assert judge_pairs(base, new, threshold=0.03).verdict == "regression"
    told = judge_pairs(base, new, threshold=0.03, aa_noise=0.04)
    assert (told.verdict, told.reason, told.noise_source) == ("ambiguous", "below_noise", "given")


@pytest.mark.parametrize("pairs", [1, 3, 6])
def test_fewer_than_seven_pairs_call_nothing(pairs: int) -> None:
    found = judge_pairs([1.0] * pairs, [2.0] * pairs, threshold=0.05)
    assert (found.verdict, found.reason, found.cannot_see_below) == ("ambiguous", "too_few_launches", None)


def test_same_is_never_said_of_launches_that_scatter_beyond_the_threshold() -> None:
    draw = random.Random(1)
    verdicts = [judge_pairs(*launches(draw, 16, 0.2), threshold=0.05).verdict for _ in range(200)]
    assert "same" not in verdicts


def test_a_planted_slow_down_is_never_called_the_same() -> None:
    draw = random.Random(2)
    for noise in (0.01, 0.05, 0.14):
        found = [judge_pairs(*launches(draw, 8, noise, 1.10), threshold=0.05).verdict for _ in range(200)]
        assert not {"same", "improvement"} & set(found)


def test_false_alarms_stay_rare_whatever_the_noise() -> None:
    draw = random.Random(3)
    for noise in (0.015, 0.05, 0.2):
        found = [judge_pairs(*launches(draw, SCREEN_PAIRS, noise), threshold=0.03).verdict for _ in range(1500)]
        # 0.4 % at most of one screening, both directions (benchmarks/calibration.py): 6 of 1500; 18 is six σ more.
        assert sum(one in ("regression", "improvement") for one in found) <= 18


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_turning_the_sides_turns_the_verdict(pairs: list[tuple[float, float]], threshold: float) -> None:
    base, new = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = judge_pairs(base, new, threshold=threshold), judge_pairs(new, base, threshold=threshold)
    turned = {"regression": "improvement", "improvement": "regression"}
    assert back.verdict == turned.get(there.verdict, there.verdict)
    assert there.ratio is not None and back.ratio is not None
    assert there.ratio * back.ratio == pytest.approx(1.0)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=7, max_size=12), st.floats(0.5, 2.0))
def test_the_unit_of_time_does_not_matter(pairs: list[tuple[float, float]], scale: float) -> None:
    base, new = [a for a, _ in pairs], [b for _, b in pairs]
    one = judge_pairs(base, new, threshold=0.05)
    other = judge_pairs([scale * a for a in base], [scale * b for b in new], threshold=0.05)
    assert other.ratio == pytest.approx(one.ratio)
    assert other.launch_noise == pytest.approx(one.launch_noise, abs=1e-9)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=6, max_size=12))
def test_the_ratio_is_the_median_of_the_pairs_and_lies_in_its_interval(pairs: list[tuple[float, float]]) -> None:
    found = judge_pairs([a for a, _ in pairs], [b for _, b in pairs], threshold=0.05)
    assert found.ratio is not None and found.ci95_low is not None and found.ci95_high is not None
    assert math.log(found.ratio) == pytest.approx(median(math.log(b / a) for a, b in pairs), abs=1e-9)
    assert found.ci95_low <= found.ratio <= found.ci95_high


@pytest.mark.parametrize(
    ("base", "new", "threshold", "said"),
    [
        ([1.0], [1.0, 2.0], 0.05, "1 launches of the base for 2"),
        ([], [], 0.05, "not above 0"),
        ([1.0], [0.0], 0.05, "not above 0"),
        ([1.0], [math.nan], 0.05, "not above 0"),
        ([1.0], [1.0], 0.0, "threshold"),
        ([1.0], [1.0], math.inf, "threshold"),
    ],
)
def test_what_is_no_measurement_is_refused(base: list[float], new: list[float], threshold: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        judge_pairs(base, new, threshold=threshold)


def test_launch_noise_is_that_of_one_side() -> None:
    draw = random.Random(5)
    found = [
        launch_noise([b - a for a, b in zip(*side, strict=True)])
        for side in (
            ([draw.gauss(0, 0.05) for _ in range(8)], [draw.gauss(0, 0.05) for _ in range(8)]) for _ in range(500)
        )
    ]
    assert median(found) == pytest.approx(0.05, rel=0.1)
    assert launch_noise([0.3]) == 0.0


def test_what_can_be_seen_is_seen_four_times_in_five() -> None:
    draw = random.Random(6)
    for noise, threshold in ((0.015, 0.05), (0.04, 0.03)):
        visible = cannot_see_below(noise, SCREEN_PAIRS, threshold=threshold)
        assert visible is not None
        seen = [
            judge_pairs(*launches(draw, SCREEN_PAIRS, noise, 1 + visible), threshold=threshold, aa_noise=noise)
            for _ in range(600)
        ]
        # Below 0.8: these pairs' own noise raises the threshold as often as it happens to be the larger.
        assert 0.6 < sum(one.verdict == "regression" for one in seen) / 600 < 0.9


def test_more_noise_and_fewer_pairs_show_less() -> None:
    base = cannot_see_below(0.04, 8, threshold=0.03)
    assert base is not None
    assert base > effective_threshold(0.03, 0.04) == pytest.approx(math.exp(0.08) - 1)
    assert cannot_see_below(0.05, 8, threshold=0.03) > base > cannot_see_below(0.04, 16, threshold=0.03)  # type: ignore[operator]  # eight pairs see something
    assert what_can_be_seen(0.04, base) == "at a launch noise of 4 % no change below 11 % can be called"
    assert "seven pairs" in what_can_be_seen(0.04, None)
    assert what_can_be_seen(None, 0.1) == ""


def test_a_candidate_that_holds_is_confirmed_and_one_that_does_not_is_ambiguous() -> None:
    strong = judge_pairs([1.0] * 8, [1.2] * 8, threshold=0.05, series="a")
    base = [1.0 + 0.001 * i for i in range(CONFIRM_PAIRS)]
    held = judge_pairs(base, [1.2 * time for time in base], threshold=0.05, stage="confirm", series="a")
    gone = judge_pairs(base, list(reversed(base)), threshold=0.05, stage="confirm", series="b")
    back = judge_pairs([1.2 * time for time in base], base, threshold=0.05, stage="confirm", series="c")
    found = confirmed([strong, strong, strong], [held, gone, back])
    assert [one.verdict for one in found] == ["regression", "same", "ambiguous"]
    assert found[2].reason == "not_confirmed"


def test_a_weak_confirmation_falls_among_many_candidates() -> None:
    candidate = verdict("a", "regression", 1.1)
    weak = verdict("a", "regression", 1.1, p=0.04)
    others = [verdict("b", "ambiguous", 1.0, p=0.5)] * 9
    assert confirmed([candidate], [weak])[0].verdict == "regression"
    assert confirmed([candidate] * 10, [weak, *others])[0].verdict == "ambiguous"
    assert confirmed([], []) == []


def test_the_worst_comes_first_and_the_larger_change_before_the_smaller() -> None:
    found = [
        verdict("same"),
        verdict("small", "regression", 1.1),
        verdict("unclear", "ambiguous", 1.5),
        verdict("large", "regression", 1.9),
        verdict("gone", "missing", None),
    ]
    assert [one.series for one in by_importance(found)] == ["large", "small", "gone", "unclear", "same"]
    assert worst(found) == "regression"
    assert worst([]) == "not_comparable"
    assert VERDICTS[0] == "regression" and VERDICTS[-1] == "same"


def test_half_a_class_that_moves_one_way_is_one_event() -> None:
    moved = [verdict(f"m{i}", "regression", 1.2 + 0.01 * i, group="card") for i in range(4)]
    still = [verdict(f"s{i}", "same", 1.0, group="card") for i in range(4)]
    elsewhere = [verdict("x", "regression", 1.2, group="other card")]
    marked, shifts = suite_shifts([*moved, *still, *elsewhere])
    assert [one.reason for one in marked] == ["suite_shift"] * 4 + [""] * 5
    assert all(one.verdict == "regression" for one in marked[:4])
    assert [(one.group, one.direction, len(one.series), one.judged) for one in shifts] == [("card", "slower", 4, 8)]
    assert suite_shifts([*moved[:3], *still])[1] == []


def test_three_cases_that_all_moved_are_three_changes() -> None:
    assert suite_shifts([verdict(f"{i}", "regression", 1.3) for i in range(3)])[1] == []


@pytest.mark.parametrize(
    ("ratio", "said"), [(1.12, "12 % slower"), (0.8, "20 % less time"), (1.0, "unchanged"), (1.0004, "unchanged")]
)
def test_a_ratio_in_words(ratio: float, said: str) -> None:
    assert change(ratio) == said
