"""Every way to compute a product or a convolution, by name through the real command: measured, or it says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bench import plugins
from bench.records import Device

CASES = {
    "gemm": "m=1024,n=768,k=512,trans_b=1",
    "conv": "n=8,c=64,h=28,w=28,k=96,padding=1,layout=nhwc",
}
RAGGED = {
    "gemm": "batch=3,m=100,n=52,k=36,trans_a=1",
    "conv": "n=3,c=6,h=15,w=13,k=10,padding=2,stride=2,groups=2,layout=nchw",
}
BUDGET_S = "120"  # choosing tile sizes and compiling come out of it
MEASURED = ("ok", "noisy", "throttled", "contended", "invalid")

NAMED = [
    pytest.param(kernel, name, precision, id=f"{kernel} {name} {precision}")
    for kernel in CASES
    for name, found in plugins.load().implementations(kernel).items()
    for precision in found.precisions
    if not found.devices or set(found.devices) - {"cpu"}
]


@pytest.mark.parametrize(("kernel", "implementation", "precision"), NAMED)
def test_an_implementation_is_right_and_measured_or_says_why_not(
    gpu: Device, cli: Callable[..., Any], kernel: str, implementation: str, precision: str
) -> None:
    chosen = ["--kernel", kernel, "--implementation", implementation, "--precision", precision]
    cases = ["--case", CASES[kernel], "--case", RAGGED[kernel]]
    done = cli("run", "--device", gpu.device, *chosen, *cases, "--budget", BUDGET_S, "--format", "json")
    found = [line for line in map(json.loads, done.out.splitlines()) if line["type"] == "measurement"]
    assert len(found) == len(cases) // 2, done.err
    for row in found:
        if row["status"] == "unsupported":
            assert row["reason"]
        else:
            assert row["status"] in MEASURED, row["reason"]
            assert row["implementation"] == implementation
            assert row["check"]["passed"]
    if all(row["status"] == "unsupported" for row in found):
        pytest.skip(found[0]["reason"])


def test_a_choice_of_tile_sizes_is_kept(gpu: Device, cli: Callable[..., Any], tmp_path: Any) -> None:
    arguments = ["--kernel", "gemm", "--implementation", "triton", "--precision", "fp16", "--case", CASES["gemm"]]
    run = ["run", "--device", gpu.device, *arguments, "--budget", BUDGET_S, "--format", "json"]
    done = cli(*run, env={"XDG_CACHE_HOME": str(tmp_path)})
    row = next(line for line in map(json.loads, done.out.splitlines()) if line["type"] == "measurement")
    if row["status"] == "unsupported":
        pytest.skip(row["reason"])
    folder = tmp_path / "suanli-bench" / "triton"
    (kept,) = folder.iterdir()
    written = kept.stat().st_mtime_ns
    assert cli(*run, env={"XDG_CACHE_HOME": str(tmp_path)}).code in (0, 4)
    assert [each.stat().st_mtime_ns for each in folder.iterdir()] == [written]
