"""What each precision means: its storage type, its unit round-off, how it accumulates and how it is counted.

One place for all of it, without torch: `torch_dtype` is a name that `getattr(torch, ...)` resolves.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

UNIT_ROUNDOFF: Final[dict[str, float]] = {
    # Half the distance from 1 to the next number: 2**-p for p significant bits (Higham, ASNA, 2nd ed., section 2.1).
    "fp64": 2.0**-53,
    "fp32": 2.0**-24,
    "tf32": 2.0**-11,
    "fp16": 2.0**-11,
    "bf16": 2.0**-8,
    "fp8": 2.0**-4,
    "int32": 0.0,
    "int8": 0.0,
}

TOLERANCE_INT8_ATTENTION: Final = 2e-2
"""Relative error allowed to int8 attention against float64 attention of the dequantised inputs (design, Check)."""


@dataclass(frozen=True)
class Precision:
    """One precision of the design's table.

    `accumulate` is the accumulation that the plain name stands for; any other accumulation is another `accumulate`
    with a rating of its own. `unit` is what a second of it is counted in: FLOPS, or OPS for integers.
    """

    name: str
    bits: int
    torch_dtype: str
    accumulate: str
    output: str
    unit: str
    description: str

    @property
    def integer(self) -> bool:
        """Whether products are exact integers, counted in OPS."""
        return self.unit == "OPS"


PRECISIONS: Final[dict[str, Precision]] = {
    precision.name: precision
    for precision in (
        Precision("fp64", 64, "float64", "fp64", "fp64", "FLOPS", "IEEE double precision"),
        Precision("fp32", 32, "float32", "fp32", "fp32", "FLOPS", "IEEE single precision, no TF32 or BF16 shortcut"),
        Precision("tf32", 32, "float32", "fp32", "fp32", "FLOPS", "19-bit TF32 inputs, FP32 accumulation"),
        Precision("bf16", 16, "bfloat16", "fp32", "bf16", "FLOPS", "bfloat16 inputs, FP32 accumulation"),
        Precision("fp16", 16, "float16", "fp32", "fp16", "FLOPS", "IEEE half precision inputs, FP32 accumulation"),
        Precision("fp8", 8, "float8_e4m3fn", "fp32", "bf16", "FLOPS", "e4m3 inputs with scales, FP32 accumulation"),
        Precision("int8", 8, "int8", "int32", "int32", "OPS", "8-bit integer inputs, 32-bit integer accumulation"),
    )
}


TF32_TERMS: Final = 8
"""TF32 products that a tensor core adds to a sum in one instruction (Ampere's in two steps); then the sum is cut off to
FP32, not rounded (Xie et al., "MMA-Sim", arXiv 2511.10909)."""


def tolerance(output: str, accumulate: str, reduction_length: int, *, precision: str = "") -> float:
    """Largest relative (Frobenius) error of a right answer: 4·u(output) + 4·√k·u(accumulate), at TF32 + k/8·u(FP32).

    `output` and `accumulate` name precisions of `UNIT_ROUNDOFF`; `reduction_length` is k, the number of terms in each
    sum. √k and not k because rounding errors of random data add like a random walk (Higham & Mary, SIAM J. Sci.
    Comput. 41, 2019). Integer accumulation gives 0: the answer has to be equal.

    Errors of cutting off all point towards zero and add in proportion to k; beside the 4·u of a 16-bit output they do
    not show. By MMA-Sim's rules on normal data TF32 has 0.04·k·u(FP32) on Hopper and 0.08·k·u(FP32) on Ampere.
    """
    truncated = reduction_length / TF32_TERMS * UNIT_ROUNDOFF["fp32"] if precision == "tf32" else 0.0
    return 4.0 * UNIT_ROUNDOFF[output] + 4.0 * sqrt(reduction_length) * UNIT_ROUNDOFF[accumulate] + truncated
