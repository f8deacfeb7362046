"""The sizes of a conv3d case, and its answer in float64 by gathering patches or by the library's plain convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from bench.kernel import Case

if TYPE_CHECKING:
    import torch

Triple: TypeAlias = tuple[int, int, int]
"""(depth, height, width)"""


@dataclass(frozen=True)
class Geometry:
    """A conv3d case in integers: input (n, c, d, h, w), filter (k, c, t, r, s), output (n, k, o, p, q)."""

    n: int
    c: int
    k: int
    size: Triple
    """(d, h, w)"""
    filter: Triple
    """(t, r, s)"""
    stride: Triple
    padding: Triple
    channels_last: bool

    @property
    def padded(self) -> Triple:
        """The input's size with its padding."""
        d, h, w = (size + 2 * padding for size, padding in zip(self.size, self.padding, strict=True))
        return d, h, w

    @property
    def positions(self) -> Triple:
        """(o, p, q): depth, height and width of the output."""
        sizes = zip(self.padded, self.filter, self.stride, strict=True)
        o, p, q = ((size - taps) // step + 1 for size, taps, step in sizes)
        return o, p, q

    @property
    def output_shape(self) -> tuple[int, int, int, int, int]:
        """(n, k, o, p, q)"""
        return (self.n, self.k, *self.positions)

    @property
    def terms(self) -> int:
        """Products in the sum that makes one element of the output."""
        return self.c * prod(self.filter)

    @property
    def operations(self) -> int:
        """2·n·k·o·p·q·c·t·r·s, padded positions counted like any other."""
        return 2 * self.n * self.k * prod(self.positions) * self.terms

    @property
    def memory_format(self) -> torch.memory_format:
        """How activations and filters lie in memory."""
        import torch

        return torch.channels_last_3d if self.channels_last else torch.contiguous_format


def geometry(case: Case) -> Geometry:
    """Read a case."""

    def three(*names: str) -> Triple:
        first, second, third = (int(case[name]) for name in names)
        return first, second, third

    return Geometry(
        n=int(case["n"]),
        c=int(case["c"]),
        k=int(case["k"]),
        size=three("d", "h", "w"),
        filter=three("t", "r", "s"),
        stride=three("stride_d", "stride_h", "stride_w"),
        padding=three("padding_d", "padding_h", "padding_w"),
        channels_last=case["layout"] == "ndhwc",
    )


def float64_rows(x: torch.Tensor, filters: torch.Tensor, shape: Geometry, rows: torch.Tensor) -> torch.Tensor:
    """The output's rows (the k channels of one position), numbered in the order n, o, p, q; (rows, k), float64."""
    import torch

    o, p, q = shape.positions
    taps = filters.cpu().double().reshape(shape.k, shape.terms)
    wanted = torch.empty(len(rows), shape.k, dtype=torch.float64)
    for place, row in enumerate(rows.tolist()):
        image, position = divmod(row, o * p * q)
        where = (position // (p * q), position // q % p, position % q)
        patch = torch.zeros((shape.c, *shape.filter), dtype=torch.float64)
        source, target = [slice(None)], [slice(None)]
        for axis in range(3):
            start = where[axis] * shape.stride[axis] - shape.padding[axis]
            low, high = max(0, start), min(shape.size[axis], start + shape.filter[axis])
            source.append(slice(low, max(low, high)))
            target.append(slice(low - start, max(low, high) - start))
        patch[tuple(target)] = x[image][tuple(source)].cpu().double()
        wanted[place] = taps @ patch.reshape(-1)
    return wanted


def float64_convolution(x: torch.Tensor, filters: torch.Tensor, shape: Geometry) -> torch.Tensor:
    """The whole output as (rows, channels), float64, an image at a time."""
    import torch
    from torch.nn.functional import conv3d

    filters = filters.cpu().double()
    parts = []
    for image in x.cpu():
        y = conv3d(image.unsqueeze(0).double(), filters, stride=shape.stride, padding=shape.padding)
        parts.append(y[0].permute(1, 2, 3, 0).reshape(-1, filters.shape[0]))
    return torch.cat(parts)
