"""The tables of results/reference/README.md are those of the files beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.report.reference_table import BEGIN, END, read_folder, tables, update
from tests.factories import device, measurement, run_file

PAGE = f"# Title\n\nBy hand.\n\n{BEGIN}\nold\n{END}\n\nMore by hand.\n"


def test_the_page_that_ships_has_the_tables_of_the_files_that_ship(checkout: Path) -> None:
    folder = checkout / "results" / "reference"
    page = (folder / "README.md").read_text("utf-8")
    assert update(page, read_folder(folder)) == page, "run: python -m bench.report.reference_table"


def test_every_file_that_ships_is_linked(checkout: Path) -> None:
    folder = checkout / "results" / "reference"
    page = (folder / "README.md").read_text("utf-8")
    assert all(f"]({path.name})" in page for path in folder.glob("*.jsonl"))


def test_what_is_written_by_hand_stays_and_a_second_time_changes_nothing() -> None:
    once = update(PAGE, {"a.jsonl": run_file([measurement()])})
    assert once.startswith("# Title\n\nBy hand.\n\n") and once.endswith(f"{END}\n\nMore by hand.\n")
    assert "old" not in once
    assert update(once, {"a.jsonl": run_file([measurement()])}) == once


@pytest.mark.parametrize("page", ["nothing", f"{BEGIN} only", f"{END} {BEGIN}"])
def test_a_page_without_a_place_is_refused(page: str) -> None:
    with pytest.raises(UnavailableError, match="the tables have no place"):
        update(page, {})


def test_figures_are_those_of_the_best_usable_row() -> None:
    rows = [measurement(), measurement(case={"m": 1, "n": 1, "k": 1}, median_s=1e-6, status="invalid", reason="x")]
    text = tables({"a.jsonl": run_file(rows)})
    assert "2.00 ± 0.02 TFLOPS (50 %)" in text
    assert "1 of 2 usable" in text
    assert "2026-01-01, quick, launches: 1" in text


def test_precisions_stand_in_their_order_and_what_was_not_measured_is_a_dash() -> None:
    int8 = measurement(precision="int8", accumulate="int32")
    files = {"a.jsonl": run_file([int8, measurement()]), "b.jsonl": run_file([measurement(rated=None)])}
    head, _, *lines = [line for line in tables(files).splitlines() if line.startswith("|")][-4:]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["device", "FP32", "INT8"]
    assert lines[0].count("TFLOPS") == 1 and lines[0].count("TOPS") == 1
    assert "%" not in lines[1] and lines[1].count("–") == 1


def test_of_several_devices_each_has_a_line() -> None:
    two = [device(device=f"cuda:{n}", kind="cuda", name="Some GPU") for n in range(2)]
    rows = [measurement(device="cuda:0"), measurement(device="cuda:1", median_s=2e-3, low_s=None, high_s=None)]
    text = tables({"a.jsonl": run_file(rows, devices=two)})
    assert "Some GPU (Zen 3) cuda:0" in text and "Some GPU (Zen 3) cuda:1" in text
    assert "1.00 TFLOPS (25 %)" in text


@pytest.mark.parametrize("name", ["a|b", "<script>", "[x](http://y)", "`x`", "*x*", "a\nb", "_x_", "</table>"])
def test_a_name_makes_no_markup(name: str) -> None:
    text = tables({"a.jsonl": run_file([measurement()], devices=[device(name=name)])})
    assert name not in text
    for table in text.split("\n\n"):
        rows = [row.replace("\\|", "") for row in table.splitlines() if row.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_why_a_run_ended_early_is_said() -> None:
    file = run_file([measurement()])
    assert file.end is not None
    file.end.reason = "the budget was spent: 111 of 120 rows not measured"
    assert "1 of 1 usable; the budget was spent: 111 of 120 rows not measured" in tables({"a.jsonl": file})


def test_what_is_unknown_is_said() -> None:
    bare = device(clock=None, units=records.Units(kind="core", in_use=None), architecture="", driver="550.1")
    text = tables({"a.jsonl": run_file([measurement()], devices=[bare])})
    assert "? × core" in text and "unknown" in text and "driver 550.1" in text
