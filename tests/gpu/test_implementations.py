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
    "grouped_gemm": "experts=8,top_k=2,tokens=512,n=256,k=128",
    "conv3d": "n=2,c=16,d=8,h=32,w=32,k=32,t=2,r=4,s=4,stride_d=2,stride_h=4,stride_w=4,layout=ndhwc",
}
RAGGED = {
    "gemm": "batch=3,m=100,n=52,k=36,trans_a=1",
    "conv": "n=3,c=6,h=15,w=13,k=10,padding=2,stride=2,groups=2,layout=nchw",
    "grouped_gemm": "experts=40,top_k=1,tokens=33,n=17,k=19",
    "conv3d": "n=2,c=3,d=5,h=7,w=9,k=4,t=2,r=3,s=1,stride_d=2,stride_w=2,padding_h=1,padding_w=1",
}
BUDGET_S = "120"  # choosing tile sizes and compiling come out of it
LONGEST_S = 1200.0
"""Of one kernel with all of its implementations, most of it compiling."""
MEASURED = ("ok", "noisy", "throttled", "contended", "invalid")

NAMED = [
    pytest.param(kernel, name, precision, id=f"{kernel} {name} {precision}")
    for kernel in CASES
    for name, found in plugins.load().implementations(kernel).items()
    for precision in found.precisions
    if not found.devices or set(found.devices) - {"cpu"}
]

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def runs() -> dict[str, Rows]:
    """Kernel → the rows of its one run: a start of torch for each implementation would take most of an hour."""
    return {}


@pytest.fixture
def rows_of(gpu: Device, cli: Callable[..., Any], runs: dict[str, Rows]) -> Callable[[str], Rows]:
    """The rows of all implementations of a kernel at all precisions, measured when first asked for."""

    def measure(kernel: str) -> Rows:
        if kernel not in runs:
            what = ["--kernel", kernel, "--implementation", "all"]
            what += ["--precision", ",".join(plugins.load().kernel(kernel).precisions)]
            cases = ["--case", CASES[kernel], "--case", RAGGED[kernel]]
            limits = ["--budget", str(LONGEST_S), "--row-budget", "1", "--retries", "0", "--format", "json"]
            done = cli("run", "--device", gpu.device, *what, *cases, *limits, timeout_s=LONGEST_S + 60)
            runs[kernel] = [line for line in map(json.loads, done.out.splitlines()) if line["type"] == "measurement"]
            assert runs[kernel], done.err
        return runs[kernel]

    return measure


@pytest.mark.parametrize(("kernel", "implementation", "precision"), NAMED)
def test_an_implementation_is_right_and_measured_or_says_why_not(
    rows_of: Callable[[str], Rows], kernel: str, implementation: str, precision: str
) -> None:
    found = [row for row in rows_of(kernel) if (row["implementation"], row["precision"]) == (implementation, precision)]
    assert len(found) == len((CASES[kernel], RAGGED[kernel]))
    for row in found:
        if row["status"] == "unsupported":
            assert row["reason"]
        else:
            assert row["status"] in MEASURED, row["reason"]
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
