"""Runs the Triton kernels in Triton's interpreter, in a process of its own: TRITON_INTERPRET counts at import only.

Tests call `in_interpreter` with tasks and get the answers; run as a script, it reads tasks and writes answers as JSON.
A task is {"name", "kernel", "case", "precision"} and, where they are not the default, "implementation" ("triton"),
"fill" (a function of `FILLS`), "config" and "scales" (straight to the kernel's launch, past the choice of sizes).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TIMEOUT_S = 240.0
SCALES = (3.0e-5, 7.0e4)
"""FP8 scales far apart: one element each, and drawn between these for each row and column."""


def in_interpreter(tasks: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The answers by name: {"error", "tolerance", "finite", "dtype"} of each task, or {"raised"}."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(list(tasks)),
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Answer the tasks on stdin."""
    import torch

    torch.set_num_threads(1)  # the interpreter is Python; threads would only wait for each other
    repair_bf16_products()
    answers = {}
    with torch.inference_mode():
        for task in json.load(sys.stdin):
            try:
                answers[task["name"]] = _answer(task)
            except Exception as error:  # it is the test that judges
                answers[task["name"]] = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(answers))


def repair_bf16_products() -> None:
    """Have the interpreter multiply BF16 numbers: it holds them as their bits, and its dot products multiply those.

    A fault of the interpreter alone (Triton 3.7: its own tests leave BF16 products out of it).
    """
    import numpy as np
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    as_it_is = InterpreterBuilder.create_dot

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return as_it_is(self, widened(a), widened(b), *rest)

    InterpreterBuilder.create_dot = create_dot


def _answer(task: dict[str, Any]) -> dict[str, Any]:
    from checks import made

    from kernels.conv import Conv
    from kernels.gemm import Gemm

    kernel = {"gemm": Gemm, "conv": Conv}[task["kernel"]]()
    inputs = made(kernel, task["case"], task["precision"])
    FILLS[task.get("fill", "as made")](inputs)
    name = task.get("implementation", "triton")
    accumulate = kernel.implementations()[name].accumulates(task["precision"])
    if task["kernel"] == "gemm" and ("config" in task or "scales" in task):
        call, wanted = _launched(kernel, inputs, task)
    else:
        call, wanted = kernel.implementations()[name].build(kernel, inputs), kernel.reference(inputs)
    call().fill_(7)  # what the first call left can't pass for the second's answer
    return _compared(kernel, inputs, call(), wanted, accumulate)


def _compared(kernel: Any, inputs: Any, output: Any, wanted: Any, accumulate: str) -> dict[str, Any]:
    import torch
    from checks import OUTPUT_NAMES

    rows = kernel.rows(output, inputs.case).double()
    return {
        "error": float((rows - wanted).norm() / wanted.norm()),
        "tolerance": kernel.tolerance(inputs.case, inputs.precision, accumulate, OUTPUT_NAMES[output.dtype]),
        "finite": bool(torch.isfinite(rows).all()),
        "shape": list(rows.shape) == list(wanted.shape),
        "dtype": str(output.dtype),
        "channels_last": output.dim() == 4 and output.is_contiguous(memory_format=torch.channels_last),
    }


def _launched(kernel: Any, inputs: Any, task: dict[str, Any]) -> tuple[Callable[[], Any], Any]:
    """The kernel's launch with a config of the test's own, and the answer that scales make of the reference."""
    import torch

    from kernels.gemm.operands import operands, output_shape, sizes
    from kernels.gemm.triton_product import by_descriptor, describable, launcher
    from kernels.triton_tuning import config

    batch, m, n, _ = sizes(inputs.case)
    a, b = operands(inputs)
    wanted = kernel.reference(inputs)
    scales = None
    if "scales" in task:
        length = {"tensor": (1, 1), "row": (m, n)}[task["scales"]]
        generator = torch.Generator().manual_seed(5)
        low, high = SCALES
        scales = tuple(torch.empty(one).uniform_(low, high, generator=generator) for one in length)
        of_rows = scales[0].repeat(batch) if task["scales"] == "row" else scales[0]
        wanted = wanted * of_rows.double()[:, None] * scales[1].double()
    output = {"fp8": torch.bfloat16, "int8": torch.int32}.get(inputs.precision, a.dtype)
    c = torch.empty(output_shape(inputs.case), dtype=output)
    chosen = config(4, 2, **task.get("config", {"block_m": 32, "block_n": 32, "block_k": 32, "group_m": 3}))
    if by_descriptor(chosen):
        assert describable(a, b, c), "the test's own case has to suit descriptors"
    accumulator = "int32" if inputs.precision == "int8" else "float32"
    return launcher(a, b, c, chosen, accumulator=accumulator, scales=scales, units=3), wanted


def _near_overflow(inputs: Any) -> None:
    """FP16: partial sums a hundred times beyond 65504, a total just below it, in a sum of two thousand terms.

    A is 200; B is 200 in the first half of each sum and −199.75 in the second: each pair leaves 50.
    """
    inputs["a"].fill_(200.0)
    inputs["b"].fill_(200.0)
    terms = inputs.case["k"]
    inputs["b"].narrow(-1 if inputs.case["trans_b"] else -2, terms // 2, terms - terms // 2).fill_(-199.75)


def _constants(first: int, second: int) -> Callable[[Any], None]:
    def fill(inputs: Any) -> None:
        for value, tensor in zip((first, second), inputs.tensors.values(), strict=True):
            tensor.fill_(value)

    return fill


FILLS: dict[str, Callable[[Any], None]] = {
    "as made": lambda inputs: None,
    "lowest": _constants(-128, -128),
    "lowest and highest": _constants(-128, 127),
    "near overflow": _near_overflow,
}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
