"""Attention in float64 on the CPU, row by row: what every implementation is checked against."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

from bench.kernel import Inputs
from kernels.attention.operands import values
from kernels.attention.shapes import integers

if TYPE_CHECKING:
    import torch

_SCORES: Final = 2**22
"""Scores held at once (32 MiB of float64), so that a long context needs little memory."""


def attention_rows(inputs: Inputs, rows: torch.Tensor | None) -> torch.Tensor:
    """softmax(q·kᵀ/√head_dim + bias + mask)·v for the given rows (all when None), float64, shape (rows, value_dim).

    Rows are numbered in the order batch, heads, queries. Inputs with scales are dequantised by them first.
    """
    import torch

    case = integers(inputs.case)
    q_len, heads, group = case["q_len"], case["heads"], case["heads"] // case["kv_heads"]
    total = case["batch"] * heads * q_len
    index = torch.arange(total) if rows is None else rows.to("cpu", torch.int64)
    flat = inputs["q"].reshape(total, case["head_dim"])
    queries = flat[index.to(flat.device)].cpu().double() * _scale(inputs, "q") / sqrt(case["head_dim"])
    owner = (index // (heads * q_len)) * case["kv_heads"] + (index // q_len) % heads // group
    answer = torch.empty(len(index), case["value_dim"], dtype=torch.float64)
    all_values = values(inputs)
    for number in sorted(set(owner.tolist())):
        batch, kv_head = divmod(number, case["kv_heads"])
        keys = inputs["k"][batch, kv_head].cpu().double() * _scale(inputs, "k")
        value = all_values[batch, kv_head].cpu().double() * _scale(inputs, "v")
        mine = (owner == number).nonzero().squeeze(1)
        for part in mine.split(max(1, _SCORES // case["kv_len"])):
            scores = queries[part] @ keys.T
            if case["bias"]:
                scores += _bias_rows(inputs, index[part])
            if case["causal"]:
                last_visible = index[part] % q_len + (case["kv_len"] - q_len)
                scores.masked_fill_(torch.arange(case["kv_len"]) > last_visible[:, None], float("-inf"))
            answer[part] = scores.softmax(-1) @ value
    return answer


def _bias_rows(inputs: Inputs, index: torch.Tensor) -> torch.Tensor:
    """The bias of the output rows `index`, (rows, kv_len): sequences share it, so the batch does not matter."""
    case = integers(inputs.case)
    flat = inputs["bias"].reshape(-1, case["kv_len"])
    return flat[(index % (case["heads"] * case["q_len"])).to(flat.device)].cpu().double()


def _scale(inputs: Inputs, name: str) -> float:
    scale = inputs.tensors.get(f"{name}_scale")
    return 1.0 if scale is None else float(scale.double())
