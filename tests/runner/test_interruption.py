"""A run that is killed, interrupted or out of disk leaves a file that reads and can be completed."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench import records

CASES = [word for size in (32, 64) for word in ("--case", f"m={size},n={size},k={size}")]
ARGUMENTS = ["--device", "cpu", "--kernel", "gemm", *CASES, "--precision", "fp32,int8"]
ARGUMENTS += ["--budget", "120", "--retries", "0"]
# The budget is far more than a run needs: on a busy machine a row that it leaves out would pass for one that was lost.
ROWS = 4
RUN_S = 15.0
"""About what such a run takes from start to end; a kill later than that finds it complete, which is a case too."""
KILLS = int(os.environ.get("BENCH_SOAK", "5"))
"""Random moments to kill the parent at: five here, fifty in `tox -e soak`."""


def _start(path: Path, *more: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", "run", *more] if more else None
    command = command or [sys.executable, "-m", "bench", "run", *ARGUMENTS, "--out", str(path)]
    # Without coverage: a process that is killed or out of disk can't save what it has counted.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # options are Popen's own
        command,
        cwd=path.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_any_moment_a_run_reads_and_resumes(tmp_path: Path, number: int) -> None:
    path = tmp_path / "killed.jsonl"
    process = _start(path)
    time.sleep(random.Random(number).uniform(0.2, RUN_S))
    process.kill()
    process.communicate(timeout=60)
    if not path.exists():
        return  # killed before there was anything to write
    before = _identifiers(path)
    resumed = _start(path, "--resume", str(path))
    _, err = resumed.communicate(timeout=200)
    if resumed.returncode == 3:
        assert not before, err  # killed before the device's line was written: there is no run to resume
        return
    assert resumed.returncode in (0, 4), err
    run = records.read(path)
    identifiers = [row.id for row in run.measurements]
    assert identifiers[: len(before)] == before, "what was measured stays"
    assert sorted(identifiers) == [f"{n:05d}" for n in range(1, ROWS + 1)], "nothing missing, nothing twice"
    assert run.end is not None and run.end.status == "complete"
    assert _gone(process.pid), "the worker dies with its parent"


def test_two_interrupts_end_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    process = _start(path)
    time.sleep(5.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err
    if path.exists():
        records.read(path)


def test_a_full_disk_is_exit_3_and_one_line_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    limit_bytes = 20_000  # the head and a row or two

    def quota() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    process = _start(path, preexec_fn=quota)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    (line,) = [line for line in err.splitlines() if "cannot write" in line]
    assert str(path) in line and "Traceback" not in err
    run = records.read(path)
    assert not run.truncated, "a line that does not fit is taken back whole"
    assert path.stat().st_size <= limit_bytes


def _identifiers(path: Path) -> list[str]:
    """Ids of the rows on the disk; none where the kill came before the first line was whole."""
    if b"\n" not in path.read_bytes():
        return []
    return [row.id for row in records.read(path).measurements]


def _gone(parent: int, timeout_s: float = 10.0) -> bool:
    """Whether no worker is left whose parent was that process."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        workers = [
            process
            for process in psutil.process_iter(["cmdline", "ppid"])
            if "bench.runner.worker" in (process.info["cmdline"] or []) and process.info["ppid"] in (1, parent)
        ]
        if not workers:
            return True
        time.sleep(0.1)
    return False
