"""A history in words, as JSON, and as sparklines on a terminal."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.history import history
from bench.report.history import document, json_lines, number, p_words, signed_percent, time_words
from bench.report.history_terminal import lines, sparkline
from tests.histories import Accepted, noisy, points, stepped


def terminal(*arguments: object, **options: object) -> str:
    return "\n".join(lines(*arguments, **options))  # type: ignore[arg-type]  # handed on as they are


def test_the_document_has_the_designs_keys() -> None:
    one = stepped()
    found = json.loads("".join(json_lines([one])))
    assert found["schema"] == 1
    (series,) = found["series"]
    assert series["series"] == one.series
    assert len(series["values"]) == len(series["commits"]) == len(series["runs"]) == 60
    (change,) = series["change_points"]
    assert {"index", "commit", "change", "before", "after", "p", "status"} <= set(change)
    assert (change["index"], change["commit"], change["status"]) == (30, "c0030", "confirmed")
    assert change["change"] == pytest.approx(change["after"] / change["before"] - 1)
    assert series["suspected"] is False


def test_the_document_of_no_series_and_of_many_is_json() -> None:
    assert json.loads("".join(json_lines([]))) == {"schema": 1, "series": []}
    names = [one["series"] for one in json.loads("\n".join(json_lines([stepped(series=n) for n in "abc"])))["series"]]
    assert names == ["a", "b", "c"]


def test_a_name_survives_a_terminal_that_lacks_its_characters() -> None:
    text = "".join(json_lines([stepped(series="名前 µ \u202e")]))
    assert text.isascii()
    assert json.loads(text)["series"][0]["series"] == "名前 µ \u202e"


def test_what_is_not_used_stands_apart_in_the_document() -> None:
    found = points([1e-3] * 4)
    found[1] = replace(found[1], quarantined=True)
    found[3] = replace(found[3], value_s=None, status="crashed")
    shown = document(history(found))
    assert shown["values"] == [1e-3, 1e-3] and shown["commits"] == ["c0000", "c0002"]
    assert [(one["before"], one["run"], one["status"]) for one in shown["excluded"]] == [
        (1, "run0001", "ok"),
        (2, "run0003", "crashed"),
    ]


def test_the_terminal_names_the_commit_and_the_size() -> None:
    text = terminal([stepped()], 200)
    assert "▲ 20 % slower at c0030, after c0029 (2026-01-31): 1.00" in text
    assert "confirmed" in text
    assert "1 series, 1 became slower, 0 became faster, 0 suspected" in text


def test_an_accepted_change_tells_its_reason_and_is_nobodys_alarm() -> None:
    text = terminal([stepped([Accepted("run0030", reason="a safer algorithm")])], 200)
    assert "accepted: a safer algorithm" in text
    assert "0 became slower" in text


def test_a_suspected_value_is_named() -> None:
    one = history(points([*noisy([1e-3] * 30), 1.3e-3]))
    text = terminal([one], 120)
    assert "newest value suspected: 30 % slower than its level, at c0030" in text
    assert "1 suspected" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_report_fits_the_terminal(width: int) -> None:
    grey = [replace(point, quarantined=i in (3, 4)) for i, point in enumerate(points(noisy([1e-3] * 50)))]
    for one in (stepped(), history(grey)):
        assert max(map(len, lines([one], width))) <= width


@pytest.mark.parametrize("width", [40, 120])
def test_ascii_output_has_no_other_characters(width: int) -> None:
    text = terminal([stepped(series="名前 µ ▲"), history(points([1e-5, None]))], width, ascii_only=True)
    assert text.isascii()
    assert "|" in text and "->" in text


def test_a_series_without_a_usable_value_says_so() -> None:
    assert "no usable value in 2 runs" in terminal([history(points([None, None]))], 80)


def test_a_name_cannot_steer_the_terminal() -> None:
    text = terminal([stepped(series="\x1b[2Jgemm\u202e\n\r", class_id="\x07")], 200)
    assert not any(char in text for char in "\x1b\u202e\r\x07")


@given(
    st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=80),
    st.integers(1, 60),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_sparkline_is_as_wide_as_its_values_or_the_room(
    values: list[float], width: int, ascii_only: bool, draw: random.Random
) -> None:
    changes = sorted(draw.sample(range(1, len(values)), min(len(values) - 1, 2)))
    line = sparkline(values, changes, width + len(changes), ascii_only)
    assert min(len(values), width) <= len(line) <= min(len(values), width) + len(changes)


def test_a_sparkline_rises_where_the_values_do_and_marks_the_step() -> None:
    assert sparkline([1.0] * 5 + [2.0] * 5, [5], 20) == "▁▁▁▁▁│█████"
    assert sparkline([1.0] * 50 + [2.0] * 50, [50], 11) == "▁▁▁▁▁│█████"
    assert sparkline([1.0] * 5 + [2.0] * 5, [5], 20, ascii_only=True) == "_____|^^^^^"


def test_noise_below_the_size_of_a_change_stays_flat() -> None:
    assert len(set(sparkline(noisy([1.0] * 30, 0.001), [], 30))) <= 2


@pytest.mark.parametrize(
    ("value_s", "words"),
    [(1.23456, "1.235 s"), (1.5e-3, "1.500 ms"), (2.2e-5, "22.00 µs"), (3e-9, "3.000 ns"), (1e-12, "0.001000 ns")],
)
def test_times_have_four_digits_and_a_unit(value_s: float, words: str) -> None:
    assert time_words(value_s) == words


def test_numbers_in_words() -> None:
    assert [number(12345.6), number(0.0)] == ["12346", "0"]
    assert [signed_percent(0.123), signed_percent(-0.041)] == ["+12 %", "−4.1 %"]
    assert [p_words(0.0), p_words(2.3e-9), p_words(0.02)] == ["< 1e-300", "2e-09", "0.02"]
