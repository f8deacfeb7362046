"""Implementations of conv in floating point: torch's own convolution, and 16-bit data carried by the FP32 units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.conv.geometry import geometry
from kernels.tensors import native_reason, on_fp32_units, poisoned

if TYPE_CHECKING:
    import torch

WINOGRAD_SAVING = 4
"""Multiplications that Winograd's F(4×4, 3×3) saves, as a factor (Lavin & Gray, CVPR 2016, section 4)."""


def _torch_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """Fewer operations than nominal where a library may choose Winograd; its choice can't be asked for."""
    shape = geometry(case)
    if device.type == "cpu" or precision != "fp32" or (shape.r, shape.s, shape.stride, shape.groups) != (3, 3, 1, 1):
        return None
    note = "the library may choose Winograd F(4×4, 3×3), which multiplies a quarter as often"
    return Executed(shape.operations // WINOGRAD_SAVING, "fp32", note)


def _upcast_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(geometry(case).operations, precision)


class FloatingConvolutions:
    """Floating-point implementations, for `Conv` to inherit."""

    @implementation(
        "torch", precisions=("fp64", "fp32", "tf32", "bf16", "fp16"), supports=native_reason, executed=_torch_executed
    )
    def torch_convolution(self, inputs: Inputs) -> Call:
        """torch's conv2d: cuDNN, MIOpen or oneDNN, which choose the algorithm."""
        import torch
        from torch.nn.functional import conv2d

        shape, x, w = geometry(inputs.case), inputs["x"], inputs["w"]

        def call() -> torch.Tensor:
            return conv2d(x, w, stride=shape.stride, padding=shape.padding, groups=shape.groups)

        if inputs.device.type == "cuda":
            # cuDNN and MIOpen measure their algorithms on the first call of a shape and keep the fastest. The switch is
            # the process's and stays on: it is read at every call. Without it they take the first guess.
            torch.backends.cudnn.benchmark = True
            call()
        return call

    @implementation("upcast", precisions=("bf16", "fp16"), devices=("cpu",), executed=_upcast_executed)
    def upcast(self, inputs: Inputs) -> Call:
        """16-bit data multiplied by the FP32 units; both conversions and the rounding are part of the call."""
        import torch
        from torch.nn.functional import conv2d

        shape, x, w = geometry(inputs.case), inputs["x"], inputs["w"]
        x32, w32 = torch.empty_like(x, dtype=torch.float32), torch.empty_like(w, dtype=torch.float32)
        y = poisoned(shape.output_shape, x.dtype, inputs.device).contiguous(memory_format=shape.memory_format)

        def call() -> torch.Tensor:
            return y.copy_(
                conv2d(x32.copy_(x), w32.copy_(w), stride=shape.stride, padding=shape.padding, groups=shape.groups)
            )

        return call
