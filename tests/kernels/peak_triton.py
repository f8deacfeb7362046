"""Runs or compiles peak's Triton loops in a process of its own, for test_peak.py; prints one line of JSON.

`interpret PRECISION…`, under TRITON_INTERPRET=1: precision → whether every sum is right. `compile JSON`, a list of
[architecture, precision]: the first candidate of each compiled for a GPU that is not here, and the lines of its
machine-level text that multiply.
"""

from __future__ import annotations

import json
import sys

from bench.kernel import DeviceView
from kernels.peak import Peak
from kernels.peak.graphics import FMA_PRECISIONS, configs
from kernels.peak.shapes import GPU_CHAINS

MULTIPLYING = ("mma", "fma")
ELEMENTS = {"tf32": "fp32", "int8": "i8", "fp8": "fp8e4nv"}


def interpret(precisions: list[str]) -> dict[str, bool]:
    # A script's own folder is where it imports from, and the installed package is what it tests.
    import torch
    from checks import made, output_of
    from triton_interpreter import repair_bf16_products

    repair_bf16_products()
    answers = {}
    for precision in precisions:
        inputs = made(Peak(), {"chains": 12288, "length": 2048}, precision)
        name = "triton-fma" if precision in FMA_PRECISIONS else "triton-dot"
        answers[precision] = torch.equal(output_of(Peak(), inputs, name).double(), Peak().reference(inputs))
    return answers


def compiled(architecture: str, precision: str) -> list[str]:
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from kernels.peak import triton_loops

    amd = architecture.startswith("gfx")
    number = 0 if amd else int(architecture.removeprefix("sm_"))
    vendor = "amd" if amd else "nvidia"
    view = DeviceView("cuda", "cuda:0", vendor=vendor, architecture=architecture, capability=divmod(number, 10))
    chosen = configs(precision, GPU_CHAINS, view)[0]
    constants: dict[str, object] = dict(chosen.constants)
    kernel = triton_loops._multiply_adds
    if precision not in FMA_PRECISIONS:
        kernel = triton_loops._dots
        constants |= {"accumulator": tl.int32 if precision == "int8" else tl.float32, "tf32": precision == "tf32"}
    element = ELEMENTS.get(precision, precision)
    out = {"fp64": "fp64", "int8": "i32"}.get(precision, "fp32")
    signature = {"a": f"*{element}", "b": f"*{element}", "out": f"*{out}", "steps": "i32"}
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
        print(json.dumps(interpret(sys.argv[2:])))
    else:
        print(json.dumps([compiled(*pair) for pair in json.loads(sys.argv[2])]))
