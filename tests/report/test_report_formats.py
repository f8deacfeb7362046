"""What all formats of a report keep to: mixed quality is told honestly, and one chart is a picture."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import records
from bench.analysis.report_view import ReportView, build
from bench.errors import UnavailableError
from bench.report import report_json, report_png
from bench.report.charts import bars, points, svg
from bench.report.page import render
from bench.report.report_csv import comma_separated
from bench.report.report_markdown import markdown
from bench.report.report_table import terminal
from tests.factories import device, measurement, run_file
from tests.report_views import HOSTILE, STATES, hostile_view, mixed_file

SVG: Final = "{http://www.w3.org/2000/svg}"
PNG: Final = b"\x89PNG\r\n\x1a\n"


def _best_of_csv(text: str) -> list[str]:
    ranked = [row for row in csv.DictReader(io.StringIO(text)) if row["ranked"] == "yes"]
    return [max(ranked, key=lambda row: float(row["value_per_s"]))["device"]]


def _first_of_markdown(text: str) -> list[str]:
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:3]


def _best_of_json(text: str) -> list[str]:
    found = json.loads(text)
    labels = {one["key"]: one["label"] for one in found["devices"]}
    ranked = [one for one in found["headlines"] if one["value_per_s"] is not None]
    return [labels[max(ranked, key=lambda one: float(one["value_per_s"]))["device"]]]


BEST: Final[dict[str, Callable[[ReportView], list[str]]]] = {
    "markdown": lambda view: _first_of_markdown(markdown(view)),
    "csv": lambda view: _best_of_csv(comma_separated(view)),
    "json": lambda view: _best_of_json(report_json.text(view)),
}


@pytest.mark.parametrize("form", BEST)
@pytest.mark.parametrize(
    "changes",
    [
        *({"status": one, "reason": "why"} for one in records.UNSTABLE),
        {"quarantine": ["drift"]},
        {"data": "zeros"},
        {"timed": False, "status": "failed", "reason": "why"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_no_format_lets_a_row_that_may_not_be_ranked_stand_first(form: str, changes: dict[str, object]) -> None:
    bad = run_file([measurement(**{"median_s": 1e-9, **changes})], devices=[device(name="Bad")])
    good = run_file([measurement()], devices=[device(name="Good")])
    view = build([("bad", bad), ("good", good)])
    assert BEST[form](view) == ["Good"]


@pytest.mark.parametrize("render_text", [markdown, lambda view: terminal(view, 200)], ids=["markdown", "table"])
def test_a_row_that_may_not_be_ranked_is_named_with_its_reason_and_has_no_figure(
    render_text: Callable[[ReportView], str],
) -> None:
    row = measurement(median_s=1.6e-9, status="invalid", reason="above the plausible peak")
    text = render_text(build([("a", run_file([row]))]))
    assert "invalid: above the plausible peak" in text and "1.25" not in text and "EFLOPS" not in text


def test_precisions_are_never_averaged() -> None:
    rows = [measurement(), measurement(precision="fp16", median_s=0.25e-3, low_s=0.249e-3, high_s=0.251e-3)]
    view = build([("a", run_file(rows))])
    found = json.loads(report_json.text(view))["headlines"]
    assert {one["label"]: one["value_per_s"] for one in found} == {"FP32": 2e12, "FP16": 8e12}
    for text in (markdown(view), terminal(view, 200)):
        assert "2.00 ± 0.02" in text and "8.00 ± 0.03" in text and "5.00 " not in text


def test_unknown_is_na_and_never_zero() -> None:
    view = build([("a", run_file([measurement(rated=None, utilization_reason="not in the tables")]))])
    line = next(line for line in markdown(view).splitlines() if "gemm" in line)
    assert line.count("n/a") == 2 and " 0 %" not in line
    assert next(line for line in terminal(view, 200).splitlines() if "gemm" in line).rstrip().endswith(", n/a")


@pytest.mark.parametrize("render_text", [markdown, lambda view: terminal(view, 200)], ids=["markdown", "table"])
def test_an_application_has_a_figure_where_no_call_is_missing(render_text: Callable[[ReportView], str]) -> None:
    text = render_text(STATES["applications"]())
    assert "toy (tiny), Some CPU, BF16: 1.00 TFLOPS, 50 % of rated" in text
    assert "toy (tiny), Some CPU, INT8: Incomplete: 1 of 2 calls missing" in text


def test_figures_of_very_different_devices_share_a_prefix_that_suits_both() -> None:
    slow = run_file([measurement(median_s=1.0, low_s=None, high_s=None)], devices=[device(name="Slow")])
    fast = run_file([measurement(median_s=1e-6, low_s=None, high_s=None)], devices=[device(name="Fast")])
    line = next(line for line in terminal(build([("a", slow), ("b", fast)]), 200).splitlines() if "gemm" in line)
    assert line.split()[1] == "TFLOPS" and "0.00200" in line and "2000" in line


def charts(view: ReportView) -> list[str]:
    """Every chart that the view has, each as a file."""
    drawn = [bars.delivered(view, label) for label in view.labels]
    drawn += [bars.waterfall(view, one) for one in view.best()]
    drawn += [points.roofline(view, one) for one in view.rooflines]
    return [svg.standalone(one) for one in drawn if one]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_every_chart(name: str) -> None:
    def shape(name: str) -> list[list[str]]:
        return [[element.tag for element in ElementTree.fromstring(one).iter()] for one in charts(hostile_view(name))]

    assert shape(name) == shape("plain") and shape("plain")


@settings(max_examples=50)
@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("<>&\"']")), min_size=1))
def test_any_name_leaves_the_charts_whole(name: str) -> None:
    for one in charts(hostile_view(name)):
        words = [element.text or "" for element in ElementTree.fromstring(one).iter(f"{SVG}text")]
        assert not [word for word in words if not word.isprintable()]


def test_a_chart_becomes_a_picture_in_its_light_colours() -> None:
    drawn = svg.standalone(bars.delivered(build([("a", mixed_file())]), "FP32"))
    plain = report_png.plain(drawn)
    assert "var(" not in plain and "--" not in plain and "@media" not in plain and "fill: #1f6fae" in plain
    assert [e.tag for e in ElementTree.fromstring(plain).iter()] == [
        e.tag for e in ElementTree.fromstring(drawn).iter()
    ]


def test_a_picture_shows_its_words(absent: Callable[[str, str], None]) -> None:
    if not _installed():
        absent("vl-convert", "vl-convert is not installed")
    drawn = svg.standalone(bars.delivered(build([("a", mixed_file())]), "FP32"))
    found = report_png.png(drawn)
    assert found.startswith(PNG) and int.from_bytes(found[16:20], "big") == report_png.SCALE * svg.WIDTH
    without = re.sub("(<text[^>]*>)[^<]*", r"\1", drawn)
    assert len(found) > 1.2 * len(report_png.png(without)), "letters are drawn, by fonts that are there"


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("vl_convert") is not None


def test_where_the_converter_is_absent_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UnavailableError, match=r"suanli-bench\[report\]"):
        report_png.png("<svg/>")


def test_a_page_takes_a_title_as_text() -> None:
    view = build([("a", run_file([measurement()]))])
    text = render(view, title="<b>Before</b> & after")
    assert "<title>&lt;b&gt;Before&lt;/b&gt; &amp; after</title>" in text
    assert "<h1><bdi>&lt;b&gt;Before&lt;/b&gt; &amp; after</bdi></h1>" in text
