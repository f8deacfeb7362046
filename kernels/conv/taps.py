"""Implementations of conv at FP64 on a CPU, for which oneDNN has none: a filter's elements one after another.

torch lowers FP64 to a matrix of patches for the whole image; here the activations are read where they lie, a few rows
of the output at a time, so that sums stay in a core's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from kernels.conv.geometry import Geometry, geometry
from kernels.tensors import poisoned

if TYPE_CHECKING:
    import torch

SLAB_BYTES: Final = 1 << 20
"""Activations and sums worked on at a time (ours): twice a core's second-level cache here, and the best of 2**18, 2**20
and 2**22 over the layers of ResNet-50."""


def _taps_reason(case: Case, precision: str, device: DeviceView) -> str:
    shape = geometry(case)
    if shape.groups == 1:
        return "" if shape.stride == 1 else "a sum over shifted images needs stride 1"
    if shape.groups == shape.c == shape.k:
        return ""
    return "a sum over shifted images takes one group, or as many as there are channels in and out"


@dataclass(frozen=True)
class Slab:
    """Rows `start` to `stop` of one image's output."""

    image: int
    start: int
    stop: int


class TapConvolutions:
    """Implementations that add up shifted images, for `Conv` to inherit."""

    @implementation("taps", precisions=("fp64",), devices=("cpu",), supports=_taps_reason)
    def taps(self, inputs: Inputs) -> Call:
        """A product of the shifted image for each element of the filter, added up: BLAS without a matrix of patches."""
        import torch

        shape = geometry(inputs.case)
        image = inputs["x"].permute(0, 2, 3, 1)
        padded = torch.zeros(
            (shape.n, shape.h + 2 * shape.padding, shape.w + 2 * shape.padding, shape.c), dtype=image.dtype
        )
        inside = padded[:, shape.padding : shape.padding + shape.h, shape.padding : shape.padding + shape.w]
        y = poisoned(shape.output_shape, image.dtype, inputs.device).contiguous(memory_format=shape.memory_format)
        rows = y.permute(0, 2, 3, 1)
        sum_of_taps = _products if shape.groups == 1 else _depthwise
        add_up = sum_of_taps(padded, inputs["w"], rows, shape)

        def call() -> torch.Tensor:
            inside.copy_(image)
            add_up()
            return y

        return call


def _products(padded: torch.Tensor, w: torch.Tensor, y: torch.Tensor, shape: Geometry) -> Call:
    """y (n, p, q, k) from padded (n, h, w, c), stride 1.

    Rows of the padded image follow one another, so that an output computed for every column of it, those over the edge
    too, is one product an element of the filter: (rows · width, c) by (c, k). What lies over the edge is not kept.
    """
    import torch

    width = padded.shape[2]
    filters = [w[:, :, i, j].t().contiguous() for i in range(shape.r) for j in range(shape.s)]
    step = _rows_a_slab(width * (shape.c + shape.k) * padded.element_size(), shape)
    sums = torch.empty((step * width, shape.k), dtype=padded.dtype)
    work = []
    for slab in _slabs(shape, step):
        flat, count = padded[slab.image].view(-1, shape.c), slab.stop - slab.start
        length = count * width - (shape.s - 1)
        starts = [(slab.start + i) * width + j for i in range(shape.r) for j in range(shape.s)]
        kept = sums[: count * width].view(count, width, shape.k)[:, : shape.q]
        shifted = [flat[start : start + length] for start in starts]
        work.append((shifted, sums[:length], kept, y[slab.image, slab.start : slab.stop]))

    def call() -> None:
        for shifted, total, kept, out in work:
            torch.mm(shifted[0], filters[0], out=total)
            for part, matrix in zip(shifted[1:], filters[1:], strict=True):
                total.addmm_(part, matrix)
            out.copy_(kept)

    return call


def _depthwise(padded: torch.Tensor, w: torch.Tensor, y: torch.Tensor, shape: Geometry) -> Call:
    """y (n, p, q, c) from padded (n, h, w, c) with one filter a channel: multiply and add, channel by channel."""
    import torch

    filters = [w[:, 0, i, j].contiguous() for i in range(shape.r) for j in range(shape.s)]
    step = _rows_a_slab(2 * shape.q * shape.c * padded.element_size(), shape)
    work = []
    for slab in _slabs(shape, step):
        top, bottom = slab.start * shape.stride, (slab.stop - 1) * shape.stride + 1
        right = (shape.q - 1) * shape.stride + 1
        shifted = [
            padded[slab.image, top + i : bottom + i : shape.stride, j : right + j : shape.stride]
            for i in range(shape.r)
            for j in range(shape.s)
        ]
        sums = torch.empty((slab.stop - slab.start, shape.q, shape.c), dtype=padded.dtype)
        work.append((shifted, sums, y[slab.image, slab.start : slab.stop]))

    def call() -> None:
        for shifted, sums, out in work:
            torch.mul(shifted[0], filters[0], out=sums)
            for part, weights in zip(shifted[1:], filters[1:], strict=True):
                sums.addcmul_(part, weights)
            out.copy_(sums)

    return call


def _rows_a_slab(row_bytes: int, shape: Geometry) -> int:
    return min(shape.p, max(1, SLAB_BYTES // row_bytes))


def _slabs(shape: Geometry, step: int) -> Iterator[Slab]:
    for image in range(shape.n):
        for start in range(0, shape.p, step):
            yield Slab(image, start, min(start + step, shape.p))
