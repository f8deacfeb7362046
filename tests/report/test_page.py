"""The report's page as text: whole, self-contained, faithful to the record; no name breaks it."""

from __future__ import annotations

import json
import re
import string
import sys
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import records
from bench.analysis.report_view import build
from bench.errors import UnavailableError
from bench.report import page as report_page
from bench.report.charts import bars, svg
from bench.report.page import embedded, linked, render
from bench.report.report_words import CATALOGUE, EN, ZH
from tests.factories import device, measurement, run_file
from tests.report_views import hostile_view

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "${alert(1)}",
    "<!-- ]]> & &lt;",
    "\u202egnp.exe\u2066\u200f",
    "\x00\x1b[2J\r\n",
    "x" * 10_000,
)
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


class Read(HTMLParser):
    """The elements with their attributes, and the text outside script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._tag = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._tag = tag

    def handle_data(self, data: str) -> None:
        if self._tag not in ("script", "style"):
            self.text += data


def named(name: str, file: str = "a") -> str:
    """A page of a run in which every field that is free text has this name."""
    return render(hostile_view(name, file))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_wherever_they_stand(name: str) -> None:
    plain, hostile = Read(named("plain")), Read(named(name))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(a) for _, a in hostile.elements] == [sorted(a) for _, a in plain.elements]
    assert json.loads(DATA.findall(named(name))[0])["rows"], "the data block is whole"


@settings(max_examples=25)
@given(
    # Without a dot it holds no web address, which would become a link; a fact that is blank is left out as unknown.
    st.text(st.one_of(st.characters(exclude_characters="."), st.sampled_from("<>&\"'{}$/")), min_size=1).filter(
        str.strip
    )
)
def test_any_name_leaves_the_elements_as_they_are(name: str) -> None:
    assert [tag for tag, _ in Read(named(name)).elements] == [tag for tag, _ in Read(named("plain")).elements]


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_data_comes_back_and_cannot_end_its_element(data: Any) -> None:
    text = embedded(data)
    assert json.loads(text) == data
    assert not set(text) & set("<>&\u2028\u2029")


def test_only_web_addresses_become_links() -> None:
    assert '<a href="https://github.com/a/b/tree/93e165e"' in linked("rate: github.com/a/b@93e165e file.md")
    assert "<a" not in linked("javascript:alert(1) data:text/html,x <b> x.y")
    assert "&lt;b&gt;" in linked("<b>")


def test_every_figure_is_the_records_to_the_digits_shown() -> None:
    rows = [
        measurement(
            median_s=t, low_s=t * 0.99, high_s=t * 1.01, precision=precision, accumulate=accumulate, case={"m": n}
        )
        for n, (t, precision, accumulate) in enumerate(
            [(1.234e-3, "fp32", "fp32"), (0.777e-3, "fp16", "fp32"), (3.21e-5, "int8", "int32")]
        )
    ]
    view = build([("a", run_file(rows))])
    text = render(view)
    found = re.findall(r'data-value="([^"]+)"><a href="#(\w+)">([\d.]+)(?: ± [\d.]+)? ([PTGMk]?)(FLOPS|OPS)</a>', text)
    assert len(found) == 3
    factors = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
    by_key = {row.key: row.series.value for row in view.rows}
    for raw, key, shown, letter, unit in found:
        value = by_key[key]
        assert value is not None and float(raw) == value
        digits = len(shown.partition(".")[2])
        assert f"{value / factors[letter]:.{digits}f}" == shown
        assert (unit == "OPS") == (view.rows[int(key[-1])].label == "INT8")
    for row, stored in zip(view.rows, json.loads(DATA.findall(text)[0])["rows"], strict=True):
        assert (stored["v"], stored["R"], stored["u"]) == (row.series.value, row.series.rated, row.series.utilization)


def test_a_page_loads_nothing() -> None:
    read = Read(named("plain"))
    assert not {tag for tag, _ in read.elements} & {"img", "link", "iframe", "object", "embed", "base"}
    assert not [a for _, attributes in read.elements for a in attributes if a.startswith("on") or a in ("src", "style")]
    (policy,) = [a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy


def test_rows_that_are_not_ranked_are_listed_with_their_reason() -> None:
    rows = [measurement(), measurement(case={"m": 2}, median_s=1e-9, status="invalid", reason="above the peak")]
    text = Read(render(build([("a", run_file(rows))]))).text
    assert "invalid: above the peak" in text and "ranked: 1" in text


@pytest.mark.parametrize(
    "files",
    [
        [],
        [run_file([])],
        [run_file([measurement(status="failed", reason="x", timed=False)])],
        [run_file([measurement(rated=None, utilization_reason="no rating")])],
    ],
    ids=["nothing", "no rows", "all failed", "no rating"],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_state_has_a_page(files: list[records.RunFile], language: str) -> None:
    text = render(build([(f"{place}", file) for place, file in enumerate(files)]), language=language)
    assert CATALOGUE[language]["title"] in text and "None" not in Read(text).text and "nan" not in Read(text).text


def test_both_languages_are_complete_and_take_the_same_values() -> None:
    assert EN.keys() == ZH.keys()
    for key, words in EN.items():
        fields = [sorted(f for _, f, _, _ in string.Formatter().parse(text) if f) for text in (words, ZH[key])]
        assert fields[0] == fields[1], key
        assert ZH[key].strip() and words.strip()
    for name in ("report", "report_base", "fleet", "fleet_section"):
        template = (files("bench.report") / "templates" / f"{name}.html.j2").read_text("utf-8")
        for key in re.findall(r'(?:t|say)\("([\w. ]+)"[,)]', template):
            assert key in EN, key


def test_where_jinja2_is_absent_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    report_page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UnavailableError, match=r"suanli-bench\[report\]"):
        render(build([]))


def test_a_chart_as_a_file_has_its_colours_and_its_text() -> None:
    from xml.etree import ElementTree

    view = build([("a", run_file([measurement()], devices=[device(name="<b>&\x00 CPU")]))])
    root = ElementTree.fromstring(svg.standalone(bars.delivered(view, "FP32")))
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>&\\x00 CPU" in words and "2 TFLOPS · 50 %" in " ".join(filter(None, words)).replace("2.00", "2")
    assert "--bar" in "".join(one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}style"))
