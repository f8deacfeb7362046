"""The Triton kernels of `peak` and their launch. Importing this imports Triton.

A program's sums are whole tiles of 16 × 16 of the output, one after the other, as `loops.c` has them.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Final

import triton
import triton.language as tl

from kernels.peak.shapes import EDGE
from kernels.triton_tuning import Config, Launch

if TYPE_CHECKING:
    import torch

TILE: Final = tl.constexpr(EDGE)
UNROLL: Final = tl.constexpr(16)
"""Multiply-adds into each sum per turn of the loop: its own few instructions take issue slots of the same scheduler. It
divides every length."""
FP8_TOGETHER: Final = 8192
"""FP8 products that the units may sum among themselves. Ada's and Hopper's drop what lies more than 13 bits below the
sum so far (Xie et al., "MMA-Sim", arXiv 2511.10909, and its source: e8m13): sums of equal products stop at 2**14."""


@triton.jit
def _dots(
    a: tl.tensor,
    b: tl.tensor,
    out: tl.tensor,
    steps: tl.tensor,
    together: tl.tensor,
    accumulator: tl.constexpr,
    tf32: tl.constexpr,
    fp8: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
) -> None:
    """One program: rows × columns sums, to each of which every step adds `depth` times its product.

    No step can be left out or moved: each takes the sums of the one before. The operands are spread from vectors, and
    not loaded as tiles, so that mma.sync and MFMA find them in registers: a tile would be read from shared memory again
    in every step. At FP8 `together` steps are summed apart, and that sum is added in FP32; `steps` is a multiple of it.
    """
    i = tl.arange(0, rows)
    j = tl.arange(0, columns)
    x = tl.broadcast_to(tl.load(a + i % TILE)[:, None], (rows, depth))
    y = tl.broadcast_to(tl.load(b + j % TILE)[None, :], (depth, columns))
    total = tl.zeros((rows, columns), dtype=accumulator)
    if fp8:
        for _ in range(0, steps, together):
            part = tl.zeros((rows, columns), dtype=accumulator)
            for _ in range(together):
                part = tl.dot(x, y, part, out_dtype=accumulator)
            total += part
    else:
        for _ in range(steps):
            if tf32:
                total = tl.dot(x, y, total, input_precision="tf32", out_dtype=accumulator)
            else:
                total = tl.dot(x, y, total, out_dtype=accumulator)
    out += tl.program_id(0).to(tl.int64) * (rows * columns)
    tile = (i // TILE)[:, None] * (columns // TILE) + (j // TILE)[None, :]
    tl.store(out + tile * (TILE * TILE) + (i % TILE)[:, None] * TILE + (j % TILE)[None, :], total)


@triton.jit
def _multiply_adds(a: tl.tensor, b: tl.tensor, out: tl.tensor, steps: tl.tensor, sums: tl.constexpr) -> None:
    """One program: `sums` sums, to each of which every step adds its product.

    `tl.fma`, and not x * y + total: the product would be the same in every step, and only the addition be repeated.
    """
    i = tl.arange(0, sums)
    x = tl.load(a + i // TILE % TILE)
    y = tl.load(b + i % TILE)
    total = tl.zeros((sums,), dtype=out.dtype.element_ty)
    for _ in range(steps // UNROLL):
        for _ in tl.static_range(UNROLL):
            total = tl.fma(x, y, total)
    tl.store(out + tl.program_id(0).to(tl.int64) * sums + i, total)


def dots(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, length: int, precision: str, config: Config) -> Launch:
    """A call that fills `out` (chains / 16, 16) with sums of `length` products by tl.dot, and returns it."""
    accumulator = {"int8": tl.int32, "fp64": tl.float64}.get(precision, tl.float32)
    grid = (out.numel() // (config["rows"] * config["columns"]),)
    steps, together = length // config["depth"], gcd(length, FP8_TOGETHER) // config["depth"]
    kind = {"accumulator": accumulator, "tf32": precision == "tf32", "fp8": precision == "fp8"}
    return Launch(_dots, grid, (a, b, out, steps, together), {**kind, **config.arguments()}, out)


def multiply_adds(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, length: int, config: Config) -> Launch:
    """The same by tl.fma, for fp32 and fp64."""
    grid = (out.numel() // config["sums"],)
    return Launch(_multiply_adds, grid, (a, b, out, length), config.arguments(), out)
