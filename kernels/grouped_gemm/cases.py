"""The grouped_gemm cases: in the full suite alone. Shapes come from public model configurations, cited beside them."""

from __future__ import annotations

from typing import Final, TypeAlias

from bench.kernel import Case, DeviceView

Mixture: TypeAlias = tuple[int, int, int, int, int]
"""(experts, top_k, tokens, n, k)"""

GPU_FULL: Final[tuple[Mixture, ...]] = (
    (8, 2, 4096, 14336, 4096),  # Mixtral 8x7B: hidden size 4096, feed-forward 14336, 2 of 8 experts
    # DeepSeek-V3: hidden size 7168, experts of 2048; an eighth of its 256 experts, as one of eight devices holds them,
    # with as many tokens for each as 8192 tokens give on all.
    (32, 8, 1024, 4096, 7168),
)

CPU_FULL: Final[tuple[Mixture, ...]] = (
    (16, 4, 128, 1408, 512),  # a small mixture with many tokens for each expert
    (64, 6, 8, 704, 512),  # generating: eight tokens, most experts idle
)


def suite_cases(suite: str, device: DeviceView) -> list[Case]:
    """None in the smaller suites: those hold what most devices are compared by."""
    if suite != "full":
        return []
    shapes = CPU_FULL if device.type == "cpu" else GPU_FULL
    return [dict(zip(("experts", "top_k", "tokens", "n", "k"), shape, strict=True)) for shape in shapes]
