"""Implementations of gemm in floating point: torch's own product, FP32-carried 16-bit, packed weights, scaled FP8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.gemm.operands import offered, operands, output_shape, per_matrix, sizes
from kernels.tensors import cuda_capability, native_reason, on_fp32_units, onednn_reason, poisoned, tf32_reason

if TYPE_CHECKING:
    import torch


def _upcast_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    batch, m, n, k = sizes(case)
    return on_fp32_units(2 * batch * m * n * k, precision)


def _torch_reason(case: Case, precision: str, device: DeviceView) -> str:
    """As for any plain product, but that a matrix times a vector at 16 bits is no scalar loop on any CPU.

    torch reads the matrix as it is and multiplies in FP32 registers, where a conversion would write it out first
    (ATen/native/BlasKernel.cpp, fp16_gemv_trans and bf16_gemv_trans). For a row times B, B has to lie as (n, k).
    """
    batch, m, n, _ = sizes(case)
    if device.type == "cpu" and batch == 1 and (n == 1 or (m == 1 and case["trans_b"])):
        return tf32_reason(device) if precision == "tf32" else ""
    return native_reason(case, precision, device)


def _torch_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    if device.type != "cpu" or precision not in ("bf16", "fp16") or not onednn_reason(precision, device):
        return None
    batch, m, n, k = sizes(case)
    return on_fp32_units(2 * batch * m * n * k, precision)


def _prepacked_reason(case: Case, precision: str, device: DeviceView) -> str:
    if int(case["batch"]) > 1:
        return "oneDNN's linear layer takes one weight matrix: batch has to be 1"
    return onednn_reason(precision, device)


def _scaled_reason(case: Case, precision: str, device: DeviceView) -> str:
    """`torch._scaled_mm`'s own conditions (ATen/native/cuda/ScaledBlas.cpp)."""
    if device.type != "cuda":
        return (
            f"FP8 products that torch._scaled_mm runs on FP8 units need a GPU; on {device.type} it would convert first"
        )
    amd = device.architecture.startswith(("gfx942", "gfx950", "gfx120"))
    if not amd and cuda_capability(device) < (8, 9):
        return "torch._scaled_mm needs compute capability 8.9 or newer, or AMD gfx942, gfx950, gfx12"
    if int(case["n"]) % 16 or int(case["k"]) % 16:
        return "torch._scaled_mm needs n and k to be multiples of 16"
    return ""


class FloatingProducts:
    """Floating-point implementations, for `Gemm` to inherit."""

    @implementation(
        "torch",
        precisions=("fp64", "fp32", "tf32", "bf16", "fp16"),
        supports=_torch_reason,
        executed=_torch_executed,
    )
    def torch_product(self, inputs: Inputs) -> Call:
        """torch.mm or torch.bmm: the vendor's BLAS."""
        import torch

        a, b = operands(inputs)
        c = poisoned(output_shape(inputs.case), a.dtype, inputs.device)
        product = torch.mm if a.dim() == 2 else torch.bmm
        return lambda: product(a, b, out=c)

    @implementation("upcast", precisions=("bf16", "fp16"), devices=("cpu",), executed=_upcast_executed)
    def upcast(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units; both conversions and the rounding are part of the call."""
        import torch

        a, b = operands(inputs)
        a32, b32 = torch.empty_like(a, dtype=torch.float32), torch.empty_like(b, dtype=torch.float32)
        c32 = torch.empty(output_shape(inputs.case), dtype=torch.float32)
        c = poisoned(output_shape(inputs.case), a.dtype, inputs.device)
        product = torch.mm if a.dim() == 2 else torch.bmm

        def call() -> torch.Tensor:
            product(a32.copy_(a), b32.copy_(b), out=c32)
            return c.copy_(c32)

        return call

    @implementation(
        "linear-prepacked", precisions=("fp32", "bf16", "fp16"), devices=("cpu",), supports=_prepacked_reason
    )
    def linear_prepacked(self, inputs: Inputs) -> Call:
        """oneDNN's linear layer with B reordered into its blocked layout beforehand, as a frozen model has it."""
        import torch

        a, b = operands(inputs)
        weight = torch.ops.mkldnn._reorder_linear_weight(b.t().contiguous(), a.shape[0])
        linear = torch.ops.mkldnn._linear_pointwise
        if inputs.case["trans_a"]:
            return lambda: linear(a.contiguous(), weight, None, "none", [], "")
        return lambda: linear(a, weight, None, "none", [], "")

    @implementation("scaled_mm", precisions=("fp8",), supports=_scaled_reason)
    def scaled_mm(self, inputs: Inputs) -> Call:
        """torch._scaled_mm: e4m3 with one scale a tensor, BF16 out, full-precision accumulation."""
        import torch

        a, b = operands(inputs)
        # cuBLASLt takes A row-major and B column-major: B is packed here, A's transpose is the call's own work.
        b = b.transpose(-2, -1).contiguous().transpose(-2, -1)
        scale = torch.ones((), dtype=torch.float32, device=a.device)
        c = poisoned(output_shape(inputs.case), torch.bfloat16, inputs.device)

        def multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
            return torch._scaled_mm(left.contiguous(), right, scale, scale, out_dtype=torch.bfloat16, out=out)

        return offered(per_matrix(multiply, a, b, c))
