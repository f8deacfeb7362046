"""What a kernel can break on a GPU, and that it costs no more than its own: a capture, an allocation, the device."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import records
from bench.devices import Backend
from bench.records import Device
from bench.timing import CachePlan, measure

PLUGIN = '''
"""A kernel of which one implementation reads beyond its input, on the device."""
from bench.kernel import Field, Kernel, Work, implementation

class Fragile(Kernel):
    name = "fragile"
    fields = (Field("n", "size"),)
    precisions = ("fp32",)
    def cases(self, suite, device): return [{"n": 4096}]
    def work(self, case, precision): return Work(case["n"], 4 * case["n"], 4 * case["n"])
    def inputs(self, case, precision, device, data, generator):
        import torch
        return {"x": torch.randn(case["n"], generator=generator).to(device.torch_device)}
    def reference(self, inputs, rows=None):
        y = inputs["x"].cpu().double().reshape(-1, 1) * 2
        return y if rows is None else y[rows]
    def output_rows(self, case): return case["n"]
    def rows(self, output, case): return output.reshape(-1, 1)
    def reduction_length(self, case): return 1

    @implementation("a-breaks", precisions=("fp32",))
    def breaks(self, inputs):
        import torch
        beyond = torch.full((8,), 10**9, device=inputs["x"].device)
        return lambda: inputs["x"].index_select(0, beyond)
    @implementation("b-right", precisions=("fp32",))
    def right(self, inputs): return lambda: inputs["x"] * 2
'''


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """The environment in which the kernel is installed."""
    folder = tmp_path / "plugin"
    info = folder / "fragile_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "fragile_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench.kernels]\nfragile = fragile_plugin:Fragile\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize("implementation", ["best", "all"])
def test_a_kernel_that_breaks_the_device_costs_its_own_row(
    nvidia: Device, cli: Callable[..., Any], plugin: dict[str, str], tmp_path: Path, implementation: str
) -> None:
    out = tmp_path / "broken.jsonl"
    done = cli(
        *("run", "--device", nvidia.device, "--kernel", "fragile", "--precision", "fp32", "--retries", "0"),
        *("--implementation", implementation, "--budget", "120", "--row-budget", "1", "--out", str(out)),
        env=plugin,
    )
    rows = records.read(out).measurements
    assert rows[-1].implementation == "b-right", done.err
    assert rows[-1].status in records.MEASURED, rows[-1].reason
    if implementation == "best":
        (broken,) = (each for each in rows[-1].screened if each["implementation"] == "a-breaks")
        assert broken["status"] == "failed" and "CUDA error" in broken["reason"]
    else:
        assert rows[0].status == "failed" and "CUDA error" in rows[0].reason


def test_a_call_that_can_not_be_captured_breaks_nothing_that_comes_after_it(gpu: Device, strict: Backend) -> None:
    if not strict.supports_graphs:
        pytest.skip(f"{gpu.device} has no graphs in this backend")
    x = torch.ones(64, device=gpu.device)
    before = torch.cuda.current_stream()
    with torch.inference_mode():
        # .item() waits for the stream, which a capture refuses.
        timing = measure([lambda: x.sum().item()], strict, plan=CachePlan("warm"), capturable=True, budget_s=1.0)
        assert timing.timer != "graph"
        assert any("can't be captured" in warning for warning in timing.warnings), timing.warnings
        assert torch.cuda.current_stream() == before
        # An allocator that believed in a capture would give nothing back.
        torch.empty(2**31, dtype=torch.uint8, device=gpu.device)
        strict.empty_cache()
        assert torch.cuda.memory_reserved() < 2**31
        again = measure([lambda: x + 1], strict, plan=CachePlan("warm"), capturable=True, budget_s=1.0)
    assert again.timer == "graph", again.warnings


def test_memory_that_torch_keeps_counts_as_free(gpu: Device, strict: Backend) -> None:
    if gpu.kind != "cuda":
        pytest.skip(f"{gpu.kind} does not tell what torch keeps")
    strict.empty_cache()
    before = strict.memory_free_bytes()
    held = torch.empty(2**30, dtype=torch.uint8, device=gpu.device)
    during = strict.memory_free_bytes()
    del held
    after = strict.memory_free_bytes()
    assert before is not None and during is not None and after is not None
    assert before - during >= 2**30 > before - after
