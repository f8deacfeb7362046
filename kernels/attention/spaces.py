"""The spaces of attention problems that `python -m bench find` searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.kernel import DeviceView

MASKS: Final = (0, 1)
"""Values of causal."""
CPU_BATCHES: Final = (1, 2, 4)
CPU_HEADS: Final = (1, 2, 3, 4, 6, 8)
CPU_LENGTHS: Final = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)
CPU_HEAD_DIMS: Final = (16, 32, 40, 48, 64, 80, 96, 128)
GPU_BATCHES: Final = (1, 2, 4, 8, 16)
GPU_HEADS: Final = (4, 8, 12, 16, 20, 24, 32, 48, 64)
GPU_LENGTHS: Final = (512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384)
GPU_HEAD_DIMS: Final = (32, 40, 64, 80, 96, 128, 192, 256)


def search_spaces(device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
    """`prefill`: as many keys as queries and as many KV heads as heads, causal or not."""
    on_cpu = device.type == "cpu"
    return {
        "prefill": {
            "batch": CPU_BATCHES if on_cpu else GPU_BATCHES,
            "heads=kv_heads": CPU_HEADS if on_cpu else GPU_HEADS,
            "q_len=kv_len": CPU_LENGTHS if on_cpu else GPU_LENGTHS,
            "head_dim": CPU_HEAD_DIMS if on_cpu else GPU_HEAD_DIMS,
            "causal": MASKS,
        }
    }
