"""Compiles the Triton kernels for GPUs that are not here, down to machine code; nothing is run.

The interpreter is lenient: it runs what no compiler takes, and knows neither shared memory nor matrix instructions.
Tests call `compiled`; run as a script, it reads tasks and writes answers as JSON. A task is {"name", "device" (fields
of a DeviceView), "kernel", "implementation", "case", "precision", "most" (candidates to compile)}; its answer is a
list of {"constants", "shared", "found" (of `INSTRUCTIONS`)}, one for each candidate, or {"raised"}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TIMEOUT_S = 570.0
FP16_SUMS = ".f16.f16.f16"  # how NVIDIA's instructions name FP16 sums of FP16 products
INSTRUCTIONS = ("wgmma.mma_async", "mma.sync", "tcgen05.mma", "cp.async.bulk.tensor", "v_mfma", "v_wmma", FP16_SUMS)


def compiled(tasks: Sequence[dict[str, Any]], cache: Path) -> dict[str, Any]:
    """The answers by name."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(list(tasks)),
        env={**environment, "TRITON_CACHE_DIR": str(cache)},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class AbsentGpu:
    """What Triton asks of its driver in order to compile: which GPU it is. It is asked for nothing else."""

    def __init__(self, target: Any, number: int) -> None:
        self.target, self.number = target, number

    def get_current_target(self) -> Any:
        return self.target

    def get_current_device(self) -> int:
        return self.number  # Triton keeps what it compiled by device

    def get_current_stream(self, device: int) -> int:
        return 0


def main() -> None:
    """Answer the tasks on stdin."""
    import triton.runtime.jit

    kept: list[Any] = []

    def launch_nothing(self: Any, grid: Any) -> Any:
        return lambda *args, **kwargs: kept.append(self.run(*args, grid=grid, warmup=True, **kwargs))

    triton.runtime.jit.KernelInterface.__getitem__ = launch_nothing
    answers: dict[str, Any] = {}
    for number, task in enumerate(json.load(sys.stdin)):
        try:
            answers[task["name"]] = _answer(task, number, kept)
        except Exception as error:  # it is the test that judges
            answers[task["name"]] = {"raised": f"{type(error).__name__}: {str(error)[:2000]}"}
    print(json.dumps(answers))


def _answer(task: dict[str, Any], number: int, kept: list[Any]) -> list[dict[str, Any]]:
    import torch
    from triton.runtime import driver

    from bench.kernel import DeviceView, Inputs
    from kernels.conv import Conv, triton_conv
    from kernels.gemm import Gemm, triton_gemm
    from kernels.triton_tuning import compile_ahead

    device = {**task["device"], "capability": tuple(task["device"].get("capability") or ()) or None}
    view = DeviceView(type="cuda", torch_device="cpu", **device)
    driver.set_active(AbsentGpu(_target(view), number))
    kernel = {"gemm": Gemm, "conv": Conv}[task["kernel"]]()
    case = kernel.complete_case(task["case"])
    tensors = kernel.inputs(case, task["precision"], view, "zeros", torch.Generator())
    answer: list[dict[str, Any]] = []

    def compile_instead(key: str, configs: Any, build: Any, device: DeviceView, source: Any) -> Any:
        compile_ahead(configs[: task["most"]], build)
        for each in configs[: task["most"]]:
            build(each)()
            text = kept[-1].asm.get("ptx") or kept[-1].asm.get("amdgcn")
            found = [name for name in INSTRUCTIONS if name in text]
            answer.append({"constants": dict(each.constants), "shared": kept[-1].metadata.shared, "found": found})
        return configs[0]

    for module in (triton_gemm, triton_conv):
        module.best_config = compile_instead
    kernel.implementations()[task["implementation"]].build(kernel, Inputs(case, task["precision"], view, tensors))
    return answer


def _target(view: Any) -> Any:
    from triton.backends.compiler import GPUTarget

    if view.vendor == "amd":
        return GPUTarget("hip", view.architecture, 64 if view.architecture.startswith("gfx9") else 32)
    return GPUTarget("cuda", view.capability[0] * 10 + view.capability[1], 32)


if __name__ == "__main__":
    main()
