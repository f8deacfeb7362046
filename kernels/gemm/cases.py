"""The gemm cases of each suite. Shapes with a name come from public model configurations, cited beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from bench.kernel import SUITES, Case, DeviceView

Shape: TypeAlias = tuple[int, int, int, int, int, int]
"""(batch, m, n, k, trans_a, trans_b)"""

# --- accelerators -------------------------------------------------------------------------------------------------

GPU_QUICK: Final[tuple[Shape, ...]] = ((1, 4096, 4096, 4096, 0, 0), (1, 8192, 8192, 8192, 0, 0))

GPU_STANDARD: Final[tuple[Shape, ...]] = (
    # Llama 3 8B: hidden size 4096, feed-forward 14336, 32 heads of which 8 for keys and values; 8192 tokens.
    (1, 8192, 6144, 4096, 0, 1),  # queries, keys and values; a linear layer's weight lies as (n, k)
    (1, 8192, 28672, 4096, 0, 1),  # gate and up
    (1, 8192, 4096, 14336, 0, 1),  # down
    (1, 14336, 4096, 8192, 1, 0),  # the gradient of down's weight
    # The same layers while generating: 1, 32 and 256 sequences.
    (1, 1, 28672, 4096, 0, 1),
    (1, 32, 4096, 14336, 0, 1),
    (1, 256, 6144, 4096, 0, 1),
    (128, 384, 384, 384, 0, 1),  # AlphaFold 2: triangle multiplication, 128 channels of a crop of 384 residues
)

GPU_FULL: Final[tuple[Shape, ...]] = (
    (1, 1024, 1024, 1024, 0, 0),
    (1, 2048, 2048, 2048, 0, 0),
    (1, 16384, 16384, 16384, 0, 0),
    # One off a multiple: tiles and waves that are not full, alignment that is lost.
    (1, 4095, 4095, 4095, 0, 0),
    (1, 4097, 4097, 4097, 0, 0),
    (1, 4096, 4096, 4096, 1, 0),
    (1, 4096, 4096, 4096, 0, 1),
    (1, 8192, 128256, 4096, 0, 1),  # Llama 3 8B: the vocabulary of 128256
    (1, 8192, 7168, 8192, 0, 1),  # Llama 3 70B: gate and up on one of 8 tensor-parallel ranks
    (1, 8192, 16, 8192, 0, 1),  # LoRA of rank 16 on Llama 2 70B: down, and up again
    (1, 8192, 8192, 16, 0, 1),
    (1, 8192, 2560, 320, 0, 1),  # Stable Diffusion 1: the gated feed-forward at 64×64, batch 2
    (1, 12288, 12288, 512, 1, 0),  # AlphaFold 2: outer product mean, 32 channels of 384 residues, 512 sequences
    (1, 521280, 576, 192, 0, 1),  # Pangu-Weather: queries, keys and values of the first layer, 8×360×181 tokens
    (1, 128, 512, 25088, 0, 1),  # iResNet-100 at 112×112: the embedding layer, batch 128
    (1, 1500, 5120, 1280, 0, 1),  # Whisper large: the encoder's feed-forward, 30 s of sound
    (1, 5124, 9124, 2560, 0, 0),  # DeepBench: a DeepSpeech layer
    (1, 262144, 64, 64, 0, 1),  # instant-ngp: a layer of 64 neurons for 2**18 samples
)

# --- processors ---------------------------------------------------------------------------------------------------

CPU_STANDARD: Final[tuple[Shape, ...]] = (
    # BERT base: hidden size 768, feed-forward 3072; 512 tokens.
    (1, 512, 3072, 768, 0, 1),
    (12, 512, 512, 64, 0, 1),  # its 12 heads' scores
    # OPT 1.3B: hidden size 2048, feed-forward 8192; one and 32 sequences while generating.
    (1, 1, 8192, 2048, 0, 1),
    (1, 32, 2048, 8192, 0, 1),
    (1, 2048, 16, 2048, 0, 1),  # LoRA of rank 16 on it, 2048 tokens
)

CPU_FULL: Final[tuple[Shape, ...]] = (
    (1, 256, 256, 256, 0, 0),
    (1, 1023, 1023, 1023, 0, 0),
    (1, 1025, 1025, 1025, 0, 0),
    (1, 3072, 768, 512, 1, 0),  # BERT base: the gradient of a feed-forward weight
    (1, 1500, 1280, 1280, 0, 1),  # Whisper large: an attention projection, 30 s of sound
    (1, 128, 512, 25088, 0, 1),  # iResNet-100 at 112×112: the embedding layer, batch 128
    (128, 128, 128, 128, 0, 1),  # AlphaFold 2: triangle multiplication, a crop of 128 residues
    (1, 16384, 64, 64, 0, 1),  # instant-ngp: a layer of 64 neurons
)


def suite_cases(suite: str, device: DeviceView) -> list[Case]:
    """The cases of a suite; each suite holds those of the one before it, so that their series go on."""
    if device.type == "cpu":
        side = cpu_side(device.units)
        square: Shape = (1, side, side, side, 0, 0)
        quick: tuple[Shape, ...] = (square, (1, side // 2, 2 * side, 2 * side, 0, 1))
        squares = ((1, 2 * side, 2 * side, 2 * side, 0, 0), (1, side, side, side, 1, 0), (1, side, side, side, 0, 1))
        chosen = (quick, (*squares, *CPU_STANDARD), CPU_FULL)
    else:
        chosen = (GPU_QUICK, GPU_STANDARD, GPU_FULL)
    return [_case(shape) for shape in _up_to(suite, chosen)]


def cpu_side(units: int) -> int:
    """The side of a square product that takes tens of milliseconds at FP32 on so many cores, each with AVX2 or more."""
    return 1024 if units <= 4 else 2048 if units <= 32 else 4096


def _up_to(suite: str, parts: tuple[tuple[Shape, ...], ...]) -> Iterable[Shape]:
    return [shape for part in parts[: SUITES.index(suite) + 1] for shape in part]


def _case(shape: Shape) -> Case:
    return dict(zip(("batch", "m", "n", "k", "trans_a", "trans_b"), shape, strict=True))
