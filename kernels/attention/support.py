"""What torch's attention backends take, why they refuse the rest, and which units really execute the work.

The conditions are those of torch's own dispatcher (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, torch 2.6 to
2.13), which has the last word when an implementation is built. Functions named `…_supports` are
`bench.kernel.Supports`: a reason, or "" where there is none. Those named `…_executed` say what is executed where that
is not the nominal work.
"""

from __future__ import annotations

from typing import Final

from bench.kernel import Case, DeviceView, Executed
from kernels.attention.shapes import integers, pairs
from kernels.tensors import bf16_units, fp16_units, native_reason, on_fp32_units, tf32_reason

SIXTEEN_BITS: Final = ("fp16", "bf16")
EIGHT_BITS: Final = ("int8", "fp8")
"""Precisions whose inputs have scales and whose output and bias are BF16."""
_AMPERE: Final = (8, 0)
_SCORE_COPIES: Final = 3
"""Score matrices alive at once where they are written out: the scores, the softmax and one temporary."""


def nominal_operations(case: Case) -> int:
    """2·batch·heads·(head_dim + value_dim)·pairs: two products, a multiply-add counting two; no softmax."""
    c = integers(case)
    return 2 * c["batch"] * c["heads"] * (c["head_dim"] + c["value_dim"]) * pairs(case)


def one_mask(case: Case) -> str:
    """SDPA takes `attn_mask` or `is_causal`; merging the two would be work of its own in every call."""
    c = integers(case)
    both = c["bias"] and c["causal"] and c["q_len"] > 1
    return "torch's attention takes a bias or a causal mask, not both" if both else ""


def _one_width(case: Case) -> str:
    c = integers(case)
    if c["value_dim"] == c["head_dim"]:
        return ""
    return (
        f"torch's flash attention wants values as wide as keys, not value_dim={c['value_dim']} "
        f"beside head_dim={c['head_dim']}"
    )


def cpu_flash_supports(case: Case, precision: str, device: DeviceView) -> str:
    return _one_width(case) or one_mask(case)


def flash_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type == "cpu":
        return cpu_flash_supports(case, precision, device)
    if precision not in SIXTEEN_BITS:
        return f"torch's flash attention on CUDA takes fp16 and bf16 only, not {precision}"
    if device.vendor == "nvidia" and (device.capability or (0, 0)) < _AMPERE:
        return f"torch's flash attention needs compute capability 8.0; {device.name or 'this GPU'} is older"
    if int(case["head_dim"]) > 256:
        return f"torch's flash attention takes head_dim up to 256, not {case['head_dim']}"
    return "torch's flash attention on CUDA takes no bias" if integers(case)["bias"] else _one_width(case)


def efficient_supports(case: Case, precision: str, device: DeviceView) -> str:
    if case["heads"] != case["kv_heads"]:
        return "torch's memory-efficient attention has no grouped KV heads"
    ampere = device.vendor != "nvidia" or (device.capability or (0, 0)) >= _AMPERE
    if precision == "bf16" and not ampere:
        return "torch's memory-efficient attention takes bf16 from compute capability 8.0"
    multiple = 8 if precision in SIXTEEN_BITS else (4 if ampere else 1)
    c = integers(case)
    for name in ("head_dim", "value_dim"):
        if c[name] % multiple:
            return (
                f"torch's memory-efficient attention takes {name} in multiples of {multiple} "
                f"at {precision}, not {c[name]}"
            )
    if device.vendor == "amd" and _one_width(case):  # one kernel of AOTriton stands behind both names
        return _one_width(case).replace("flash", "memory-efficient")
    return one_mask(case)


def cudnn_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.vendor == "amd":
        return "cuDNN is NVIDIA's; torch for AMD has no such backend"
    capability = device.capability or (0, 0)
    if capability < _AMPERE:
        return f"cuDNN attention in torch needs compute capability 8.0; {device.name or 'this GPU'} is older"
    limit = 256 if capability == (9, 0) else 128
    c = integers(case)
    for name in ("head_dim", "value_dim"):
        if c[name] > limit or c[name] % 8:
            return f"cuDNN attention in torch takes {name} in multiples of 8 up to {limit} here, not {c[name]}"
    if int(case["kv_len"]) == 1:
        return "cuDNN attention in torch does not take a single key"
    return one_mask(case)


def written_out_supports(case: Case, precision: str, device: DeviceView) -> str:
    """Both ways that hold the whole score matrix in memory."""
    reason = _unavailable(precision, device)
    if reason or device.memory_bytes is None:
        return reason
    c = integers(case)
    element = 8 if precision == "fp64" else 4
    scores = c["batch"] * c["heads"] * c["q_len"] * c["kv_len"] * element
    if _SCORE_COPIES * scores <= device.memory_bytes:
        return ""
    return (
        f"writes out the scores: {_SCORE_COPIES} × {scores / 2**30:.1f} GiB, "
        f"and the device has {device.memory_bytes / 2**30:.1f} GiB"
    )


def math_supports(case: Case, precision: str, device: DeviceView) -> str:
    return one_mask(case) or written_out_supports(case, precision, device)


def matmul_supports(case: Case, precision: str, device: DeviceView) -> str:
    return native_reason(case, precision, device) or written_out_supports(case, precision, device)


def _unavailable(precision: str, device: DeviceView) -> str:
    """Why torch cannot keep to the precision on the device; its math path converts 16 bits itself, so they are left."""
    if precision == "tf32":
        return tf32_reason(device)
    return "Apple's GPUs have no FP64" if precision == "fp64" and device.type == "mps" else ""


def _native_16_bit(precision: str, device: DeviceView) -> bool:
    """Whether a CPU multiplies the precision as it is; true of all that have more than 16 bits."""
    if precision not in SIXTEEN_BITS:
        return True
    return fp16_units(device) if precision == "fp16" else bf16_units(device)


def elsewhere_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type in ("cpu", "cuda"):
        return f"leaves the choice of backend to torch; on {device.type} each backend is an implementation of its own"
    return one_mask(case) or _unavailable(precision, device)


def flash_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    if device.type != "cpu" or _native_16_bit(precision, device):
        return None
    note = f"this CPU has no {precision} units: torch's kernel multiplies in FP32"
    return Executed(nominal_operations(case), "fp32", note)


def efficient_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """FP32 on tensor cores as three TF32 products (CUTLASS's OpMultiplyAddFastF32, as the kernel declares it)."""
    if precision != "fp32" or device.vendor != "nvidia" or (device.capability or (0, 0)) < _AMPERE:
        return None
    return Executed(3 * nominal_operations(case), "tf32", "FP32 products made of three TF32 products each (3xTF32)")


def math_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """torch's math backend converts 16-bit inputs to FP32 unless told that a 16-bit reduction will do."""
    if precision not in SIXTEEN_BITS:
        return None
    return Executed(nominal_operations(case), "fp32", "torch's math backend converts to FP32 first")


def upcast_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    return on_fp32_units(nominal_operations(case), precision)
