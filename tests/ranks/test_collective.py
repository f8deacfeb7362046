"""Collectives between real ranks: measured alike at both, wrong at one, broken by a dying process, a rank lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import records
from kernels.collective import AllGather, AllReduce, AllToAll, Broadcast, ReduceScatter, SendRecv
from tests.rank_processes import PATIENCE_S, left_behind

OPERATIONS = [AllReduce(), AllGather(), ReduceScatter(), AllToAll(), Broadcast(), SendRecv()]
PLUGIN = '''
"""All-reduce in ways that nobody should do it, each with one small case."""

import os
import signal

from bench.kernel import implementation
from kernels.collective import AllReduce
from kernels.collective.messages import distributed

FP32 = ("fp32",)


class Small(AllReduce):
    def cases(self, suite, device):
        return [{"bytes": 4096, "ranks": device.ranks}]


class WrongAtOne(Small):
    name = "wrong_at_one"

    @implementation("torch", precisions=FP32, capturable=False)
    def reduce(self, inputs):
        x, rank = inputs["x"], inputs.device.rank

        def call():
            distributed().all_reduce(x)
            x[0] += rank
            return x

        return call


class RaisesAtOne(Small):
    name = "raises_at_one"

    @implementation("torch", precisions=FP32, capturable=False)
    def reduce(self, inputs):
        if inputs.device.rank == 1:
            raise RuntimeError("nothing to build it from")
        return lambda: inputs["x"]


class DiesAtOne(Small):
    """Its victim is the worker; with VICTIM=rank the process that started it."""

    name = "dies_at_one"

    @implementation("torch", precisions=FP32, capturable=False)
    def reduce(self, inputs):
        x, rank = inputs["x"], inputs.device.rank
        left = [20]

        def call():
            left[0] -= 1
            if rank == 1 and left[0] == 0:
                os.kill(os.getppid() if os.environ.get("VICTIM") == "rank" else os.getpid(), signal.SIGKILL)
            distributed().all_reduce(x)
            return x

        return call
'''
ENTRY_POINTS = """\
[bench.kernels]
wrong_at_one = reducers:WrongAtOne
raises_at_one = reducers:RaisesAtOne
dies_at_one = reducers:DiesAtOne
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which the plugin is installed, and nothing of a launcher is set."""
    site = tmp_path / "site"
    information = site / "reducers-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "reducers.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: reducers\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMP_"))}
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return kept | {"NO_COLOR": "1", "PYTHONUTF8": "1", "PYTHONPATH": path}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a run works; nobody is left in it afterwards."""
    found = tmp_path / "work"
    found.mkdir()
    yield found
    assert not left_behind(found)


def words(kernels: list[str], *more: str) -> list[str]:
    """`run` of these kernels on the processor, one short look each."""
    plan = ["run", "--device", "cpu", "--kernel", ",".join(kernels), "--row-budget", "0.3", "--budget", "600"]
    return ["bench", *plan, "--retries", "0", "--rank-timeout", "60", "--out", "all.jsonl", *more]


def by_kernel(file: records.RunFile) -> dict[str, list[records.Measurement]]:
    """A run's rows by what they measure."""
    found: dict[str, list[records.Measurement]] = {}
    for row in file.measurements:
        found.setdefault(row.kernel, []).append(row)
    return found


@pytest.mark.slow
def test_two_ranks_measure_every_collective_and_outlive_a_wrong_and_a_dying_one(
    environment: dict[str, str], folder: Path
) -> None:
    names = [kernel.name for kernel in OPERATIONS]
    kernels = [*names, "wrong_at_one", "raises_at_one", "dies_at_one"]
    # The first case of each, and then the second one of all-reduce: the row after the death.
    rows = ",".join(map(str, range(1, len(kernels) + 2)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port", str(free_port()), "-m"]
    done = subprocess.run(
        [*launcher, *words(kernels, "--rows", rows)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    file = records.read(folder / "all.jsonl")
    found = by_kernel(file)
    for kernel in OPERATIONS:
        row = found[kernel.name][0]
        assert row.status in records.MEASURED, (row.kernel, row.reason, done.stderr)
        assert row.case == {"bytes": 2**16, "ranks": 2} and row.hosts == 1
        assert row.check is not None and row.check.passed and row.check.error == 0.0
        assert row.work is not None and row.work.bytes == kernel.work(row.case, "fp32").bytes > 0
        assert row.rate is not None and row.time is not None and row.time.timer == "host"
        assert row.rate.bytes_per_s == pytest.approx(row.work.bytes / row.time.median_s)
        assert row.cache == "warm" and "nccl-tests" in row.cache_reason
        assert row.utilization is None and row.utilization_of == "bytes" and row.utilization_reason
        # Alike at both unless telemetry told them apart: then each stays, with the same samples.
        mine = [one for one in found[kernel.name] if one.case == row.case]
        assert len(mine) == len({one.status for one in mine})
        assert all(one.samples_s == row.samples_s for one in mine)
    assert len(found["wrong_at_one"]) == len(found["raises_at_one"]) == len(found["dies_at_one"]) == 2
    for row in found["wrong_at_one"]:
        assert (row.status, row.time) == ("wrong", None) and "rank 1: output differs" in row.reason
    for row in found["raises_at_one"]:
        assert row.status == "failed" and "rank 1: RuntimeError: nothing to build it from" in row.reason
    survivor, victim = sorted(found["dies_at_one"], key=lambda row: row.rank)
    assert (victim.status, victim.rank) == ("crashed", 1) and "SIGKILL" in victim.reason
    assert survivor.status == "failed" and "rank 1 fell out during it" in survivor.reason
    after = found["all_reduce"][-1]
    assert after.case["bytes"] == 2**24 and after.status in records.MEASURED, after.reason
    assert {device.ranks for device in file.devices} == {2}
    assert file.end is not None and file.end.status == "complete"


@pytest.mark.slow
def test_when_a_rank_is_lost_in_a_collective_the_other_says_so_and_waits_for_it_no_more(
    environment: dict[str, str], folder: Path
) -> None:
    meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "VICTIM": "rank"}
    command = [sys.executable, "-m", *words(["dies_at_one", "all_reduce", "broadcast"], "--rows", "1,2,3")]
    started = [
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment | meet | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ends = [process.communicate(timeout=PATIENCE_S) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    file = records.read(folder / "all.jsonl")
    found = {row.kernel: row for row in file.measurements if row.rank == 0}
    assert found["dies_at_one"].status == "failed", ends
    assert "rank 1 fell out during it" in found["dies_at_one"].reason
    for name in ("all_reduce", "broadcast"):
        assert found[name].status == "failed" and "rank 1 is lost: " in found[name].reason, found[name].reason
        assert sum(found[name].spent_s.values()) < 30, "the limit is 60 s"
    (lost,) = [row for row in file.measurements if row.rank == 1]
    assert lost.status == "crashed" and lost.kernel == "dies_at_one"


@pytest.mark.slow
def test_a_rank_alone_is_told_how_to_start_two(environment: dict[str, str], folder: Path) -> None:
    command = [sys.executable, "-m", *words(["all_reduce"])]
    command = [word for word in command if word not in ("--rank-timeout", "60")]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 3, done.stderr
    (row,) = records.read(folder / "all.jsonl").measurements
    assert row.status == "unsupported" and "torchrun --nproc-per-node=2 -m bench run" in row.reason


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
