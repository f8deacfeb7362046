"""What a gemm is: C = A·B, its cases, work, inputs and float64 reference. How it is computed stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work
from bench.precision import PRECISIONS
from kernels.gemm.cases import suite_cases
from kernels.gemm.floating import FloatingProducts
from kernels.gemm.integer import IntegerProducts
from kernels.gemm.libraries import LibraryProducts
from kernels.gemm.operands import REFERENCE_ELEMENTS, float64_product, operands, sizes
from kernels.gemm.packed import PackedProducts
from kernels.gemm.spaces import search_spaces
from kernels.gemm.triton_gemm import TritonProducts
from kernels.tensors import fill, output_bytes

if TYPE_CHECKING:
    import torch


class Gemm(TritonProducts, LibraryProducts, PackedProducts, IntegerProducts, FloatingProducts, Kernel):
    """C[batch] = A[batch] · B[batch], with A (m, k) and B (k, n); a `trans_` flag says that it lies transposed."""

    name: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "matrix product C = A·B, single or batched"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("batch", "independent products of the same shape", default=1),
        Field("m", "rows of A and C"),
        Field("n", "columns of B and C"),
        Field("k", "columns of A, rows of B: the length of each sum"),
        Field("trans_a", "1 where A lies in memory as (k, m)", default=0, minimum=0, maximum=1),
        Field("trans_b", "1 where B lies in memory as (n, k)", default=0, minimum=0, maximum=1),
    )

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return suite_cases(suite, device)

    def search_spaces(self, device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
        return search_spaces(device)

    def work(self, case: Case, precision: str) -> Work:
        """2·batch·m·n·k operations; A and B read once, C written once in the precision's output type."""
        batch, m, n, k = sizes(case)
        return Work(
            operations=2 * batch * m * n * k,
            bytes_read=batch * (m * k + k * n) * PRECISIONS[precision].bits // 8,
            bytes_written=batch * m * n * output_bytes(precision),
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`a` and `b` as they lie in memory, contiguous; the leading batch is there where it is more than one."""
        batch, m, n, k = sizes(case)
        leading = (batch,) if batch > 1 else ()
        a_shape = (k, m) if case["trans_a"] else (m, k)
        b_shape = (n, k) if case["trans_b"] else (k, n)
        return {
            "a": fill((*leading, *a_shape), precision, data, device, generator),
            "b": fill((*leading, *b_shape), precision, data, device, generator),
        }

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Rows are numbered through the batch: row i is row i mod m of product i div m."""
        import torch

        batch, m, n, _ = sizes(inputs.case)
        a, b = _batched(inputs)
        if rows is None:
            return torch.cat([float64_product(a[index], b[index]) for index in range(batch)])
        rows = rows.cpu()
        wanted = torch.empty(len(rows), n, dtype=torch.float64)
        for index in torch.unique(rows // m).tolist():
            here = (rows // m) == index
            wanted[here] = float64_product(a[index][(rows[here] % m).to(a.device)], b[index])
        return wanted

    def output_rows(self, case: Case) -> int:
        batch, m, _, _ = sizes(case)
        return batch * m

    def reduction_length(self, case: Case) -> int:
        return int(case["k"])

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor:
        """A·(B·v), a block of rows at a time: two matrix-vector products for the price of checking all of C."""
        import torch

        batch, _, n, k = sizes(inputs.case)
        a, b = _batched(inputs)
        vector = vector.cpu().double()
        parts = []
        for index in range(batch):
            inner = _rows_times(b[index], vector, max(1, REFERENCE_ELEMENTS // n))
            parts.append(_rows_times(a[index], inner, max(1, REFERENCE_ELEMENTS // k)))
        return torch.cat(parts)


def _batched(inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    """A (batch, m, k) and B (batch, k, n), with a batch of one where the case has one."""
    a, b = operands(inputs)
    return (a, b) if a.dim() == 3 else (a.unsqueeze(0), b.unsqueeze(0))


def _rows_times(matrix: torch.Tensor, vector: torch.Tensor, step: int) -> torch.Tensor:
    import torch

    starts = range(0, matrix.shape[0], step)
    return torch.cat([float64_product(matrix[start : start + step], vector) for start in starts])
