"""The sizes of a conv case, and its answer in float64 by gathering patches or by the library's plain convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.kernel import Case

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Geometry:
    """A conv case in integers: input (n, c, h, w), filter (k, c / groups, r, s), output (n, k, p, q)."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: int
    padding: int
    groups: int
    channels_last: bool

    @property
    def p(self) -> int:
        """Height of the output."""
        return (self.h + 2 * self.padding - self.r) // self.stride + 1

    @property
    def q(self) -> int:
        """Width of the output."""
        return (self.w + 2 * self.padding - self.s) // self.stride + 1

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """(n, k, p, q)"""
        return (self.n, self.k, self.p, self.q)

    @property
    def terms(self) -> int:
        """Products in the sum that makes one element of the output."""
        return self.c // self.groups * self.r * self.s

    @property
    def operations(self) -> int:
        """2·n·k·p·q·(c/groups)·r·s, padded positions counted like any other."""
        return 2 * self.n * self.k * self.p * self.q * self.terms

    @property
    def memory_format(self) -> torch.memory_format:
        """How activations and filters lie in memory."""
        import torch

        return torch.channels_last if self.channels_last else torch.contiguous_format


def geometry(case: Case) -> Geometry:
    """Read a case."""
    sizes = {name: int(case[name]) for name in ("n", "c", "h", "w", "k", "r", "s", "stride", "padding", "groups")}
    return Geometry(**sizes, channels_last=case["layout"] == "nhwc")


def float64_rows(x: torch.Tensor, filters: torch.Tensor, shape: Geometry, rows: torch.Tensor) -> torch.Tensor:
    """The output's rows (all k channels of one position), numbered in the order n, p, q; shape (rows, k), float64."""
    import torch

    x, filters, rows = x.cpu(), filters.cpu(), rows.cpu()
    image, position = rows // (shape.p * shape.q), rows % (shape.p * shape.q)
    down = (position // shape.q * shape.stride - shape.padding).unsqueeze(1) + torch.arange(shape.r)
    across = (position % shape.q * shape.stride - shape.padding).unsqueeze(1) + torch.arange(shape.s)
    inside = ((down >= 0) & (down < shape.h)).unsqueeze(2) & ((across >= 0) & (across < shape.w)).unsqueeze(1)
    down, across = down.clamp(0, shape.h - 1).unsqueeze(2), across.clamp(0, shape.w - 1).unsqueeze(1)
    # Index tensors apart from each other put their dimensions first: (rows, r, s, c).
    patches = x[image.view(-1, 1, 1), :, down, across].double() * inside.unsqueeze(-1)
    patches = patches.permute(0, 3, 1, 2).reshape(len(rows), shape.groups, shape.terms)
    grouped = filters.double().reshape(shape.groups, shape.k // shape.groups, shape.terms)
    return torch.einsum("igt,gkt->igk", patches, grouped).reshape(len(rows), shape.k)


def float64_convolution(x: torch.Tensor, filters: torch.Tensor, shape: Geometry, groups: int) -> torch.Tensor:
    """The whole output as (rows, channels), float64, an image at a time; torch has no Winograd in float64 on a CPU."""
    import torch
    from torch.nn.functional import conv2d

    filters = filters.cpu().double()
    parts = []
    for image in x.cpu():
        y = conv2d(image.unsqueeze(0).double(), filters, stride=shape.stride, padding=shape.padding, groups=groups)
        parts.append(y[0].permute(1, 2, 0).reshape(-1, filters.shape[0]))
    return torch.cat(parts)
