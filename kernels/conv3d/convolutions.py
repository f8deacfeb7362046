"""Implementations of conv3d: torch's own, 16-bit data carried by the FP32 units, patches as one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.conv3d.geometry import Geometry, geometry
from kernels.tensors import native_reason, on_fp32_units, poisoned

if TYPE_CHECKING:
    import torch


def _on_fp32(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(geometry(case).operations, precision)


def _patches_reason(case: Case, precision: str, device: DeviceView) -> str:
    shape = geometry(case)
    if shape.stride != shape.filter or any(shape.padding):
        return "patches that overlap or are padded are no single product: stride has to be the filter's size, padding 0"
    return native_reason(case, precision, device)


class Convolutions:
    """The implementations, for `Conv3d` to inherit."""

    @implementation("torch", precisions=("fp64", "fp32", "tf32", "bf16", "fp16"), supports=native_reason)
    def torch_convolution(self, inputs: Inputs) -> Call:
        """torch's conv3d: cuDNN, MIOpen or oneDNN, which choose the algorithm."""
        import torch
        from torch.nn.functional import conv3d

        shape, x, w = geometry(inputs.case), inputs["x"], inputs["w"]

        def call() -> torch.Tensor:
            return conv3d(x, w, stride=shape.stride, padding=shape.padding)

        if inputs.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # as in kernels.conv.floating: measured on the first call, then kept
            call()
        return call

    @implementation("upcast", precisions=("bf16", "fp16"), devices=("cpu",), executed=_on_fp32)
    def upcast(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units; both conversions and the rounding are part of the call."""
        import torch
        from torch.nn.functional import conv3d

        shape, x, w = geometry(inputs.case), inputs["x"], inputs["w"]
        x32, w32 = torch.empty_like(x, dtype=torch.float32), torch.empty_like(w, dtype=torch.float32)
        y = poisoned(shape.output_shape, x.dtype, inputs.device).contiguous(memory_format=shape.memory_format)

        def call() -> torch.Tensor:
            return y.copy_(conv3d(x32.copy_(x), w32.copy_(w), stride=shape.stride, padding=shape.padding))

        return call

    @implementation("patches", precisions=("fp64", "fp32", "tf32", "bf16", "fp16"), supports=_patches_reason)
    def patches(self, inputs: Inputs) -> Call:
        """Patches that don't overlap, copied side by side, times the filters: one matrix product."""
        import torch

        shape, filters = geometry(inputs.case), inputs["w"].contiguous().reshape(inputs["w"].shape[0], -1)
        windows = _windows(inputs["x"], shape)
        matrix = torch.empty(windows.shape, dtype=windows.dtype, device=windows.device)
        rows = matrix.view(-1, shape.terms)
        sums = poisoned((rows.shape[0], shape.k), rows.dtype, inputs.device)
        o, p, q = shape.positions
        as_volume = sums.view(shape.n, o, p, q, shape.k).permute(0, 4, 1, 2, 3)
        y = as_volume if shape.channels_last else poisoned(shape.output_shape, rows.dtype, inputs.device)

        def call() -> torch.Tensor:
            matrix.copy_(windows)
            torch.mm(rows, filters.t(), out=sums)
            return y if shape.channels_last else y.copy_(as_volume)

        return call


def _windows(x: torch.Tensor, shape: Geometry) -> torch.Tensor:
    """The patches as a view (n, o, p, q, c, t, r, s); what is left over at the far edges is in none of them."""
    (o, p, q), (t, r, s) = shape.positions, shape.filter
    n, c = x.shape[:2]
    whole = x[:, :, : o * t, : p * r, : q * s]
    by_image, by_channel, by_depth, by_row, by_column = whole.stride()
    sizes = (n, o, p, q, c, t, r, s)
    strides = (by_image, t * by_depth, r * by_row, s * by_column, by_channel, by_depth, by_row, by_column)
    return whole.as_strided(sizes, strides)
