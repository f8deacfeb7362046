"""The Triton kernel of a convolution as an implicit matrix product, and its launch. Importing this imports Triton.

Rows of the product are output positions, columns are filters, and its sums run over filter height, width and channels:
the patches are read from the channels-last image as they are needed and never written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from kernels.conv.geometry import Geometry
from kernels.triton_tuning import Config, Launch

if TYPE_CHECKING:
    import torch


@triton.jit
def convolution(
    x: tl.tensor,
    filters: tl.tensor,
    y: tl.tensor,
    positions: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    p: tl.tensor,
    q: tl.tensor,
    stride_yn: tl.tensor,
    stride_yk: tl.tensor,
    stride_yp: tl.tensor,
    stride_yq: tl.tensor,
    channels: tl.constexpr,
    outputs: tl.constexpr,
    groups: tl.constexpr,
    r: tl.constexpr,
    s: tl.constexpr,
    stride: tl.constexpr,
    padding: tl.constexpr,
    accumulator: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group_m: tl.constexpr,
) -> None:
    """y = x ∗ filters: one program a tile of positions and of one group's filters.

    x lies as (n, h, w, groups·channels), the filters as (groups·outputs, r, s, channels), y by its strides; `positions`
    is n·p·q. Where `block_k` divides the channels, a block of terms has one place in the filter; else each term finds
    its own, so that an image of three channels fills a block as well.
    """
    terms: tl.constexpr = r * s * channels
    tiles_m = tl.cdiv(positions, block_m)
    tiles_n = tl.cdiv(outputs, block_n)
    number = tl.program_id(0)
    group = number // (tiles_m * tiles_n)
    number = number % (tiles_m * tiles_n)
    per_row = group_m * tiles_n
    first = number // per_row * group_m
    rows = min(tiles_m - first, group_m)
    tile_m = first + number % per_row % rows
    tile_n = number % per_row // rows

    position = tile_m * block_m + tl.arange(0, block_m)
    image = position // (p * q)
    down = position % (p * q) // q * stride - padding
    across = position % q * stride - padding
    row_inside = position < positions
    corner = ((image * h + down) * w + across) * (groups * channels) + group * channels
    column = tile_n * block_n + tl.arange(0, block_n)
    column_inside = column < outputs
    filter_rows = filters + (group * outputs + column) * terms
    in_k = tl.arange(0, block_k)

    total = tl.zeros((block_m, block_n), dtype=accumulator)
    for first_k in range(0, terms, block_k):
        if channels % block_k == 0:
            place = first_k // channels
            i = place // s
            j = place % s
            offset = (i * w + j) * (groups * channels) + first_k % channels
            row_there = row_inside & (down + i >= 0) & (down + i < h) & (across + j >= 0) & (across + j < w)
            patch = tl.load(x + (corner + offset)[:, None] + in_k[None, :], mask=row_there[:, None], other=0.0)
            weights = tl.load(filter_rows[None, :] + (first_k + in_k)[:, None], mask=column_inside[None, :], other=0.0)
        else:
            term = first_k + in_k
            place = term // channels
            i = place // s
            j = place % s
            offset = (i * w + j) * (groups * channels) + term % channels
            high = down[:, None] + i[None, :]
            wide = across[:, None] + j[None, :]
            there = (high >= 0) & (high < h) & (wide >= 0) & (wide < w)
            there = there & row_inside[:, None] & (term < terms)[None, :]
            patch = tl.load(x + corner[:, None] + offset[None, :], mask=there, other=0.0)
            term_there = (term < terms)[:, None] & column_inside[None, :]
            weights = tl.load(filter_rows[None, :] + term[:, None], mask=term_there, other=0.0)
        total = tl.dot(patch, weights, total, out_dtype=accumulator)

    place_y = image * stride_yn + position % (p * q) // q * stride_yp + position % q * stride_yq
    y_block = y + place_y[:, None] + ((group * outputs + column) * stride_yk)[None, :]
    tl.store(y_block, total.to(y.dtype.element_ty), mask=row_inside[:, None] & column_inside[None, :])


def launcher(
    x: torch.Tensor, filters: torch.Tensor, y: torch.Tensor, shape: Geometry, config: Config, accumulator: str
) -> Launch:
    """A call that writes the convolution of a case to `y` (n, k, p, q), of any layout, and returns it.

    x is (n, c, h, w) and lies channels-last; `filters` is (k, r, s, c/groups), contiguous. `accumulator` is the name of
    a Triton type.
    """
    outputs = shape.k // shape.groups
    positions = shape.n * shape.p * shape.q
    tiles = triton.cdiv(positions, config["block_m"]) * triton.cdiv(outputs, config["block_n"])
    grid = (shape.groups * tiles,)
    sizes = (positions, shape.h, shape.w, shape.p, shape.q, *y.stride())
    constants = {
        "channels": shape.c // shape.groups,
        "outputs": outputs,
        "groups": shape.groups,
        "r": shape.r,
        "s": shape.s,
        "stride": shape.stride,
        "padding": shape.padding,
        "accumulator": getattr(tl, accumulator),
        **config.arguments(),
    }
    return Launch(convolution, grid, (x, filters, y, *sizes), constants, y)
