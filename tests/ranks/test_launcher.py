"""Ranks without torchrun, by `--ranks N` and `--device all`: one run file and one exit code, nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import records
from bench.cli.main import parser_for
from bench.cli.run_ranks import to_start
from bench.devices.cores import read_topology
from bench.errors import UsageError
from tests.conftest import Cli
from tests.factories import device
from tests.rank_processes import PATIENCE_S, by_rank, left_behind, measured, own_file, wait_for_rows

WHAT = ["--kernel", "gemm", "--precision", "fp32", "--implementation", "torch"]
SHORT = ["--case", "m=32,n=32,k=32", "--row-budget", "0.3"]
LONG = [word for m in range(8, 1608, 8) for word in ("--case", f"m={m},n=32,k=32")]
"""More rows than are measured before a test has looked."""
HOW = ["--budget", "600", "--retries", "0", "--out", "all.jsonl"]
TWO = ["--ranks", "2", "--device", "cpu", "--rank-timeout", "60"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start two ranks with a long plan, in a process group of their own; whatever is left is ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", *WHAT, *LONG, *HOW, *TWO],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


@pytest.mark.slow
def test_two_ranks_make_one_run_file(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", *WHAT, *SHORT, *HOW, *TWO)
    run = records.read(tmp_path / "all.jsonl")
    assert {rank: len(measured(rows)) for rank, rows in by_rank(run).items()} == {0: 1, 1: 1}, result.err
    assert run.end is not None and (run.end.status, run.end.exit_code) == ("complete", result.code)
    assert result.out.count("2 ranks") == 1, "one table"
    assert result.err.count("run file: ") == 1
    ranks = (run.run.pinning or {})["ranks"]
    assert (ranks["launcher"], ranks["world"], ranks["stagger"]) == ("bench", 2, False)
    allowed = os.sched_getaffinity(0)
    if sum(bool(core & allowed) for core in read_topology().cores) > 1:
        one, other = (set(cpus) for cpus in ranks["affinity"].values())
        assert not one & other, "each on cores of its own"
    assert not left_behind(tmp_path)
    again = cli("run", "--resume", "all.jsonl")
    assert again.code == 2 and "several ranks" in again.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "whom",
    [
        "all, as a terminal does",
        pytest.param(
            "the launcher alone",
            marks=pytest.mark.skipif("BENCH_SOAK" not in os.environ, reason="set BENCH_SOAK, or run `tox -e soak`"),
        ),
    ],
)
def test_ctrl_c_keeps_what_was_measured(start: Start, tmp_path: Path, whom: str) -> None:
    process = start()
    wait_for_rows(tmp_path, (0, 1))
    (os.kill if whom == "the launcher alone" else os.killpg)(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = records.read(tmp_path / "all.jsonl")
    assert run.end is not None and (run.end.status, run.end.exit_code) == ("interrupted", 130)
    assert all(measured(rows) for rows in by_rank(run).values()) and set(by_rank(run)) == {0, 1}
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_a_killed_launcher_leaves_no_rank_behind(start: Start, tmp_path: Path) -> None:
    process = start()
    wait_for_rows(tmp_path, (0, 1))
    process.kill()
    process.wait(timeout=30)
    assert not left_behind(tmp_path)
    for rank in (0, 1):
        own = records.read(own_file(tmp_path, rank))
        assert own.measurements and own.end is not None and own.end.status == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--kernel", "gemma"], "gemma"),
        ([*WHAT, *SHORT, "--device", "cpu", "--rows", "7"], "--rows"),  # known once the plan is laid out
    ],
)
def test_what_cannot_be_meant_is_said_once(cli: Cli, arguments: list[str], word: str) -> None:
    result = cli("run", *arguments, "--ranks", "3")
    assert result.code == 2 and result.out == ""
    assert [word in line for line in result.err.splitlines()].count(True) == 1, result.err
    assert "rank 0" not in result.err


def test_the_plan_is_that_of_all_ranks(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "--kernel", "all_reduce", "--precision", "fp32", "--device", "cpu", "--ranks", "3", "--dry-run")
    assert result.code == 0 and "ranks=3" in result.out and "unsupported" not in result.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_all_devices_are_ranks_where_there_are_several(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", *WHAT, *SHORT, *HOW, "--device", "all")
    run = records.read(tmp_path / "all.jsonl")
    several = len(run.devices) > 1
    assert bool((run.run.pinning or {}).get("ranks")) == several, result.err
    assert (tmp_path / "all.ranks").exists() == several
    assert sorted({row.rank for row in run.measurements}) == list(range(len(run.devices)))
    assert run.end is not None and run.end.exit_code == result.code


@pytest.mark.slow
def test_each_rank_measures_the_device_that_it_is_given(tmp_path: Path) -> None:
    words = ["run", *WHAT, *SHORT, *HOW, "--device", "all"]
    start = f"sys.exit(launch(['cuda:99', 'cpu'], {words}))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from bench.runner.ranks.launcher import launch; {start}"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    run = records.read(tmp_path / "all.jsonl")
    (absent,), (row,) = by_rank(run)[0], by_rank(run)[1]
    assert absent.status == "failed" and "'cuda:99' is absent" in absent.reason
    assert row.device == "cpu" and measured([row]), done.stderr
    cpus = (run.run.pinning or {})["ranks"]["affinity"]["1"]
    assert set(cpus) == os.sched_getaffinity(0), "the processor among other devices has all of its cores"
    assert run.end is not None and run.end.exit_code == done.returncode


CPU, CARDS = [device()], [device(device=name) for name in ("cuda:0", "cuda:1", "cpu")]


@pytest.mark.parametrize(
    ("words", "devices", "ranks"),
    [
        ("", CPU, []),
        ("--ranks 1", CPU, []),
        ("--ranks 2", CPU, [None, None]),
        ("--device all", CPU, []),
        ("--device all", CARDS, ["cuda:0", "cuda:1", "cpu"]),
        ("--device ALL --ranks 3", CARDS, ["cuda:0", "cuda:1", "cpu"]),
        ("--device all --ranks 1", CARDS, []),
        ("--device all --kernel all_reduce,broadcast", CARDS, ["cuda:0", "cuda:1"]),
        ("--device all --kernel all_reduce,broadcast --ranks 2", CARDS, ["cuda:0", "cuda:1"]),
        ("--device all --kernel all_reduce,gemm", CARDS, ["cuda:0", "cuda:1", "cpu"]),
        ("--device all --kernel all_reduce", CPU, []),
        ("--device cuda --ranks 2", CARDS[:1], [None, None]),
    ],
)
def test_a_rank_for_each_device_or_so_many_as_asked_for(
    words: str, devices: list[records.Device], ranks: list[str | None]
) -> None:
    assert to_start(parser_for("run").parse_args(words.split()), devices) == ranks


@pytest.mark.parametrize(("devices", "allowed"), [(CPU, "choose 1"), (CARDS, "or 3, all at once")])
def test_another_number_than_there_are_devices_is_refused(devices: list[records.Device], allowed: str) -> None:
    with pytest.raises(UsageError, match=f"--ranks: 2: --device all is {devices[0].device}.*{allowed}"):
        to_start(parser_for("run").parse_args(["--device", "all", "--ranks", "2"]), devices)
