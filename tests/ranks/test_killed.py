"""One of two ranks killed, in each phase of a run: the other's rows stay, the dead one has a row that says so.

The moments are exact: Python's own audit events and an implementation of gemm tell when a phase is reached, and kill
there. A handful here, all of them in `tox -e soak`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import records
from tests.rank_processes import PATIENCE_S, by_rank, left_behind, measured

# Found by Python as it starts, in each process of the run.
SITE = '''
"""Kills a rank at KILL_AT: the rank KILL_RANK, whichever process reaches that moment."""
import os, signal, sys, time

MOMENT, VICTIM = os.environ.get("KILL_AT", ""), int(os.environ.get("KILL_RANK", "-1"))
RANK = int(os.environ.get("RANK", "-1"))
IS_RANK = RANK >= 0 and "run" in sys.orig_argv
done = False


def kill_victim(when=lambda state: True):
    """Once it is so far, as it says on the board."""
    global done
    if done:
        return
    from bench.runner.ranks.board import Hello, State, connect
    from bench.runner.ranks.place import place

    done = True
    board = connect(place(os.environ), 60.0)
    while not when(board.read("state", State, VICTIM)):
        time.sleep(0.02)
    os.kill(board.read("hello", Hello, VICTIM).pid, signal.SIGKILL)


def hook(event, words):
    if done:
        return
    if RANK == VICTIM and (
        (MOMENT == "before hello" and event == "import" and words[0] == "torch")
        or (MOMENT == "hello" and event == "subprocess.Popen" and "bench.runner.worker" in words[1])
    ):
        os.kill(os.getpid(), signal.SIGKILL)
    if RANK == 0 and (
        (MOMENT == "writing" and event == "os.rename" and str(words[1]).endswith("all.jsonl"))
        or (MOMENT == "written" and event == "os.remove" and ".all.jsonl." in str(words[0]))
    ):
        kill_victim()


if IS_RANK:
    sys.addaudithook(hook)
'''

PLUGIN = '''
"""torch.matmul, and a rank is killed where its worker or the other's comes to KILL_AT."""
import os, signal
from sitecustomize import MOMENT, RANK, VICTIM, kill_victim
from bench.kernel import implementation


@implementation("deadly", kernel="gemm", precisions=("fp32",))
def deadly(kernel, inputs):
    import torch

    first, mine, calls = inputs.case["m"] == 32, RANK == VICTIM, []

    def here(moment):
        if mine and not first and MOMENT == moment:
            os.kill(os.getppid(), signal.SIGKILL)

    here("build")
    if not mine and first and MOMENT == "between rows":
        kill_victim(lambda state: state.gate == 2)
    if not mine and not first and MOMENT == "done":
        kill_victim(lambda state: state.done)

    def call():
        calls.append(1)
        here({1: "check", 100: "timing"}.get(len(calls), ""))
        return torch.matmul(inputs["a"], inputs["b"])

    return call
'''

ROWS = 2
CASES = [word for size in (32, 64) for word in ("--case", f"m={size},n={size},k={size}")]
PLAN = ["--device", "cpu", "--kernel", "gemm", *CASES, "--precision", "fp32", "--implementation", "deadly"]
HOW = ["--cache", "warm", "--budget", "600", "--row-budget", "0.3", "--retries", "0", "--out", "all.jsonl"]

LIMIT_S = 10 * PATIENCE_S
"""How long a rank may be silent: longer than the test waits, so that each has to be noticed by its process."""

KEPT = {"before hello": 0, "hello": 0, "build": 1, "check": 1, "timing": 1, "between rows": 1}
"""Moment → rows that the dead rank had handed over. At a later one it has them all, and is not missed."""
MOMENTS = [*KEPT, "done", "writing", "written"]
ALWAYS = {("before hello", 0), ("check", 1), ("done", 0), ("written", 0)}


def _table() -> list[object]:
    soak = pytest.mark.skipif("BENCH_SOAK" not in os.environ, reason="minutes: set BENCH_SOAK, or run `tox -e soak`")
    return [
        pytest.param(moment, victim, marks=[pytest.mark.slow, *([] if (moment, victim) in ALWAYS else [soak])])
        for moment in MOMENTS
        for victim in (0, 1)
    ]


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH in which the hooks are installed."""
    folder = tmp_path_factory.mktemp("deadly")
    (folder / "sitecustomize.py").write_text(SITE)
    (folder / "deadly_plugin.py").write_text(PLUGIN)
    info = folder / "deadly_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench.implementations]\ngemm-deadly = deadly_plugin:deadly\n")
    return folder


@pytest.mark.parametrize(("moment", "victim"), _table())
def test_a_rank_that_is_killed_costs_no_row_of_the_other(
    tmp_path: Path, deadly: Path, moment: str, victim: int
) -> None:
    path = os.pathsep.join(filter(None, [str(deadly), os.environ.get("PYTHONPATH", "")]))
    # Without coverage: a process that is killed can't save what it has counted.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment |= {"PYTHONPATH": path, "KILL_AT": moment, "KILL_RANK": str(victim), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--ranks", "2", *PLAN, *HOW, "--rank-timeout", str(LIMIT_S)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    run = records.read(tmp_path / "all.jsonl")
    rows = by_rank(run)
    assert len(measured(rows[1 - victim])) == ROWS, done.stderr
    assert run.end is not None and (run.end.status, run.end.exit_code) == ("complete", done.returncode), done.stderr
    kept = KEPT.get(moment, ROWS)
    mine = rows.get(victim, [])
    assert len(measured(mine)) == kept, done.stderr
    lost = [(row.status, row.reason) for row in mine if row.id == f"r{victim}-lost"]
    if kept == ROWS:
        assert not lost, "it had said goodbye"
    else:
        ((status, reason),) = lost
        how = "ended before it said a word: SIGKILL" if moment == "before hello" else "ended without a word"
        assert status == "crashed" and how in reason, reason
        assert f"rank {victim}" in run.end.reason
    written_by = 1 if victim == 0 and moment != "written" else 0
    assert (run.run.pinning or {})["ranks"]["leader"] == written_by
    assert not left_behind(tmp_path)
