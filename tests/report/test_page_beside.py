"""The page and the run files beside it: when they are there, what they are called, and that the page says so."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.report_view import QUANTILES, ReportView, build
from bench.report.page import beside, render
from tests.factories import measurement, run_file

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
MOST_ALONE = 3_000_000
"""Bytes of a page of up to five devices."""


def of_devices(devices: int, rows: int = 1) -> ReportView:
    files: list[tuple[str, records.RunFile]] = []
    for place in range(devices):
        found = [measurement(case={"m": m}, samples_s=[1e-3 + n * 1.234567e-7 for n in range(64)]) for m in range(rows)]
        files.append((f"run{place}", run_file(found)))
    return build(files)


@given(st.lists(st.text(max_size=150)))
def test_names_are_safe_and_no_two_alike(sources: list[str]) -> None:
    names = beside.names(sources)
    assert len(names) == len(sources) and len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.jsonl\.gz", name), name


def test_a_plain_name_is_kept() -> None:
    assert beside.names(["20260101T000000Z-0a", "a", "A"]) == [
        "20260101T000000Z-0a.jsonl.gz",
        "a.jsonl.gz",
        "A-2.jsonl.gz",
    ]


@pytest.mark.parametrize(("devices", "expected"), [(0, False), (5, False), (6, True)])
def test_more_than_five_measured_devices_need_the_folder(devices: int, expected: bool) -> None:
    assert beside.needed(of_devices(devices)) is expected


def test_five_devices_with_all_their_evidence_stay_below_three_megabytes() -> None:
    view = of_devices(5, 300)
    text = render(view)
    assert beside.quantiles_shown(view) == QUANTILES and not beside.needed(view)
    assert len(text.encode()) < MOST_ALONE
    assert {len(row["q"].split()) for row in json.loads(DATA.findall(text)[0])["rows"]} == {QUANTILES}


def test_more_rows_are_thinned_keep_their_extremes_and_the_page_says_so() -> None:
    view = of_devices(1, 2000)
    most = beside.quantiles_shown(view)
    text = render(view)
    assert beside.FEWEST <= most < QUANTILES and beside.needed(view)
    assert f"holds {most} order statistics" in text
    shown = [float(value) for value in json.loads(DATA.findall(text)[0])["rows"][0]["q"].split()]
    samples = view.rows[0].quantiles_s
    assert len(shown) == most
    assert [shown[0], shown[-1]] == pytest.approx([samples[0] * 1e3, samples[-1] * 1e3], rel=1e-4)


def test_a_page_with_run_files_beside_it_links_each() -> None:
    view = of_devices(2)
    text = render(view, files=["my%20report-data/run0.jsonl.gz", "my%20report-data/run1.jsonl.gz"])
    assert "my report-data/" in text and 'href="my%20report-data/"' in text
    assert text.count('href="my%20report-data/run0.jsonl.gz"') == 1
    assert json.loads(DATA.findall(text)[0])["files"] == [
        "my%20report-data/run0.jsonl.gz",
        "my%20report-data/run1.jsonl.gz",
    ]
    assert "beside this page" not in re.sub(DATA, "", render(view))
