"""The words on a search: the answer first, what stands in for it where there is none, and a document for programs."""

from __future__ import annotations

import json

import msgspec
import pytest

from bench import records
from bench.search.findings import Findings, findings
from bench.search.space import IMPLEMENTATION, Axis, Space
from bench.search.words import answer, document, markdown, terminal
from tests.factories import measurement, run_file
from tests.search.spaces import Fields, fields_space
from tests.search.test_findings import trial

DEFAULTS = {"fields": {"a": None, "b": None, "c": 1, "layout": "rows"}}
CASE = {"a": 4, "b": 16, "c": 1, "layout": "rows"}


def space() -> Space:
    return fields_space([Axis("a", (2, 4, 6)), Axis("b", (8, 16, 32)), Axis(IMPLEMENTATION, ("plain",))])


def searched(rows: list[records.Measurement], trials: list[records.Trial]) -> tuple[Findings, records.RunFile]:
    file = run_file(rows, trials=trials)
    return findings(space(), Fields(), "fp32", file), file


def row(**changes: object) -> records.Measurement:
    return measurement(kernel="fields", case=CASE, implementation="plain", **changes)


LOOKS = [trial(4, 16, 2e12), trial(4, 16, 2e12), trial(4, 32, 1e12), trial(4, 32, 1e12), trial(2, 8, None)]


def test_the_answer_has_shape_rate_interval_and_share() -> None:
    found, _ = searched([row()], LOOKS)
    assert answer(found, DEFAULTS) == "best: fields a=4 b=16 at fp32 by plain: 2.00 ± 0.02 TFLOPS, 50 % of rated"


def test_without_a_finalist_the_looks_answer_and_say_that_they_are_unchecked() -> None:
    found, _ = searched([], LOOKS)
    words = answer(found, DEFAULTS)
    assert words.startswith("nothing was measured in full") and "unchecked" in words and "a=4 b=16 by plain" in words
    disturbed, _ = searched([row(status="contended", reason="steal")], LOOKS)
    assert answer(disturbed, DEFAULTS).startswith("no finalist can be ranked")
    assert answer(searched([], LOOKS[-1:])[0], DEFAULTS) == "no shape ran"


def test_a_terminal_shows_coverage_failures_cliffs_and_map() -> None:
    found, file = searched([row()], LOOKS)
    text = terminal(found, file, DEFAULTS, 120, plain=False, colour=False)
    assert text.startswith("best: ")
    assert "5 looks at 3 of 9 points (33 %) took 2 s; one look at each would take about 4 s" in text
    assert "did not run: 1 look, failed: no such luck" in text
    assert "b 16 → 32 at a=4 by plain: 2 → 1 TFLOPS, −50 %" in text
    assert "★" in text and "the best" in text
    assert terminal(found, file, DEFAULTS, 120, plain=True, colour=False).isascii()


def test_markdown_has_the_table_and_the_map_as_text() -> None:
    found, file = searched([row()], LOOKS)
    text = markdown(found, file, DEFAULTS)
    assert "| fields" in text and "```text" in text and "- 5 looks" in text


def test_the_document_is_json_with_every_figure_unrounded() -> None:
    found, file = searched([row(), row(id="00002", timed=False, status="wrong", reason="off")], LOOKS)
    read = json.loads(json.dumps(document(found, file), allow_nan=False))
    assert read["schema"] == 1 and read["unit"] == "FLOPS" and read["status"] == "complete"
    assert read["best"]["case"] == CASE and read["best"]["rate_per_s"] == 2e12
    assert read["best"]["ci95_low_per_s"] < 2e12 < read["best"]["ci95_high_per_s"]
    assert [one["rate_per_s"] for one in read["finalists"]] == [2e12, None]
    assert read["looked_at"]["points"] == 3 and read["avoid"][0]["loss"] == pytest.approx(0.5)
    assert read["space"] == "a=2|4|6,b=8|16|32"
    unranked = msgspec.structs.replace(file, measurements=[], end=None)
    assert document(findings(space(), Fields(), "fp32", unranked), unranked)["best"] is None
