"""The command line on a GPU: rows that can't be measured say why, and the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.devices import Backend
from bench.records import Device

Cli = Callable[..., Any]


def rows(text: str) -> list[dict[str, Any]]:
    """The measurements among the lines of a run file."""
    return [line for line in map(json.loads, text.splitlines()) if line["type"] == "measurement"]


def test_an_allocation_that_fails_is_known_for_what_it_is_and_the_device_goes_on(gpu: Device, strict: Backend) -> None:
    with pytest.raises(Exception) as failure:  # each backend has its own type; what it is called is the test
        torch.empty(1 << 48, dtype=torch.uint8, device=gpu.device)
    assert strict.is_out_of_memory(failure.value)
    strict.empty_cache()
    assert float(torch.ones(8, device=gpu.device).sum()) == 8.0


def test_a_case_that_does_not_fit_is_out_of_memory_and_the_next_is_measured(gpu: Device, cli: Cli) -> None:
    arguments = ["--device", gpu.device, "--kernel", "gemm", "--precision", "fp32", "--budget", "60"]
    cases = ["--case", "m=1048576,n=1048576,k=64", "--case", "m=1024,n=1024,k=1024"]
    done = cli("run", *arguments, *cases, "--format", "json")
    large, small = rows(done.out)
    assert large["status"] == "out_of_memory"
    assert "GB" in large["reason"]
    assert small["status"] in ("ok", "noisy", "throttled", "contended"), small["reason"]
    assert small["rate"]["operations_per_s"] > 0


def test_a_row_is_set_against_the_cards_rating_and_reads_back(gpu: Device, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    arguments = ["--kernel", "gemm", "--case", "m=4096,n=4096,k=4096", "--precision", "fp16,fp32", "--budget", "60"]
    done = cli("run", "--device", gpu.device, *arguments, "--out", str(out))
    assert done.code in (0, 4), done.err
    shown = cli("show", str(out), "--format", "json")
    assert shown.out.encode() == out.read_bytes()
    for row in rows(shown.out):
        assert row["check"]["passed"], row["reason"]
        assert (row["utilization"] is None) == bool(row["utilization_reason"])
        if row["utilization"] is not None:
            assert 0 < row["utilization"] <= 1.02


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(gpu: Device, cli: Cli) -> None:
    done = cli("run", "--device", f"{gpu.kind}:4095")
    assert done.code == 3
    assert gpu.kind in done.err
    assert len(done.err.strip().splitlines()[-1]) < 400
    assert "Traceback" not in done.err
