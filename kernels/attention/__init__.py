"""Scaled dot-product attention: softmax(q·kᵀ/√head_dim + bias)·v, grouped KV heads, causal or not, prefill and decode.

What the work is and what the right answer is. The implementations are in `sdpa`, `flex`, `int8` and
`triton_attention`, the cases in `shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Role, Work
from bench.precision import PRECISIONS, TOLERANCE_INT8_ATTENTION, UNIT_ROUNDOFF
from kernels.attention import flex as compiled
from kernels.attention import int8, shapes
from kernels.attention import sdpa as backends
from kernels.attention import triton_attention as own
from kernels.attention.reference import attention_rows
from kernels.attention.shapes import integers
from kernels.attention.spaces import search_spaces
from kernels.attention.support import EIGHT_BITS, nominal_operations
from kernels.tensors import fill

if TYPE_CHECKING:
    import torch

BIASES: Final = ("none", "heads")

_INT8_SPREAD: Final = 73.9
"""Standard deviation of the integers −128 … 127, all alike: √((256² − 1)/12)."""


class Attention(Kernel):
    """q (batch, heads, q_len, head_dim) over k (batch, kv_heads, kv_len, head_dim) and v (…, kv_len, value_dim).

    With shared_kv there is no v: it is the first value_dim elements of every key (multi-head latent attention decodes
    so). A bias (heads, q_len, kv_len) is added to the scaled scores, the same for each sequence of the batch.
    int8 and fp8 come with a scale for each of q, k and v; output and bias are BF16 there. A causal mask is aligned at
    the bottom right: the last query sees every key, as decoding and chunked prefill need it (torch's `is_causal` is
    aligned at the top left, which is the same only when q_len is kv_len).
    """

    name = "attention"
    summary = "scaled dot-product attention, grouped KV heads, causal or not, biased or not; prefill and decode"
    role = Role.COMPUTE
    precisions = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8")
    fields = (
        Field("batch", "sequences", default=1),
        Field("heads", "query heads"),
        Field("kv_heads", "key and value heads; they divide the query heads"),
        Field("q_len", "queries of a sequence; 1 is a decoding step"),
        Field("kv_len", "keys of a sequence"),
        Field("head_dim", "elements of a head"),
        Field(
            "causal",
            "1: a query sees the keys up to its own position, the last query all",
            default=0,
            minimum=0,
            maximum=1,
        ),
        Field("value_dim", "elements of a value; 0: as many as head_dim", default=0, minimum=0),
        Field("shared_kv", "1: a value is the first value_dim elements of its key", default=0, minimum=0, maximum=1),
        Field("bias", "heads: a number for each head, query and key is added", default="none", choices=BIASES),
    )

    flash = backends.flash
    cudnn = backends.cudnn
    efficient = backends.efficient
    math = backends.math
    sdpa = backends.sdpa
    upcast = backends.upcast
    matmul = backends.matmul
    onednn_int8 = int8.onednn_int8
    int_mm = int8.int_mm
    fp32_exact = int8.fp32_exact
    flex = compiled.flex
    triton = own.triton
    triton_mixed = own.triton_mixed

    @classmethod
    def complete_case(cls, given: Mapping[str, int | str]) -> dict[str, int | str]:
        """As the contract has it, but for the fields that came later: they are there only where they say something."""
        return shapes.named(super().complete_case(given))

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return shapes.cases(suite, device.type)

    def search_spaces(self, device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
        return search_spaces(device)

    def rejects(self, case: Case) -> str:
        c = integers(case)
        if c["heads"] % c["kv_heads"]:
            return f"kv_heads={c['kv_heads']} does not divide heads={c['heads']}"
        if c["causal"] and c["q_len"] > c["kv_len"]:
            return (
                f"causal=1 with q_len={c['q_len']} above kv_len={c['kv_len']}: "
                "the mask ends at the last key, so the first queries would see none"
            )
        if c["shared_kv"] and c["value_dim"] > c["head_dim"]:
            return (
                f"value_dim={c['value_dim']} above head_dim={c['head_dim']}: with shared_kv=1 a value is part of a key"
            )
        return ""

    def work(self, case: Case, precision: str) -> Work:
        """2·batch·heads·pairs·(head_dim + value_dim) operations; each input read once, shared keys and values once."""
        c = integers(case)
        element = PRECISIONS[precision].bits // 8
        queries, keys = c["batch"] * c["heads"] * c["q_len"], c["batch"] * c["kv_heads"] * c["kv_len"]
        key_elements = keys * (c["head_dim"] if c["shared_kv"] else c["head_dim"] + c["value_dim"])
        bias_elements = c["bias"] * c["heads"] * c["q_len"] * c["kv_len"]
        wide = 2 if precision in EIGHT_BITS else element
        return Work(
            operations=nominal_operations(case),
            bytes_read=(queries * c["head_dim"] + key_elements) * element + bias_elements * wide,
            bytes_written=queries * c["value_dim"] * wide,
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        import torch

        c = integers(case)
        shapes_of = {
            "q": (c["batch"], c["heads"], c["q_len"], c["head_dim"]),
            "k": (c["batch"], c["kv_heads"], c["kv_len"], c["head_dim"]),
            "v": (c["batch"], c["kv_heads"], c["kv_len"], c["value_dim"]),
        }
        if c["shared_kv"]:
            del shapes_of["v"]
        tensors = {name: fill(shape, precision, data, device, generator) for name, shape in shapes_of.items()}
        if precision in EIGHT_BITS:  # dequantised values spread like the normal data of the other precisions
            scale = torch.tensor(1.0 / _INT8_SPREAD if precision == "int8" else 1.0, device=device.torch_device)
            tensors |= {f"{name}_scale": scale.clone() for name in ("q", "k", "v")}
        if c["bias"]:
            wide = "bf16" if precision in EIGHT_BITS else precision
            tensors["bias"] = fill((c["heads"], c["q_len"], c["kv_len"]), wide, data, device, generator)
        return tensors

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        return attention_rows(inputs, rows)

    def output_rows(self, case: Case) -> int:
        c = integers(case)
        return c["batch"] * c["heads"] * c["q_len"]

    def reduction_length(self, case: Case) -> int:
        """head_dim + kv_len.

        Rounding errors of the first product, √head_dim·u relative to scores of order one, become relative errors of
        the weights of the same size; the second product adds √kv_len·u. Independent errors add in quadrature:
        √(head_dim + kv_len)·u.
        """
        return int(case["head_dim"]) + int(case["kv_len"])

    def tolerance(self, case: Case, precision: str, accumulate: str, output: str) -> float:
        """The rule, and the int8 figure of the design.

        The weights between the two products are rounded to the inputs' precision by the units themselves. Where the
        output is no wider (fp16, bf16) the rule's 4·u(output) covers that: on normal and uniform data over 77 to 16384
        keys torch's CPU flash kernel stays under 0.7·u(output), and `matmul`, which rounds its
        scores too, under 1.8 on normal data over up to 4096.
        A TF32 product gives FP32 output, so there 4·u(tf32) is added; FP32 through TF32 still fails as fp32.
        FP8 is another matter: four u(fp8) would be a quarter. There u(fp8) is added once, the most by which a rounded
        weight is off; weights that round independently stay under half of it.
        """
        if precision == "int8":
            return TOLERANCE_INT8_ATTENTION
        rule = super().tolerance(case, precision, accumulate, output)
        if precision == "fp8":
            return rule + UNIT_ROUNDOFF["fp8"]
        wider = UNIT_ROUNDOFF[precision] > UNIT_ROUNDOFF[output]
        return rule + (4.0 * UNIT_ROUNDOFF[precision] if wider else 0.0)
