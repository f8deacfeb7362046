"""The main job through the real command line: what it measures, writes, prints and refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import __version__, records
from bench.cli.run import MAXIMUM_RETRIES
from bench.runner.campaign import RETRY_PAUSES_S
from bench.runner.plan import Selection
from bench.runner.session import Options
from tests.checkouts import checked_out
from tests.conftest import Cli

SMALL = {
    "gemm": "m=96,n=64,k=128",
    "conv": "n=1,c=16,h=12,w=12,k=16,r=3,s=3,padding=1",
    "attention": "batch=1,heads=2,kv_heads=2,q_len=64,kv_len=64,head_dim=64",
}

LIMITS = ("--budget", "200", "--row-budget", "1", "--retries", "0")
"""Far more than it takes, for what a busy machine has no time left for is no row, and would be missed. But nothing
twice: beside other tests every row is disturbed."""


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One short run of a tiny GEMM at four precisions, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "small.jsonl"
    command = ["run", "--device", "cpu", "--kernel", "gemm", "--case", SMALL["gemm"], *LIMITS]
    command += ["--precision", "fp32,fp16,int8,fp8", "--seed", "7", "--out", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *command],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1"},
        timeout=200,
        check=False,
    )
    assert done.returncode in (0, 4), done.stderr
    (folder / "out").write_text(done.stdout, encoding="utf-8")
    (folder / "err").write_text(done.stderr, encoding="utf-8")
    return path


def test_a_run_is_run_device_measurements_end(small_run: Path) -> None:
    types = [json.loads(line)["type"] for line in small_run.read_text().splitlines()]
    assert types == ["run", "device", *["measurement"] * 4, "end"]


def test_a_row_is_checked_rated_and_its_figures_agree(small_run: Path) -> None:
    run = records.read(small_run)
    timed = [row for row in run.measurements if row.status in records.MEASURED]
    assert {row.precision for row in timed} >= {"fp32", "fp16", "int8"}
    for row in timed:
        assert row.check is not None and row.check.passed
        assert row.work is not None and row.time is not None and row.rate is not None and row.samples_s
        assert row.rate.operations_per_s == pytest.approx(row.work.operations / row.time.median_s)
        if row.rated is not None and row.rated.operations_per_s:
            assert row.utilization == pytest.approx(row.rate.operations_per_s / row.rated.operations_per_s)
        else:
            assert row.utilization is None and row.utilization_reason
    assert run.end is not None and run.end.counts == records.counts(run.measurements)


def test_what_a_device_lacks_is_a_row_with_the_reason(small_run: Path) -> None:
    (row,) = (row for row in records.read(small_run).measurements if row.precision == "fp8")
    if row.status in records.MEASURED:
        pytest.skip("this processor has an FP8 product")
    assert row.status == "unsupported" and row.reason
    printed = (small_run.parent / "out").read_text(encoding="utf-8")
    assert set(row.reason.split()) <= set(printed.split()), "the reason is in the table, wrapped as it may be"


def test_the_run_line_says_what_was_asked_and_by_what(small_run: Path) -> None:
    run = records.read(small_run).run
    assert run.seed == 7 and run.suite is None and "--precision" in run.command
    assert {"torch"} <= run.software.keys()
    assert run.id == "small"


def test_the_table_goes_to_stdout_and_progress_to_stderr(small_run: Path) -> None:
    out, err = ((small_run.parent / name).read_text(encoding="utf-8") for name in ("out", "err"))
    assert "gemm" in out and "FLOPS" in out and "[4/4]" not in out
    assert "[4/4]" in err and str(small_run) in err


def test_show_prints_the_same_table(small_run: Path, cli: Cli) -> None:
    assert cli("show", str(small_run)).out == (small_run.parent / "out").read_text(encoding="utf-8")


def test_json_is_the_files_own_lines(small_run: Path, cli: Cli) -> None:
    assert cli("show", str(small_run), "--format", "json").out == small_run.read_text()


def test_csv_and_markdown(small_run: Path, cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("show", str(small_run), "--format", "csv").out)))
    assert len(rows) == 4
    assert "| kernel" in cli("show", str(small_run), "--format", "markdown").out


def test_a_folder_shows_its_newest_run(small_run: Path, cli: Cli) -> None:
    assert cli("show", str(small_run.parent)).out == cli("show", str(small_run)).out


def test_launches_are_told_apart_and_shown_as_one_series(
    cli: Cli, tmp_path: Path, require: Callable[[str], str]
) -> None:
    checked_out(require("git"), tmp_path)
    out = tmp_path / "launches.jsonl"
    arguments = ["--kernel", "gemm", "--case", SMALL["gemm"], "--precision", "fp32", "--device", "cpu"]
    result = cli("run", *arguments, "--launches", "2", *LIMITS, "--out", str(out), "--anonymize")
    assert result.code in (0, 4), result.err
    run = records.read(out)
    assert [row.launch for row in run.measurements] == [0, 1]
    assert len({row.implementation for row in run.measurements}) == 1, "every launch measures the same implementation"
    assert "between launches" in result.out
    assert run.run.host["name"] == "anonymous" and str(tmp_path) not in out.read_text()
    assert run.run.git is None and run.run.bench_version == __version__, "of the folder nothing, of bench its version"


def test_all_shows_the_implementations_side_by_side(cli: Cli, tmp_path: Path) -> None:
    arguments = ["--kernel", "gemm", "--case", SMALL["gemm"], "--precision", "fp16", "--implementation", "all"]
    out = tmp_path / "all.jsonl"
    assert cli("run", *arguments, "--device", "cpu", *LIMITS, "--out", str(out)).code in (0, 4)
    names = [row.implementation for row in records.read(out).measurements]
    assert len(names) > 1 and len(set(names)) == len(names)


def test_a_disturbed_row_may_be_measured_again_as_often_as_there_are_pauses() -> None:
    assert MAXIMUM_RETRIES == Options(Selection()).retries == len(RETRY_PAUSES_S)


def test_a_dry_run_measures_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "--device", "cpu", "--dry-run")
    assert result.code == 0
    assert all(word in result.out for word in ("gemm", "conv", "attention", "fp32", "fp16", "int8", "rows in"))
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_dry_run_counts_one_row_and_many_launches_as_one_speaks(cli: Cli) -> None:
    one = ["run", "--device", "cpu", "--kernel", "gemm", "--case", "m=8,n=8,k=8", "--precision", "fp32", "--dry-run"]
    assert cli(*one).out.endswith("\n1 row in 1 launch\n")
    assert cli(*one, "--launches", "2").out.endswith("\n2 rows in 2 launches\n")


def _usage_errors() -> list[tuple[list[str], list[str]]]:
    case = ["--kernel", "gemm", "--case"]
    return [
        (["--device", "gpu"], ["--device", "gpu", "cuda"]),
        (["--device", "cpu:x"], ["--device", "cpu:x"]),
        (["--kernel", "copy", "--device", "cpu"], ["copy", "no case", "standard"]),
        (["--kernel", "gem"], ["--kernel", "gem", "'gemm'"]),
        (["--precision", "fp12"], ["--precision", "fp12", "fp16"]),
        (["--suite", "quik"], ["--suite", "quik", "quick"]),
        (["--implementation", "bets"], ["--implementation", "bets", "best"]),
        (["--case", "m=1"], ["--case", "--kernel"]),
        (["--kernel", "gemm,conv", "--case", "m=1"], ["--case", "one --kernel"]),
        ([*case, "m=0,n=1,k=1"], ["m=0", "1"]),
        ([*case, "m=-4,n=1,k=1"], ["m=-4"]),
        ([*case, "m=4"], ["n="]),
        ([*case, "m=four,n=1,k=1"], ["m='four'", "integer"]),
        ([*case, "m=99999999999999999999,n=1,k=1"], ["outside"]),
        ([*case, "nonsense"], ["nonsense", "FIELD=VALUE"]),
        ([*case, "m=1,n=1,k=1,q=1"], ["q"]),
        (["--budget", "0"], ["--budget", "positive"]),
        (["--budget", "nan"], ["--budget"]),
        (["--retries", "3"], ["--retries", "3", "0", "2"]),
        (["--retries", "-1"], ["--retries", "-1"]),
        (["--launches", "0"], ["--launches", "1"]),
        (["--threads", "many"], ["--threads", "many"]),
        (["--seed", "-1"], ["--seed", "-1"]),
        (["--data", "random"], ["--data", "random", "normal"]),
    ]


@pytest.mark.parametrize(("arguments", "words"), _usage_errors(), ids=" ".join)
def test_what_cannot_be_meant_is_exit_2_with_what_is_allowed(
    cli: Cli, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    result = cli("run", *arguments)
    assert result.code == 2, result.err
    last = result.err.strip().splitlines()[-1]
    assert all(word in last for word in words), last
    assert "Traceback" not in result.err and result.out == ""
    assert not list(tmp_path.rglob("*.jsonl")), "nothing is written for a run that never was"


def test_a_worker_that_may_hold_nothing_is_one_line(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "--memory-limit", "0.001")
    assert result.code == 3 and "over the limit" in result.err and "Traceback" not in result.err


def test_an_absent_device_is_exit_3_and_says_what_is_there(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "--device", "cuda:63")
    assert result.code == 3
    assert "cuda:63" in result.err and "Traceback" not in result.err
    assert not list(tmp_path.rglob("*.jsonl"))


def test_more_than_the_memory_is_a_row_and_exit_3(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "big.jsonl"
    arguments = ["--kernel", "gemm", "--case", "m=2000000000,n=2000000000,k=2000000000", "--precision", "fp32"]
    result = cli("run", *arguments, "--device", "cpu", "--out", str(out))
    assert result.code == 3, result.err
    (row,) = records.read(out).measurements
    assert row.status == "out_of_memory" and "GB" in row.reason


def test_a_run_never_writes_over_a_file(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "kept.jsonl"
    out.write_text("precious")
    result = cli("run", "--out", str(out))
    assert result.code == 3 and "exists" in result.err
    assert out.read_text() == "precious"


def test_an_unwritable_place_is_refused_before_anything_is_measured(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("run", "--out", str(tmp_path / "file" / "deeper" / "run.jsonl"))
    assert result.code == 3 and "cannot write" in result.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["not a run file"]),
        (b"\x00\xff\x00binary\n", ["not a run file"]),
        (b'{"type":"other"}\n', ["not a run file"]),
        (b'{"type":"run","schema":99}\n', ["schema 99", "update"]),
        (b"[1,2]\n", ["not a run file"]),
    ],
)
def test_show_refuses_what_is_not_a_run_file(cli: Cli, tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(content)
    result = cli("show", str(path))
    assert result.code == 3
    assert all(word in result.err for word in words), result.err
    assert path.read_bytes() == content


def test_a_truncated_run_file_shows_what_is_whole(small_run: Path, cli: Cli, tmp_path: Path) -> None:
    content = small_run.read_bytes()
    path = tmp_path / "cut.jsonl"
    path.write_bytes(content[: content.index(b'"type":"end"') - 40])
    result = cli("show", str(path))
    assert result.code == 0
    assert "unfinished last line" in result.out and "no end" in result.out


def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(tmp_path: Path) -> None:
    out = tmp_path / "cut.jsonl"
    command = [sys.executable, "-m", "bench", "run", "--device", "cpu", "--kernel", "gemm", "--out", str(out)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_rows(out, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and "interrupted" in err
    run = records.read(out)
    assert run.end is not None and run.end.status == "interrupted" and run.end.exit_code == 130
    assert run.measurements
    assert not _workers_of(process.pid)


def _wait_for_rows(path: Path, rows: int, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b'"type":"measurement"') >= rows:
            return
        time.sleep(0.2)
    raise AssertionError(f"no {rows} rows in {path} after {timeout_s} s")


def _workers_of(parent: int) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "ppid"]):
        words: list[Any] = process.info["cmdline"] or []
        if "bench.runner.worker" in words and process.info["ppid"] in (parent, 1):
            found.append(process.pid)
    return found


@pytest.mark.slow
def test_the_main_job_measures_everything_it_promises(cli: Cli, tmp_path: Path) -> None:
    """Must hold: GEMM, convolution and attention at FP32, FP16 and INT8, checked and rated."""
    out = tmp_path / "main.jsonl"
    # More time than the default 100 s, which a busy machine does not do with, and no row twice.
    limits = ("--budget", "280", "--row-budget", "2", "--retries", "0")
    result = cli("run", "--device", "cpu", *limits, "--out", str(out), timeout_s=400)
    assert result.code in (0, 4), result.err
    run = records.read(out)
    rows = {(row.kernel, row.precision): row for row in run.measurements}
    for kernel in ("gemm", "conv", "attention"):
        for precision in ("fp32", "fp16", "int8"):
            row = rows[kernel, precision]
            assert row.status in records.MEASURED, (kernel, precision, row.reason)
            assert row.check is not None and row.check.passed
            if run.devices[0].rating_name or row.rated:
                assert row.utilization is None or 0 < row.utilization <= 1.02 or row.status == "invalid"
    assert {row.case["head_dim"] for row in run.measurements if row.kernel == "attention"} >= {64, 128}


def test_a_store_behind_a_url_gets_the_run_when_it_is_complete(cli: Cli) -> None:
    pytest.importorskip("fsspec")
    arguments = ("run", "--device", "cpu", "--kernel", "gemm", "--case", SMALL["gemm"], "--precision", "fp32")
    result = cli(*arguments, "--row-budget", "0.5", "--retries", "0", "--results", "memory://store")
    assert result.code in (0, 4), result.err
    (measured,) = re.findall(r"run file: (\S+)", result.err)
    assert f"kept as {Path(measured).name} in memory://store" in result.err


def test_out_and_results_are_not_given_together(cli: Cli) -> None:
    result = cli("run", "--out", "a.jsonl", "--results", "b")
    assert result.code == 2
    assert "--out" in result.err and "--results" in result.err
