"""Implementations of conv on a CPU with the filters brought into oneDNN's blocked layout beforehand.

A frozen model has its filters so; what the activations need (conversion, layout) stays inside the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.conv.geometry import Geometry, geometry
from kernels.tensors import (
    EXACT_INT8_TERMS,
    exact_blocks_of_weights,
    exact_on_fp32_reason,
    needs_onednn,
    on_fp32_units,
    onednn_reason,
    poisoned,
)

if TYPE_CHECKING:
    import torch

Convolution: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"
"""x (n, c, h, w) → y (n, k, p, q)"""


def _native_reason(case: Case, precision: str, device: DeviceView) -> str:
    return onednn_reason(precision, device)


def _fp32_reason(case: Case, precision: str, device: DeviceView) -> str:
    shape = geometry(case)
    if shape.r * shape.s > EXACT_INT8_TERMS:
        return f"FP32 sums at most {EXACT_INT8_TERMS} int8 products exactly: r·s has to be at most that"
    if shape.groups > 1 and shape.terms > EXACT_INT8_TERMS:
        return f"with groups, a sum is not cut into blocks here: c/groups·r·s has to be at most {EXACT_INT8_TERMS}"
    return exact_on_fp32_reason(device)


def _fp32_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(geometry(case).operations, precision)


class PackedConvolutions:
    """Implementations with packed filters, for `Conv` to inherit."""

    @implementation("prepacked", precisions=("fp32", "bf16", "fp16"), devices=("cpu",), supports=_native_reason)
    def prepacked(self, inputs: Inputs) -> Call:
        """oneDNN's convolution with the filters reordered into its blocked layout beforehand."""
        shape, x = geometry(inputs.case), inputs["x"]
        convolve = packed_convolution(inputs["w"], shape, x.shape[1])
        return lambda: convolve(x)

    @implementation("upcast-prepacked", precisions=("bf16", "fp16"), devices=("cpu",), executed=_fp32_executed)
    def upcast_prepacked(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units; filters converted and packed beforehand, activations inside."""
        import torch

        shape, x = geometry(inputs.case), inputs["x"]
        convolve = packed_convolution(inputs["w"].float(), shape, x.shape[1])
        x32 = torch.empty_like(x, dtype=torch.float32)
        y = poisoned(shape.output_shape, x.dtype, inputs.device).contiguous(memory_format=shape.memory_format)
        return lambda: y.copy_(convolve(x32.copy_(x)))

    @implementation(
        "fp32-exact-prepacked", precisions=("int8",), devices=("cpu",), supports=_fp32_reason, executed=_fp32_executed
    )
    def fp32_exact_prepacked(self, inputs: Inputs) -> Call:
        """Exact int8 products on the FP32 units; filters packed beforehand, in as few blocks as they allow."""
        import torch

        shape, x = geometry(inputs.case), inputs["x"]
        y = poisoned(shape.output_shape, torch.int32, inputs.device).contiguous(memory_format=shape.memory_format)
        block_y = torch.empty_like(y)
        blocks = []
        for start, stop in _channel_blocks(inputs["w"], shape):
            part = x if shape.groups > 1 else x[:, start:stop]
            x32 = torch.empty_like(part, dtype=torch.float32, memory_format=shape.memory_format)
            w32 = inputs["w"][:, start:stop].to(torch.float32, memory_format=shape.memory_format)
            blocks.append((part, x32, packed_convolution(w32, shape, part.shape[1])))

        def call() -> torch.Tensor:
            for index, (part, x32, convolve) in enumerate(blocks):
                sums = convolve(x32.copy_(part))
                if index == 0:
                    y.copy_(sums)
                else:
                    y.add_(block_y.copy_(sums))
            return y

        return call


def packed_convolution(w: torch.Tensor, shape: Geometry, channels: int) -> Convolution:
    """The convolution with filters `w`, packed for `channels` input channels; its output in the case's layout."""
    import torch

    needs_onednn()
    padding, stride, dilation = [shape.padding] * 2, [shape.stride] * 2, [1, 1]
    sizes = [shape.n, channels, shape.h, shape.w]
    packed = torch.ops.mkldnn._reorder_convolution_weight(w, padding, stride, dilation, shape.groups, sizes)
    convolution, layout = torch.ops.mkldnn._convolution_pointwise, shape.memory_format

    def convolve(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = convolution(x, packed, None, padding, stride, dilation, shape.groups, "none", [], "")
        return y.contiguous(memory_format=layout)  # no copy but where one channel leaves the layout open

    return convolve


def _channel_blocks(w: torch.Tensor, shape: Geometry) -> list[tuple[int, int]]:
    """Ranges of a group's channels whose sums FP32 holds exactly, whatever the activations; w (k, c/groups, r, s)."""
    if shape.groups > 1:
        return [(0, shape.c // shape.groups)]
    return exact_blocks_of_weights(w.flatten(2).int().abs().sum(-1))
