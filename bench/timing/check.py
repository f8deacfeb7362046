"""Is the answer right? The reference prepared once per case and shared, and each output set against it.

Tolerances belong to `bench.kernel` and `bench.precision`; docs/method.md, "Check", derives the random-vector bound.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Final

from bench.kernel import Inputs, Kernel
from bench.precision import PRECISIONS, UNIT_ROUNDOFF
from bench.records import Check

if TYPE_CHECKING:
    import torch

FULL_OPERATIONS: Final = 2 * 10**9
"""Ours: up to here the whole output is set against its reference: a tenth of a second of float64 on two cores."""
FULL_BYTES: Final = 64 * 2**20
"""Ours: and only where the output takes no more than this."""
SAMPLED_ROWS: Final = 64  # the design's least
VECTOR_LOW, VECTOR_HIGH = 32, 63
"""Magnitudes of the random vector's entries: integers, so that int8 stays exact in float64 (2**31 · 2**6 · 2**14
columns is below 2**53), random, so that two equal errors in a row seldom cancel, and within a factor of two, so that no
column counts for little."""
VECTOR_RMS: Final = sqrt(sum(v * v for v in range(VECTOR_LOW, VECTOR_HIGH + 1)) / (VECTOR_HIGH - VECTOR_LOW + 1))
CHUNK_ELEMENTS: Final = 2**24
"""Elements of the output that are converted to float64 at once: 128 MiB."""


@dataclass(frozen=True)
class Expected:
    """The right answer of one case on one set of inputs, as much of it as is computed; float64 on the CPU."""

    kernel: Kernel
    inputs: Inputs
    rows: torch.Tensor | None
    """Indices of the rows that `reference` holds; None for all of them."""
    reference: torch.Tensor
    vector: torch.Tensor | None = None
    """Freivalds' random vector, shape (columns,); None where the kernel has no projection or needs none."""
    projection: torch.Tensor | None = None
    """reference @ vector of all rows, shape (rows,)."""

    @property
    def total_rows(self) -> int:
        return self.kernel.output_rows(self.inputs.case)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the output read as (rows, columns)."""
        return self.total_rows, int(self.reference.shape[1])


def prepare(kernel: Kernel, inputs: Inputs, seed: int) -> Expected:
    """Compute the reference: in full for a small case, else 64 random rows, and a random projection where there is one.

    `seed` picks the rows and the vector, so that no implementation knows which will be looked at.
    """
    import torch

    work = kernel.work(inputs.case, inputs.precision)
    total = kernel.output_rows(inputs.case)
    if total <= SAMPLED_ROWS or (work.operations <= FULL_OPERATIONS and work.bytes_written <= FULL_BYTES):
        return Expected(kernel, inputs, None, kernel.reference(inputs))
    rows = torch.tensor(sorted(random.Random(seed).sample(range(total), SAMPLED_ROWS)))
    reference = kernel.reference(inputs, rows)
    generator = torch.Generator().manual_seed(seed)
    size = (int(reference.shape[1]),)
    magnitude = torch.randint(VECTOR_LOW, VECTOR_HIGH + 1, size, generator=generator)
    sign = torch.randint(0, 2, size, generator=generator) * 2 - 1
    vector = (magnitude * sign).to(torch.float64)
    projection = kernel.projection(inputs, vector)
    return Expected(kernel, inputs, rows, reference, vector if projection is not None else None, projection)


def compare(expected: Expected, output: Any, accumulate: str) -> tuple[Check, str]:
    """Set an output against the reference: the record, and why it failed ("" when it passed).

    error = ‖y − ref‖ / ‖ref‖ (Frobenius, float64) over the rows of the reference, or what the random vector finds if
    that is more. Wrong: NaN or infinity, another shape, a coarser type than the precision's own, an error above the
    tolerance; for a tolerance of 0 (integers) any difference; for an all-zero reference anything but zeros.
    """
    name, problem = output_precision(expected, output)
    tolerance = 0.0
    if not problem:
        tolerance = expected.kernel.tolerance(expected.inputs.case, expected.inputs.precision, accumulate, name)
        y, problem = as_rows(expected, output)
    if problem:
        return Check(error=None, tolerance=tolerance, passed=False), problem
    not_finite, norm_squared, projected = _scan(y, expected.vector)
    error, where = _rows_error(expected, y), "its rows"
    if expected.projection is not None and projected is not None:
        vector_error = _vector_error(expected, expected.projection.reshape(-1), projected, sqrt(norm_squared))
        if vector_error > error:
            error, where = vector_error, "a random projection of all of it"
    reason = ""
    if any(not_finite):
        reason = _not_finite(not_finite, y.numel())
    elif not isfinite(error):
        reason = "output is not zero where the answer is"
    elif error > tolerance and tolerance == 0.0:
        reason = f"output differs (relative error {error:.2e} of {where}) where it must be equal"
    elif error > tolerance:
        reason = f"relative error {error:.2e} of {where} is above the tolerance {tolerance:.2e}"
    finite = isfinite(error) and not any(not_finite)
    return Check(error=error if finite else None, tolerance=tolerance, passed=not reason), reason


def verify(kernel: Kernel, inputs: Inputs, output: Any, accumulate: str, seed: int) -> tuple[Check, str]:
    """`prepare` and `compare` in one, where a reference serves a single output."""
    return compare(prepare(kernel, inputs, seed), output, accumulate)


def output_precision(expected: Expected, output: Any) -> tuple[str, str]:
    """The output's own precision, and why it can't be accepted ("" when it can)."""
    import torch

    if not isinstance(output, torch.Tensor):
        return "", f"output is a {type(output).__name__}, not a tensor"
    wanted = PRECISIONS[expected.inputs.precision]
    if wanted.integer:
        # Rated by equality or by the kernel's own tolerance; the type that carries it does not matter.
        return wanted.output, ""
    dtype = str(output.dtype).removeprefix("torch.")
    # tf32 is stored as float32: fp32 comes first and is what the output is.
    name = next((p.name for p in PRECISIONS.values() if p.torch_dtype == dtype and not p.integer), None)
    if name is None and dtype.startswith("float8"):
        name = "fp8"
    if name is None:
        return "", f"output is {dtype}, which is no {wanted.name} result"
    if UNIT_ROUNDOFF[name] > UNIT_ROUNDOFF[wanted.output]:
        return "", f"output is {name}, coarser than the {wanted.output} that {wanted.name} gives"
    return name, ""


def as_rows(expected: Expected, output: torch.Tensor) -> tuple[torch.Tensor, str]:
    """The output as (rows, columns), and why it isn't the answer's shape ("" when it is)."""
    try:
        y = expected.kernel.rows(output, expected.inputs.case)
    except (RuntimeError, ValueError, IndexError) as error:
        return output, f"output of shape {tuple(output.shape)} can't be read as rows ({str(error).splitlines()[0]})"
    if tuple(y.shape) != expected.shape:
        return output, f"output has shape {tuple(y.shape)} as rows, the answer {expected.shape}"
    return y, ""


def _scan(y: torch.Tensor, vector: torch.Tensor | None) -> tuple[tuple[int, int], float, torch.Tensor | None]:
    """One pass over all of the output in float64: (NaNs, infinities), its squared norm, its product with the vector."""
    import torch

    nan = inf = 0
    squares = 0.0
    parts: list[torch.Tensor] = []
    step = max(1, CHUNK_ELEMENTS // max(1, y.shape[1]))
    for begin in range(0, y.shape[0], step):
        block = y[begin : begin + step].to("cpu").to(torch.float64)
        if not bool(torch.isfinite(block).all()):
            nan += int(torch.isnan(block).sum())
            inf += int(torch.isinf(block).sum())
        elif vector is not None:
            squares += float(block.square().sum())
            parts.append(block @ vector)
    return (nan, inf), squares, torch.cat(parts) if parts and not nan and not inf else None


def _not_finite(counts: tuple[int, int], total: int) -> str:
    named = [f"{what} in {n:,}" for what, n in zip(("NaN", "infinity"), counts, strict=True) if n]
    return f"output holds {' and '.join(named)} of {total:,} values"


def _rows_error(expected: Expected, y: torch.Tensor) -> float:
    import torch

    rows = y if expected.rows is None else y[expected.rows.to(y.device)]
    difference = rows.to("cpu", torch.float64) - expected.reference
    return relative_error(float(difference.norm()), float(expected.reference.norm()))


def _vector_error(expected: Expected, right: torch.Tensor, projected: torch.Tensor, output_norm: float) -> float:
    """‖(y − ref)·v‖ / (‖ref‖·rms(v)): for v of independent random signs its square is the Frobenius one on average."""
    difference = float((projected - right).norm()) / VECTOR_RMS
    # ‖ref‖ is not known: the output's own norm stands for it, or the projection's where the output lacks something.
    error = relative_error(difference, max(output_norm, float(right.norm()) / VECTOR_RMS))
    if PRECISIONS[expected.inputs.precision].integer:
        return error  # integers are exact in float64, in any order
    # Both projections round too, in sums of one row and of one reduction; it only counts beside fp64.
    columns, terms = expected.reference.shape[1], expected.kernel.reduction_length(expected.inputs.case)
    return max(0.0, error - 2.0 * (sqrt(columns) + sqrt(terms)) * UNIT_ROUNDOFF["fp64"])


def relative_error(difference: float, norm: float) -> float:
    """difference / norm, with 0/0 read as right and anything else over 0 as infinitely wrong."""
    if norm == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / norm
