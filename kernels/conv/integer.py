"""Implementations of conv at int8, all with an exact int32 output: oneDNN's convolution, im2col, FP32 units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.conv.geometry import Geometry, geometry
from kernels.tensors import (
    EXACT_INT8_TERMS,
    exact_int8_blocks,
    exact_on_fp32_reason,
    int_mm_reason,
    on_fp32_units,
    onednn_reason,
    poisoned,
)

if TYPE_CHECKING:
    import torch

QCONV_TERMS: Final = 1 << 16
"""Longest sum that `onednn-int8` takes: its FP32 output is exact below 2**24, as in `kernels.gemm.integer`."""


def _onednn_reason(case: Case, precision: str, device: DeviceView) -> str:
    if geometry(case).terms > QCONV_TERMS:
        return f"oneDNN's convolution hands its sums out as FP32: c/groups·r·s has to be at most {QCONV_TERMS}"
    return onednn_reason(precision, device)


def _im2col_reason(case: Case, precision: str, device: DeviceView) -> str:
    shape = geometry(case)
    if shape.groups > 1:
        return "im2col makes one product of all channels: groups has to be 1"
    reason = int_mm_reason(shape.n * shape.p * shape.q, shape.k, shape.terms, device)
    return f"{reason} (m = n·p·q, n = k, k = c·r·s)" if reason and device.type == "cuda" else reason


def _fp32_reason(case: Case, precision: str, device: DeviceView) -> str:
    shape = geometry(case)
    if shape.r * shape.s > EXACT_INT8_TERMS:
        return f"FP32 sums at most {EXACT_INT8_TERMS} int8 products exactly: r·s has to be at most that"
    return exact_on_fp32_reason(device)


def _fp32_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(geometry(case).operations, precision)


class IntegerConvolutions:
    """int8 implementations, for `Conv` to inherit."""

    @implementation("onednn-int8", precisions=("int8",), devices=("cpu",), supports=_onednn_reason)
    def onednn_int8(self, inputs: Inputs) -> Call:
        """oneDNN's quantised convolution, filters packed beforehand; activations shifted to uint8 inside the call."""
        import torch

        shape, x = geometry(inputs.case), inputs["x"]
        stride, padding, dilation = [shape.stride] * 2, [shape.padding] * 2, [1, 1]
        scale, zero_point = torch.ones(shape.k), torch.zeros(shape.k, dtype=torch.int64)
        packed = torch.ops.onednn.qconv_prepack(
            inputs["w"], scale, 1.0, 128, stride, padding, dilation, shape.groups, list(x.shape)
        )
        y = poisoned(shape.output_shape, torch.int32, inputs.device).contiguous(memory_format=shape.memory_format)
        signed = x.view(torch.uint8)
        shifted = torch.empty_like(signed)

        def call() -> torch.Tensor:
            # It takes uint8 only: flipping the sign bit adds 128, which its zero point of 128 takes off again, exactly.
            torch.bitwise_xor(signed, 128, out=shifted)
            sums = torch.ops.onednn.qconv2d_pointwise(
                shifted, 1.0, 128, packed, scale, zero_point, None, stride, padding, dilation, shape.groups,
                1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            return y.copy_(sums)

        return call

    @implementation("im2col", precisions=("int8",), supports=_im2col_reason)
    def im2col(self, inputs: Inputs) -> Call:
        """Patches copied side by side, then torch._int_mm: int8 units where torch has no int8 convolution."""
        import torch

        shape = geometry(inputs.case)
        gather = _patches(inputs["x"], shape)
        # (r·s·c, k), column-major, as cuBLASLt takes it.
        filters = inputs["w"].permute(0, 2, 3, 1).reshape(shape.k, shape.terms).t()
        sums = poisoned((shape.n * shape.p * shape.q, shape.k), torch.int32, inputs.device)
        as_image = sums.view(shape.n, shape.p, shape.q, shape.k).permute(0, 3, 1, 2)
        y = as_image if shape.channels_last else poisoned(shape.output_shape, torch.int32, inputs.device)

        def call() -> torch.Tensor:
            torch._int_mm(gather(), filters, out=sums)
            return y if shape.channels_last else y.copy_(as_image)

        return call

    @implementation("fp32-exact", precisions=("int8",), supports=_fp32_reason, executed=_fp32_executed)
    def fp32_exact(self, inputs: Inputs) -> Call:
        """Exact int8 products on the FP32 units, in blocks of channels small enough that no sum is rounded."""
        import torch
        from torch.nn.functional import conv2d

        shape = geometry(inputs.case)
        y = poisoned(shape.output_shape, torch.int32, inputs.device).contiguous(memory_format=shape.memory_format)
        block_y = torch.empty_like(y)
        blocks = [
            _channel_block(inputs, shape, start, stop)
            for start, stop in exact_int8_blocks(shape.c // shape.groups, shape.r * shape.s)
        ]

        def call() -> torch.Tensor:
            for index, (x, x32, w, w32) in enumerate(blocks):
                x32.copy_(x)
                w32.copy_(w)
                flat = x32.flatten(1, 2) if x32.dim() == 5 else x32
                sums = conv2d(flat, w32, stride=shape.stride, padding=shape.padding, groups=shape.groups)
                if index == 0:
                    y.copy_(sums)
                else:
                    y.add_(block_y.copy_(sums))
            return y

        return call


def _channel_block(
    inputs: Inputs, shape: Geometry, start: int, stop: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Channels start … stop of every group: the int8 input and filters as views, and FP32 room for each.

    With several groups and several blocks the channels of a block lie apart: a view (n, groups, channels, h, w), which
    becomes (n, groups · channels, h, w) once it is copied.
    """
    import torch

    x, w = inputs["x"], inputs["w"][:, start:stop]
    if shape.groups > 1 and (start, stop) != (0, shape.c // shape.groups):
        x = x.view(shape.n, shape.groups, -1, shape.h, shape.w)[:, :, start:stop]
        x32 = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    else:
        x = x[:, start:stop] if shape.groups == 1 else x
        x32 = torch.empty_like(x, dtype=torch.float32, memory_format=shape.memory_format)
    return x, x32, w, torch.empty_like(w, dtype=torch.float32, memory_format=shape.memory_format)


def _patches(x: torch.Tensor, shape: Geometry) -> Call:
    """A call that returns the int8 matrix (n·p·q, r·s·c) of all patches, copied anew each time.

    A 1×1 filter over every position of a channels-last image needs no copy: the image is that matrix.
    """
    import torch

    image = x.permute(0, 2, 3, 1)
    if shape.channels_last and (shape.r, shape.s, shape.stride, shape.padding) == (1, 1, 1, 0):
        return lambda: image.reshape(-1, shape.c)
    top, left = shape.padding, shape.padding
    padded = torch.zeros((shape.n, shape.h + 2 * top, shape.w + 2 * left, shape.c), dtype=torch.int8, device=x.device)
    inside = padded[:, top : top + shape.h, left : left + shape.w]
    per_image, per_row, per_column, _ = padded.stride()
    windows = padded.as_strided(
        (shape.n, shape.p, shape.q, shape.r, shape.s, shape.c),
        (per_image, per_row * shape.stride, per_column * shape.stride, per_row, per_column, 1),
    )
    matrix = torch.empty_like(windows, memory_format=torch.contiguous_format)

    def gather() -> torch.Tensor:
        inside.copy_(image)
        return matrix.copy_(windows).view(-1, shape.terms)

    return gather
