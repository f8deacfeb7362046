"""The two matrices of a gemm case as the product sees them, and their product in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bench.kernel import Call, Case, Inputs

if TYPE_CHECKING:
    import torch

REFERENCE_ELEMENTS: Final = 1 << 26
"""Most elements of an operand that are held in float64 at a time (512 MiB)."""


def sizes(case: Case) -> tuple[int, int, int, int]:
    """(batch, m, n, k) as integers."""
    return int(case["batch"]), int(case["m"]), int(case["n"]), int(case["k"])


def operands(inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    """A as (m, k) and B as (k, n), with a leading batch where the case has more than one; transposes are views."""
    a, b = inputs["a"], inputs["b"]
    if inputs.case["trans_a"]:
        a = a.transpose(-2, -1)
    if inputs.case["trans_b"]:
        b = b.transpose(-2, -1)
    return a, b


def output_shape(case: Case) -> tuple[int, ...]:
    """(m, n), or (batch, m, n) where the batch is more than one."""
    batch, m, n, _ = sizes(case)
    return (m, n) if batch == 1 else (batch, m, n)


def float64_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a @ b for a (rows, k) and b (k, n) or (k,), in float64 on the CPU; exact for int8 below 2**53.

    `b` is converted a block of columns at a time, so that a reference needs little beyond the inputs.
    """
    import torch

    left = a.cpu().double()
    b = b.cpu()
    if b.dim() == 1:
        return left @ b.double()
    step = max(1, REFERENCE_ELEMENTS // b.shape[0])
    return torch.cat([left @ b[:, start : start + step].double() for start in range(0, b.shape[1], step)], dim=1)


def per_matrix(
    multiply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any],
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
) -> Call:
    """A call that does `multiply(a, b, c)` and returns `c`; one product after another where there is a batch."""
    left, right, out = (tensor.unbind() if tensor.dim() == 3 else (tensor,) for tensor in (a, b, c))
    products = list(zip(left, right, out, strict=True))

    def call() -> torch.Tensor:
        for product in products:
            multiply(*product)
        return c

    return call


def offered(call: Call) -> Call:
    """The call, after it was made once; NotImplementedError where cuBLAS says that it has no such product.

    It has row-wise FP8 on an H100 for some shapes only: not for up to 256 rows and long sums (pytorch/ao issue 4582).
    """
    try:
        call()
    except RuntimeError as error:
        if "CUBLAS_STATUS_NOT_SUPPORTED" not in str(error):
            raise
        raise NotImplementedError("cuBLAS has no such product for this shape: CUBLAS_STATUS_NOT_SUPPORTED") from error
    return call
