"""The sbatch example under a real Slurm: controller and node daemon started here, for this test alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from bench import records

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo")
UP_S = 60.0
JOB_S = 280.0


@pytest.fixture
def slurm(
    tmp_path: Path, require: Callable[[str], str], absent: Callable[[str, str], NoReturn]
) -> Iterator[dict[str, str]]:
    """The environment in which sbatch reaches a cluster of this machine."""
    tools = {name: require(name) for name in TOOLS}
    if os.geteuid() or (os.cpu_count() or 1) < 2:
        absent("slurm", "Slurm's daemons need root, and two tasks two CPUs")
    configuration = _configuration(tmp_path)
    key = tmp_path / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    files = {name: tmp_path / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
    munged = [tools["munged"], "--force", "--foreground", f"--key-file={key}", f"--socket={files['socket']}"]
    munged += [f"--pid-file={files['pid']}", f"--log-file={files['log']}", f"--seed-file={files['seed']}"]
    commands = [munged, *([tools[name], "-D", "-f", str(configuration)] for name in ("slurmctld", "slurmd"))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment |= {"SLURM_CONF": str(configuration)}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        with open(tmp_path / "daemons.log", "wb") as log:
            for command in commands:
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
                time.sleep(1.0)
        until = time.monotonic() + UP_S
        while "idle" not in _said([tools["sinfo"], "--noheader", "--format=%T"], environment):
            if time.monotonic() > until or any(daemon.poll() is not None for daemon in daemons):
                absent("slurm", f"Slurm does not come up here: {(tmp_path / 'daemons.log').read_text()[-500:]}")
            time.sleep(0.5)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


@pytest.mark.slow
def test_the_sbatch_example_makes_one_run_file_of_its_tasks(
    slurm: dict[str, str], checkout: Path, tmp_path: Path
) -> None:
    text = (checkout / "examples" / "slurm" / "bench.sbatch").read_text(encoding="utf-8")
    script = tmp_path / "bench.sbatch"
    # The directives for GPUs go, as the script says for processors: this Slurm knows of none.
    script.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("#SBATCH --gpus")))
    what = [
        "--kernel",
        "gemm",
        "--case",
        "m=64,n=64,k=64",
        "--precision",
        "fp32",
        "--row-budget",
        "1",
        "--retries",
        "0",
    ]
    done = subprocess.run(
        ["sbatch", "--wait", "--ntasks-per-node=2", "--cpus-per-task=1", script.name, *what],
        cwd=tmp_path,
        env=slurm | {"BENCH_PYTHON": sys.executable, "BENCH_DEVICE": "cpu", "BENCH_RESULTS": "results"},
        capture_output=True,
        text=True,
        timeout=JOB_S,
        check=False,
    )
    said = "".join(path.read_text(errors="replace") for path in tmp_path.glob("bench-*.log"))
    (path,) = (tmp_path / "results").glob("*.jsonl")
    run = records.read(path)
    assert [(row.rank, row.time is not None) for row in run.measurements] == [(0, True), (1, True)], said
    assert run.run.pinning is not None and run.run.pinning["ranks"]["launcher"] == "srun"
    assert run.end is not None and run.end.status == "complete"
    assert "slowest is" in said and "2 devices in 1 run" in said, (done.stderr, said)


def _configuration(folder: Path) -> Path:
    name = socket.gethostname().partition(".")[0]
    for inside in ("state", "spool"):
        (folder / inside).mkdir()
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{name}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder / 'munge.socket'}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldPort": _free_port(),
        "SlurmdPort": _free_port(),
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "ReturnToService": 2,
        "MpiDefault": "none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "NodeName": f"{name} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN",
        "PartitionName": "all Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
    }
    path = folder / "slurm.conf"
    path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
    return path


def _said(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
