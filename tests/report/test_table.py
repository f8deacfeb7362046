"""The run table: every row is there with its reason, whatever the width, encoding or format."""

from __future__ import annotations

import csv
import io

import pytest

from bench import records
from bench.kernel import Role
from bench.report import table
from tests.factories import device, measurement, run_file

ROWS = [
    measurement(),
    measurement(kernel="conv", precision="fp16", status="noisy", reason="precision of 0.5 % not reached"),
    measurement(precision="int8", accumulate="int32", status="unsupported", reason="no INT8 units", timed=False),
    measurement(precision="bf16", rated=None, utilization_reason="unlisted: add a rating with --ratings FILE"),
]
DEFAULTS = {"gemm": {"batch": 1}}


@pytest.mark.parametrize("width", [40, 80, 120, 300])
def test_every_row_and_its_status_is_in_the_table(width: int) -> None:
    text = table.terminal(run_file(ROWS), DEFAULTS, width)
    for row in ROWS:
        assert row.precision in text and row.status in text
    assert "INT8" in " ".join(text.split()) and "no" in text


def test_the_table_says_what_was_measured_and_the_best_of_each_precision() -> None:
    text = table.terminal(run_file(ROWS), DEFAULTS, 200)
    assert "Some CPU (Zen 3, 2 cores) at 3.00 GHz" in text
    assert "torch 2.13.0+cpu" in text
    assert "best FP32: 2.00 ± 0.02 TFLOPS, 50 % of the rated 4.00 (gemm, torch)" in text
    assert "best BF16: 2.00 ± 0.02 TFLOPS (gemm, torch); share of rated n/a: unlisted" in text
    assert "best INT8" not in text
    assert "± within one launch" in text
    assert "rated FP32, FP16 (computed: a formula)" in text


def test_a_run_without_a_best_row_leaves_no_gap_where_that_would_stand() -> None:
    noted = measurement(status="contended", reason="a neighbour took half")
    for rows in ([noted], [measurement()], ROWS):
        assert "\n\n\n" not in table.terminal(run_file(rows), DEFAULTS, 120)


def test_a_measured_ceiling_has_a_line_of_its_own() -> None:
    rows = [measurement(), measurement(kernel="peak", role=Role.CEILING, implementation="avx2-fma", median_s=0.6e-3)]
    text = table.terminal(run_file(rows), DEFAULTS, 200)
    assert "best FP32: 2.00 ± 0.02 TFLOPS, 50 % of the rated 4.00 (gemm, torch)" in text
    assert "ceiling FP32, measured: 3.3" in text
    assert "of the rated 4.00 (peak, avx2-fma)" in text


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_a_table_of_long_cases_fits_the_terminal(width: int) -> None:
    case: dict[str, int | str] = {"heads": 12, "kv_heads": 12, "q_len": 1024, "kv_len": 1024, "head_dim": 128}
    rows = [measurement(kernel="attention", case=case, status="contended", reason="a neighbour took half")]
    text = table.terminal(run_file(rows), {}, width)
    assert max(map(len, text.splitlines())) <= width
    assert "q_len=kv_len=1024" in text and "contended" in text


def test_an_unstable_run_says_why_it_ends_with_4() -> None:
    rows = [measurement(), measurement(status="contended", reason="a neighbour took half")]
    run = run_file(rows)
    run.end = records.End(status="complete", counts={}, exit_code=records.exit_code(rows))
    text = " ".join(table.terminal(run, DEFAULTS, 120).split())
    assert "unstable (exit code 4): 1 of 2 timed rows were disturbed" in text


def test_ascii_output_has_no_other_characters() -> None:
    assert table.terminal(run_file(ROWS), DEFAULTS, 120, ascii_only=True).isascii()


def test_integer_rates_are_operations_not_flops() -> None:
    rows = [measurement(precision="int8", accumulate="int32")]
    assert "TOPS" in table.terminal(run_file(rows), DEFAULTS, 120)
    assert "FLOPS" not in table.terminal(run_file(rows), DEFAULTS, 120)


def test_bandwidth_is_bytes_per_second_of_the_rated_bandwidth() -> None:
    rated = records.Rated(kind="datasheet", bytes_per_s=2e10, source="a sheet")
    row = measurement(kernel="memory", rated=None, utilization=0.6, utilization_of="bytes")
    row.rated = rated
    rows = [row]
    text = table.terminal(run_file(rows), DEFAULTS, 160)
    assert "12.0 ± 0.1 GB/s" in text and "60 %" in text and "best bandwidth" in text


def test_markdown_is_one_table_that_survives_pipes_in_reasons() -> None:
    rows = [measurement(status="failed", reason="a|b", timed=False)]
    text = table.markdown(run_file(rows), DEFAULTS)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "a\\|b" in text


def test_csv_holds_every_measurement_unrounded() -> None:
    rows = list(csv.DictReader(io.StringIO(table.comma_separated(run_file(ROWS)))))
    assert len(rows) == len(ROWS)
    assert float(rows[0]["median_s"]) == ROWS[0].time.median_s  # type: ignore[union-attr]  # a timed row
    assert rows[2]["reason"] == "no INT8 units" and rows[2]["median_s"] == ""


def test_a_run_that_did_not_end_well_says_so() -> None:
    run = run_file(ROWS[:1])
    run.end = None
    assert "no end" in table.terminal(run, DEFAULTS, 120)
    run.end = records.End(status="interrupted", counts={}, exit_code=130, reason="interrupted by the user")
    assert "interrupted by the user" in table.terminal(run, DEFAULTS, 120)


def test_several_devices_have_a_column_of_their_own() -> None:
    rows = [measurement(device="cuda:0"), measurement(device="cuda:1")]
    devices = [device(device="cuda:0", name="GPU"), device(device="cuda:1", name="GPU")]
    text = table.terminal(run_file(rows, devices=devices), DEFAULTS, 160)
    assert "cuda:0: best FP32" in text and "cuda:1: best FP32" in text
