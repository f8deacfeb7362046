"""Applications on the page: each figure the record's, each missing call named, no unfinished one first."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from bench.analysis.report_view import build
from bench.report.page import render
from bench.report.report_words import LANGUAGES, say
from tests.page_reading import Section, agrees
from tests.scenario_rows import PLANNED, row, run

WHOLE = (row("a"), row("b", median_s=2.345e-3), row("c", median_s=4e-6), row("a", "int8"), row("b", "int8"))


def page(*files: object, language: str = "en") -> str:
    return render(build([(f"run{place}", file) for place, file in enumerate(files)]), language=language)  # type: ignore[misc]  # run files


def test_every_figure_is_the_records_to_the_digits_shown() -> None:
    view = build([("one", run(*WHOLE)), ("two", run(row("a"), row("b", rated=None), row("c")))])
    found = Section(render(view), "scenarios")
    assert found.values and [pair for pair in found.values if not agrees(*pair)] == []
    shown = [value for value, _ in found.values]
    for one in view.scenarios:
        assert one.value is None or shown.count(repr(one.value)) >= 2, "in the table, and with its calls"
        for part in one.outcome.parts:
            assert repr(part.time_s) in shown
    assert f"#{view.scenarios[0].rows[0].key}" in found.addresses  # type: ignore[union-attr]  # it has one


def test_an_incomplete_one_is_n_a_and_names_what_is_missing() -> None:
    found = Section(page(run(row("a"), row("b", status="out_of_memory", reason="too large", timed=False))), "scenarios")
    assert "2 of 3 calls missing" in found.text
    assert "b: out of memory too large" in found.text and "c: not measured no row" in found.text
    figures = [text for value, text in found.values if "FLOPS" in text]
    assert figures == [], "no figure stands for a part of a step"


def test_only_the_highest_whole_one_of_several_devices_is_marked() -> None:
    lacking = run(row("a", median_s=1e-9), row("b", median_s=1e-9))
    fast, slow = run(*WHOLE), run(*(row(name, median_s=1.0) for name in "abc"))
    marked = re.findall(r">★</span> ([\d.]+ \w+)<", page(lacking, slow, fast))
    value = build([("fast", fast)]).scenarios[0].value
    assert value is not None and len(marked) == 1 and agrees(repr(value), marked[0])
    assert "★</span>" not in page(lacking, fast), "the best of one is no comparison"


def test_precisions_are_compared_over_what_both_have() -> None:
    assert re.search(
        r"INT8 is [\d.]+ × as fast as BF16 over the calls measured at both \(2\)",
        Section(page(run(*WHOLE)), "scenarios").text,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_section_stands_only_where_scenarios_were_measured(language: str) -> None:
    text = page(run(*WHOLE), language=language)
    assert say("scenarios", language) in Section(text, "scenarios").text
    without = run(*WHOLE)
    without.run = msgspec.structs.replace(without.run, scenarios=[])
    assert Section(page(without), "scenarios").text == ""


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '" onclick="x', "{{ 7 * 7 }}", "\u202ex\x00", "x" * 9999]
)
def test_hostile_names_are_text(name: str) -> None:
    def named(name: str) -> str:
        rows = []
        for one in (row("a"), row("b", status="failed", reason=name, timed=False)):
            assert one.scenario is not None
            rows.append(
                msgspec.structs.replace(
                    one, scenario=msgspec.structs.replace(one.scenario, suite=name, entry=name + "a")
                )
            )
        file = run(*rows)
        planned = msgspec.structs.replace(
            PLANNED, suite=name, title=name, step=name, entries={name + "a": ["bf16"], name: ["bf16"]}
        )
        file.run = msgspec.structs.replace(file.run, scenarios=[planned])
        return page(file)

    tags = [re.findall(r"<(/?[a-z]\w*)", text) for text in (named("plain"), named(name))]
    assert tags[0] == tags[1]
    data = re.findall(r'<script type="application/json" id="data">(.*?)</script>', named(name), re.DOTALL)
    assert json.loads(data[0])["rows"]
