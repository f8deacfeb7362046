"""The spaces of products that `python -m bench find` searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.kernel import DeviceView

LIE: Final = (0, 1)
"""Values of trans_a and trans_b."""
CPU: Final = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
CPU_FINE: Final = tuple(range(64, 1025, 64))
GPU: Final = (256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384)
GPU_FINE: Final = tuple(range(1024, 10241, 512))


def search_spaces(device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
    """`grid`: powers of two and 3·2^k, operands transposed or not. `fine`: even steps, for quantisation cliffs."""
    grid, fine = (CPU, CPU_FINE) if device.type == "cpu" else (GPU, GPU_FINE)
    return {
        "grid": {"m": grid, "n": grid, "k": grid, "trans_a": LIE, "trans_b": LIE},
        "fine": {"m": fine, "n": fine, "k": fine, "trans_b": LIE},
    }
