"""Attention by torch's flex_attention, which Inductor compiles to a Triton kernel of this one case.

The causal mask skips whole blocks, and a bias is read inside the kernel. It has not run on a GPU here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from kernels.attention.operands import values
from kernels.attention.shapes import integers
from kernels.attention.support import SIXTEEN_BITS
from kernels.triton_tuning import triton_reason

if TYPE_CHECKING:
    import torch

_COMPILED: Final = 1024
"""Shapes that Dynamo may compile flex_attention for in one process: its own limit of 8 is for programs of one shape."""


def flex_supports(case: Case, precision: str, device: DeviceView) -> str:
    reason = triton_reason(device)
    if reason:
        return reason
    if int(case["head_dim"]) < 16:
        return f"torch's flex_attention takes head_dim from 16, not {case['head_dim']}"
    return ""


@implementation("flex", precisions=SIXTEEN_BITS, devices=("cuda",), in_best=False, supports=flex_supports)
def flex(kernel: Any, inputs: Inputs) -> Call:
    """torch's flex_attention, compiled by Inductor for the case."""
    import torch._dynamo
    from torch.nn.attention.flex_attention import flex_attention

    attend = torch.compile(flex_attention, dynamic=False, fullgraph=True)
    arguments = flex_arguments(inputs)

    def call() -> torch.Tensor:
        output: torch.Tensor = attend(**arguments)
        return output

    with torch._dynamo.config.patch(recompile_limit=_COMPILED):
        call()  # compiles here, outside what is timed
    return call


def flex_arguments(inputs: Inputs) -> dict[str, Any]:
    """What flex_attention takes: a block mask for the causal triangle, aligned at the bottom right, and the bias."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask

    c = integers(inputs.case)
    arguments: dict[str, Any] = {"query": inputs["q"], "key": inputs["k"], "value": values(inputs)}
    if c["heads"] != c["kv_heads"]:
        arguments["enable_gqa"] = True
    if c["bias"]:
        bias = inputs["bias"]

        def biased(score: Any, batch: Any, head: Any, query: Any, key: Any) -> Any:
            return score + bias[head, query, key]

        arguments["score_mod"] = biased
    if c["causal"] and c["q_len"] > 1:
        shift = c["kv_len"] - c["q_len"]

        def visible(batch: Any, head: Any, query: Any, key: Any) -> Any:
            return key <= query + shift

        device = torch.device(inputs.device.torch_device)
        arguments["block_mask"] = create_block_mask(visible, None, None, c["q_len"], c["kv_len"], device=device)
    return arguments
