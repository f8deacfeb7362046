"""`run --resume`: measures only what is missing, never anything twice, and refuses what would not be comparable."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import records
from tests.conftest import Cli

CASES = ["--case", "m=64,n=64,k=64", "--case", "m=96,n=96,k=96"]
ARGUMENTS = ["--device", "cpu", "--kernel", "gemm", *CASES, "--precision", "fp32,int8"]
ARGUMENTS += ["--budget", "200", "--row-budget", "1", "--retries", "0"]
# Time for every row, on a busy machine too: one that was left out would be missed. And none is measured twice.


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of four rows, made once."""
    path = tmp_path_factory.mktemp("resume") / "whole.jsonl"
    command = [sys.executable, "-m", "bench", "run", *ARGUMENTS, "--out", str(path)]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode in (0, 4), done.stderr
    return path


@pytest.fixture
def whole(complete: Path, tmp_path: Path) -> Path:
    """A copy of the complete run, for a test to cut and change."""
    return Path(shutil.copy(complete, tmp_path / "whole.jsonl"))


def _cut(path: Path, rows: int, tail: bytes = b"") -> bytes:
    """Leave the head and `rows` rows, as a kill would, and whatever of the next line was written."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[: 2 + rows])
    path.write_bytes(kept + tail)
    return kept


def test_only_the_missing_rows_are_measured_and_the_old_ones_stay_as_they_were(cli: Cli, whole: Path) -> None:
    kept = _cut(whole, 2, tail=b'{"type":"measurement","id":"000')
    result = cli("run", "--resume", str(whole))
    assert result.code in (0, 4), result.err
    assert whole.read_bytes().startswith(kept), "what was on the disk is not touched"
    run = records.read(whole)
    assert [row.id for row in run.measurements] == ["00001", "00002", "00003", "00004"]
    assert len(run.resumes) == 1 and run.end is not None and run.end.status == "complete"
    assert run.end.counts == records.counts(run.measurements)
    assert "[4/4]" in result.err and "[2/4]" not in result.err
    rated = {row.rated.clock_hz for row in run.measurements if row.rated and row.rated.kind == "computed"}
    assert len(rated) <= 1, "one run has one denominator"


def test_a_complete_run_is_left_with_its_rows(cli: Cli, whole: Path) -> None:
    before = records.read(whole)
    assert cli("run", "--resume", str(whole)).code in (0, 4)
    assert records.read(whole).measurements == before.measurements


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method_version": 999}, ["method version", "999"]),
        ({"bench_version": "0.0.0.dev0"}, ["version of suanli-bench"]),
        ({"software": {"torch": "1.0"}}, ["torch", "'1.0'"]),
    ],
)
def test_another_method_or_version_is_refused(
    cli: Cli, whole: Path, change: dict[str, object], words: list[str]
) -> None:
    _rewrite(whole, 0, change)
    content = whole.read_bytes()
    result = cli("run", "--resume", str(whole))
    assert result.code == 3 and all(word in result.err for word in words), result.err
    assert whole.read_bytes() == content


def test_another_device_is_refused(cli: Cli, whole: Path) -> None:
    _rewrite(whole, 1, {"name": "Another CPU"})
    result = cli("run", "--resume", str(whole))
    assert result.code == 3 and "Another CPU" in result.err


def test_other_arguments_beside_it_are_refused(cli: Cli, whole: Path) -> None:
    result = cli("run", "--resume", str(whole), "--precision", "fp64")
    assert result.code == 2 and "--precision" in result.err


def test_an_absent_or_foreign_file_is_exit_3(cli: Cli, tmp_path: Path) -> None:
    assert cli("run", "--resume", str(tmp_path / "absent.jsonl")).code == 3
    (tmp_path / "foreign.jsonl").write_text("hello\n")
    assert cli("run", "--resume", str(tmp_path / "foreign.jsonl")).code == 3


def _rewrite(path: Path, line: int, change: dict[str, object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    head = msgspec.json.decode(lines[line]) | change
    lines[line] = msgspec.json.encode(head) + b"\n"
    path.write_bytes(b"".join(lines[:4]))
