"""The Triton kernels of a matrix product, and their launch on given tensors. Importing this imports Triton.

What they are offered as, and with which tile sizes, is in `kernels.gemm.triton_gemm`. Every kernel sums in the type
`accumulator` and rounds once, when it stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import triton
import triton.language as tl

from kernels.triton_tuning import Config, Launch

if TYPE_CHECKING:
    import torch

NO_SCALE: Final = 0
BY_TENSOR: Final = 1
BY_ROW: Final = 2
"""How FP8 operands are scaled: not at all, one factor each, or one for each row of A and each column of B."""

PROMOTE_AFTER: Final = 128
"""FP8 products that Hopper's tensor cores may sum among themselves before the sum is added in FP32. Their own sums keep
some 14 significant bits (DeepSeek-V3 technical report, section 3.3.2, which promotes after 128, as cuBLAS does without
fast accumulation); left to itself Triton never promotes there. Elsewhere it makes no difference."""


@triton.jit
def _place(number: tl.tensor, tiles_m: tl.tensor, tiles_n: tl.tensor, group_m: tl.constexpr) -> tl.tensor:
    """Row and column of a tile: `group_m` rows of tiles go down each column together, so that what they read of B is
    still in the cache."""
    per_group = group_m * tiles_n
    first = number // per_group * group_m
    rows = min(tiles_m - first, group_m)
    return first + number % per_group % rows, number % per_group // rows


@triton.jit
def _multiplied(
    x: tl.tensor, y: tl.tensor, total: tl.tensor, promote: tl.constexpr, accumulator: tl.constexpr
) -> tl.tensor:
    """total + x·y; `promote` 0 for everything but FP8."""
    if promote > 0:
        total = tl.dot(x, y, total, max_num_imprecise_acc=promote, out_dtype=accumulator)
    else:
        total = tl.dot(x, y, total, out_dtype=accumulator)
    return total


@triton.jit
def _scaled(
    total: tl.tensor,
    scale_a: tl.tensor,
    scale_b: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    how: tl.constexpr,
) -> tl.tensor:
    """The sums times the scales of their rows and columns. One factor after the other: their product may overflow."""
    if how == 1:
        total = total * tl.load(scale_a) * tl.load(scale_b)
    elif how == 2:
        total = total * tl.load(scale_a + rows, mask=rows < m, other=0.0)[:, None]
        total = total * tl.load(scale_b + columns, mask=columns < n, other=0.0)[None, :]
    return total


@triton.jit
def product(
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    scale_a: tl.tensor,
    scale_b: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    k: tl.tensor,
    stride_ab: tl.tensor,
    stride_am: tl.tensor,
    stride_ak: tl.tensor,
    stride_bb: tl.tensor,
    stride_bk: tl.tensor,
    stride_bn: tl.tensor,
    accumulator: tl.constexpr,
    scaling: tl.constexpr,
    promote: tl.constexpr,
    even: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group_m: tl.constexpr,
) -> None:
    """c[batch] = a[batch]·b[batch]: one program a tile of c, which is contiguous; a and b by any strides.

    `even`: the blocks divide m, n and k, and nothing needs a mask. Whole tiles are reached by 64-bit offsets, what is
    inside a tile by 32-bit ones.
    """
    tiles_m = tl.cdiv(m, block_m)
    tiles_n = tl.cdiv(n, block_n)
    number = tl.program_id(0)
    batch = (number // (tiles_m * tiles_n)).to(tl.int64)
    tile_m, tile_n = _place(number % (tiles_m * tiles_n), tiles_m, tiles_n, group_m)
    first_m = (tile_m * block_m).to(tl.int64)
    first_n = (tile_n * block_n).to(tl.int64)
    in_m = tl.arange(0, block_m)
    in_n = tl.arange(0, block_n)
    in_k = tl.arange(0, block_k)
    row_inside = in_m < m - tile_m * block_m
    column_inside = in_n < n - tile_n * block_n

    a += batch * stride_ab + first_m * stride_am
    b += batch * stride_bb + first_n * stride_bn
    a_block = a + in_m[:, None] * stride_am + in_k[None, :] * stride_ak
    b_block = b + in_k[:, None] * stride_bk + in_n[None, :] * stride_bn
    total = tl.zeros((block_m, block_n), dtype=accumulator)
    for first_k in range(0, k, block_k):
        if even:
            x = tl.load(a_block)
            y = tl.load(b_block)
        else:
            term_inside = in_k < k - first_k
            x = tl.load(a_block, mask=row_inside[:, None] & term_inside[None, :], other=0.0)
            y = tl.load(b_block, mask=term_inside[:, None] & column_inside[None, :], other=0.0)
        total = _multiplied(x, y, total, promote, accumulator)
        a_block += block_k * stride_ak
        b_block += block_k * stride_bk

    total = _scaled(total, scale_a, scale_b, tile_m * block_m + in_m, tile_n * block_n + in_n, m, n, scaling)
    c += batch * m * n + first_m * n + first_n
    c_block = c + in_m[:, None] * n + in_n[None, :]
    if even:
        tl.store(c_block, total.to(c.dtype.element_ty))
    else:
        tl.store(c_block, total.to(c.dtype.element_ty), mask=row_inside[:, None] & column_inside[None, :])


@triton.jit
def product_by_descriptor(
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    scale_a: tl.tensor,
    scale_b: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    k: tl.tensor,
    trans_a: tl.constexpr,
    trans_b: tl.constexpr,
    accumulator: tl.constexpr,
    scaling: tl.constexpr,
    promote: tl.constexpr,
    programs: tl.constexpr,
    block_m: tl.constexpr,
    block_n: tl.constexpr,
    block_k: tl.constexpr,
    group_m: tl.constexpr,
    halves: tl.constexpr,
    specialize: tl.constexpr,
) -> None:
    """c = a·b by tensor descriptors (TMA on NVIDIA's sm_90 and newer): loads past an edge give zeros, stores none.

    `programs` programs work through all tiles, and the loads of the next tile begin while this one is stored. A tile
    is stored in `halves` pieces, for which less shared memory has to be free.
    """
    tiles_m = tl.cdiv(m, block_m)
    tiles_n = tl.cdiv(n, block_n)
    # The stored tile is counted apart: the loop is pipelined, and loads run ahead of stores.
    stored = tl.program_id(0) - programs
    for number in tl.range(tl.program_id(0), tiles_m * tiles_n, programs, flatten=True, warp_specialize=specialize):
        tile_m, tile_n = _place(number, tiles_m, tiles_n, group_m)
        total = tl.zeros((block_m, block_n), dtype=accumulator)
        for step in range(tl.cdiv(k, block_k)):
            if trans_a:  # noqa: SIM108 (a branch of tl.constexpr: the other one is not compiled)
                x = a.load([step * block_k, tile_m * block_m]).T
            else:
                x = a.load([tile_m * block_m, step * block_k])
            if trans_b:  # noqa: SIM108 (as above)
                y = b.load([tile_n * block_n, step * block_k]).T
            else:
                y = b.load([step * block_k, tile_n * block_n])
            total = _multiplied(x, y, total, promote, accumulator)

        stored += programs
        tile_m, tile_n = _place(stored, tiles_m, tiles_n, group_m)
        row, column = tile_m * block_m, tile_n * block_n
        rows, columns = row + tl.arange(0, block_m), column + tl.arange(0, block_n)
        total = _scaled(total, scale_a, scale_b, rows, columns, m, n, scaling)
        if halves == 1:
            c.store([row, column], total.to(c.dtype))
        else:
            pieces = tl.permute(tl.reshape(total, (block_m, 2, block_n // 2)), (0, 2, 1))
            left, right = tl.split(pieces)
            c.store([row, column], left.to(c.dtype))
            c.store([row, column + block_n // 2], right.to(c.dtype))


def by_descriptor(config: Config) -> bool:
    """Whether a config is one of the descriptor kernel."""
    return "halves" in dict(config.constants)


def launcher(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    config: Config,
    *,
    accumulator: str,
    scales: tuple[torch.Tensor, torch.Tensor] | None = None,
    units: int = 1,
) -> Launch:
    """A call that writes a·b to `c` and returns it: a (…, m, k), b (…, k, n) and contiguous c (…, m, n), with the same
    leading batch or none.

    `accumulator` is the name of a Triton type. `scales` are float32: one element each, or m and n. `units` programs run
    where the loop over tiles is inside the kernel.
    """
    left, right, how = a, b, NO_SCALE
    if scales is not None:
        left, right = scales
        how = BY_TENSOR if left.numel() == right.numel() == 1 else BY_ROW
    fp8 = a.element_size() == 1 and a.dtype.is_floating_point
    common = {
        **config.arguments(),
        "accumulator": getattr(tl, accumulator),
        "scaling": how,
        "promote": min(PROMOTE_AFTER, config["block_k"]) if fp8 else 0,
    }
    make = _descriptor_call if by_descriptor(config) else _pointer_call
    return make(a, b, c, (left, right), config, common, units)


def _pointer_call(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    scales: tuple[torch.Tensor, torch.Tensor],
    config: Config,
    common: dict[str, Any],
    units: int,
) -> Launch:
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    batch = a.shape[0] if a.dim() == 3 else 1
    stride_ab, stride_bb = (tensor.stride(0) if tensor.dim() == 3 else 0 for tensor in (a, b))
    strides = (stride_ab, a.stride(-2), a.stride(-1), stride_bb, b.stride(-2), b.stride(-1))
    sizes = {"block_m": m, "block_n": n, "block_k": k}
    even = all(size % config[name] == 0 for name, size in sizes.items())
    grid = (batch * triton.cdiv(m, config["block_m"]) * triton.cdiv(n, config["block_n"]),)
    return Launch(product, grid, (a, b, c, *scales, m, n, k, *strides), {"even": even, **common}, c)


def _descriptor_call(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    scales: tuple[torch.Tensor, torch.Tensor],
    config: Config,
    common: dict[str, Any],
    units: int,
) -> Launch:
    from triton.tools.tensor_descriptor import TensorDescriptor

    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    block_m, block_n, block_k = (config[name] for name in ("block_m", "block_n", "block_k"))
    # A descriptor is of a tensor as it lies: the last dimension is the contiguous one.
    trans_a, trans_b = a.stride(-1) != 1, b.stride(-1) != 1
    described = (
        TensorDescriptor.from_tensor(a.t(), [block_k, block_m])
        if trans_a
        else TensorDescriptor.from_tensor(a, [block_m, block_k]),
        TensorDescriptor.from_tensor(b.t(), [block_n, block_k])
        if trans_b
        else TensorDescriptor.from_tensor(b, [block_k, block_n]),
        TensorDescriptor.from_tensor(c, [block_m, block_n // config["halves"]]),
    )
    programs = min(units, triton.cdiv(m, block_m) * triton.cdiv(n, block_n))
    constants = {"trans_a": trans_a, "trans_b": trans_b, "programs": programs, **common}
    return Launch(product_by_descriptor, (programs,), (*described, *scales, m, n, k), constants, c)


def describable(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> bool:
    """Whether tensor descriptors can hold the three: matrices without batch, 16-byte aligned, rows too."""
    if a.dim() != 2:
        return False
    return all(
        min(tensor.stride()) == 1
        and max(tensor.stride()) * tensor.element_size() % 16 == 0
        and tensor.data_ptr() % 16 == 0
        for tensor in (a, b, c)
    )
