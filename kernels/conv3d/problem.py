"""What a conv3d is: its fields, cases, work, inputs and float64 reference. How it is computed stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, ClassVar, Final

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work
from bench.precision import PRECISIONS
from kernels.conv3d.convolutions import Convolutions
from kernels.conv3d.geometry import float64_convolution, float64_rows, geometry
from kernels.tensors import fill, output_bytes

if TYPE_CHECKING:
    import torch

_FRAMES: Final = {"n": 1, "c": 64, "d": 8, "h": 56, "w": 56, "k": 64, "t": 3, "r": 3, "s": 3}
"""A 3×3×3 layer of the first stage of a video ResNet (R3D-18: 64 channels at 56×56), half of its 16 frames."""
_PAD: Final = {"padding_d": 1, "padding_h": 1, "padding_w": 1}
CPU_FULL: Final[tuple[Case, ...]] = ({**_FRAMES, **_PAD, "c": 16, "k": 16, "layout": "ndhwc"},)
GPU_FULL: Final[tuple[Case, ...]] = tuple(
    {**_FRAMES, **_PAD, "n": 16, "d": 16, "layout": layout} for layout in ("ndhwc", "ncdhw")
)


class Conv3d(Convolutions, Kernel):
    """Three-dimensional convolution, unflipped: x (n, c, d, h, w) with w (k, c, t, r, s); each axis has its stride."""

    name: ClassVar[str] = "conv3d"
    summary: ClassVar[str] = "three-dimensional convolution, each axis with its own stride and padding"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("n", "volumes", default=1),
        Field("c", "input channels"),
        Field("d", "input depth (or frames, or pressure levels)"),
        Field("h", "input height"),
        Field("w", "input width"),
        Field("k", "output channels"),
        Field("t", "filter depth", default=3),
        Field("r", "filter height", default=3),
        Field("s", "filter width", default=3),
        Field("stride_d", "step between positions along the depth", default=1),
        Field("stride_h", "step between positions along the height", default=1),
        Field("stride_w", "step between positions along the width", default=1),
        Field("padding_d", "zeros before and behind the volume", default=0, minimum=0),
        Field("padding_h", "zeros above and below it", default=0, minimum=0),
        Field("padding_w", "zeros left and right of it", default=0, minimum=0),
        Field("layout", "how activations lie in memory", default="ncdhw", choices=("ncdhw", "ndhwc")),
    )
    precisions: ClassVar[tuple[str, ...]] = ("fp64", "fp32", "tf32", "bf16", "fp16")

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """None in the smaller suites: those hold what most devices are compared by."""
        if suite != "full":
            return []
        return list(CPU_FULL if device.type == "cpu" else GPU_FULL)

    def rejects(self, case: Case) -> str:
        shape = geometry(case)
        if any(taps > size for taps, size in zip(shape.filter, shape.padded, strict=True)):
            sizes = ["×".join(map(str, three)) for three in (shape.filter, shape.padded)]
            return f"a filter of {sizes[0]} is larger than the padded volume of {sizes[1]}"
        return ""

    def work(self, case: Case, precision: str) -> Work:
        """2·n·k·o·p·q·c·t·r·s operations; input and filters read once, output written once."""
        shape = geometry(case)
        elements = shape.n * shape.c * prod(shape.size) + shape.k * shape.terms
        return Work(
            operations=shape.operations,
            bytes_read=elements * PRECISIONS[precision].bits // 8,
            bytes_written=prod(shape.output_shape) * output_bytes(precision),
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`x` (n, c, d, h, w) and `w` (k, c, t, r, s), both in the case's memory layout."""
        shape = geometry(case)
        sizes = {"x": (shape.n, shape.c, *shape.size), "w": (shape.k, shape.c, *shape.filter)}
        layout = shape.memory_format
        return {
            name: fill(size, precision, data, device, generator, memory_format=layout) for name, size in sizes.items()
        }

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """A row holds the k channels of one position; rows are numbered in the order n, o, p, q."""
        shape = geometry(inputs.case)
        if rows is None:
            return float64_convolution(inputs["x"], inputs["w"], shape)
        return float64_rows(inputs["x"], inputs["w"], shape, rows)

    def rows(self, output: torch.Tensor, case: Case) -> torch.Tensor:
        return output.permute(0, 2, 3, 4, 1).reshape(-1, output.shape[1])

    def output_rows(self, case: Case) -> int:
        shape = geometry(case)
        return shape.n * prod(shape.positions)

    def reduction_length(self, case: Case) -> int:
        return geometry(case).terms

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor:
        """Σ_k v_k·y_k is the convolution with the one filter Σ_k v_k·w_k."""
        shape, filters = geometry(inputs.case), inputs["w"].cpu().double()
        contracted = (vector.cpu().double() @ filters.reshape(shape.k, shape.terms)).reshape(1, *filters.shape[1:])
        return float64_convolution(inputs["x"], contracted, shape).reshape(-1)
