"""Implementations of gemm at int8, all with an exact int32 output: torch._int_mm, oneDNN's linear, FP32 units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.gemm.operands import offered, operands, output_shape, per_matrix, sizes
from kernels.tensors import (
    exact_int8_blocks,
    exact_on_fp32_reason,
    int_mm_reason,
    on_fp32_units,
    onednn_reason,
    poisoned,
)

if TYPE_CHECKING:
    import torch

QLINEAR_TERMS: Final = 1 << 16
"""Longest sum that `onednn-int8` takes. oneDNN sums in int32 but hands out FP32, exact below 2**24: sums of k random
full-range products have a standard deviation of 5461·√k, twelve of which fit at this k. The check would show it."""


def _int_mm_reason(case: Case, precision: str, device: DeviceView) -> str:
    _, m, n, k = sizes(case)
    return int_mm_reason(m, n, k, device)


def _onednn_reason(case: Case, precision: str, device: DeviceView) -> str:
    if int(case["k"]) > QLINEAR_TERMS:
        return f"oneDNN's linear layer hands its sums out as FP32: k has to be at most {QLINEAR_TERMS}"
    return onednn_reason(precision, device)


def _fp32_reason(case: Case, precision: str, device: DeviceView) -> str:
    return exact_on_fp32_reason(device)


def _fp32_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    batch, m, n, k = sizes(case)
    return on_fp32_units(2 * batch * m * n * k, precision)


class IntegerProducts:
    """int8 implementations, for `Gemm` to inherit."""

    @implementation("int_mm", precisions=("int8",), supports=_int_mm_reason)
    def int_mm(self, inputs: Inputs) -> Call:
        """torch._int_mm: cuBLASLt's IMMA or oneDNN's VNNI and AMX kernels, int32 out."""
        import torch

        a, b = operands(inputs)
        on_gpu = inputs.device.type == "cuda"
        if on_gpu:
            # cuBLASLt is made for A row-major and B column-major ("TN"), and wrong or absent for some other layouts
            # (a note in torch's source): B is packed here, A's transpose is the call's own work.
            b = b.transpose(-2, -1).contiguous().transpose(-2, -1)
        c = poisoned(output_shape(inputs.case), torch.int32, inputs.device)

        def multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
            return torch._int_mm(left.contiguous() if on_gpu else left, right, out=out)

        call = per_matrix(multiply, a, b, c)
        return offered(call) if on_gpu else call

    @implementation("onednn-int8", precisions=("int8",), devices=("cpu",), supports=_onednn_reason)
    def onednn_int8(self, inputs: Inputs) -> Call:
        """oneDNN's quantised linear layer, weights packed beforehand, scales of one; its FP32 output made int32."""
        import torch

        batch, m, n, k = sizes(inputs.case)
        a, b = operands(inputs)
        weights = b.reshape(batch, k, n).transpose(-2, -1)
        # B changes from product to product, so each has a packed form of its own, found by its place in the batch.
        packed = [torch.ops.onednn.qlinear_prepack(weight.contiguous(), [m, k]) for weight in weights]
        scale, zero_point = torch.ones(n), torch.zeros(n, dtype=torch.int64)
        c = poisoned(output_shape(inputs.case), torch.int32, inputs.device)
        products = list(zip(a.reshape(batch, m, k), packed, c.view(batch, m, n), strict=True))
        linear, float32 = torch.ops.onednn.qlinear_pointwise, torch.float32

        def call() -> torch.Tensor:
            for left, weight, out in products:
                out.copy_(linear(left, 1.0, 0, weight, scale, zero_point, None, 1.0, 0, float32, "none", [], ""))
            return c

        return call

    @implementation("fp32-exact", precisions=("int8",), supports=_fp32_reason, executed=_fp32_executed)
    def fp32_exact(self, inputs: Inputs) -> Call:
        """Exact int8 products on the FP32 units, in blocks of k short enough that no sum is rounded."""
        import torch

        a, b = operands(inputs)
        c = poisoned(output_shape(inputs.case), torch.int32, inputs.device)
        c32 = torch.empty_like(c, dtype=torch.float32)
        block_c = torch.empty_like(c)
        product = torch.mm if a.dim() == 2 else torch.bmm
        blocks = [
            (part_a, _fp32_like(part_a), part_b, _fp32_like(part_b))
            for start, stop in exact_int8_blocks(a.shape[-1])
            for part_a, part_b in ((a[..., start:stop], b[..., start:stop, :]),)
        ]

        def call() -> torch.Tensor:
            for index, (part_a, a32, part_b, b32) in enumerate(blocks):
                product(a32.copy_(part_a), b32.copy_(part_b), out=c32)
                if index == 0:
                    c.copy_(c32)
                else:
                    c.add_(block_c.copy_(c32))
            return c

        return call


def _fp32_like(tensor: torch.Tensor) -> torch.Tensor:
    """Room for the FP32 form of a tensor, dense in the tensor's own order of dimensions."""
    import torch

    return torch.empty_like(tensor, dtype=torch.float32)
