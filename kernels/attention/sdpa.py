"""Attention by torch's scaled_dot_product_attention, each backend on its own, and by two plain products.

What a backend takes is said in `support`; one that refuses all the same raises when it is built. None falls back: all
other backends are off during the call. The CUDA backends follow torch's source and have not run on a GPU here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from bench.kernel import Call, Inputs, implementation
from kernels.attention.operands import values
from kernels.attention.shapes import integers
from kernels.attention.support import (
    SIXTEEN_BITS,
    cpu_flash_supports,
    cudnn_supports,
    efficient_executed,
    efficient_supports,
    elsewhere_supports,
    flash_executed,
    flash_supports,
    math_executed,
    math_supports,
    matmul_supports,
    upcast_executed,
)

if TYPE_CHECKING:
    import torch


@implementation(
    "flash",
    precisions=("fp64", "fp32", "bf16", "fp16"),
    devices=("cpu", "cuda"),
    supports=flash_supports,
    executed=flash_executed,
)
def flash(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, flash backend alone (on a CPU: its flash kernel)."""
    return _backend_call(inputs, "FLASH_ATTENTION")


@implementation("cudnn", precisions=SIXTEEN_BITS, devices=("cuda",), supports=cudnn_supports)
def cudnn(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, cuDNN backend alone."""
    return _backend_call(inputs, "CUDNN_ATTENTION")


@implementation(
    "efficient",
    precisions=("fp32", "bf16", "fp16"),
    devices=("cuda",),
    supports=efficient_supports,
    executed=efficient_executed,
)
def efficient(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, memory-efficient backend alone."""
    return _backend_call(inputs, "EFFICIENT_ATTENTION")


@implementation(
    "math",
    precisions=("fp64", "fp32", "tf32", "bf16", "fp16"),
    devices=("cpu", "cuda"),
    supports=math_supports,
    executed=math_executed,
)
def math(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA, math backend alone: plain products, scores written out."""
    return _backend_call(inputs, "MATH")


@implementation("sdpa", precisions=("fp64", "fp32", "bf16", "fp16"), supports=elsewhere_supports)
def sdpa(kernel: Any, inputs: Inputs) -> Call:
    """torch SDPA with torch's own choice of backend, for devices whose backends it does not name."""
    from torch.nn.functional import scaled_dot_product_attention

    arguments = _arguments(inputs, "")
    return lambda: scaled_dot_product_attention(**arguments)


@implementation(
    "upcast", precisions=SIXTEEN_BITS, devices=("cpu",), supports=cpu_flash_supports, executed=upcast_executed
)
def upcast(kernel: Any, inputs: Inputs) -> Call:
    """torch's flash kernel on FP32 copies of the inputs, made inside the call."""
    from torch.nn.functional import scaled_dot_product_attention

    arguments = _arguments(inputs, "FLASH_ATTENTION")
    q, k, v = (arguments.pop(name) for name in ("query", "key", "value"))
    bias = arguments.pop("attn_mask") if "bias" in inputs.tensors else None
    only = _only("FLASH_ATTENTION")

    def call() -> torch.Tensor:
        if bias is not None:
            arguments["attn_mask"] = bias.float()
        with only:
            return scaled_dot_product_attention(q.float(), k.float(), v.float(), **arguments).to(q.dtype)

    return call


@implementation(
    "matmul",
    precisions=("fp64", "fp32", "tf32", "bf16", "fp16"),
    supports=matmul_supports,
)
def matmul(kernel: Any, inputs: Inputs) -> Call:
    """Two products and a softmax written out, each at the case's own precision."""
    import torch

    c = integers(inputs.case)
    group = c["heads"] // c["kv_heads"]
    q = inputs["q"].view(c["batch"], c["kv_heads"], group * c["q_len"], c["head_dim"])
    k, v = inputs["k"].transpose(-1, -2), values(inputs)
    bias = inputs["bias"].view(c["kv_heads"], group * c["q_len"], c["kv_len"]) if c["bias"] else None
    hidden = _hidden(inputs)
    scale = 1.0 / sqrt(c["head_dim"])

    def call() -> torch.Tensor:
        scores = torch.matmul(q, k)
        scores *= scale
        if bias is not None:
            scores += bias
        if hidden is not None:
            scores.view(-1, c["q_len"], c["kv_len"]).masked_fill_(hidden, float("-inf"))
        return torch.matmul(torch.softmax(scores, -1), v).view(c["batch"], c["heads"], c["q_len"], -1)

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
    """SDPA's arguments; the causal mask, where one is needed, is aligned at the bottom right; a bias is its mask."""
    c = integers(inputs.case)
    arguments: dict[str, Any] = {"query": inputs["q"], "key": inputs["k"], "value": values(inputs)}
    if c["heads"] != c["kv_heads"]:
        arguments["enable_gqa"] = True
    if c["bias"]:
        return arguments | {"attn_mask": inputs["bias"].unsqueeze(0)}
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
    """NotImplementedError with torch's own reasons where its dispatcher would not choose the backend for this case: the
    row is unsupported then, and not failed."""
    import torch
    from torch.nn.attention import SDPBackend

    arguments = _arguments(inputs, "MATH")
    biased = "bias" in inputs.tensors
    if inputs.device.type == "cuda" and backend in ("FLASH_ATTENTION", "EFFICIENT_ATTENTION") and not biased:
        arguments.pop("attn_mask", None)  # these two get the bias subclass, which the dispatcher does not see
    with warnings.catch_warnings(record=True) as said, only:
        warnings.simplefilter("always")
        try:
            chosen = torch._fused_sdp_choice(**arguments)
        except RuntimeError as error:
            reasons = "; ".join(str(w.message).split("(Triggered")[0].strip() for w in said)
            raise NotImplementedError(f"torch refuses the backend {backend}: {reasons or error}") from None
    if chosen != int(getattr(SDPBackend, backend)):
        raise NotImplementedError(f"torch refuses the backend {backend} for this case at {inputs.precision}")
