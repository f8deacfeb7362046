"""What a conv is: its cases, work, inputs and float64 reference. How it is computed stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work
from bench.precision import PRECISIONS
from kernels.conv.cases import suite_cases
from kernels.conv.floating import FloatingConvolutions
from kernels.conv.geometry import float64_convolution, float64_rows, geometry
from kernels.conv.integer import IntegerConvolutions
from kernels.conv.packed import PackedConvolutions
from kernels.conv.spaces import search_spaces
from kernels.conv.taps import TapConvolutions
from kernels.conv.triton_conv import TritonConvolutions
from kernels.tensors import fill, output_bytes

if TYPE_CHECKING:
    import torch


class Conv(TritonConvolutions, TapConvolutions, PackedConvolutions, IntegerConvolutions, FloatingConvolutions, Kernel):
    """Two-dimensional convolution, unflipped as the field has it: x (n, c, h, w) with w (k, c/groups, r, s)."""

    name: ClassVar[str] = "conv"
    summary: ClassVar[str] = "two-dimensional convolution, NCHW or channels-last"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("n", "images", default=1),
        Field("c", "input channels"),
        Field("h", "input height"),
        Field("w", "input width"),
        Field("k", "output channels"),
        Field("r", "filter height", default=3),
        Field("s", "filter width", default=3),
        Field("stride", "step between positions, both ways", default=1),
        Field("padding", "zeros around each image, both ways", default=0, minimum=0),
        Field("groups", "independent groups of channels", default=1),
        Field("layout", "how activations lie in memory", default="nchw", choices=("nchw", "nhwc")),
    )
    precisions: ClassVar[tuple[str, ...]] = ("fp64", "fp32", "tf32", "bf16", "fp16", "int8")

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return suite_cases(suite, device)

    def search_spaces(self, device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
        return search_spaces(device)

    def rejects(self, case: Case) -> str:
        shape = geometry(case)
        for name, channels in (("c", shape.c), ("k", shape.k)):
            if channels % shape.groups:
                return f"groups={shape.groups} does not divide {name}={channels}"
        if shape.r > shape.h + 2 * shape.padding or shape.s > shape.w + 2 * shape.padding:
            return f"a filter of {shape.r}×{shape.s} is larger than the padded image"
        return ""

    def work(self, case: Case, precision: str) -> Work:
        """2·n·k·p·q·(c/groups)·r·s operations; input and filters read once, output written once."""
        shape = geometry(case)
        elements = shape.n * shape.c * shape.h * shape.w + shape.k * shape.terms
        return Work(
            operations=shape.operations,
            bytes_read=elements * PRECISIONS[precision].bits // 8,
            bytes_written=shape.n * shape.k * shape.p * shape.q * output_bytes(precision),
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`x` (n, c, h, w) and `w` (k, c/groups, r, s), both in the case's memory layout."""
        shape = geometry(case)
        sizes = {
            "x": (shape.n, shape.c, shape.h, shape.w),
            "w": (shape.k, shape.c // shape.groups, shape.r, shape.s),
        }
        layout = shape.memory_format
        return {
            name: fill(size, precision, data, device, generator, memory_format=layout) for name, size in sizes.items()
        }

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """A row holds the k channels of one position; rows are numbered in the order n, p, q."""
        shape = geometry(inputs.case)
        if rows is None:
            return float64_convolution(inputs["x"], inputs["w"], shape, shape.groups)
        return float64_rows(inputs["x"], inputs["w"], shape, rows)

    def rows(self, output: torch.Tensor, case: Case) -> torch.Tensor:
        return output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])

    def output_rows(self, case: Case) -> int:
        shape = geometry(case)
        return shape.n * shape.p * shape.q

    def reduction_length(self, case: Case) -> int:
        return geometry(case).terms

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor:
        """Σ_k v_k·y_k is the convolution with the one filter Σ_k v_k·w_k, the groups' filters side by side."""
        import torch

        shape = geometry(inputs.case)
        filters = inputs["w"].cpu().double().reshape(shape.groups, shape.k // shape.groups, shape.terms)
        weights = vector.cpu().double().reshape(shape.groups, shape.k // shape.groups)
        contracted = torch.einsum("gk,gkt->gt", weights, filters).reshape(1, shape.c, shape.r, shape.s)
        return float64_convolution(inputs["x"], contracted, shape, groups=1).reshape(-1)
