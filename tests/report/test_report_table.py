"""A report on a terminal: devices side by side, as many as fit, with the words below."""

from __future__ import annotations

import re

import pytest

from bench.analysis.report_view import Price, ReportView, build
from bench.report.report_table import HEADERS, terminal
from tests.factories import device, measurement, run_file
from tests.report_views import HOSTILE, STATES, hostile_view, mixed_file


def devices(count: int) -> ReportView:
    return build(
        [
            (f"r{n}", run_file([measurement(median_s=1e-3 * (n + 1))], devices=[device(name=f"Device {n}")]))
            for n in range(count)
        ]
    )


def row(text: str, *begins: str) -> str:
    """The first line that begins with those words, whatever lies between them."""
    return next(line for line in text.splitlines() if line.split()[: len(begins)] == list(begins))


def test_devices_are_columns_and_kernels_are_rows() -> None:
    text = terminal(devices(3), 160)
    assert re.split(r"  +", text.splitlines()[0].strip()) == [*HEADERS, "Device 0", "Device 1", "Device 2"]
    figures = row(text, "gemm").split("TFLOPS")[1].split("  ")
    assert [part.strip() for part in figures if part.strip()] == [
        "2.00 ± 0.02, 50 %",
        "1.00 ± 0.02, 25 %",
        "0.67 ± 0.02, 17 %",
    ]


def test_the_rated_peak_stands_above() -> None:
    assert row(terminal(devices(2), 160), "FP32", "rated").split()[2:] == ["TFLOPS", *["4.00", "(computed)"] * 2]


def test_what_is_not_ranked_has_a_number_that_leads_to_the_reason() -> None:
    text = terminal(build([("a", mixed_file())]), 160)
    assert "not ranked [1]" in row(text, "attention")
    assert "[1] failed: boom" in text and "Some CPU: invalid: above the peak: FP32 gemm m=n=k=64, torch" in text


def test_precisions_have_rows_and_units_of_their_own() -> None:
    text = terminal(build([("a", mixed_file())]), 160)
    assert row(text, "INT8", "rated").split()[2] == "TOPS" and row(text, "FP32", "rated").split()[2] == "TFLOPS"
    assert "noisy" in row(text, "conv") and ", n/a" in row(text, "gemm", "TOPS")


def test_money_has_a_row_where_prices_are_given() -> None:
    view = build([("a", mixed_file())], prices=[Price("some*", 0.5)])
    assert "14.4 PFLOP" in row(terminal(view, 160), "Per", "unit", "of", "money")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 400])
def test_tables_fit_the_terminal_and_every_device_is_in_one(width: int) -> None:
    lines = terminal(devices(9), width).splitlines()
    table = [line for line in lines if line.startswith("precision") or "gemm    TFLOPS" in line]
    assert max(map(len, table)) <= max(width, 50)
    for n in range(9):
        assert sum(f"Device {n}" in line for line in table) == 1


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_text(state: str) -> None:
    text = terminal(STATES[state](), 100, title="A title")
    assert text.startswith("A title\n") and "None" not in text and "Made by suanli-bench" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_move_no_cursor(name: str) -> None:
    text = terminal(hostile_view(name), 100, title=name)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert terminal(build([("a", mixed_file())]), 100, ascii_only=True).isascii()
