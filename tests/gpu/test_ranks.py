"""Ranks on one GPU: a group of one rank over the device's own library, and two ranks that share the card.

Slow are those that start processes, and those that start that library: where it hangs, they keep no other test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import records
from bench.devices import Backend, view
from bench.kernel import Call, Inputs
from bench.records import Device
from bench.runner.group import close_group, distributed, open_group
from bench.runner.protocol import Together, Try
from bench.runner.trial import look
from bench.timing import check_together, measure_together, prepare
from bench.timing.together_check import copied
from kernels.collective import AllGather, AllReduce, AllToAll, Broadcast, ReduceScatter
from kernels.collective.messages import Collective

CASE = {"bytes": 2**20, "ranks": 1}
# All but the ring: torch lets no rank send to itself.
OPERATIONS = [AllReduce(), AllGather(), ReduceScatter(), AllToAll(), Broadcast()]


@pytest.fixture
def together() -> Iterator[Together]:
    """Where one rank alone would meet the others."""
    store = distributed().TCPStore(
        "127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=60), wait_for_workers=False
    )
    yield Together(rank=0, ranks=1, address="127.0.0.1", port=store.port, job="test", limit_s=60.0)
    close_group()


def built(kernel: Collective, device: Device) -> tuple[Inputs, Call]:
    """An operation on a message of this rank's own."""
    here = replace(view(device), rank=0, ranks=1)
    tensors = kernel.inputs(CASE, "fp32", here, "normal", torch.Generator().manual_seed(3))
    inputs = Inputs(CASE, "fp32", here, tensors)
    return inputs, kernel.implementations()["torch"].build(kernel, inputs)


@pytest.mark.slow
def test_every_operation_is_right_on_the_device_and_is_timed(
    nvidia: Device, strict: Backend, together: Together
) -> None:
    group = open_group(together, nvidia, "1")
    assert group.exchange([1.5]) == [[1.5]], "over the processors, beside the device's own backend"
    with torch.no_grad():
        for kernel in OPERATIONS:
            inputs, call = built(kernel, nvidia)
            check, why = check_together(call, prepare(kernel, inputs, 3), copied(inputs), "fp32", strict, group)
            assert check.passed and check.error == 0.0, f"{kernel.name}: {why}"
        timing = measure_together(call, strict, group, budget_s=1.0)
    assert min(timing.samples_s) > 0 and timing.timer == "host"


@pytest.mark.slow
def test_a_group_on_the_device_is_left_and_made_anew(nvidia: Device, strict: Backend, together: Together) -> None:
    for name in ("1", "2"):
        open_group(together, nvidia, name)
        x = torch.ones(3, device=nvidia.device)
        distributed().all_reduce(x)
        strict.synchronize()
        assert x.tolist() == [1.0, 1.0, 1.0]
        close_group()
        assert not distributed().is_initialized()


@pytest.mark.slow
def test_two_ranks_on_one_card_measure_what_each_can_and_are_told_of_what_they_cannot(
    nvidia: Device, cli: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "two.jsonl"
    # With its number: where there are several cards each rank would take another one.
    done = cli(
        *("run", "--ranks", "2", "--device", nvidia.device, "--kernel", "all_reduce,gemm", "--precision", "fp32"),
        *("--implementation", "torch"),
        *("--rows", "1,2", "--row-budget", "1", "--budget", "120", "--retries", "0", "--out", str(out)),
    )
    assert "one and the same device" in done.err, done.err
    rows = records.read(out).measurements
    together = [row for row in rows if row.kernel == "all_reduce"]
    assert len(together) == 2, done.err
    for row in together:
        assert row.status == "unsupported" and "ranks 0, 1 are on one and the same device" in row.reason
    products = [row for row in rows if row.kernel == "gemm"]
    assert {row.rank for row in products} == {0, 1}
    # "contended", where the driver tells whose processes are on the card: each is the other's neighbour.
    assert all(row.status in records.MEASURED for row in products), [row.reason for row in products]


@pytest.mark.slow
def test_a_search_looks_at_shapes_of_several_sizes_and_measures_the_best(
    gpu: Device, cli: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "found.jsonl"
    done = cli(
        *("find", "--device", gpu.device, "--kernel", "gemm", "--precision", "fp16", "--implementation", "torch"),
        *("--space", "m=n=k=512|1024|2048|4096", "--budget", "60", "--finalists", "1", "--out", str(out)),
        *("--format", "json"),
    )
    assert done.code in (0, 4), done.err
    file = records.read(out)
    assert {trial.status for trial in file.trials} == {"ok"}, [trial.reason for trial in file.trials]
    fastest = max(file.trials, key=lambda trial: trial.rate.operations_per_s if trial.rate else 0.0)
    assert fastest.case["m"] in (2048, 4096), "a small product can't fill a GPU"
    (row,) = file.measurements
    assert row.check is not None and row.check.passed
    assert json.loads(done.out)["best"] is not None


def test_a_look_holds_no_memory_when_it_is_over(nvidia: Device, gpu_backend: Backend) -> None:
    """By the driver's word: a library beside torch, such as NCCL, has nothing from what torch keeps back."""
    gpu_backend.empty_cache()
    before = torch.cuda.mem_get_info(nvidia.device)[0]
    case: dict[str, int | str] = {"batch": 1, "m": 16384, "n": 16384, "k": 1024, "trans_a": 0, "trans_b": 0}
    tried = look(Try(device=nvidia.device, kernel="gemm", case=case, precision="fp32", implementation="torch"), nvidia)
    assert tried.status == "ok", tried.reason
    # A library's workspaces stay; the output alone is 1 GiB.
    assert before - torch.cuda.mem_get_info(nvidia.device)[0] < 2**29
