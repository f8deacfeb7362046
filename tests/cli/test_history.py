"""`python -m bench history` through the real command line: what it prints, writes, accepts and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.histories import noisy
from tests.stores import write_history

STEP = noisy([1e-3] * 15 + [1.3e-3] * 15)
CALM = noisy([2e-3] * 30, seed=2)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Thirty runs of two kernels; the GEMM is slower from the sixteenth on. It is where BENCH_RESULTS points."""
    write_history(tmp_path / "results", {"gemm": STEP, "conv": CALM}, {3: "canary 4 % off"})
    return tmp_path / "results"


@pytest.mark.usefixtures("store")
def test_the_step_of_a_series_is_shown_with_its_commit(cli: Cli) -> None:
    done = cli("history")
    assert done.code == 0, done.err
    assert "slower at 0015aaaaaa, after 0014aaaaaa (2026-01-16)" in done.out
    assert "2 series, 1 became slower, 0 became faster, 0 suspected, 2 points not used" in done.out


@pytest.mark.usefixtures("store")
def test_json_is_one_document_with_the_designs_keys(cli: Cli) -> None:
    done = cli("history", "--format", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert set(found) == {"schema", "series"}
    conv, gemm = found["series"]
    assert conv["change_points"] == [] and not conv["suspected"]
    (change,) = gemm["change_points"]
    assert change["index"] == 14  # the run in quarantine has no index
    assert gemm["commits"][change["index"]] == change["commit"] == "0015".ljust(40, "a")
    assert change["change"] == pytest.approx(0.3, abs=0.03)
    assert change["status"] == "confirmed" and change["p"] < 1e-4
    assert [one["run"] for one in gemm["excluded"]] == ["20260104T000000Z-00000003"]


def test_the_store_can_be_named(cli: Cli, tmp_path: Path) -> None:
    write_history(tmp_path / "elsewhere", {"gemm": STEP})
    done = cli("history", "--results", "elsewhere")
    assert done.code == 0 and "gemm[" in done.out


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--series", "GEMM[m=1000"], ["gemm"]),
        (["--series", "conv*cold*cpu"], ["conv"]),
        (["--kernel", "conv"], ["conv"]),
        (["--kernel", "gemm,conv"], ["conv", "gemm"]),
    ],
)
def test_only_the_series_asked_for(cli: Cli, arguments: list[str], shown: list[str]) -> None:
    found = json.loads(cli("history", "--format", "json", *arguments).out)
    assert [one["series"].partition("[")[0] for one in found["series"]] == shown


@pytest.mark.usefixtures("store")
def test_since_a_day_only_later_runs_count(cli: Cli) -> None:
    found = json.loads(cli("history", "--format", "json", "--since", "2026-01-11").out)
    assert {len(one["values"]) for one in found["series"]} == {20}
    done = cli("history", "--since", "2100-01-01")
    assert done.code == 3 and "no run since 2100-01-01" in done.err


@pytest.mark.usefixtures("store")
def test_an_accepted_change_starts_the_baseline_again(cli: Cli) -> None:
    done = cli("history", "--accept", "gemm*cpu@0015aa", "--reason", "a safer algorithm")
    assert done.code == 0, done.err
    assert "31 % slower at 0015aaaaaa" in done.out and "accepted: a safer algorithm" in done.out
    gemm = json.loads(cli("history", "--kernel", "gemm", "--format", "json").out)["series"][0]
    (change,) = gemm["change_points"]
    assert (change["status"], change["reason"], change["index"]) == ("accepted", "a safer algorithm", 14)


@pytest.mark.usefixtures("store")
def test_a_change_is_accepted_by_the_run_where_there_is_no_commit_to_name(cli: Cli) -> None:
    done = cli("history", "--accept", "gemm@20260116T000000Z-0000000f", "--reason", "known")
    assert done.code == 0, done.err
    assert "accepted: known" in done.out


@pytest.mark.usefixtures("store")
def test_html_is_a_folder_or_one_file(cli: Cli, tmp_path: Path) -> None:
    folder = cli("history", "--format", "html", "-o", "site")
    assert folder.code == 0, folder.err
    assert len(list((tmp_path / "site" / "series").glob("*.html"))) == 2
    assert "gemm[" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    single = cli("history", "--format", "html", "-o", "all.html")
    assert single.code == 0, single.err
    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert text.count("<section") == 2 and "Some CPU" in text


@pytest.mark.usefixtures("store")
def test_table_and_json_can_go_to_a_file(cli: Cli, tmp_path: Path) -> None:
    assert cli("history", "--format", "json", "-o", "out/history.json").out == ""
    assert len(json.loads((tmp_path / "out" / "history.json").read_text(encoding="utf-8"))["series"]) == 2
    cli("history", "-o", "history.txt")
    assert "2 series" in (tmp_path / "history.txt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kernel", "gemn"], "Did you mean 'gemm'?"),
        (["--kernel", "gemm,"], "not a list of names"),
        (["--series", "attention"], "is in no series' name"),
        (["--kernel", "conv", "--series", "gemm"], "no series"),
        (["--since", "yesterday"], "'yesterday' is no date"),
        (["--format", "html"], "needs -o"),
        (["--reason", "x"], "only goes with --accept"),
        (["--accept", "gemm@0015aa"], "--reason TEXT"),
        (["--accept", "gemm@0015aa", "--reason", " "], "--reason TEXT"),
        (["--accept", "gemm", "--reason", "x"], "is not SERIES@COMMIT"),
        (["--accept", "gemm@0", "--reason", "x"], "at least 4 characters"),
        (["--accept", "cpu@0015aa", "--reason", "x"], "must mean one series and means 2"),
        (["--accept", "softmax@0015aa", "--reason", "x"], "must mean one series and is none"),
        (["--accept", "gemm@ffff", "--reason", "x"], "no usable value at 'ffff'"),
        (["--accept", "gemm@0000aa", "--reason", "x"], "with one before it"),
    ],
)
def test_a_wrong_argument_is_named(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("history", *arguments)
    assert done.code == 2
    assert message in done.err and len(done.err.splitlines()) == 1


def test_the_beginning_of_two_commits_is_not_enough(cli: Cli, tmp_path: Path) -> None:
    write_history(tmp_path / "results", {"gemm": STEP})
    for file in (tmp_path / "results").glob("*.jsonl"):
        file.write_bytes(file.read_bytes().replace(b'"commit":"00', b'"commit":"beef00'))
    done = cli("history", "--accept", "gemm@beef", "--reason", "x")
    assert done.code == 2 and "beginning of 30 commits" in done.err


def test_an_empty_store_is_not_a_history(cli: Cli) -> None:
    done = cli("history")
    assert done.code == 3 and "no run to show a history of" in done.err


@pytest.mark.usefixtures("store")
def test_a_file_that_is_no_run_is_told_and_left_out(cli: Cli, store: Path) -> None:
    (store / "other.jsonl").write_text('{"not": "ours"}\n', encoding="utf-8")
    done = cli("history")
    assert done.code == 0 and "other.jsonl" in done.err
    assert "2 series" in done.out


def test_a_terminal_without_utf8_gets_ascii(store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "history", "--results", str(store)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "80"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.isascii() and b"|" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("form", [["--format", "json"], ["--format", "html", "-o", "site"]])
def test_a_history_needs_no_torch(store: Path, tmp_path: Path, form: list[str]) -> None:
    program = "import sys; from bench.cli.main import main; code = main(sys.argv[1:]); "
    program += "print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", program, "history", "--results", str(store), *form],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "False"
