"""The kit under a real Slurm of two nodes, started here for these tests: the sbatch example, a rank that is killed, the
node check as Slurm's own prolog."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from bench import records
from tests.factories import device, measurement, run_file
from tests.slurm_cluster import NODES, TOOLS, Cluster, NotHereError, started

JOB_S = 280.0
PLAN = ["--kernel", "gemm", "--precision", "fp32", "--implementation", "torch", "--retries", "0"]
SMALL, OTHER = (["--case", f"m={size},n={size},k={size}"] for size in (64, 32))

PYTHON = """#!/usr/bin/env bash
# Stands for the measurement alone, whose result is planted; whatever else is asked of it the interpreter does.
[[ $* == *"bench run"* ]] || exec {python} "$@"
while (($#)); do
    [[ $1 == --out ]] && cp {planted} "$2"
    shift
done
"""


@pytest.fixture(scope="module")
def slurm(
    absent: Callable[[str, str], NoReturn], checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two nodes that take jobs, one after the other."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            absent(tool, f"{tool} is not installed")
    if os.geteuid():
        absent("slurm", "Slurm's daemons need root")
    python = tmp_path_factory.mktemp("prolog") / "python"
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(started(checkout / "examples" / "slurm" / "prolog.sh", python))
        except NotHereError as reason:
            absent("slurm", str(reason))
        python.write_text(PYTHON.format(python=shlex.quote(sys.executable), planted=shlex.quote(str(cluster.planted))))
        python.chmod(0o755)
        yield cluster


@pytest.mark.slow
def test_the_sbatch_example_makes_one_run_file_of_two_nodes(slurm: Cluster, checkout: Path, tmp_path: Path) -> None:
    job = _submit(slurm, checkout, tmp_path, "--nodes=2", "--ntasks-per-node=1", what=[*SMALL, "--row-budget", "1"])
    _wait_for_the_end(slurm, job)
    run, said = _outcome(tmp_path)
    assert [(row.rank, row.host, row.time is not None) for row in run.measurements] == [
        (0, NODES[0], True),
        (1, NODES[1], True),
    ], said
    assert [(each.rank, each.host) for each in run.devices] == list(enumerate(NODES))
    assert run.run.pinning is not None and run.run.pinning["ranks"]["launcher"] == "srun"
    assert run.end is not None and run.end.status == "complete"
    assert "slowest is" in said and "2 devices in 1 run" in said, said
    slurm.wait_until(lambda: not _working_in(tmp_path), "nobody is left of the job")


@pytest.mark.slow
def test_the_other_task_goes_on_when_one_of_a_step_is_killed(slurm: Cluster, checkout: Path, tmp_path: Path) -> None:
    rows = [*SMALL, *OTHER, "--mode", "sustained", "--sustain", "3"]
    job = _submit(slurm, checkout, tmp_path, f"--nodelist={NODES[0]}", "--ntasks-per-node=2", what=rows)
    journal = tmp_path / "results" / f"slurm-{job}.ranks" / f"slurm-{job}-rank00001.jsonl"
    slurm.wait_until(
        lambda: journal.exists() and b'"type":"measurement"' in journal.read_bytes(), "a row of rank 1", JOB_S
    )
    _task(tmp_path, 1).kill()
    _wait_for_the_end(slurm, job)
    run, said = _outcome(tmp_path)
    of_rank = [[row for row in run.measurements if row.rank == rank] for rank in (0, 1)]
    assert [row.status in records.MEASURED for row in of_rank[0]] == [True, True], said
    assert [row.status in records.MEASURED for row in of_rank[1]] == [True, False], "what it had measured is kept"
    lost = of_rank[1][-1]
    assert lost.status == "crashed" and lost.reason.startswith(f"rank 1 on {NODES[0]}: its process"), lost.reason
    assert run.end is not None and run.end.status == "complete" and "rank 1" in run.end.reason
    slurm.wait_until(lambda: not _working_in(tmp_path), "nobody is left of the job")


@pytest.mark.slow
def test_the_prolog_drains_the_node_of_a_sick_device_and_says_which(slurm: Cluster, tmp_path: Path) -> None:
    job = ["sbatch", "--parsable", f"--nodelist={NODES[1]}", "--output=/dev/null", "--wrap=true"]
    reasons = ["sinfo", "--noheader", "--list-reasons", "--format=%N %E"]
    try:
        slurm.planted.write_bytes(_planted(times=1.0))
        slurm.ask(*job, "--wait", folder=tmp_path, timeout_s=JOB_S)
        assert len(list(slurm.store.glob("*.jsonl"))) == 1, "the node was measured"
        assert not slurm.ask(*reasons), "and took the job"

        slurm.planted.write_bytes(_planted(times=2.0))
        number = slurm.ask(*job, folder=tmp_path)
        slurm.wait_until(lambda: bool(slurm.ask(*reasons)), "a node is drained", JOB_S)
        (reason,) = slurm.ask(*reasons).splitlines()
        assert reason.startswith(f"{NODES[1]} suanli-bench: SICK {NODES[1]} rank 1 cuda:1 "), reason
        assert "100 % slower" in reason
        state = ["squeue", "--noheader", f"--jobs={number}", "--format=%T"]
        slurm.wait_until(lambda: slurm.ask(*state) == "PENDING", "the job waits for another node")
        slurm.ask("scancel", number)
        slurm.ask("scontrol", "update", f"NodeName={NODES[1]}", "State=RESUME")
    finally:
        slurm.planted.unlink(missing_ok=True)


def _submit(slurm: Cluster, checkout: Path, folder: Path, *options: str, what: list[str]) -> str:
    """Hand the sbatch example in, for processors; the job's number."""
    text = (checkout / "examples" / "slurm" / "bench.sbatch").read_text(encoding="utf-8")
    script = folder / "bench.sbatch"
    # The directives for GPUs go, as the script says for processors: this Slurm knows of none.
    script.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("#SBATCH --gpus")))
    environment = slurm.environment | {
        "BENCH_PYTHON": sys.executable,
        "BENCH_DEVICE": "cpu",
        "BENCH_RESULTS": "results",
    }
    done = subprocess.run(
        ["sbatch", "--parsable", "--cpus-per-task=1", *options, script.name, *PLAN, *what],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=JOB_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _wait_for_the_end(slurm: Cluster, job: str) -> None:
    """Until a job is through, whatever its exit code: that of `fleet`, 3 where a busy machine left no row to judge.

    sbatch's own --wait looks ever less often, and would wait as long again.
    """
    slurm.wait_until(lambda: not slurm.ask("squeue", "--noheader", f"--jobs={job}"), "the job ends", JOB_S)


def _outcome(folder: Path) -> tuple[records.RunFile, str]:
    """The one run file, and what the job has said."""
    said = "".join(path.read_text(errors="replace") for path in folder.glob("bench-*.log"))
    paths = list((folder / "results").glob("*.jsonl"))
    assert len(paths) == 1, said
    return records.read(paths[0]), said


def _task(folder: Path, rank: int) -> psutil.Process:
    """The process of a task: what Slurm's own step manager has started."""
    for process in _working_in(folder):
        parent = process.parent()
        if parent and parent.name().startswith("slurmstepd") and process.environ().get("SLURM_PROCID") == str(rank):
            return process
    pytest.fail(f"no process of task {rank}")


def _working_in(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cwd", "status"])
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _planted(times: float) -> bytes:
    """A run file of two cards, the second of which takes so many times as long."""
    content = run_file([])
    lines: list[records.Record] = [content.run]
    for number, factor in enumerate((1.0, times)):
        where: dict[str, Any] = {"device": f"cuda:{number}", "host": NODES[1], "rank": number}
        lines.append(device(kind="cuda", name="card", rating_name=None, **where))
        lines.append(measurement(median_s=1e-3 * factor, low_s=None, high_s=None, rated=None, **where))
    return b"".join(map(records.encode, lines))
