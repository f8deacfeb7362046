"""Block sizes worth trying for attention in Triton, by architecture: data, and which of them suit a case.

Holds no kernel and imports neither torch nor Triton.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from kernels.triton_tuning import INTERPRETER, SHARED_MEMORY_BYTES, Config, config

CANDIDATES: Final = 5
"""Most block sizes that are tried for one case (ours): each costs a compilation of seconds, once."""
SMALLEST_ROWS: Final = 16
"""Least rows of a block: those of one matrix instruction."""
SMALLEST_BYTES: Final = 32
"""Least bytes of a row that one matrix instruction takes: 16 numbers of 16 bits, 32 of 8 bits."""
FEW_ROWS: Final = 256
"""Up to so many rows (queries times heads of a group) a KV head has few blocks, of `TALLEST_OF_FEW` rows at most, and
its keys may be split among programs."""
TALLEST_OF_FEW: Final = 64
SUMS_PER_THREAD: Final = 160
"""Most FP32 sums of the output that a thread may hold (ours): it has 255 registers, and the scores want theirs."""
WARP: Final = 32
AMD_OPTIONS: Final = (("matrix_instr_nonkdim", 16),)
"""16×16 matrix instructions rather than 32×32 on CDNA, as for products (`kernels.gemm.tiles`)."""

Block = tuple[int, int, int, int]
"""(rows, keys, warps, stages)"""

MANY: Final[dict[str, tuple[Block, ...]]] = {
    # Many rows. For mma.sync: what FlashAttention 2 and Triton's tutorial on fused attention use and try.
    # At head_dim 128 four warps spill with 128 rows (6 KB a thread, by the compiler's own report), eight hardly do.
    "sm_80": ((128, 64, 8, 3), (64, 64, 4, 3), (128, 32, 8, 3), (128, 64, 4, 3), (128, 128, 8, 2), (64, 32, 4, 3)),
    # A hundred KiB of shared memory instead of 164.
    "sm_89": ((128, 64, 8, 2), (64, 64, 4, 2), (128, 32, 8, 3), (128, 64, 4, 2), (64, 32, 4, 3), (64, 32, 4, 2)),
    # wgmma takes 64 rows a warp group: two groups of one block's rows.
    "sm_90": ((128, 128, 8, 2), (128, 64, 8, 3), (128, 64, 4, 3), (128, 128, 8, 3), (64, 64, 4, 3), (64, 128, 4, 2)),
    # tcgen05 takes 128 rows.
    "sm_100": ((128, 128, 8, 2), (128, 64, 8, 3), (128, 128, 4, 2), (128, 64, 4, 3), (256, 64, 8, 3), (64, 64, 4, 3)),
    # MFMA: one stage in LDS, the next in registers.
    "gfx9": ((128, 64, 4, 1), (128, 32, 4, 1), (256, 64, 8, 1), (128, 64, 8, 1), (64, 64, 4, 1), (64, 32, 4, 1)),
    "gfx11": ((128, 32, 8, 1), (64, 32, 4, 1), (64, 16, 4, 1), (32, 32, 4, 1)),
}
MANY["sm_86"] = MANY["sm_120"] = MANY["sm_89"]
MANY["gfx12"] = MANY["gfx11"]

SMALL: Final[tuple[Block, ...]] = ((64, 32, 4, 2), (64, 32, 8, 2), (32, 32, 4, 2), (32, 32, 4, 1))
"""For any architecture, after its own: FP32 and wide heads leave no room for more."""

VECTOR: Final[tuple[Block, ...]] = ((64, 32, 8, 1), (32, 32, 4, 1), (64, 32, 8, 2), (32, 64, 8, 1), (16, 32, 4, 1))
"""For FP32, whose products are multiply-adds on operands in registers: larger blocks spill, and compile for minutes."""

FEW: Final[tuple[tuple[int, int, int], ...]] = (
    *((64, 4, 3), (128, 4, 2), (32, 4, 4), (64, 8, 2), (32, 8, 2), (16, 4, 2)),
    *((32, 4, 1), (16, 4, 1)),
)
"""(keys, warps, stages) for few rows: the memory is the bound, so what counts is bytes in flight."""

WAVES: Final = (1, 2, 4)
"""Programs for each multiprocessor that the keys are split for, where there are few rows."""


@dataclass(frozen=True)
class Widths:
    """How wide the blocks are that hold a head: powers of two, of which a key may take two and a value takes one.

    head_dim 576 is 512 + 64, 96 is 64 + 32, 40 at 16 bits is 32 + 16; `rest` is 0 where one power of two is no more.
    """

    main: int
    rest: int
    value: int
    reuse: bool = False
    """Whether the first part of a key is all of its value, so that it is loaded once."""

    @property
    def total(self) -> int:
        return self.main + self.rest


def widths(case: Mapping[str, int], element_bytes: int) -> Widths:
    """Block widths of a case (`kernels.attention.shapes.integers`) whose elements have so many bytes."""
    least = max(16, SMALLEST_BYTES // element_bytes)
    head = case["head_dim"]
    whole = max(least, _next_power(head))
    main, rest = whole, 0
    if whole > head and whole // 2 >= least:
        half = whole // 2
        left = max(least, _next_power(head - half))
        if left < half:
            main, rest = half, left
    value = max(least, _next_power(case["value_dim"]))
    return Widths(main, rest, value, bool(case["shared_kv"]) and value == main == case["value_dim"])


def candidates(
    family: str, case: Mapping[str, int], element_bytes: int, units: int, *, matrix: bool = True
) -> list[Config]:
    """The sizes to try for a case, likely best first: those that fit it and the device's shared memory, if any does.

    Constants of each: block_rows, block_keys, splits (shares of the keys) and transpose (1: values of 8 bits are turned
    inside the call, for products that take them key by key). `units` are multiprocessors or compute units; `matrix` is
    whether matrix instructions execute the products.
    """
    fit = widths(case, element_bytes)
    rows = case["q_len"] * (case["heads"] // case["kv_heads"])
    if family == INTERPRETER:
        return [config(4, 2, block_rows=32, block_keys=32, splits=2 if rows <= FEW_ROWS else 1, transpose=0)]
    few = rows <= FEW_ROWS
    if few:
        tall = min(TALLEST_OF_FEW, max(SMALLEST_ROWS, _next_power(rows)))
        heights = dict.fromkeys((tall, SMALLEST_ROWS))  # wide heads leave no room for more than the least
        blocks: tuple[Block, ...] = tuple((height, *each) for height in heights for each in FEW)
    else:
        blocks = tuple(dict.fromkeys((*MANY[family], *SMALL))) if matrix else VECTOR
    fitting = [block for block in blocks if _fits(block, family, fit, element_bytes)]
    options = AMD_OPTIONS if family == "gfx9" else ()
    turned = (1, 0) if element_bytes == 1 and not few and not case["shared_kv"] else (0,)
    found = [
        config(warps, stages, options, block_rows=tall, block_keys=keys, splits=splits, transpose=transpose)
        for tall, keys, warps, stages in fitting
        for splits in (_splits(case, tall, keys, units) if few else (1,))
        for transpose in turned
    ]
    return found[:CANDIDATES]


def _fits(block: Block, family: str, fit: Widths, element_bytes: int) -> bool:
    rows, keys, warps, stages = block
    if keys * element_bytes < SMALLEST_BYTES:
        return False
    if rows * fit.value > SUMS_PER_THREAD * warps * WARP:
        return False
    of_keys = fit.total + (0 if fit.reuse else fit.value)
    # Queries, keys and values, and the weights on their way from one product to the other.
    shared = (stages * keys * of_keys + rows * (fit.total + keys)) * element_bytes
    return shared <= SHARED_MEMORY_BYTES[family]


def _splits(case: Mapping[str, int], block_rows: int, block_keys: int, units: int) -> tuple[int, ...]:
    """Shares of the keys that give every multiprocessor something to do, at least one block of keys each."""
    rows = case["q_len"] * (case["heads"] // case["kv_heads"])
    programs = case["batch"] * case["kv_heads"] * ceil(rows / block_rows)
    blocks = ceil(case["kv_len"] / block_keys)
    wanted = {max(1, min(blocks, ceil(waves * units / programs))) for waves in WAVES}
    return tuple(sorted(wanted))


def _next_power(size: int) -> int:
    return 1 << (size - 1).bit_length()
