"""Runs or compiles peak's Triton loops in a process of its own, for test_peak.py; prints one line of JSON.

`interpret NAME PRECISION…`, under TRITON_INTERPRET=1: precision → whether every sum of the implementation is right, FP8
summed as Hopper's units do. `compile JSON`, a list of [implementation, architecture, precision]: the first candidate of
each compiled for a GPU that is not here, and the lines of its machine-level text that multiply.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench.kernel import DeviceView
from kernels.peak import Peak
from kernels.peak.graphics import dot_configs, fma_configs
from kernels.peak.shapes import GPU_CHAINS

MULTIPLYING = ("mma", "fma")
ELEMENTS = {"tf32": "fp32", "int8": "i8", "fp8": "fp8e4nv"}
LENGTHS = {"fp8": 2**15}  # twice what stops a sum that the units keep to themselves
HOPPER_FP8 = (32, 13)  # products of an instruction, bits below the largest of them and the sum so far


def interpret(name: str, precisions: list[str]) -> dict[str, bool]:
    # A script's own folder is where it imports from, and the installed package is what it tests.
    import torch
    from checks import made, output_of
    from triton_interpreter import repair_bf16_products

    repair_bf16_products()
    sum_fp8_as_hopper()
    answers = {}
    for precision in precisions:
        inputs = made(Peak(), {"chains": 12288, "length": LENGTHS.get(precision, 2048)}, precision)
        answers[precision] = torch.equal(output_of(Peak(), inputs, name).double(), Peak().reference(inputs))
    return answers


def sum_fp8_as_hopper() -> None:
    """Have the interpreter sum FP8 products as Ada's and Hopper's units do (Xie et al., arXiv 2511.10909, as fused_sum
    in its source): each product and the sum so far are cut off 13 bits below the largest of them.

    For products that are all alike, as those of a case are.
    """
    import numpy as np
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    as_it_is = InterpreterBuilder.create_dot
    at_once, bits = HOPPER_FP8

    def create_dot(self: Any, a: Any, b: Any, d: Any, *rest: Any) -> Any:
        if not (a.dtype.primitive_bitwidth == 8 and a.dtype.is_floating()):
            return as_it_is(self, a, b, d, *rest)
        depth = a.data.shape[1]
        nothing = TensorHandle(np.zeros_like(d.data), d.dtype)
        product = as_it_is(self, a, b, nothing, *rest).data / depth
        total = d.data
        for _ in range(depth // at_once):
            largest = np.maximum(np.abs(product), np.abs(total))
            step = np.exp2(np.floor(np.log2(np.maximum(largest, 2.0**-100))) - bits)
            total = (np.trunc(total / step) + at_once * np.trunc(product / step)) * step
        return TensorHandle(total.astype(d.data.dtype), d.dtype.scalar)

    InterpreterBuilder.create_dot = create_dot


def compiled(name: str, architecture: str, precision: str) -> list[str]:
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from kernels.peak import triton_loops

    amd = architecture.startswith("gfx")
    number = 0 if amd else int(architecture.removeprefix("sm_"))
    vendor = "amd" if amd else "nvidia"
    view = DeviceView("cuda", "cuda:0", vendor=vendor, architecture=architecture, capability=divmod(number, 10))
    chosen = (fma_configs if name == "triton-fma" else dot_configs)(precision, GPU_CHAINS, view)[0]
    constants: dict[str, object] = dict(chosen.constants)
    kernel = triton_loops._multiply_adds
    if name == "triton-dot":
        kernel = triton_loops._dots
        constants |= {"accumulator": {"int8": tl.int32, "fp64": tl.float64}.get(precision, tl.float32)}
        constants |= {"tf32": precision == "tf32", "fp8": precision == "fp8"}
    element = ELEMENTS.get(precision, precision)
    out = {"fp64": "fp64", "int8": "i32"}.get(precision, "fp32")
    signature = {"a": f"*{element}", "b": f"*{element}", "out": f"*{out}", "steps": "i32"}
    if "fp8" in constants:
        signature["together"] = "i32"
    signature |= dict.fromkeys(constants, "constexpr")
    made = compile(
        ASTSource(kernel, signature, constants),
        target=GPUTarget("hip", architecture, 64) if amd else GPUTarget("cuda", number, 32),
        options={"num_warps": chosen.warps, "num_stages": chosen.stages},
    )
    text = made.asm["amdgcn" if amd else "ptx"]
    return sorted({word for line in text.splitlines() for word in line.split() if any(m in word for m in MULTIPLYING)})


if __name__ == "__main__":
    if sys.argv[1] == "interpret":
        print(json.dumps(interpret(sys.argv[2], sys.argv[3:])))
    else:
        print(json.dumps([compiled(*pair) for pair in json.loads(sys.argv[2])]))
