"""gemm by this package's own Triton kernels: what they support, and how their tile sizes are chosen.

The kernels are in `kernels.gemm.triton_product`, which is imported only when a call is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from bench.precision import PRECISIONS
from kernels.gemm.operands import operands, output_shape, sizes
from kernels.gemm.tiles import Product, candidates
from kernels.tensors import OUTPUT_BYTES, cuda_capability, poisoned
from kernels.triton_tuning import INTERPRETER, Config, best_config, family, triton_reason

if TYPE_CHECKING:
    import torch

LONGEST: Final = 1 << 22
"""Longest row or column that the kernels take: inside a tile of up to 256 rows offsets are of 32 bits."""
TRITON_TYPES: Final = {"fp16": "float16", "fp32": "float32", "int32": "int32"}
"""Triton's names of the accumulators."""
FP8_AMD: Final = ("gfx942", "gfx950", "gfx12")
DESCRIPTOR_FAMILIES: Final = ("sm_90", "sm_100", "sm_120", INTERPRETER)
"""Where tensor descriptors are hardware: NVIDIA's TMA, from compute capability 9.0."""


def triton_gemm_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why the Triton kernels can't take a case; "" when they can."""
    reason = triton_reason(device)
    if reason:
        return reason
    if precision == "fp8" and not device.architecture.startswith(FP8_AMD) and cuda_capability(device) < (8, 9):
        return "FP8 units need compute capability 8.9 or newer, or AMD gfx942, gfx950, gfx12"
    if max(sizes(case)[1:]) > LONGEST:
        return f"m, n and k have to be at most {LONGEST}: offsets inside a tile are 32 bits wide"
    return ""


def _fp16_reason(case: Case, precision: str, device: DeviceView) -> str:
    if device.vendor == "amd":
        return "AMD's matrix units sum FP16 products in FP32 only"
    return triton_gemm_reason(case, precision, device)


class TritonProducts:
    """Implementations in Triton, for `Gemm` to inherit."""

    @implementation(
        "triton", precisions=("bf16", "fp16", "fp8", "int8"), devices=("cuda",), supports=triton_gemm_reason
    )
    def triton_product(self, inputs: Inputs) -> Call:
        """This package's Triton kernels: grouped tiles, TMA where there is one; sizes chosen by measuring."""
        return build(inputs, PRECISIONS[inputs.precision].accumulate)

    @implementation(
        "triton-accumulate-fp16",
        precisions=("fp16",),
        devices=("cuda",),
        accumulate={"fp16": "fp16"},
        supports=_fp16_reason,
    )
    def triton_accumulate_fp16(self, inputs: Inputs) -> Call:
        """The same with sums kept in FP16, for which NVIDIA's consumer cards have a higher rating of their own."""
        return build(inputs, "fp16")


def build(inputs: Inputs, accumulate: str) -> Call:
    """The timed call. B of 8-bit elements is packed as (n, k) beforehand, which is all that 8-bit wgmma takes; a
    transposed 8-bit A is copied inside the call, as in the libraries' implementations."""
    import torch

    from kernels.gemm import triton_product

    a, b = operands(inputs)
    output = torch.bfloat16 if inputs.precision == "fp8" else torch.int32 if inputs.precision == "int8" else a.dtype
    c = poisoned(output_shape(inputs.case), output, inputs.device)
    packed = a
    if a.element_size() == 1:
        b = b.transpose(-2, -1).contiguous().transpose(-2, -1)
        packed = torch.empty_like(a, memory_format=torch.contiguous_format) if inputs.case["trans_a"] else a
        if packed is not a:
            packed.copy_(a)  # what the choice of sizes below is measured on
    scales = _unit_scales(inputs)

    def launch(config: Config) -> Call:
        return triton_product.launcher(
            packed,
            b,
            c,
            config,
            accumulator=TRITON_TYPES[accumulate],
            scales=scales,
            units=inputs.device.units,
        )

    configs = configs_for(inputs, descriptors=triton_product.describable(packed, b, c))
    key = f"gemm {inputs.precision}/{accumulate} {sorted(inputs.case.items())}"
    call = launch(best_config(key, configs, launch, inputs.device, triton_product))
    if packed is a:
        return call

    def copy_and_call() -> torch.Tensor:
        packed.copy_(a)
        output: torch.Tensor = call()
        return output

    return copy_and_call


def configs_for(inputs: Inputs, *, descriptors: bool) -> list[Config]:
    """What is tried for a case: tile sizes, with tensor descriptors where the device and its Triton have them."""
    batch, m, n, k = sizes(inputs.case)
    precision = PRECISIONS[inputs.precision]
    shape = Product(batch, m, n, k, precision.bits // 8, OUTPUT_BYTES[precision.output], inputs.device.units)
    kind = family(inputs.device)
    return candidates(kind, shape, descriptors=descriptors and kind in DESCRIPTOR_FAMILIES and _has_descriptors())


def _has_descriptors() -> bool:
    """Whether this Triton makes tensor descriptors on the host (from 3.4)."""
    import importlib.util

    return importlib.util.find_spec("triton.tools.tensor_descriptor") is not None


def _unit_scales(inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor] | None:
    """A scale of one for each of A and B, at FP8; read and multiplied by like any other."""
    import torch

    if inputs.precision != "fp8":
        return None
    one = torch.ones(1, dtype=torch.float32, device=inputs.device.torch_device)
    return one, one.clone()
