"""A report as CSV: read back by the csv module it is what the run file says, and no spreadsheet computes a cell."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.report_view import Price, ReportView, build
from bench.ratings import Entry
from bench.report.charts.svg import printable
from bench.report.report_csv import COLUMNS, FORMULA, cell, comma_separated
from tests.factories import measurement, run_file
from tests.report_views import HOSTILE, STATES, hostile_view, mixed_file

names = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("=+-@\t\r\n,;\"' ")), min_size=1)


def read(view: ReportView) -> list[dict[str, str]]:
    found = list(csv.DictReader(io.StringIO(comma_separated(view), newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in found), "every line has every column"
    return found


@pytest.mark.parametrize("state", STATES)
def test_every_row_is_a_line_and_so_is_every_rating_of_what_nobody_measured(state: str) -> None:
    view = STATES[state]()
    rated = [key for one in view.devices if one.rated_only for key in one.ratings]
    assert len(read(view)) == len(view.rows) + len(rated)


def test_figures_are_unrounded() -> None:
    view = build([("a", run_file([measurement(median_s=1.234567e-3, low_s=1.2e-3, high_s=1.3e-3)]))])
    (row,) = read(view)
    series = view.rows[0].series
    assert series.rated is not None and series.utilization is not None
    for name, value in (
        ("value_per_s", series.value), ("low_per_s", series.low), ("high_per_s", series.high),
        ("rated_per_s", series.rated), ("utilization", series.utilization), ("median_s", 1.234567e-3),
    ):  # fmt: skip
        assert float(row[name]) == value, name
    assert row["unit"] == "FLOPS" and row["case"] == "m=1000,n=1000,k=1000" and row["samples"] == "10"


def test_what_is_unknown_is_empty_and_what_is_not_ranked_says_so() -> None:
    rows = read(build([("a", mixed_file())], prices=[Price("*", 0.5)]))
    failed = next(row for row in rows if row["status"] == "failed")
    assert (failed["value_per_s"], failed["utilization"], failed["ranked"]) == ("", "", "no")
    invalid = next(row for row in rows if row["status"] == "invalid")
    assert invalid["ranked"] == "no" and invalid["excluded"] == "invalid: above the peak"
    assert invalid["work_per_money"] == "", "nothing was delivered for the money"
    int8 = next(row for row in rows if row["precision"] == "int8")
    assert (int8["rated_per_s"], int8["utilization"]) == ("", "")
    assert (int8["launches"], int8["spread"], int8["unit"]) == ("3", "between launches", "OPS")
    gemm = next(row for row in rows if row["ranked"] == "yes" and row["kernel"] == "gemm")
    assert float(gemm["work_per_money"]) == 2e12 * 3600 / 0.5
    assert (float(gemm["loss_clock"]), gemm["loss_memory"], gemm["largest_loss"]) == (0.9, "", "kernel")


def test_hardware_that_nobody_measured_has_a_rating_and_no_figure() -> None:
    (row,) = read(build([], rated_only=[Entry(name="GPU", fp16_tflops=989.5, source="s", source_kind="datasheet")]))
    assert (row["device"], row["status"], row["ranked"], row["value_per_s"]) == ("GPU", "rated only", "no", "")
    assert float(row["rated_per_s"]) == 989.5e12 and row["precision"] == "fp16"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_every_cell(name: str) -> None:
    rows = read(hostile_view(name, source=name))
    assert len(rows) == 3
    for row in rows:
        assert not [value for value in row.values() if value.startswith(FORMULA)]
        assert row["kernel"].removeprefix("'") == printable(name)


@settings(max_examples=50)
@given(names)
def test_any_name_comes_back_and_computes_nothing(name: str) -> None:
    for row in read(hostile_view(name, source=name)):
        assert row["kernel"].removeprefix("'") == printable(name).removeprefix("'")
        assert not [value for value in row.values() if value.lstrip().startswith(FORMULA)]


@given(st.one_of(names, st.integers(), st.floats(), st.booleans(), st.none()))
def test_a_cell_is_text_that_is_harmless_or_a_number(value: Any) -> None:
    found = cell(value)
    if isinstance(found, str):
        assert not found.lstrip().startswith(FORMULA) and "\n" not in found
    else:
        assert found == value


def test_the_columns_are_there_even_without_a_row() -> None:
    assert comma_separated(STATES["nothing"]()) == ",".join(COLUMNS) + "\n"
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_every_column_is_documented(checkout: Path) -> None:
    words = (checkout / "docs" / "reading-a-report.md").read_text("utf-8")
    assert not [column for column in COLUMNS if f"`{column}`" not in words]
