"""Implementations of gemm on a CPU's FP32 units with B converted and packed beforehand, as a frozen model has it.

A is converted inside the call. The same at the case's own precision is `linear-prepacked` in `floating`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.gemm.operands import operands, output_shape, sizes
from kernels.tensors import exact_blocks_of_weights, exact_on_fp32_reason, needs_onednn, on_fp32_units, poisoned

if TYPE_CHECKING:
    import torch

Product: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"
"""FP32 A (m, k) → A·B (m, n)"""


def _one_matrix(case: Case, precision: str, device: DeviceView) -> str:
    return "oneDNN's linear layer takes one weight matrix: batch has to be 1" if int(case["batch"]) > 1 else ""


def _int8_reason(case: Case, precision: str, device: DeviceView) -> str:
    return _one_matrix(case, precision, device) or exact_on_fp32_reason(device)


def _executed(case: Case, precision: str, device: DeviceView) -> Executed:
    batch, m, n, k = sizes(case)
    return on_fp32_units(2 * batch * m * n * k, precision)


class PackedProducts:
    """Implementations with a packed B, for `Gemm` to inherit."""

    @implementation(
        "upcast-prepacked", precisions=("bf16", "fp16"), devices=("cpu",), supports=_one_matrix, executed=_executed
    )
    def upcast_prepacked(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units; B converted and packed beforehand, A inside the call."""
        a, b = operands(inputs)
        multiply = packed_product(b.float(), a.shape[0])
        a32 = _dense_fp32(a)
        c = poisoned(output_shape(inputs.case), a.dtype, inputs.device)
        return lambda: c.copy_(multiply(a32.copy_(a)))

    @implementation(
        "fp32-exact-prepacked", precisions=("int8",), devices=("cpu",), supports=_int8_reason, executed=_executed
    )
    def fp32_exact_prepacked(self, inputs: Inputs) -> Call:
        """Exact int8 products on the FP32 units; B converted and packed beforehand, in as few blocks as it allows."""
        import torch

        a, b = operands(inputs)
        c = poisoned(output_shape(inputs.case), torch.int32, inputs.device)
        block_c = torch.empty_like(c)
        blocks = []
        for start, stop in exact_blocks_of_weights(b.t().int().abs()):
            part = a[:, start:stop]
            blocks.append((part, _dense_fp32(part), packed_product(b[start:stop].float(), a.shape[0])))

        def call() -> torch.Tensor:
            for index, (part, a32, multiply) in enumerate(blocks):
                sums = multiply(a32.copy_(part))
                if index == 0:
                    c.copy_(sums)
                else:
                    c.add_(block_c.copy_(sums))
            return c

        return call


def packed_product(b: torch.Tensor, rows: int) -> Product:
    """The product with FP32 `b` (k, n), packed for an A of so many rows."""
    import torch

    needs_onednn()
    weight = torch.ops.mkldnn._reorder_linear_weight(b.t().contiguous(), rows)
    linear = torch.ops.mkldnn._linear_pointwise

    def multiply(a: torch.Tensor) -> torch.Tensor:
        c: torch.Tensor = linear(a, weight, None, "none", [], "")
        return c

    return multiply


def _dense_fp32(a: torch.Tensor) -> torch.Tensor:
    """Room for the FP32 form of a matrix, row after row, as oneDNN takes it."""
    import torch

    return torch.empty(a.shape, dtype=torch.float32)
