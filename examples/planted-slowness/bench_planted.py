"""A slowness of known size: a product that does a share of its work twice.

For seeing what a comparison sees. The share comes from the environment variable SLOW, so one installed package is both
sides of `python -m bench ab env:SLOW=0 env:SLOW=0.3 -- …`, and the right verdict is known before.
"""

from __future__ import annotations

import os

from bench.kernel import implementation

VARIABLE = "SLOW"


def slow_share():
    """The share of the work that is done twice: SLOW, 0 where it is not set."""
    text = os.environ.get(VARIABLE, "0")
    try:
        share = float(text)
    except ValueError:
        raise ValueError(f"{VARIABLE}={text!r} is not a share between 0 and 1") from None
    if not 0 <= share <= 1:
        raise ValueError(f"{VARIABLE}={text} is not a share between 0 and 1")
    return share


@implementation("planted", kernel="gemm", precisions=("fp64", "fp32", "bf16"))
def planted(kernel, inputs):
    """torch.matmul, and SLOW of its rows once more."""
    import torch

    case = inputs.case
    a = inputs["a"].mT if case["trans_a"] else inputs["a"]
    b = inputs["b"].mT if case["trans_b"] else inputs["b"]
    # Real work and not a pause: it costs what the kernel costs, on a slow clock and beside a neighbour too.
    again = a[..., : round(slow_share() * case["m"]), :]
    # Allocated once: fresh pages for a result that nobody reads would cost more than the share.
    scratch = torch.empty(*again.shape[:-1], b.shape[-1], dtype=a.dtype, device=a.device)

    def call():
        product = torch.matmul(a, b)
        if scratch.numel():
            torch.matmul(again, b, out=scratch)
        return product

    return call
