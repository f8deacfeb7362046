"""The chart's geometry: everything lies inside, in order, and says in words what it shows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.history import history
from bench.report import history_chart
from bench.report.history_chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart, spark_path, summary
from tests.histories import Accepted, noisy, points, stepped


@given(st.lists(st.floats(1e-9, 1e3) | st.none(), min_size=1, max_size=40), st.sets(st.integers(0, 39), max_size=5))
def test_everything_lies_inside_the_frame(values: list[float | None], quarantined: set[int]) -> None:
    found = [replace(point, quarantined=i in quarantined) for i, point in enumerate(points(values))]
    one = history(found)
    drawn = chart(one)
    if drawn is None:
        assert not one.used
        return
    assert len(drawn.dots) == len(values)
    assert [dot.x for dot in drawn.dots] == sorted(dot.x for dot in drawn.dots)
    for dot in drawn.dots:
        assert LEFT <= dot.x <= WIDTH - RIGHT and TOP <= dot.y <= HEIGHT - BOTTOM
    assert all(TOP - 0.1 <= tick.at <= HEIGHT - BOTTOM + 0.1 for tick in drawn.ticks)
    assert len(drawn.path.split()) == len(one.used)
    assert sum(dot.kind == "grey" for dot in drawn.dots) == len(one.points) - len(one.used)


def test_a_change_is_marked_between_its_two_runs() -> None:
    one = stepped()
    drawn = chart(one)
    assert drawn is not None
    (mark,) = drawn.marks
    assert drawn.dots[29].x < mark.x < drawn.dots[30].x
    assert (mark.kind, mark.label) == ("slower", "▲ +20 %")
    assert [level.y for level in drawn.levels] == sorted((level.y for level in drawn.levels), reverse=True)


def test_kinds_of_changes_differ_by_more_than_colour() -> None:
    accepted = chart(stepped([Accepted("run0030")]))
    assert accepted is not None and accepted.marks[0].label == "▲ +20 % ✓"
    faster = chart(history(points(noisy([1.2e-3] * 30 + [1e-3] * 30))))
    assert faster is not None and faster.marks[0].label.startswith("▼ −")


def test_marks_that_are_close_have_their_labels_in_two_rows() -> None:
    values = noisy([1e-3] * 60 + [2e-3] * 5 + [1e-3] * 60)
    drawn = chart(history(points(values)))
    assert drawn is not None
    assert len(drawn.marks) == 2 and drawn.marks[0].y != drawn.marks[1].y


def test_a_wild_grey_value_does_not_flatten_the_rest() -> None:
    calm = points(noisy([1e-3] * 20))
    wild = [*calm[:10], replace(calm[10], value_s=1.0, quarantined=True), *calm[11:]]
    without = chart(history([*calm[:10], *calm[11:]]))
    drawn = chart(history(wild))
    assert drawn is not None and without is not None
    assert drawn.ticks == without.ticks
    assert drawn.dots[10].y == TOP and "not used: in quarantine" in drawn.dots[10].label


def test_a_dot_says_what_it_stands_for() -> None:
    drawn = chart(history(points([1.234e-3])))
    assert drawn is not None
    assert drawn.dots[0].label == "1.234 ms, commit c0000, run run0000, 2026-01-01T00:00:00+00:00"


def test_ticks_are_round_and_neither_none_nor_many() -> None:
    for centre in (1e-9, 3.3e-7, 1e-3, 0.5, 700.0):
        drawn = chart(history(points(noisy([centre] * 20, 0.1))))
        assert drawn is not None and 2 <= len(drawn.ticks) <= 8
        assert len({tick.label for tick in drawn.ticks}) == len(drawn.ticks)


def test_the_summary_says_what_a_reader_would_see() -> None:
    assert summary(stepped()).startswith("60 runs from 2026-01-01 to 2026-03-01, time per call between ")
    assert summary(stepped()).endswith("1 change of level: +20 %.")
    assert summary(history(points([1e-3] * 3))).endswith("No change of level.")
    assert summary(history(points([None]))) == "No usable value in 1 run."


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=60))
def test_the_small_line_stays_in_its_box(values: list[float]) -> None:
    for pair in spark_path(values, 100, 20).split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 100 and 0 <= y <= 20


def test_the_unit_of_a_series_without_usable_values_is_that_of_its_others() -> None:
    assert history_chart.unit_of_history(history(points([2e-6], quarantined=True)))[1] == "µs"
    assert history_chart.unit_of_history(history(points([None])))[1] == "s"
