"""Real ranks on this machine: at once, staggered, and with one killed; one run file each time, nobody left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import records
from bench.devices.cores import read_topology
from tests.rank_processes import PATIENCE_S, by_rank, left_behind, measured, wait_for_rows

CASES = [word for size in (32, 64) for word in ("--case", f"m={size},n={size},k={size}")]
PLAN = ["--device", "cpu", "--kernel", "gemm", *CASES, "--precision", "fp32", "--implementation", "torch"]
LONG = ["--mode", "sustained", "--sustain", "3"]
"""Rows that last, for those that kill a rank in one."""
HURRY_S = 60.0
"""How long these ranks are waited for: far more than they take, and a busy machine is no failure."""

Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start a command of ranks that writes all.jsonl; whatever is left of it is ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(words: list[str], *more: str, ranks: dict[str, str] | None = None) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMP_"))}
        environment |= {"NO_COLOR": "1", "PYTHONUTF8": "1", **(ranks or {})}
        command = [
            *words,
            "bench",
            "run",
            *PLAN,
            *more,
            "--retries",
            "0",
            "--rank-timeout",
            str(HURRY_S),
            "--out",
            "all.jsonl",
        ]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=30)


def torchrun(ranks: int) -> list[str]:
    """torchrun's command line up to the module."""
    address = ["--master-addr", "127.0.0.1", "--master-port", str(_free_port())]
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *address, "-m"]


def _ranks(run: records.RunFile) -> dict[str, Any]:
    assert run.run.pinning is not None
    return dict(run.run.pinning["ranks"])


@pytest.mark.slow
def test_four_ranks_staggered_measure_one_after_another_and_make_one_run_file(launch: Launch, tmp_path: Path) -> None:
    process = launch(torchrun(4), "--stagger", "--rows", "1", "--row-budget", "1")
    out, err = process.communicate(timeout=PATIENCE_S)
    run = records.read(tmp_path / "all.jsonl")
    assert {rank: len(measured(mine)) for rank, mine in by_rank(run).items()} == dict.fromkeys(range(4), 1), err
    assert [device.rank for device in run.devices] == [0, 1, 2, 3]
    assert run.end is not None and run.end.status == "complete"
    ranks = _ranks(run)
    assert (ranks["launcher"], ranks["world"], ranks["stagger"]) == ("torchrun", 4, True)
    assert out.count("slowest is") == 1, "one table"
    own = sorted((tmp_path / "all.ranks").iterdir())
    assert [path.name for path in own] == [f"all-rank{rank:05d}.jsonl" for rank in range(4)], "the journals stay"
    ended = [path.stat().st_mtime_ns for path in own]
    assert ended == sorted(ended), "a rank's journal is closed before the next rank's is"
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_under_srun_the_others_go_on_when_a_rank_is_killed(launch: Launch, tmp_path: Path) -> None:
    """Slurm's variables as a step of two tasks has them; by itself srun leaves the other tasks alone."""
    step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    step["MASTER_PORT"] = str(_free_port())
    words = [sys.executable, "-m"]
    one, other = (
        launch(words, *LONG, ranks=step | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}) for rank in (0, 1)
    )
    wait_for_rows(tmp_path, (1,))
    other.kill()
    other.communicate(timeout=60)
    _, err = one.communicate(timeout=PATIENCE_S)
    run = records.read(tmp_path / "all.jsonl")
    rows = by_rank(run)
    assert len(measured(rows[0])) == 2, err
    lost = rows[1][-1]
    assert lost.status == "crashed" and "ended without a word" in lost.reason, lost.reason
    assert len(measured(rows[1])) == 1, "what it had measured is kept"
    assert run.end is not None and run.end.status == "complete" and "rank 1" in run.end.reason
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_of_two_ranks_at_once_the_other_writes_the_file_when_rank_0_is_killed(launch: Launch, tmp_path: Path) -> None:
    process = launch(torchrun(2), *LONG)
    wait_for_rows(tmp_path, (0, 1))
    _rank(process.pid, 0).send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE_S)
    run = records.read(tmp_path / "all.jsonl")
    rows = by_rank(run)
    assert measured(rows[0]) and measured(rows[1]), err
    lost = [row for row in rows[0] if row.id == "r0-lost"]
    assert lost and lost[0].status == "crashed" and "ended without a word" in lost[0].reason
    assert run.end is not None and run.end.status == "interrupted" and run.end.exit_code == 130
    ranks = _ranks(run)
    assert (ranks["leader"], ranks["stagger"]) == (1, False)
    allowed = os.sched_getaffinity(0)
    if sum(bool(core & allowed) for core in read_topology().cores) > 1:
        one, other = (set(cpus) for cpus in ranks["affinity"].values())
        assert not one & other, "each on cores of its own: none measures the other"
    assert not left_behind(tmp_path)


@pytest.fixture
def hosts(require: Callable[[str], str]) -> Iterator[list[str]]:
    """Two network namespaces with a cable between them, 10.99.0.1 and 10.99.0.2; skipped where none may be made."""
    ip, *_ = map(require, ("ip", "unshare", "hostname"))
    names, ends = ([f"{letter}{os.getpid()}{side}" for side in "ab"] for letter in ("bench", "v"))
    steps = [["netns", "add", name] for name in names]
    steps += [["link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1]]]
    for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
        steps += [["-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", end]]
        steps += [["-n", name, "link", "set", each, "up"] for each in (end, "lo")]
    try:
        for step in steps:
            done = subprocess.run([ip, *step], capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                pytest.skip(f"no network namespaces here: ip {' '.join(step)}: {done.stderr.strip()}")
        yield names
    finally:
        for name in names:
            subprocess.run([ip, "netns", "del", name], capture_output=True, timeout=60, check=False)


@pytest.mark.slow
def test_two_hosts_with_addresses_of_their_own_make_one_run_file(
    launch: Launch, hosts: list[str], tmp_path: Path
) -> None:
    meet = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "10.99.0.1", "MASTER_PORT": "29500"}
    started = []
    for rank, name in enumerate(hosts):
        inside = ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
        words = [*inside, sys.executable, "-m"]
        started.append(launch(words, "--rows", "1", "--row-budget", "1", ranks=meet | {"RANK": str(rank)}))
    ends = [process.communicate(timeout=PATIENCE_S) for process in started]
    run = records.read(tmp_path / "all.jsonl")
    rows = [(row.rank, row.host) for row in measured(run.measurements)]
    assert rows == [(0, hosts[0]), (1, hosts[1])], ends
    assert run.end is not None and run.end.status == "complete"
    assert not left_behind(tmp_path)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _rank(launcher: int, rank: int) -> psutil.Process:
    """The process of a rank below its launcher."""
    for process in psutil.Process(launcher).children():
        if process.environ().get("RANK") == str(rank):
            return process
    pytest.fail(f"no process of rank {rank}")
