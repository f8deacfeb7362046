"""What a case of `peak` is made of: blocks of chains, and the limits within which every sum is exact."""

from __future__ import annotations

from typing import Final

from bench.kernel import Case, DeviceView

EDGE: Final = 16
"""Rows and columns of a tile of sums: what one AMX tile register holds."""
BLOCK_CHAINS: Final = 6 * EDGE * EDGE
"""Sums of the least that one thread takes, six tiles (`loops.c`): a multiple of every unit's vectors and tiles."""
LENGTH_STEP: Final = 2048
"""Every length is a multiple of it: FP16 counts so far without rounding, and every unroll divides it."""
LENGTH_MOST: Final = 2**24
"""FP32 counts so far without rounding, and int32 holds four times as much."""

CPU_LENGTH: Final = 2**18
CPU_LENGTH_AMX: Final = 2**22
"""Tile units do up to 64 times what vector units do in the same time, and all precisions share a case: at 3 GHz 2 ms of
AMX-INT8's 2,048 operations a cycle, a tenth of a second of AVX-512's FP64. Without them 1 to 16 ms."""
GPU_LENGTH: Final = 2**17
"""A millisecond or more."""
GPU_CHAINS: Final = 3 * 2**15
"""Per multiprocessor: three programs of the largest tile, six or more of the others, so that all finish together."""


def suite_case(device: DeviceView) -> dict[str, int | str]:
    """The one case of a device: a block for each core, or the same number of programs for each multiprocessor."""
    units = max(1, device.units)
    if device.type == "cpu":
        length = CPU_LENGTH_AMX if "amx_tile" in device.isa else CPU_LENGTH
        return {"chains": units * BLOCK_CHAINS, "length": length}
    return {"chains": units * GPU_CHAINS, "length": GPU_LENGTH}


def sizes(case: Case) -> tuple[int, int]:
    """(chains, length)."""
    return int(case["chains"]), int(case["length"])
