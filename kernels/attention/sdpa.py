"""Attention by torch's scaled_dot_product_attention, each backend on its own, and by two plain products.

A backend that can't take a case says why in `supports`, from the checks of torch's own dispatcher
(aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, torch 2.6 to 2.13); one that refuses all the same raises at
build. None falls back: all other backends are off during the call. The CUDA backends were written from that source
and have not run on a GPU here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from bench.errors import UnavailableError
from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.attention.shapes import integers, pairs
from kernels.tensors import bf16_units, fp16_units, native_reason, on_fp32_units, tf32_reason

if TYPE_CHECKING:
    import torch

_16_BIT: Final = ("fp16", "bf16")
_AMPERE: Final = (8, 0)
_SCORE_COPIES: Final = 3
"""Score matrices alive at once where they are written out: the scores, the softmax and one temporary."""


def nominal_operations(case: Case) -> int:
    """4·batch·heads·head_dim·pairs: two products, a multiply-add counting two; no softmax."""
    c = integers(case)
    return 4 * c["batch"] * c["heads"] * c["head_dim"] * pairs(case)


# --- what each backend takes --------------------------------------------------------------------------------------


def _flash_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type == "cpu":
        return ""
    if precision not in _16_BIT:
        return f"torch's flash attention on CUDA takes fp16 and bf16 only, not {precision}"
    if device.vendor == "nvidia" and (device.capability or (0, 0)) < _AMPERE:
        return f"torch's flash attention needs compute capability 8.0; {device.name or 'this GPU'} is older"
    if int(case["head_dim"]) > 256:
        return f"torch's flash attention takes head_dim up to 256, not {case['head_dim']}"
    return ""


def _efficient_supports(case: Case, precision: str, device: DeviceView) -> str:
    if case["heads"] != case["kv_heads"]:
        return "torch's memory-efficient attention has no grouped KV heads"
    ampere = device.vendor != "nvidia" or (device.capability or (0, 0)) >= _AMPERE
    if precision == "bf16" and not ampere:
        return "torch's memory-efficient attention takes bf16 from compute capability 8.0"
    multiple = 8 if precision in _16_BIT else (4 if ampere else 1)
    if int(case["head_dim"]) % multiple:
        return (
            f"torch's memory-efficient attention takes head_dim in multiples of {multiple} "
            f"at {precision}, not {case['head_dim']}"
        )
    return ""


def _cudnn_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.vendor == "amd":
        return "cuDNN is NVIDIA's; torch for AMD has no such backend"
    capability = device.capability or (0, 0)
    if capability < _AMPERE:
        return f"cuDNN attention in torch needs compute capability 8.0; {device.name or 'this GPU'} is older"
    limit = 256 if capability == (9, 0) else 128
    if int(case["head_dim"]) > limit or int(case["head_dim"]) % 8:
        return f"cuDNN attention in torch takes head_dim in multiples of 8 up to {limit} here, not {case['head_dim']}"
    if int(case["kv_len"]) == 1:
        return "cuDNN attention in torch does not take a single key"
    return ""


def _written_out_supports(case: Case, precision: str, device: DeviceView) -> str:
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


def _matmul_supports(case: Case, precision: str, device: DeviceView) -> str:
    return native_reason(case, precision, device) or _written_out_supports(case, precision, device)


def _unavailable(precision: str, device: DeviceView) -> str:
    """Why torch cannot keep to the precision on the device; its math path converts 16 bits itself, so they are left."""
    if precision == "tf32":
        return tf32_reason(device)
    return "Apple's GPUs have no FP64" if precision == "fp64" and device.type == "mps" else ""


def _native_16_bit(precision: str, device: DeviceView) -> bool:
    """Whether a CPU multiplies the precision as it is; true of all that have more than 16 bits."""
    if precision not in _16_BIT:
        return True
    return fp16_units(device) if precision == "fp16" else bf16_units(device)


def _elsewhere_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type in ("cpu", "cuda"):
        return f"leaves the choice of backend to torch; on {device.type} each backend is an implementation of its own"
    return _unavailable(precision, device)


# --- what executes the work, where that is not the nominal precision ------------------------------------------------


def _flash_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    if device.type != "cpu" or _native_16_bit(precision, device):
        return None
    note = f"this CPU has no {precision} units: torch's kernel multiplies in FP32"
    return Executed(nominal_operations(case), "fp32", note)


def _efficient_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """FP32 on tensor cores as three TF32 products (CUTLASS's OpMultiplyAddFastF32, as the kernel declares it)."""
    if precision != "fp32" or device.vendor != "nvidia" or (device.capability or (0, 0)) < _AMPERE:
        return None
    return Executed(3 * nominal_operations(case), "tf32", "FP32 products made of three TF32 products each (3xTF32)")


def _math_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """torch's math backend converts 16-bit inputs to FP32 unless told that a 16-bit reduction will do."""
    if precision not in _16_BIT:
        return None
    return Executed(nominal_operations(case), "fp32", "torch's math backend converts to FP32 first")


def _upcast_executed(case: Case, precision: str, device: DeviceView) -> Executed | None:
    return on_fp32_units(nominal_operations(case), precision)


# --- the calls ------------------------------------------------------------------------------------------------------


@implementation(
    "flash",
    precisions=("fp64", "fp32", "bf16", "fp16"),
    devices=("cpu", "cuda"),
    supports=_flash_supports,
    executed=_flash_executed,
)
def flash(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, flash backend alone (on a CPU: its flash kernel)."""
    return _backend_call(inputs, "FLASH_ATTENTION")


@implementation("cudnn", precisions=_16_BIT, devices=("cuda",), supports=_cudnn_supports)
def cudnn(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, cuDNN backend alone."""
    return _backend_call(inputs, "CUDNN_ATTENTION")


@implementation(
    "efficient",
    precisions=("fp32", "bf16", "fp16"),
    devices=("cuda",),
    supports=_efficient_supports,
    executed=_efficient_executed,
)
def efficient(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, memory-efficient backend alone."""
    return _backend_call(inputs, "EFFICIENT_ATTENTION")


@implementation(
    "math",
    precisions=("fp64", "fp32", "tf32", "bf16", "fp16"),
    devices=("cpu", "cuda"),
    supports=_written_out_supports,
    executed=_math_executed,
)
def math(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, math backend alone: plain products, scores written out."""
    return _backend_call(inputs, "MATH")


@implementation("sdpa", precisions=("fp64", "fp32", "tf32", "bf16", "fp16"), supports=_elsewhere_supports)
def sdpa(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA with torch's own choice of backend, for devices whose backends it does not name."""
    from torch.nn.functional import scaled_dot_product_attention

    arguments = _arguments(inputs, "")
    return lambda: scaled_dot_product_attention(**arguments)


@implementation("upcast", precisions=_16_BIT, devices=("cpu",), executed=_upcast_executed)
def upcast(kernel: Any, inputs: Inputs) -> Call:
    """torch's flash kernel on FP32 copies of the inputs, made inside the call."""
    from torch.nn.functional import scaled_dot_product_attention

    arguments = _arguments(inputs, "FLASH_ATTENTION")
    q, k, v = (arguments.pop(name) for name in ("query", "key", "value"))
    only = _only("FLASH_ATTENTION")

    def call() -> torch.Tensor:
        with only:
            return scaled_dot_product_attention(q.float(), k.float(), v.float(), **arguments).to(q.dtype)

    return call


@implementation(
    "matmul",
    precisions=("fp64", "fp32", "tf32", "bf16", "fp16"),
    supports=_matmul_supports,
)
def matmul(kernel: Any, inputs: Inputs) -> Call:
    """Two products and a softmax written out, each at the case's own precision."""
    import torch

    c = integers(inputs.case)
    group = c["heads"] // c["kv_heads"]
    q = inputs["q"].view(c["batch"], c["kv_heads"], group * c["q_len"], c["head_dim"])
    k, v = inputs["k"].transpose(-1, -2), inputs["v"]
    hidden = _hidden(inputs)
    scale = 1.0 / sqrt(c["head_dim"])

    def call() -> torch.Tensor:
        scores = torch.matmul(q, k)
        scores *= scale
        if hidden is not None:
            scores.view(-1, c["q_len"], c["kv_len"]).masked_fill_(hidden, float("-inf"))
        return torch.matmul(torch.softmax(scores, -1), v).view(c["batch"], c["heads"], c["q_len"], c["head_dim"])

    return call


def _backend_call(inputs: Inputs, backend: str) -> Call:
    from torch.nn.functional import scaled_dot_product_attention

    arguments = _arguments(inputs, backend)
    only = _only(backend)
    _raise_if_refused(inputs, backend, only)

    def call() -> torch.Tensor:
        with only:
            return scaled_dot_product_attention(**arguments)

    return call


def _arguments(inputs: Inputs, backend: str) -> dict[str, Any]:
    """SDPA's arguments; the causal mask, where one is needed, is aligned at the bottom right."""
    c = integers(inputs.case)
    arguments: dict[str, Any] = {"query": inputs["q"], "key": inputs["k"], "value": inputs["v"]}
    if c["heads"] != c["kv_heads"]:
        arguments["enable_gqa"] = True
    if not c["causal"] or c["q_len"] == 1:  # the one query of a decoding step sees every key
        return arguments
    if c["q_len"] == c["kv_len"]:
        return arguments | {"is_causal": True}
    # is_causal is aligned at the top left, so the other alignment is a bias. The flash and memory-efficient kernels
    # know it without a mask in memory, by this subclass; the others are given the mask itself.
    if inputs.device.type == "cuda" and backend in ("FLASH_ATTENTION", "EFFICIENT_ATTENTION"):
        from torch.nn.attention.bias import causal_lower_right

        return arguments | {"attn_mask": causal_lower_right(c["q_len"], c["kv_len"])}
    hidden = _hidden(inputs)
    assert hidden is not None, "causal with several queries hides some keys"
    return arguments | {"attn_mask": ~hidden}


def _hidden(inputs: Inputs) -> torch.Tensor | None:
    """True where a query may not see a key, shape (q_len, kv_len); None where every query sees every key."""
    import torch

    c = integers(inputs.case)
    if not c["causal"] or c["q_len"] == 1:
        return None
    everything = torch.ones(c["q_len"], c["kv_len"], dtype=torch.bool, device=inputs["q"].device)
    return everything.triu_(c["kv_len"] - c["q_len"] + 1)


def _only(backend: str) -> _Switched:
    """A context in which SDPA has this one backend.

    `torch.nn.attention.sdpa_kernel` does the same for some 20 µs of Python a call, which a decoding step would show;
    the public switches under it cost about one.
    """
    import torch.backends.cuda as switches

    all_switches: dict[str, tuple[Callable[[bool], None], Callable[[], bool]]] = {
        "FLASH_ATTENTION": (switches.enable_flash_sdp, switches.flash_sdp_enabled),
        "EFFICIENT_ATTENTION": (switches.enable_mem_efficient_sdp, switches.mem_efficient_sdp_enabled),
        "CUDNN_ATTENTION": (switches.enable_cudnn_sdp, switches.cudnn_sdp_enabled),
        "MATH": (switches.enable_math_sdp, switches.math_sdp_enabled),
    }
    return _Switched(
        during=tuple((enable, name == backend) for name, (enable, _) in all_switches.items()),
        after=tuple((enable, enabled()) for enable, enabled in all_switches.values()),
    )


@dataclass(frozen=True)
class _Switched:
    """A context with each of `during`'s switches thrown, and `after`'s when it is left; may be entered many times."""

    during: tuple[tuple[Callable[[bool], None], bool], ...]
    after: tuple[tuple[Callable[[bool], None], bool], ...]

    def __enter__(self) -> None:
        for enable, on in self.during:
            enable(on)

    def __exit__(self, *raised: object) -> None:
        for enable, on in self.after:
            enable(on)


def _raise_if_refused(inputs: Inputs, backend: str, only: _Switched) -> None:
    """UnavailableError with torch's own reasons, where its dispatcher would not choose the backend for this case."""
    import torch
    from torch.nn.attention import SDPBackend

    arguments = _arguments(inputs, "MATH")
    if inputs.device.type == "cuda" and backend in ("FLASH_ATTENTION", "EFFICIENT_ATTENTION"):
        arguments.pop("attn_mask", None)  # these two get the bias subclass, which the dispatcher does not see
    with warnings.catch_warnings(record=True) as said, only:
        warnings.simplefilter("always")
        try:
            chosen = torch._fused_sdp_choice(**arguments)
        except RuntimeError as error:
            reasons = "; ".join(str(w.message).split("(Triggered")[0].strip() for w in said)
            raise UnavailableError(f"torch refuses the backend {backend}: {reasons or error}") from None
    if chosen != int(getattr(SDPBackend, backend)):
        raise UnavailableError(f"torch refuses the backend {backend} for this case at {inputs.precision}")
