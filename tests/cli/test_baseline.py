"""`baseline` as a user runs it: set, list, show, clear, and the exit codes 2, 3 and 5."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.factories import measurement
from tests.store.stores import COMMIT, content, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two runs of one commit, the second without a usable row."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "one.jsonl").write_bytes(content(run("one", git={"commit": COMMIT})))
    bad = [measurement(status="failed", reason="no", timed=False)]
    (folder / "two.jsonl").write_bytes(content(run("two", day=2, rows=bad)))
    return folder


def test_a_name_is_set_listed_shown_moved_and_cleared(cli: Cli, store: Path) -> None:
    done = cli("baseline", "set", "main", "3f9a2c7")
    assert (done.code, done.out) == (0, "main: run one, 1 usable row\n")
    assert "main" in cli("baseline", "list").out
    shown = json.loads(cli("baseline", "show", "main", "--format", "json").out)
    assert (shown["schema"], shown["run"], shown["file"], shown["commit"]) == (1, "one", "one.jsonl", COMMIT)
    (store / "three.jsonl").write_bytes(content(run("three", day=3)))
    assert cli("baseline", "set", "main", "latest").code == 0
    (listed,) = json.loads(cli("baseline", "list", "--format", "json").out)["baselines"]
    assert (listed["name"], listed["run"], listed["present"]) == ("main", "three", True)
    assert cli("baseline", "clear", "main").code == 0
    assert json.loads(cli("baseline", "list", "--format", "json").out)["baselines"] == []
    assert "no baselines" in cli("baseline", "list").out


def test_a_baseline_can_be_set_by_another(cli: Cli, store: Path) -> None:
    cli("baseline", "set", "main", "one")
    assert cli("baseline", "set", "release", "main").code == 0
    assert json.loads(cli("baseline", "show", "release", "--format", "json").out)["run"] == "one"


def test_a_path_into_the_store_names_its_run_and_one_elsewhere_does_not(cli: Cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jsonl").write_bytes(content(run("elsewhere")))
    assert "run one" in cli("baseline", "set", "main", "results/one.jsonl").out
    assert cli("baseline", "set", "main", "elsewhere.jsonl").code == 3


def test_runs_are_never_touched(cli: Cli, store: Path) -> None:
    before = {path.name: path.read_bytes() for path in store.glob("*.jsonl")}
    cli("baseline", "set", "main", "one")
    cli("baseline", "clear", "main")
    assert {path.name: path.read_bytes() for path in store.glob("*.jsonl")} == before


def test_a_missing_baseline_is_exit_5_where_one_is_required(cli: Cli, store: Path) -> None:
    result = cli("baseline", "show", "main", "--require-baseline")
    assert (result.code, result.out) == (5, "")
    assert "no baseline 'main'" in result.err
    cli("baseline", "set", "main", "one")
    assert cli("baseline", "show", "main", "--require-baseline").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["baseline"], ["set|list|show|clear"]),
        (["baseline", "sett", "x", "y"], ["sett"]),
        (["baseline", "set", "latest", "one"], ["NAME", "latest"]),
        (["baseline", "set", "a/b", "one"], ["NAME", "a/b"]),
        (["baseline", "show", "mian"], ["NAME", "mian", "Did you mean 'main'"]),
        (["baseline", "clear", "mian"], ["NAME", "mian"]),
    ],
)
def test_wrong_usage_is_exit_2_and_one_line(cli: Cli, store: Path, arguments: list[str], words: list[str]) -> None:
    cli("baseline", "set", "main", "one")
    result = cli(*arguments)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert all(word in result.err for word in words), result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["baseline", "set", "main", "absent"], ["RUN", "absent", "nearest"]),
        (["baseline", "set", "main", "two"], ["two.jsonl", "no row that is ok or noisy"]),
        (["baseline", "list", "--results", "nowhere"], ["--results", "nowhere"]),
    ],
)
def test_what_is_not_there_is_exit_3_and_one_line(
    cli: Cli, store: Path, arguments: list[str], words: list[str]
) -> None:
    result = cli(*arguments)
    assert (result.code, result.out) == (3, "")
    assert len(result.err.strip().splitlines()) == 1
    assert all(word in result.err for word in words), result.err


def test_a_baseline_whose_run_is_gone_says_so(cli: Cli, store: Path) -> None:
    cli("baseline", "set", "main", "one")
    (store / "one.jsonl").unlink()
    assert "not in the store" in cli("baseline", "list").out
    result = cli("baseline", "show", "main")
    assert result.code == 3
    assert "not in" in result.err


def test_a_newer_note_is_refused_and_a_foreign_one_skipped(cli: Cli, store: Path) -> None:
    cli("baseline", "set", "main", "one")
    (store / "notes" / "foreign.json").write_text("{}")
    listed = cli("baseline", "list")
    assert listed.code == 0
    assert "notes skipped: 'foreign.json'" in listed.err
    (store / "notes" / "newer.json").write_text('{"schema":2}')
    refused = cli("baseline", "list")
    assert (refused.code, refused.out) == (3, "")
    assert "schema 2" in refused.err
