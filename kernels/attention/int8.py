"""Attention with both products in int8: blocks of queries over blocks of keys, softmax running along (FlashAttention).

The softmax weights of a key block are at most 1 after its row maximum is subtracted, and are rounded to the 256 levels
0 … 255; q, k and v are int8 as they come. Both products sum integers exactly; what carries them is a `Products`.
Quantising the weights, the softmax and every packing of K and V are inside the call: K and V are activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, Final

from bench.kernel import Call, Case, DeviceView, Executed, Inputs, implementation
from kernels.attention.operands import score_scale, value_scale, values
from kernels.attention.products import Fp32Products, IntMmProducts, OnednnProducts, Products
from kernels.attention.shapes import integers
from kernels.attention.support import nominal_operations
from kernels.tensors import EXACT_INT8_TERMS, exact_on_fp32_reason, int_mm_reason, on_fp32_units, onednn_reason

if TYPE_CHECKING:
    import torch

_LEVELS: Final = 255
_KEYS: Final = 512
"""Keys in a block: 512 · 255 · 128 < 2**24, so that FP32 sums a block of u8·s8 products exactly, in any order."""
_CAUSAL: Final = 256
"""Queries and keys in a block under a causal mask: smaller, since a block that the mask cuts is computed whole."""
_SCORES_PER_CORE: Final = 2**18
"""Scores alive at once, for each core: 1 MiB of FP32, so that the passes of the softmax stay in a cache."""
_NO_SCORE: Final = -1e30
"""Stands for the maximum of a row that a key block hides whole: finite, so that −inf minus it stays −inf."""


@dataclass(frozen=True)
class KeyBlock:
    """A span of keys as one query block sees it: `hidden` (queries, keys) is True where it may not, None nowhere."""

    number: int
    hidden: torch.Tensor | None


@dataclass(frozen=True)
class QueryBlock:
    """Queries `start` to `stop` and the key blocks that they see something of."""

    start: int
    stop: int
    keys: tuple[KeyBlock, ...]


@dataclass(frozen=True)
class Plan:
    """How one case is cut: spans of keys, blocks of queries, and how many KV heads are worked on at once."""

    spans: tuple[tuple[int, int], ...]
    queries: tuple[QueryBlock, ...]
    kv_heads: int


def plan(case: Case, cores: int) -> Plan:
    """Cut a case into blocks, with the masks of those that the causal diagonal crosses."""
    import torch

    c = integers(case)
    group = c["heads"] // c["kv_heads"]
    span = _CAUSAL if c["causal"] else _KEYS
    spans = tuple((start, min(start + span, c["kv_len"])) for start in range(0, c["kv_len"], span))
    budget = _SCORES_PER_CORE * cores
    width = min(span, c["kv_len"])
    step = max(1, min(c["q_len"], budget // (group * width), _CAUSAL if c["causal"] else c["q_len"]))
    masks: dict[tuple[int, int, int], torch.Tensor] = {}

    def key_block(number: int, first: int, queries: int) -> KeyBlock:
        start, stop = spans[number]
        diagonal = first + c["kv_len"] - c["q_len"] - start  # the first query sees the keys start … start + diagonal
        if not c["causal"] or diagonal >= stop - start - 1:
            return KeyBlock(number, None)
        key = (diagonal, queries, stop - start)
        if key not in masks:
            masks[key] = torch.ones(queries, stop - start, dtype=torch.bool).triu_(diagonal + 1)
        return KeyBlock(number, masks[key])

    def visible(stop: int) -> int:
        keys = stop + c["kv_len"] - c["q_len"] if c["causal"] else c["kv_len"]
        return sum(start < keys for start, _ in spans)

    blocks = []
    for first in range(0, c["q_len"], step):
        last = min(first + step, c["q_len"])
        blocks.append(QueryBlock(first, last, tuple(key_block(n, first, last - first) for n in range(visible(last)))))
    heads = max(1, min(c["batch"] * c["kv_heads"], budget // (group * step * width)))
    return Plan(spans, tuple(blocks), heads)


def _call(inputs: Inputs, products: Products) -> Call:
    """The timed call: everything from int8 q, k, v to the BF16 output."""
    import torch

    c = integers(inputs.case)
    group, value_dim = c["heads"] // c["kv_heads"], c["value_dim"]
    lots = c["batch"] * c["kv_heads"]
    q = inputs["q"].view(lots, group, c["q_len"], c["head_dim"])
    k, v = (each.view(lots, c["kv_len"], -1) for each in (inputs["k"], values(inputs)))
    cut = plan(inputs.case, inputs.device.units)
    scale, v_scale = score_scale(inputs), value_scale(inputs)

    def call() -> torch.Tensor:
        output = torch.empty(lots, group, c["q_len"], value_dim, dtype=torch.bfloat16)
        for low in range(0, lots, cut.kv_heads):
            chosen = slice(low, low + cut.kv_heads)
            keys = [products.keys(k[chosen, start:stop]) for start, stop in cut.spans]
            packed = [products.values(v[chosen, start:stop]) for start, stop in cut.spans]
            for block in cut.queries:
                rows = q[chosen, :, block.start : block.stop]
                result = _query_block(products, rows, block.keys, keys, packed, value_dim, scale)
                output[chosen, :, block.start : block.stop] = result.mul_(v_scale)
        return output.view(c["batch"], c["heads"], c["q_len"], value_dim)

    return call


def _query_block(
    products: Products,
    rows: torch.Tensor,
    seen: Sequence[KeyBlock],
    keys: Sequence[Any],
    packed_values: Sequence[Any],
    value_dim: int,
    scale: float,
) -> torch.Tensor:
    """Attention of int8 `rows` (n, group, queries, d) over the key blocks `seen`, FP32, without V's scale.

    For each key block: the scores, their row maximum, weights rounded to 0 … 255 by that maximum, the second product,
    and both sums brought to the maximum so far. The weights are summed as rounded, so that they add up to one.
    """
    import torch

    n, group, queries, dim = rows.shape
    q = products.queries(rows.reshape(n, group * queries, dim))
    total = torch.zeros(n, group * queries, 1)
    output = torch.zeros(n, group * queries, value_dim)
    highest = torch.full((n, group * queries, 1), _NO_SCORE)
    for block in seen:
        scores = products.scores(q, keys[block.number])
        scores = scores.mul_(scale) if scores.is_floating_point() else scores * scale
        if block.hidden is not None:
            scores.view(n, group, queries, -1).masked_fill_(block.hidden, float("-inf"))
        maximum = scores.amax(-1, keepdim=True).clamp_(min=_NO_SCORE)
        # exp(s − max + ln 255) is 255 times the weight, in one pass.
        weights = scores.sub_(maximum - log(_LEVELS)).exp_().round_()
        raised = torch.maximum(highest, maximum)
        kept, added = (highest - raised).exp_(), (maximum - raised).exp_()
        total = total.mul_(kept).addcmul_(weights.sum(-1, keepdim=True), added)
        output = output.mul_(kept).addcmul_(products.weighted(weights, packed_values[block.number]).float(), added)
        highest = raised
    return output.div_(total).view(n, group, queries, value_dim)


_CPU_ONLY: Final = "torch has no int8 attention on {}: its own kernels there take 16 and 32 bits"


def _int_mm_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type != "cpu":
        return _CPU_ONLY.format(device.type)
    c = integers(case)
    return _has_bias(case) or int_mm_reason(c["q_len"], c["kv_len"], c["head_dim"], device)


def _onednn_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type != "cpu":
        return _CPU_ONLY.format(device.type)
    return onednn_reason(precision, device) or _has_bias(case) or _too_wide(case)


def _fp32_supports(case: Case, precision: str, device: DeviceView) -> str:
    if device.type != "cpu":
        return _CPU_ONLY.format(device.type)
    return exact_on_fp32_reason(device) or _has_bias(case) or _too_wide(case)


def _has_bias(case: Case) -> str:
    return "int8 attention by torch's own products has no bias here" if integers(case)["bias"] else ""


def _too_wide(case: Case) -> str:
    if int(case["head_dim"]) <= EXACT_INT8_TERMS:
        return ""
    return f"head_dim={case['head_dim']}: FP32 holds sums of up to {EXACT_INT8_TERMS} int8 products exactly"


def _fp32_executed(case: Case, precision: str, device: DeviceView) -> Executed:
    return on_fp32_units(nominal_operations(case), precision)


@implementation("onednn-int8", precisions=("int8",), supports=_onednn_supports)
def onednn_int8(kernel: Any, inputs: Inputs) -> Call:
    """Both products by oneDNN's quantised linear on a CPU's int8 units."""
    return _call(inputs, OnednnProducts())


@implementation("int_mm", precisions=("int8",), supports=_int_mm_supports)
def int_mm(kernel: Any, inputs: Inputs) -> Call:
    """Both products by torch._int_mm, head by head, on a CPU's int8 units."""
    return _call(inputs, IntMmProducts())


@implementation("fp32-exact", precisions=("int8",), supports=_fp32_supports, executed=_fp32_executed)
def fp32_exact(kernel: Any, inputs: Inputs) -> Call:
    """Both int8 products exact on the FP32 units, for a CPU without int8 units."""
    return _call(inputs, Fp32Products())
