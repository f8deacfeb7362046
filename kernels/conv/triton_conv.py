"""conv by this package's own Triton kernel: what it supports, and how its tile sizes are chosen.

The kernel is in `kernels.conv.triton_convolution`, which is imported only when a call is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from bench.precision import PRECISIONS
from kernels.conv.geometry import Geometry, geometry
from kernels.gemm.tiles import Product, candidates
from kernels.tensors import OUTPUT_BYTES, poisoned
from kernels.triton_tuning import Config, best_config, family, triton_reason

if TYPE_CHECKING:
    import torch

MOST_ELEMENTS: Final = 1 << 31
TRITON_TYPES: Final = {"fp32": "float32", "int32": "int32"}
"""Triton's names of the accumulators."""


def triton_conv_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why the Triton kernel can't take a case; "" when it can."""
    reason = triton_reason(device)
    if reason:
        return reason
    shape = geometry(case)
    # Rows of padding lie before and behind the image where offsets are reckoned.
    reach = shape.n * (shape.h + 2 * shape.padding) * (shape.w + 2 * shape.padding) * shape.c
    if max(reach, shape.k * shape.terms, shape.n * shape.k * shape.p * shape.q) >= MOST_ELEMENTS:
        return "each tensor has to hold less than 2**31 elements: offsets are 32 bits wide"
    return ""


class TritonConvolutions:
    """The implementation in Triton, for `Conv` to inherit."""

    @implementation("triton", precisions=("bf16", "fp16", "int8"), devices=("cuda",), supports=triton_conv_reason)
    def triton_convolution(self, inputs: Inputs) -> Call:
        """This package's implicit product in Triton, channels-last; NCHW activations are reordered inside the call."""
        import torch

        from kernels.conv import triton_convolution as kernel

        shape, x = geometry(inputs.case), inputs["x"]
        precision = PRECISIONS[inputs.precision]
        output = torch.int32 if precision.integer else x.dtype
        y = poisoned(shape.output_shape, output, inputs.device).contiguous(memory_format=shape.memory_format)
        image = torch.empty_like(x, memory_format=torch.channels_last).copy_(x) if _reordered(shape) else x
        filters = inputs["w"].permute(0, 2, 3, 1).contiguous()

        def launch(config: Config) -> Call:
            return kernel.launcher(image, filters, y, shape, config, TRITON_TYPES[precision.accumulate])

        configs = configs_for(shape, inputs.precision, inputs.device)
        key = f"conv {inputs.precision} {sorted(inputs.case.items())}"
        call = launch(best_config(key, configs, launch, inputs.device, kernel))
        if image is x:
            return call

        def reorder_and_call() -> torch.Tensor:
            image.copy_(x)
            result: torch.Tensor = call()
            return result

        return reorder_and_call


def configs_for(shape: Geometry, precision: str, device: DeviceView) -> list[Config]:
    """What is tried for a case: the tile sizes of the product (n·p·q, r·s·c/groups) by (…, k/groups), once a group."""
    kind = PRECISIONS[precision]
    positions, outputs = shape.n * shape.p * shape.q, shape.k // shape.groups
    element_bytes, output_bytes = kind.bits // 8, OUTPUT_BYTES[kind.output]
    product = Product(shape.groups, positions, outputs, shape.terms, element_bytes, output_bytes, device.units)
    return candidates(family(device), product)


def _reordered(shape: Geometry) -> bool:
    """Whether the image has to be brought into channels-last order: not where its layout is that, or one channel or
    one pixel makes both the same."""
    return not shape.channels_last and shape.c > 1 and shape.h * shape.w > 1
