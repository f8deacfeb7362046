"""Implementations of `peak` on a GPU, in Triton: matrix units by `tl.dot`, vector units by fused multiply-adds.

Written for CUDA and ROCm, tested in the interpreter and compiled for GPUs; no figure of them has been measured yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from bench.precision import PRECISIONS
from kernels.peak.processor import processor_reason
from kernels.peak.shapes import EDGE, sizes
from kernels.tensors import cuda_capability, poisoned, tf32_reason
from kernels.triton_tuning import INTERPRETER, Config, best_config, config, family, triton_reason

if TYPE_CHECKING:
    import torch

DOT_PRECISIONS: Final = ("fp64", "tf32", "bf16", "fp16", "fp8", "int8")
FMA_PRECISIONS: Final = ("fp64", "fp32")
FP64_TENSOR_CORES: Final = ((8, 0), (9, 0))
"""Compute capabilities whose tensor cores take FP64, twice as fast as the FP64 units, by way of Triton (from 3.5)."""
LEAST_TILE: Final = 64 * 64
"""Sums of the smallest program: `chains` is a multiple of it."""

Tile = tuple[int, int, int, int]
"""(rows, columns, bytes of k, warps)"""

TILES: Final[dict[str, tuple[Tile, ...]]] = {
    # mma.sync: both operands lie in registers, so little of k at a time leaves room for the sums.
    "sm_80": ((128, 128, 64, 4), (128, 128, 64, 8), (128, 256, 64, 8), (64, 64, 64, 4)),
    # wgmma reads its operands from shared memory, 64 rows a warp group; each step waits for it, so steps are long.
    "sm_90": (
        *((128, 256, 256, 8), (128, 256, 128, 8), (64, 256, 256, 4), (128, 128, 256, 4), (64, 128, 128, 4)),
        (64, 128, 256, 4),  # FP8's two sums in registers
    ),
    # tcgen05 takes 128 rows and keeps its sums in tensor memory; it is waited for too.
    "sm_100": ((128, 256, 256, 4), (128, 256, 128, 4), (128, 256, 256, 8), (128, 128, 256, 4)),
    # MFMA and WMMA: operands in registers.
    "gfx9": ((128, 128, 64, 4), (128, 128, 32, 4), (64, 64, 64, 4), (128, 256, 64, 8)),
    "gfx11": ((64, 64, 64, 4), (128, 64, 64, 4), (128, 128, 64, 8)),
    INTERPRETER: ((64, 64, 64, 4),),
}
TILES["sm_86"] = TILES["sm_89"] = TILES["sm_120"] = TILES["sm_80"]
TILES["gfx12"] = TILES["gfx11"]

FP64_TILES: Final[tuple[Tile, ...]] = ((64, 64, 128, 4), (128, 64, 128, 8), (64, 64, 128, 8))
"""mma.sync of FP64, all of it in registers."""

LANES: Final = ((2048, 4), (4096, 4), (4096, 8), (1024, 4))
"""(sums, warps) of a program of multiply-adds: 8 to 32 for each thread, where four to six hide the latency of one."""


def dot_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why `triton-dot` can't run; "" when it can."""
    reason = _reason(case, precision, device)
    if reason or precision not in ("fp64", "tf32", "fp8"):
        return reason
    if precision == "tf32":
        return tf32_reason(device)
    if precision == "fp64":
        able = cuda_capability(device) in FP64_TENSOR_CORES
        return "" if able else "Triton has FP64 tensor cores on compute capability 8.0 and 9.0; triton-fma has the rest"
    if device.vendor == "amd":
        able = device.architecture.startswith(("gfx94", "gfx95", "gfx12"))
    else:
        able = cuda_capability(device) >= (8, 9)
    return "" if able else "FP8 units are in compute capability 8.9 and newer, and in AMD's gfx94x, gfx95x and gfx12xx"


def fma_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why `triton-fma` can't run; "" when it can."""
    return _reason(case, precision, device)


def _reason(case: Case, precision: str, device: DeviceView) -> str:
    reason = processor_reason(precision, device) or triton_reason(device)
    if reason:
        return reason
    chains = sizes(case)[0]
    return "" if chains % LEAST_TILE == 0 else f"chains={chains} is no multiple of a program's {LEAST_TILE}"


class GraphicsLoops:
    """Triton's implementations, for `Peak` to inherit."""

    @implementation("triton-dot", precisions=DOT_PRECISIONS, supports=dot_reason)
    def triton_dot(self, inputs: Inputs) -> Call:
        """Triton's tl.dot of the same two tiles again and again: tensor cores or matrix cores."""
        from kernels.peak import triton_loops

        _, length = sizes(inputs.case)
        a, b, y = inputs["a"], inputs["b"], _output(inputs)

        def build(each: Config) -> Call:
            return triton_loops.dots(a, b, y, length, inputs.precision, each)

        return build(_chosen("dot", inputs, dot_configs, build))

    @implementation("triton-fma", precisions=FMA_PRECISIONS, supports=fma_reason)
    def triton_fma(self, inputs: Inputs) -> Call:
        """Triton's tl.fma into independent sums: the vector units."""
        from kernels.peak import triton_loops

        _, length = sizes(inputs.case)
        a, b, y = inputs["a"], inputs["b"], _output(inputs)

        def build(each: Config) -> Call:
            return triton_loops.multiply_adds(a, b, y, length, each)

        return build(_chosen("fma", inputs, fma_configs, build))


def fma_configs(precision: str, chains: int, device: DeviceView) -> list[Config]:
    """The ways to lay multiply-adds over programs that divide `chains`, likely best first."""
    lanes = [config(warps, 1, sums=sums) for sums, warps in LANES if chains % sums == 0]
    return lanes[:1] if device.type == "cpu" else lanes


def dot_configs(precision: str, chains: int, device: DeviceView) -> list[Config]:
    """The same for products of tiles."""
    element_bytes = PRECISIONS[precision].bits // 8
    name = family(device)
    # Triton has no tcgen05 product of integers: sm_100 runs them by mma.sync.
    tiles = TILES["sm_80" if name == "sm_100" and precision == "int8" else name]
    if precision == "fp64" and name != INTERPRETER:
        tiles = FP64_TILES
    return [
        config(warps, 1, rows=rows, columns=columns, depth=depth_bytes // element_bytes)
        for rows, columns, depth_bytes, warps in tiles
        if chains % (rows * columns) == 0
    ]


def _chosen(
    name: str,
    inputs: Inputs,
    configs: Callable[[str, int, DeviceView], list[Config]],
    build: Callable[[Config], Call],
) -> Config:
    from kernels.peak import triton_loops

    chains, length = sizes(inputs.case)
    found = configs(inputs.precision, chains, inputs.device)
    key = f"peak {name} {inputs.precision} {chains}x{length}"
    return best_config(key, found, build, inputs.device, triton_loops)


def _output(inputs: Inputs) -> torch.Tensor:
    import torch

    dtype = {"fp64": torch.float64, "int8": torch.int32}.get(inputs.precision, torch.float32)
    return poisoned((sizes(inputs.case)[0] // EDGE, EDGE), dtype, inputs.device)
