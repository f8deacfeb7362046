"""`results` as a user runs it: list, compact, index; what it refuses and with which exit code."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.store.reference import reference_folder
from tests.conftest import Cli
from tests.factories import measurement
from tests.store.stores import COMMIT, content, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The store that the command line reads: an old run and a foreign file."""
    folder = tmp_path / "results"
    folder.mkdir()
    rows = [measurement(samples_s=[1e-3 + 1e-6 * i for i in range(500)])]
    (folder / "old.jsonl").write_bytes(content(run("old", rows=rows, git={"commit": COMMIT, "dirty": True})))
    (folder / "foreign.jsonl").write_text("hello\n")
    return folder


def test_a_store_is_listed_and_foreign_files_are_one_warning(cli: Cli, store: Path) -> None:
    result = cli("results")
    assert result.code == 0
    for word in ("old", "2026-01-01", "3f9a2c7d00+", "Some CPU", "quick", "complete"):
        assert word in result.out
    assert len(result.err.splitlines()) == 1
    assert "1 file skipped: foreign.jsonl: is not a run file" in result.err


def test_the_list_as_json_says_all(cli: Cli, store: Path) -> None:
    document = json.loads(cli("results", "list", "--format", "json").out)
    assert document["schema"] == 1
    (entry,) = document["runs"]
    assert (entry["id"], entry["file"], entry["commit"], entry["dirty"]) == ("old", "old.jsonl", COMMIT, True)
    assert next(iter(entry["classes"].values()))["device"] == "Some CPU"
    assert [item["file"] for item in document["skipped"]] == ["foreign.jsonl"]


def test_csv_and_markdown_hold_the_same_run(cli: Cli, store: Path) -> None:
    (row,) = csv.DictReader(io.StringIO(cli("results", "--format", "csv").out))
    assert (row["run"], row["rows"]) == ("old", "1")
    assert "| old " in cli("results", "--format", "markdown").out


def test_text_from_a_run_neither_steers_the_terminal_nor_adds_columns(cli: Cli, store: Path) -> None:
    (store / "evil\x1b[2J.jsonl").write_bytes(content(run("evil", day=2, git={"commit": "a|b\nc"})))
    table = cli("results").out
    assert "\x1b" not in table
    assert "evil\\x1b[2J" in table
    markdown = [line for line in cli("results", "--format", "markdown").out.splitlines() if "evil" in line]
    assert len(markdown) == 1
    assert markdown[0].replace("\\|", "").count("|") == 9
    assert {entry["id"] for entry in json.loads(cli("results", "--format", "json").out)["runs"]} == {"old", "evil"}


def test_results_names_the_store_wherever_it_is(cli: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "there.jsonl").write_bytes(content(run("there")))
    assert "there" in cli("results", "--results", "other").out
    assert "there" in cli("results", env={"BENCH_RESULTS": str(tmp_path / "other")}).out
    assert "there" in cli("results", "--results", (tmp_path / "other").as_uri()).out


def test_an_empty_store_is_no_error_and_an_absent_one_is(cli: Cli, tmp_path: Path) -> None:
    absent = cli("results")
    assert (absent.code, absent.out) == (3, "")
    assert "there is no folder" in absent.err and len(absent.err.splitlines()) == 1
    (tmp_path / "results").mkdir()
    empty = cli("results")
    assert empty.code == 0
    assert "no run files" in empty.out


def test_the_index_is_described_and_rebuilt(cli: Cli, store: Path) -> None:
    first = json.loads(cli("results", "index", "--format", "json").out)
    assert (first["runs"], first["series"], first["skipped"]) == (1, 1, 1)
    index = Path(first["index"])
    assert index.parent == store
    index.write_bytes(b"damaged")
    assert json.loads(cli("results", "index", "--rebuild", "--format", "json").out) == first
    assert index.read_bytes().startswith(b"SQLite format 3")


def test_compact_thins_and_compresses_once_and_show_reads_it(cli: Cli, store: Path) -> None:
    before = cli("show", "results/old.jsonl").out
    planned = cli("results", "compact", "--older-than", "1d", "--dry-run")
    assert planned.code == 0
    assert "1 run older than 1d would be compacted" in planned.out
    assert (store / "old.jsonl").exists()
    done = json.loads(cli("results", "compact", "--older-than", "1d", "--format", "json").out)
    ((file, outcome),) = ((item["file"], item["outcome"]) for item in done["files"])
    assert (file, outcome) == ("old.jsonl", "compacted")
    assert not (store / "old.jsonl").exists()
    assert cli("show", "results/old.jsonl.gz").out == before == cli("show", "results/old.jsonl").out
    assert "0 runs older than 1d compacted" in cli("results", "compact", "--older-than", "1d").out
    assert cli("run", "--resume", "results/old.jsonl.gz").code == 3


def test_compact_takes_ninety_days_unless_told(cli: Cli, store: Path) -> None:
    document = json.loads(cli("results", "compact", "--dry-run", "--format", "json").out)
    assert document["older_than_s"] == 90 * 86_400


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["results", "lst"], ["lst", "list", "compact", "index"]),
        (["results", "compact", "--older-than", "90"], ["--older-than", "'90'", "90d"]),
        (["results", "compact", "--older-than", "-1d"], ["--older-than"]),
        (["results", "compact", "--older-than=-1d"], ["--older-than", "-1d"]),
        (["results", "compact", "--older-than", "nand"], ["--older-than", "nand"]),
        (["results", "compact", "--older-than", "1e99d"], ["--older-than", "1e99d"]),
        (["results", "list", "--older-than", "1d"], ["--older-than", "compact"]),
        (["results", "index", "--dry-run"], ["--dry-run", "compact"]),
        (["results", "compact", "--rebuild"], ["--rebuild"]),
        (["results", "--results", "nonsense://x"], ["--results", "nonsense", "s3://"]),
        (["results", "--results", "results/old.jsonl"], ["--results", "is a file"]),
    ],
)
def test_wrong_usage_is_exit_2_and_one_line(cli: Cli, store: Path, arguments: list[str], words: list[str]) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert all(word in result.err for word in words), result.err


def test_reference_results_are_never_compacted(cli: Cli, absent: Callable[[str, str], Any]) -> None:
    folder = reference_folder()
    if folder is None:
        absent("reference", "no reference results are installed")
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")}
    result = cli("results", "compact", "--older-than", "0d", "--results", os.path.relpath(folder))
    result = cli("results", "compact", "--older-than", "0d", "--results", str(folder))
    assert result.code == 2
    assert "reference results" in result.err
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")} == before
