"""Histories: what enters a test, where changes lie, what an accepted one does."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.history import histories, history, usable
from tests.histories import Accepted, Point, noisy, points, stepped


def test_a_step_is_a_change_with_its_commits_its_times_and_its_size() -> None:
    one = stepped()
    (change,) = one.changes
    assert (change.index, change.commit, change.previous_commit) == (30, "c0030", "c0029")
    assert change.before_s == pytest.approx(1e-3, rel=0.01)
    assert change.after_s == pytest.approx(1.2e-3, rel=0.01)
    assert change.change == pytest.approx(0.2, abs=0.02)
    assert change.p is not None and change.p < 1e-4
    assert change.status == "confirmed"
    assert [(level.first, level.last) for level in one.levels] == [(0, 29), (30, 59)]
    assert not one.suspected


def test_points_are_put_in_the_order_of_their_runs() -> None:
    found = points(noisy([1e-3] * 30 + [1.2e-3] * 30))
    assert history(found[::-1]) == history(found)


def test_what_is_in_quarantine_or_unusable_is_kept_and_never_tested() -> None:
    found = points(noisy([1e-3] * 40))
    grey = [replace(point, value_s=9e-3, quarantined=True) for point in found[10:14]]
    grey += [replace(point, value_s=9e-3, status="contended") for point in found[14:18]]
    grey += [replace(point, value_s=None, status="crashed") for point in found[18:20]]
    one = history(found[:10] + grey + found[20:])
    assert len(one.points) == 40 and len(one.used) == 30
    assert one.changes == () and max(one.values_s) < 2e-3


def test_an_index_counts_the_values_and_not_the_points() -> None:
    found = points(noisy([1e-3] * 20 + [1.2e-3] * 20))
    found[5] = replace(found[5], quarantined=True)
    (change,) = history(found).changes
    assert (change.index, change.commit) == (19, "c0020")


@pytest.mark.parametrize(
    "changes",
    [
        *({"value_s": value} for value in (None, 0.0, -1.0, nan, inf)),
        {"quarantined": True},
        {"status": "wrong"},
        {"status": "throttled"},
    ],
)
def test_a_value_that_no_test_may_use(changes: dict[str, object]) -> None:
    assert not usable(replace(Point(), **changes))  # type: ignore[arg-type]  # parametrised over fields
    assert usable(replace(Point(), status="noisy"))


def test_an_accepted_change_restarts_the_baseline() -> None:
    one = stepped([Accepted("run0030", reason="a safer algorithm")])
    (change,) = one.changes
    assert (change.index, change.status, change.reason) == (30, "accepted", "a safer algorithm")
    assert change.p is not None and change.p < 1e-4
    assert change.change == pytest.approx(0.2, abs=0.02)


def test_an_accepted_change_near_the_end_of_a_wander_leaves_no_second_one() -> None:
    values = noisy([1e-3] * 30 + [1.1e-3] + [1.2e-3] * 29)
    (change,) = history(points(values), [Accepted("run0030")]).changes
    assert (change.index, change.status) == (30, "accepted")


def test_a_change_after_an_accepted_one_is_new() -> None:
    values = noisy([1e-3] * 20 + [1.2e-3] * 20 + [1.5e-3] * 20)
    one = history(points(values), [Accepted("run0020")])
    assert [(change.index, change.status) for change in one.changes] == [(20, "accepted"), (40, "confirmed")]


def test_an_accepted_change_whose_run_is_gone_is_known_by_its_commit() -> None:
    (change,) = stepped([Accepted("compacted away", commit="c0030")]).changes
    assert (change.index, change.status) == (30, "accepted")


def test_an_accepted_change_that_nothing_was_measured_at_changes_nothing() -> None:
    assert stepped([Accepted("another", commit="another")]) == stepped()
    assert stepped([Accepted("another")], commit=None) == stepped(commit=None)
    assert stepped([Accepted("run0000", reason="the first has nothing before it")]) == stepped()


def test_an_accepted_change_with_too_little_around_it_has_no_p() -> None:
    one = history(points([1e-3, 2e-3]), [Accepted("run0001")])
    assert [(change.p, change.change) for change in one.changes] == [(None, pytest.approx(1.0))]


def test_a_wandering_series_has_possible_changes_only() -> None:
    values, level = [], 0.0
    for shock in noisy([1.0] * 120, noise=0.03, seed=3):
        level = 0.9 * level + (shock - 1.0)
        values.append(1e-3 * (1.0 + level))
    one = history(points(values))
    assert one.autocorrelation is not None and one.autocorrelation > 0.3
    assert one.changes
    assert {change.status for change in one.changes} == {"possible"}
    assert all("autocorrelation" in change.reason for change in one.changes)


def test_the_newest_value_is_suspected_until_others_confirm_it() -> None:
    calm = noisy([1e-3] * 30)
    one = history(points([*calm, 1.3e-3]))
    assert one.suspected and one.changes == ()
    assert one.suspicion == pytest.approx(0.3, abs=0.02)
    more = history(points([*calm, *noisy([1.3e-3] * 4, seed=2)]))
    assert [change.index for change in more.changes] == [30]
    assert not more.suspected and more.suspicion is None


def test_a_newest_value_in_quarantine_is_not_suspected() -> None:
    found = points([*noisy([1e-3] * 30), 2e-3])
    found[-1] = replace(found[-1], quarantined=True)
    assert not history(found).suspected


def test_a_series_without_a_usable_value_has_a_history_all_the_same() -> None:
    one = history(points([None, None], status="failed"))
    assert (one.values_s, one.changes, one.levels, one.suspected) == ([], (), (), False)


def test_series_and_classes_are_kept_apart() -> None:
    stream = points([1e-3] * 3, class_id="a") + points([2e-3] * 3, class_id="b") + points([1e-3] * 2, series="other")
    found = list(histories(stream, [Accepted("run0001", series="other")]))
    assert [(one.class_id, len(one.used), len(one.changes)) for one in found] == [
        ("a", 3, 0),
        ("b", 3, 0),
        (stream[-1].class_id, 2, 1),
    ]


def test_points_of_a_series_that_do_not_stand_together_are_refused() -> None:
    stream = [*points([1e-3]), *points([1e-3], series="other"), *points([1e-3])]
    with pytest.raises(ValueError, match="do not stand together"):
        list(histories(stream))


@given(st.lists(st.floats(1e-9, 1e3) | st.none(), min_size=1, max_size=60), st.sets(st.integers(0, 59), max_size=3))
def test_a_history_is_whole_whatever_the_values(values: list[float | None], accepted: set[int]) -> None:
    one = history(points(values), [Accepted(f"run{i:04}") for i in accepted])
    assert one.values_s == [value for value in values if value is not None]
    indices = [change.index for change in one.changes]
    assert indices == sorted(set(indices)) and all(0 < index < len(one.used) for index in indices)
    assert len(one.levels) == (len(indices) + 1 if one.used else 0)
    for change in one.changes:
        assert change.before_s > 0 and change.after_s > 0
