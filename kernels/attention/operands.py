"""What implementations and the reference read from the inputs in the same way: V where it is part of K, and scales."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from bench.kernel import Inputs
from kernels.attention.shapes import integers

if TYPE_CHECKING:
    import torch


def values(inputs: Inputs) -> torch.Tensor:
    """V, (batch, kv_heads, kv_len, value_dim); with shared_kv a view of the keys' first value_dim elements.

    A view and no tensor of its own, so that a copy of the inputs keeps them one.
    """
    c = integers(inputs.case)
    return inputs["k"][..., : c["value_dim"]] if c["shared_kv"] else inputs["v"]


def score_scale(inputs: Inputs) -> float:
    """What an integer or FP8 product q·kᵀ is multiplied by to be a score: the scales of q and k over √head_dim."""
    scale = 1.0 / sqrt(int(inputs.case["head_dim"]))
    for name in ("q_scale", "k_scale"):
        if name in inputs.tensors:
            scale *= float(inputs[name])
    return scale


def value_scale(inputs: Inputs) -> float:
    """The scale of v, 1 at precisions without scales."""
    return float(inputs["v_scale"]) if "v_scale" in inputs.tensors else 1.0
