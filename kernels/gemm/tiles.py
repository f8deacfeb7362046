"""Tile sizes worth trying for a matrix product in Triton, by architecture: data, and which of them suit a shape.

Holds no kernel. Convolutions as implicit products choose from the same table.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from kernels.triton_tuning import INTERPRETER, SHARED_MEMORY_BYTES, Config, config

CANDIDATES: Final = 6
"""Most sizes that are tried for one shape (ours): each costs a compilation of a second or so, once."""
EDGE: Final = 48
"""What a tile costs beyond its products, in columns for each of its rows and the other way round (ours, unmeasured):
it ranks a large tile above small ones of the same area and is only there to choose what is tried."""
FULL_ROWS: Final = {"sm_90": 64, "sm_100": 128}
"""Rows that the newest matrix instruction needs (wgmma, tcgen05); a tile of fewer is made of older, slower ones."""
SLOWER: Final = 1.6
"""How much slower, roughly: mma.sync reaches some 60 % of an H100's rate (Luo et al., arXiv 2402.13499)."""
SMALLEST: Final = 16
"""Least rows and columns of a tile: those of one matrix instruction."""
AMD_OPTIONS: Final = (("matrix_instr_nonkdim", 16),)
"""16×16 matrix instructions rather than 32×32 on CDNA, as AMD's own Triton kernels have it."""


@dataclass(frozen=True)
class Product:
    """What tile sizes depend on: an (m, k) by (k, n) product, `count` of them, of elements of so many bytes."""

    count: int
    m: int
    n: int
    k: int
    element_bytes: int
    output_bytes: int
    units: int
    """Multiprocessors or compute units."""


Tile = tuple[int, int, int, int, int]
"""(rows, columns, bytes of k, warps, stages)"""

LARGE: Final[dict[str, tuple[Tile, ...]]] = {
    # For mma.sync and software pipelining, what Triton's matmul tutorial and torch inductor's mm templates try.
    "sm_80": (
        (128, 256, 64, 8, 4),
        (256, 128, 64, 8, 4),
        (128, 128, 128, 8, 3),
        (128, 128, 64, 4, 4),
        (128, 64, 128, 4, 4),
        (64, 128, 128, 4, 4),
        (64, 64, 128, 4, 4),
    ),
    # A hundred KiB of shared memory instead of 164.
    "sm_89": (
        (128, 256, 64, 8, 3),
        (128, 128, 64, 8, 4),
        (128, 128, 128, 8, 3),
        (128, 64, 128, 4, 3),
        (64, 128, 128, 4, 3),
        (64, 64, 128, 4, 4),
    ),
    # wgmma takes 64 rows a warp group; 128 bytes of k are the widest swizzle.
    "sm_90": (
        (128, 256, 128, 8, 4),
        (256, 128, 128, 8, 4),
        (128, 256, 128, 8, 3),
        (128, 128, 128, 8, 4),
        (128, 128, 128, 4, 4),
        (128, 64, 128, 4, 5),
        (64, 128, 128, 4, 5),
        (64, 64, 128, 4, 5),
    ),
    # tcgen05 takes 128 rows and keeps its sums in tensor memory.
    "sm_100": (
        (128, 256, 128, 8, 4),
        (128, 256, 128, 4, 3),
        (128, 128, 128, 4, 4),
        (128, 64, 128, 4, 5),
        (64, 128, 128, 4, 5),
        (64, 64, 128, 4, 5),
    ),
    # MFMA: two stages, the second of which is in registers.
    "gfx9": (
        (256, 256, 128, 8, 2),
        (256, 128, 128, 8, 2),
        (128, 256, 128, 8, 2),
        (128, 128, 128, 4, 2),
        (128, 128, 64, 4, 2),
        (128, 64, 128, 4, 2),
        (64, 128, 128, 4, 2),
        (64, 64, 128, 4, 2),
    ),
    # WMMA of RDNA 3 and 4.
    "gfx11": (
        (128, 128, 64, 8, 2),
        (128, 64, 64, 4, 2),
        (64, 128, 64, 4, 2),
        (64, 64, 64, 4, 2),
    ),
}
LARGE["sm_86"] = LARGE["sm_120"] = LARGE["sm_89"]
LARGE["gfx12"] = LARGE["gfx11"]

NARROW: Final[tuple[Tile, ...]] = (
    # Few rows or few columns, as in decoding: the memory is what bounds them, so many bytes of k at a time.
    (16, 128, 256, 4, 3),
    (16, 64, 256, 4, 4),
    (16, 32, 512, 4, 3),
    (32, 128, 128, 4, 4),
    (32, 64, 256, 4, 4),
    (64, 16, 256, 4, 4),
    (128, 16, 256, 4, 3),
    (64, 32, 256, 4, 4),
    (128, 32, 128, 4, 4),
    (32, 32, 256, 4, 4),
    (16, 16, 256, 4, 4),
)


def candidates(family: str, product: Product, *, descriptors: bool = False) -> list[Config]:
    """The sizes to try for a product, likely best first: those that fit the shape and the device's shared memory.

    Constants of each: block_m, block_n, block_k (elements), group_m; with `descriptors` all but the last are for the
    kernel that moves tiles by tensor descriptors (TMA) and have halves and specialize beside. At least one is returned.
    """
    if family == INTERPRETER:
        more = {"halves": 2, "specialize": 0} if descriptors else {}
        return [config(4, 2, (), block_m=32, block_n=32, block_k=64, group_m=2, **more)]
    tiles = (*LARGE[family], *NARROW)
    fitting = [
        tile for tile in tiles if _suits(tile, product) and _operands(tile, family) <= SHARED_MEMORY_BYTES[family]
    ]
    fitting = sorted(fitting, key=lambda tile: _cost(tile, family, product)) or [(SMALLEST, SMALLEST, 128, 4, 2)]
    if not descriptors:
        return [_config(tile, family, product) for tile in fitting[:CANDIDATES]]
    moved = [each for tile in fitting for each in _by_descriptor(tile, family, product)]
    return [*moved[: CANDIDATES - 1], _config(fitting[0], family, product)]


def _config(tile: Tile, family: str, product: Product, **more: int) -> Config:
    rows, columns, depth, warps, stages = tile
    shallow = max(32, _next_power(product.k)) * product.element_bytes  # 32: what an 8-bit instruction sums at least
    return config(
        warps,
        2 if family.startswith("gfx") else stages,
        AMD_OPTIONS if family == "gfx9" else (),
        block_m=rows,
        block_n=columns,
        block_k=min(depth, shallow) // product.element_bytes,
        group_m=8,
        **more,
    )


def _by_descriptor(tile: Tile, family: str, product: Product) -> list[Config]:
    """The tile for the descriptor kernel: its output goes through shared memory too, at once or in two halves.

    The loop over tiles is pipelined across them, so operands and output are there together. Warp specialisation of
    that loop is tried where Triton has it: on sm_100.
    """
    rows, columns, *_ = tile
    free = SHARED_MEMORY_BYTES[family] - _operands(tile, family)
    output = rows * columns * product.output_bytes
    halves = 1 if output <= free else 2
    if output > halves * free:
        return []
    special = (1, 0) if family == "sm_100" and rows == 128 else (0,)
    return [_config(tile, family, product, halves=halves, specialize=each) for each in special]


def _operands(tile: Tile, family: str) -> int:
    """Bytes of shared memory that the stages' operands take; AMD keeps one stage fewer there."""
    rows, columns, depth, _, stages = tile
    return (1 if family.startswith("gfx") else stages) * (rows + columns) * depth


def _suits(tile: Tile, product: Product) -> bool:
    """Whether the tile is not out of proportion: at most the next power of two above the shape, both ways."""
    rows, columns, *_ = tile
    return rows <= _next_power(product.m) and columns <= _next_power(product.n)


def _next_power(size: int) -> int:
    return max(SMALLEST, 1 << (size - 1).bit_length())


def _cost(tile: Tile, family: str, product: Product) -> float:
    """Full waves over the device, times what a tile costs: its products, and its edges' loads."""
    rows, columns, *_ = tile
    tiles = product.count * ceil(product.m / rows) * ceil(product.n / columns)
    slower = SLOWER if rows < FULL_ROWS.get(family, 0) else 1.0
    return ceil(tiles / product.units) * (slower * rows * columns + EDGE * (rows + columns))
