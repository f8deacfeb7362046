"""What the built-in kernels share: seeded inputs, exact int8 products on FP32 units, and what a CPU's flags mean.

Importing this does not import torch; every function does it for itself.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Final

from bench.kernel import DATA, Case, DeviceView, Executed
from bench.precision import PRECISIONS

if TYPE_CHECKING:
    import torch

EXACT_INT8_TERMS: Final = 1024
"""Most int8 products that FP32 sums exactly: 1024 · (−128)² = 2**24, up to which every integer is an FP32 number."""

POOL_ELEMENTS: Final = 16_777_213
"""Most values drawn for one tensor; a larger one repeats them. Drawing takes a processor ten nanoseconds a value, which
for a GPU's inputs is many times what is measured. A prime, so that no two rows of a matrix are the same."""

TF32_DROPPED_BITS: Final = 13
"""Mantissa bits that FP32 (23) has and TF32 (10) has not (NVIDIA A100 whitepaper, "TF32")."""

OUTPUT_BYTES: Final = {"fp64": 8, "fp32": 4, "int32": 4, "bf16": 2, "fp16": 2}
"""Bytes of an element, by the name that `bench.precision.Precision.output` has for its type."""

# Flags as Linux spells them in /proc/cpuinfo, x86 first, then Arm.
INT8_FLAGS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
FP16_FLAGS: Final = frozenset({"avx512_fp16", "amx_fp16", "asimdhp", "asimdfhm"})
BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


# What oneDNN asks of an x86 processor (ideep: has_bf16_type_support, has_fp16_type_support), again as Linux spells it.
ONEDNN_BF16_FLAGS: Final = frozenset({"avx512bw", "avx512vl", "avx512dq"})
ONEDNN_INT8_FLAGS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def int8_units(device: DeviceView) -> bool:
    """Whether a CPU multiplies int8 with 32-bit accumulation in one instruction (VNNI, AMX, SDOT or I8MM)."""
    return not INT8_FLAGS.isdisjoint(device.isa)


def fp16_units(device: DeviceView) -> bool:
    """Whether a CPU multiplies FP16 without converting it first (AVX512-FP16, AMX-FP16, Arm's FP16 arithmetic)."""
    return not FP16_FLAGS.isdisjoint(device.isa)


def bf16_units(device: DeviceView) -> bool:
    """Whether a CPU multiplies BF16 without converting it first (AVX512-BF16, AMX-BF16, Arm's BF16 dot products)."""
    return not BF16_FLAGS.isdisjoint(device.isa)


def onednn_reason(precision: str, device: DeviceView) -> str:
    """Why torch's oneDNN has no fast and right path for fp16, bf16 or int8 on this CPU; "" when it has one.

    The conditions are torch's own (ATen/native/mkldnn/Utils.h: mkldnn_fp16_device_check, mkldnn_bf16_device_check).
    Where they fail, torch's FP16 and BF16 products are scalar loops; int8 products of oneDNN without VNNI sum pairs in
    saturating 16-bit registers and are wrong for full-range data.
    """
    isa = device.isa
    if precision == "fp16" and isa.isdisjoint({"avx512_fp16", "avx_ne_convert"}):
        return "torch has no fast FP16 on this CPU: oneDNN needs AVX512-FP16 or AVX-NE-CONVERT"
    if precision == "bf16" and not (isa >= ONEDNN_BF16_FLAGS or not isa.isdisjoint({"avx_ne_convert", "bf16"})):
        return "torch has no fast BF16 on this CPU: oneDNN needs AVX-512, AVX-NE-CONVERT or Arm's BF16 instructions"
    if precision == "int8" and isa.isdisjoint(ONEDNN_INT8_FLAGS):
        return "oneDNN's int8 products are exact with VNNI or AMX only; without them they saturate at 16 bits"
    return ""


def cuda_capability(device: DeviceView) -> tuple[int, int]:
    """NVIDIA's compute capability; (0, 0) for every other device, for torch gives AMD's a number of that form too."""
    return device.capability if device.capability and device.type == "cuda" and device.vendor != "amd" else (0, 0)


def tf32_reason(device: DeviceView) -> str:
    """Why the device has no TF32 units that torch uses; "" when it has."""
    if cuda_capability(device) >= (8, 0):
        return ""
    return "torch uses TF32 units on NVIDIA's GPUs only, from compute capability 8.0 on"


def native_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why torch's own product or convolution can't, or had better not, run at a precision; "" when it can.

    The signature is that of `bench.kernel.Supports`; the case makes no difference.
    """
    if precision == "tf32":
        return tf32_reason(device)
    if precision == "fp64" and device.type == "mps":
        return "Apple's GPUs have no FP64"
    return onednn_reason(precision, device) if device.type == "cpu" else ""


def int_mm_reason(m: int, n: int, k: int, device: DeviceView) -> str:
    """Why torch._int_mm can't, or had better not, multiply (m, k) by (k, n); "" when it can.

    The conditions are torch's own: ATen/native/LinearAlgebra.cpp for a CPU, cuda/Blas.cpp, mkldnn/xpu/Blas.cpp.
    """
    if device.type == "cuda":
        right = m > 16 and n % 8 == 0 and k % 8 == 0
        return "" if right else "torch._int_mm on CUDA needs m > 16, and n and k to be multiples of 8"
    if device.type == "cpu":
        return "" if "avx512_vnni" in device.isa else "torch._int_mm is a scalar loop on a CPU without AVX512-VNNI"
    return "" if device.type == "xpu" else f"torch._int_mm has no kernel for {device.type}"


def exact_on_fp32_reason(device: DeviceView) -> str:
    """Why int8 carried by FP32 units is out of place: the device has int8 units that torch reaches."""
    if device.type in ("cuda", "xpu"):
        return f"{device.type} has int8 units: FP32 would not measure them"
    if device.type == "cpu" and not onednn_reason("int8", device):
        return "this CPU has int8 units: FP32 would not measure them"
    return ""


def on_fp32_units(operations: int, precision: str) -> Executed:
    """What an implementation executes that converts its inputs and multiplies on the FP32 units."""
    if precision == "int8":
        note = "int8 products carried by the FP32 units: this device's torch has no exact int8 product"
    else:
        note = f"{precision} inputs are converted inside the call and multiplied by the FP32 units"
    return Executed(operations, "fp32", note)


def output_bytes(precision: str) -> int:
    """Bytes of one element of a product's output at a precision."""
    return OUTPUT_BYTES[PRECISIONS[precision].output]


def torch_dtype(precision: str, device: DeviceView) -> torch.dtype:
    """The storage type of a precision on a device.

    FP8 is OCP's e4m3fn everywhere but on AMD's gfx940–gfx942, whose units take the e4m3fnuz encoding only
    (AMD CDNA 3 ISA guide; `torch._scaled_mm` refuses the other one there).
    """
    import torch

    if precision == "fp8" and device.architecture.startswith("gfx94"):
        return torch.float8_e4m3fnuz
    dtype: torch.dtype = getattr(torch, PRECISIONS[precision].torch_dtype)
    return dtype


def fill(
    shape: tuple[int, ...],
    precision: str,
    data: str,
    device: DeviceView,
    generator: torch.Generator,
    *,
    memory_format: torch.memory_format | None = None,
) -> torch.Tensor:
    """A tensor of `shape` at `precision` on the device, filled as `data` (one of `bench.kernel.DATA`) says.

    Drawn from the CPU `generator` and then moved, so that a seed gives the same values on every device. Floating
    point: standard normal, or uniform over [−1, 1); int8: every integer of [−128, 127] alike for both. tf32 values
    are rounded to TF32 first, so that rounding them again changes nothing; fp32 values keep their full mantissa, so
    that a product that silently ran at TF32 fails its check. fp8 values stay far below saturation (448, or 240 for
    e4m3fnuz) at a scale of one. Beyond `POOL_ELEMENTS` the values repeat.
    """
    if data not in DATA:
        raise ValueError(f"data={data!r} is none of {', '.join(DATA)}")
    count = prod(shape)
    drawn = _drawn((min(count, POOL_ELEMENTS),), precision, data, generator)
    if precision == "tf32":
        drawn = round_to_tf32(drawn)
    pool = drawn.to(torch_dtype(precision, device)).to(device.torch_device)
    tensor = (pool if count <= POOL_ELEMENTS else _repeated(pool, count)).view(shape)
    return tensor if memory_format is None else tensor.contiguous(memory_format=memory_format)


def _repeated(pool: torch.Tensor, count: int) -> torch.Tensor:
    """`count` elements that repeat the pool, on its device."""
    import torch

    tensor = torch.empty(count, dtype=pool.dtype, device=pool.device)
    for start in range(0, count, len(pool)):
        tensor[start : start + len(pool)].copy_(pool[: count - start])
    return tensor


def _drawn(shape: tuple[int, ...], precision: str, data: str, generator: torch.Generator) -> torch.Tensor:
    """The values of `fill`, on the CPU, at the precision that they are drawn in."""
    import torch

    dtype = {"fp64": torch.float64, "int8": torch.int8}.get(precision, torch.float32)
    if data == "zeros":
        return torch.zeros(shape, dtype=dtype)
    if data == "ones":
        return torch.ones(shape, dtype=dtype)
    tensor = torch.empty(shape, dtype=dtype)
    if dtype == torch.int8:
        return tensor.random_(-128, 128, generator=generator)
    if data == "uniform":
        return tensor.uniform_(-1.0, 1.0, generator=generator)
    return tensor.normal_(generator=generator)


def round_to_tf32(tensor: torch.Tensor) -> torch.Tensor:
    """An FP32 tensor rounded to TF32's 10 mantissa bits, to nearest, ties away from zero; stored as FP32."""
    import torch

    half = 1 << (TF32_DROPPED_BITS - 1)
    bits = tensor.contiguous().view(torch.int32)
    return ((bits + half) & -(1 << TF32_DROPPED_BITS)).view(torch.float32)


def poisoned(shape: tuple[int, ...], dtype: torch.dtype, device: DeviceView) -> torch.Tensor:
    """An output buffer full of NaN, or of the smallest integer: a call that writes nothing can't pass its check.

    For implementations that write to one buffer, as a BLAS caller's do: a fresh output each call costs a CPU page
    faults, which are the allocator's time and not the kernel's.
    """
    import torch

    value = float("nan") if dtype.is_floating_point else torch.iinfo(dtype).min
    return torch.full(shape, value, dtype=dtype, device=device.torch_device)


def exact_int8_blocks(terms: int, products_per_term: int = 1) -> list[tuple[int, int]]:
    """Split a sum of `terms` · `products_per_term` int8 products into ranges of terms that FP32 sums exactly.

    As few and as even as can be; each holds at most `EXACT_INT8_TERMS` products. ValueError where one term has more.
    """
    longest = EXACT_INT8_TERMS // products_per_term
    if longest == 0:
        raise ValueError(f"{products_per_term} int8 products a term are more than FP32 sums exactly")
    count = -(-terms // longest)
    edges = [terms * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def exact_blocks_of_weights(magnitudes: torch.Tensor) -> list[tuple[int, int]]:
    """Split sums of int8 products into ranges of terms that FP32 sums exactly, given the weights that are in them.

    `magnitudes` (outputs, terms): what a term's weights add up to in absolute value. An activation is at most 128 in
    absolute value, so no partial sum of a range, in whatever order, exceeds 128 times what its magnitudes add up to,
    and every integer up to 2**24 is an FP32 number. Random weights allow ranges nearly twice as long as
    `exact_int8_blocks`. ValueError where one term is too much.
    """
    import torch

    terms = magnitudes.shape[1]
    sums = torch.nn.functional.pad(magnitudes.long().cumsum(1), (1, 0))
    for count in range(1, terms + 1):
        edges = [terms * i // count for i in range(count + 1)]
        if int(sums[:, edges].diff(dim=1).max()) <= EXACT_INT8_TERMS * 128:
            return list(pairwise(edges))
    raise ValueError("the weights of one term are more than FP32 sums exactly")


def needs_onednn() -> None:
    """NotImplementedError where torch was built without oneDNN, whose packed operators an implementation calls."""
    import torch

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch left it unannotated
        raise NotImplementedError("this torch was built without oneDNN")


def int8_matmul_on_fp32(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The exact int32 product of int8 `a` (…, m, k) and int8 `b` (…, k, n), carried by the FP32 units.

    Each block of at most `EXACT_INT8_TERMS` terms is exact in FP32 whatever the order of its sums, and the blocks are
    added as int32. Does not synchronise. Exact while k < 2**17, as int32 accumulation itself is.
    """
    import torch

    total: torch.Tensor | None = None
    for start, stop in exact_int8_blocks(a.shape[-1]):
        block = torch.matmul(a[..., start:stop].float(), b[..., start:stop, :].float()).to(torch.int32)
        total = block if total is None else total.add_(block)
    assert total is not None, "a case has k >= 1"
    return total
