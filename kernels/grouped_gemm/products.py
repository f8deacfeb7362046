"""Implementations of grouped_gemm: one library product an expert, or torch's own grouped products on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.grouped_gemm.routing import routing
from kernels.tensors import (
    cuda_capability,
    exact_on_fp32_reason,
    int8_matmul_on_fp32,
    int_mm_reason,
    native_reason,
    on_fp32_units,
    poisoned,
)

if TYPE_CHECKING:
    import torch

GROUPED_MAJORS: Final = (9, 10)
"""CUDA capabilities (major) with a grouped kernel in torch; elsewhere `_grouped_mm` asks the device for the group sizes
and loops, which synchronises (ATen/native/cuda/GroupedBlas.cpp)."""
GROUPED_AMD: Final = ("gfx942", "gfx950")
NEEDS: Final = "compute capability 9.0 or 10.0, or AMD gfx942 or gfx950"


def _operations(case: Case) -> int:
    return 2 * int(case["tokens"]) * int(case["top_k"]) * int(case["n"]) * int(case["k"])


def _grouped_device(device: DeviceView) -> bool:
    if device.vendor == "amd":
        return device.architecture.startswith(GROUPED_AMD)
    return cuda_capability(device)[0] in GROUPED_MAJORS


def _multiples(case: Case, of: int) -> bool:
    return int(case["n"]) % of == 0 and int(case["k"]) % of == 0


def _grouped_reason(case: Case, precision: str, device: DeviceView) -> str:
    if not _grouped_device(device):
        return f"torch._grouped_mm has a grouped kernel for {NEEDS} only, and loops elsewhere"
    return "" if _multiples(case, 8) else "torch._grouped_mm needs rows of 16 bytes: n and k have to be multiples of 8"


def _scaled_grouped_reason(case: Case, precision: str, device: DeviceView) -> str:
    if not _grouped_device(device):
        return f"torch._scaled_grouped_mm needs {NEEDS}"
    return "" if _multiples(case, 16) else "torch._scaled_grouped_mm needs n and k to be multiples of 16"


def _scaled_reason(case: Case, precision: str, device: DeviceView) -> str:
    if device.type != "cuda":
        return f"FP8 products on FP8 units need a GPU; on {device.type} torch._scaled_mm would convert first"
    amd = device.architecture.startswith(("gfx942", "gfx950", "gfx120"))
    if not amd and cuda_capability(device) < (8, 9):
        return "torch._scaled_mm needs compute capability 8.9 or newer, or AMD gfx942, gfx950, gfx12"
    return "" if _multiples(case, 16) else "torch._scaled_mm needs n and k to be multiples of 16"


def _int_mm_reason(case: Case, precision: str, device: DeviceView) -> str:
    fewest = min(count for count in routing(case).counts if count)
    reason = int_mm_reason(fewest, int(case["n"]), int(case["k"]), device)
    return f"{reason} (m = the tokens of the least busy expert, here {fewest})" if "m > 16" in reason else reason


def _fp32_reason(case: Case, precision: str, device: DeviceView) -> str:
    return exact_on_fp32_reason(device)


def _on_fp32(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(_operations(case), precision)


class GroupedProducts:
    """The implementations, for `GroupedGemm` to inherit."""

    @implementation("loop", precisions=("fp64", "fp32", "tf32", "bf16", "fp16"), supports=native_reason)
    def loop(self, inputs: Inputs) -> Call:
        """torch.mm once for each expert that has tokens."""
        import torch

        return _each_expert(inputs, inputs["a"].dtype, lambda a, b, c: torch.mm(a, b.t(), out=c))

    @implementation("upcast", precisions=("bf16", "fp16"), devices=("cpu",), executed=_on_fp32)
    def upcast(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units, an expert at a time; conversions and rounding are in the call."""
        import torch

        a, b = inputs["a"], inputs["b"]
        most = max(routing(inputs.case).counts)
        a32, b32 = torch.empty(most, a.shape[1]), torch.empty(b.shape[1:])
        c32 = torch.empty(most, b.shape[1])

        def multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
            rows = len(left)
            torch.mm(a32[:rows].copy_(left), b32.copy_(right).t(), out=c32[:rows])
            out.copy_(c32[:rows])

        return _each_expert(inputs, a.dtype, multiply)

    @implementation("grouped_mm", precisions=("bf16",), devices=("cuda",), supports=_grouped_reason)
    def grouped_mm(self, inputs: Inputs) -> Call:
        """torch._grouped_mm: one kernel for all experts."""
        import torch

        a, b, ends = inputs["a"], inputs["b"].transpose(-2, -1), inputs["ends"]
        return lambda: torch._grouped_mm(a, b, offs=ends)

    @implementation("scaled_grouped_mm", precisions=("fp8",), devices=("cuda",), supports=_scaled_grouped_reason)
    def scaled_grouped_mm(self, inputs: Inputs) -> Call:
        """torch._scaled_grouped_mm, a scale of one for each row and each output: one kernel for all experts."""
        import torch

        a, b, ends = inputs["a"], inputs["b"].transpose(-2, -1), inputs["ends"]
        scale_a = torch.ones(a.shape[0], device=a.device)
        scale_b = torch.ones(b.shape[0], b.shape[2], device=a.device)
        return lambda: torch._scaled_grouped_mm(a, b, scale_a, scale_b, offs=ends, out_dtype=torch.bfloat16)

    @implementation("scaled_mm", precisions=("fp8",), supports=_scaled_reason)
    def scaled_mm(self, inputs: Inputs) -> Call:
        """torch._scaled_mm once for each expert that has tokens, one scale a matrix."""
        import torch

        one = torch.ones((), device=inputs["a"].device)

        def multiply(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> None:
            torch._scaled_mm(a, b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, out=c)

        return _each_expert(inputs, torch.bfloat16, multiply)

    @implementation("int_mm", precisions=("int8",), supports=_int_mm_reason)
    def int_mm(self, inputs: Inputs) -> Call:
        """torch._int_mm once for each expert that has tokens, int32 out."""
        import torch

        return _each_expert(inputs, torch.int32, lambda a, b, c: torch._int_mm(a, b.t(), out=c))

    @implementation("fp32-exact", precisions=("int8",), supports=_fp32_reason, executed=_on_fp32)
    def fp32_exact(self, inputs: Inputs) -> Call:
        """Exact int8 products on the FP32 units, an expert at a time."""
        import torch

        return _each_expert(inputs, torch.int32, lambda a, b, c: c.copy_(int8_matmul_on_fp32(a, b.t())))


def _each_expert(
    inputs: Inputs, output: torch.dtype, multiply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]
) -> Call:
    """A call that does multiply(a, b, c) for each expert that has tokens and returns all of C."""
    a, b = inputs["a"], inputs["b"]
    c = poisoned((a.shape[0], b.shape[1]), output, inputs.device)
    products = [(a[start:stop], b[expert], c[start:stop]) for expert, start, stop in routing(inputs.case).busy]

    def call() -> torch.Tensor:
        for product in products:
            multiply(*product)
        return c

    return call
