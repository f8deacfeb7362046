"""A report as one JSON document: the view as it is, unrounded, whole and readable whatever a run file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.report_view import Price, ReportView, build
from bench.report.report_json import SCHEMA, text
from tests.factories import measurement, run_file
from tests.report_views import HOSTILE, STATES, hostile_view, mixed_file


def read(view: ReportView, title: str = "") -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(text(view, title=title), parse_constant=refuse)
    return found


@pytest.mark.parametrize("state", STATES)
def test_the_document_is_the_view(state: str) -> None:
    view = STATES[state]()
    found = read(view, "A title")
    assert (found["schema"], found["title"], found["labels"]) == (SCHEMA, "A title", list(view.labels))
    assert [one["label"] for one in found["devices"]] == [one.label for one in view.devices]
    for key, rows in (("rows", view.rows), ("headlines", view.headlines), ("rooflines", view.rooflines)):
        assert len(found[key]) == len(rows), key
    for stored, row in zip(found["rows"], view.rows, strict=True):
        one = row.series
        assert (stored["value_per_s"], stored["rated_per_s"], stored["utilization"]) == (
            one.value, one.rated, one.utilization,
        )  # fmt: skip
        assert stored["ranked"] == row.ranked and stored["excluded"] == row.excluded
    keys = {row["key"] for row in found["rows"]}
    assert all(one["row"] in keys for one in found["headlines"] if one["row"] is not None)


def test_every_item_is_a_line_of_its_own() -> None:
    view = build([("a", mixed_file())])
    lines = text(view).splitlines()
    assert sum(line.startswith('{"key": "d0r') for line in lines) == len(view.rows)


def test_evidence_is_whole_but_for_the_raw_samples() -> None:
    (row,) = read(build([("a", run_file([measurement()]))]))["rows"]
    assert row["evidence"]["check"]["passed"] is True and "samples_s" not in row["evidence"]
    assert row["quantiles_s"] == [1e-3] * 10


def test_what_is_unknown_is_null_and_what_is_not_ranked_has_no_headline_figure() -> None:
    found = read(build([("a", mixed_file())], prices=[Price("*", 0.5)]))
    by = {(one["label"], one["kernel"]): one for one in found["headlines"]}
    failed = by["FP16", "attention"]
    assert (failed["status"], failed["reason"]) == ("excluded", "failed: boom")
    assert {failed[key] for key in ("row", "value_per_s", "utilization", "rated_per_s", "work_per_money")} == {None}
    assert by["INT8", "gemm"]["utilization"] is None and by["INT8", "gemm"]["value_per_s"] is not None
    assert by["FP32", "gemm"]["work_per_money"] == 2e12 * 3600 / 0.5


def test_what_overflows_is_null() -> None:
    row = measurement(operations=10**300, median_s=1e-200, rated=1e-300)
    assert read(build([("a", run_file([row]))]))["rows"][0]["value_per_s"] is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_back(name: str) -> None:
    found = read(hostile_view(name, source=name), name)
    assert found["title"] == name and found["devices"][0]["source"] == name
    assert found["rows"][0]["evidence"]["kernel"] == name


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_back(name: str) -> None:
    found = read(hostile_view(name), name)
    assert found["title"] == name and found["rows"][0]["evidence"]["implementation"] == name


def test_a_name_of_a_file_that_is_no_unicode_is_kept_apart() -> None:
    view = build([("caf\udce9", run_file([measurement()]))])
    encoded = text(view).encode("utf-8", "backslashreplace")
    assert json.loads(encoded)["devices"][0]["source"] == "caf\udce9"


def test_every_key_is_documented(checkout: Path) -> None:
    words = (checkout / "docs" / "reading-a-report.md").read_text("utf-8")
    assert not [key for key in read(STATES["nothing"]()) if f"`{key}`" not in words]
