"""What `peak` is: many independent sums of one product each, its cases, work, inputs and answer.

How it is computed stands beside it: `processor` (compiled C) and `graphics` (Triton).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from bench.kernel import DATA, Case, DeviceView, Field, Implementation, Inputs, Kernel, Role, Work
from bench.precision import PRECISIONS
from kernels.peak.graphics import GraphicsLoops
from kernels.peak.processor import PROCESSOR_LOOPS
from kernels.peak.shapes import BLOCK_CHAINS, CPU_LENGTH, EDGE, LENGTH_MOST, LENGTH_STEP, sizes, suite_case
from kernels.tensors import torch_dtype

if TYPE_CHECKING:
    import torch

VALUES: Final = (1.0, 2.0, -1.0, -2.0)
"""What random inputs are drawn from: powers of two, whose products add up exactly in every type and every order."""


class Peak(GraphicsLoops, Kernel):
    """y[i, j] = Σ a[i mod 16] · b[j], `length` times the same product: `chains` sums in all, none of which leaves its
    register before its end.

    The sums are independent and memory is touched once a sum, so what is measured is the multiply-add unit alone.
    """

    name: ClassVar[str] = "peak"
    summary: ClassVar[str] = "measured compute ceiling: multiply-adds that stay in registers"
    role: ClassVar[Role] = Role.CEILING
    fields: ClassVar[tuple[Field, ...]] = (
        Field(
            "chains",
            f"independent sums, all cores together: a multiple of {BLOCK_CHAINS}, best as often as there are cores",
            minimum=BLOCK_CHAINS,
            maximum=2**36,
        ),
        Field(
            "length",
            f"multiply-adds into each: a multiple of {LENGTH_STEP}",
            default=CPU_LENGTH,
            minimum=LENGTH_STEP,
            maximum=LENGTH_MOST,
        ),
    )

    @classmethod
    def implementations(cls) -> dict[str, Implementation]:
        """A processor's units, each an implementation of its own, then those that the class carries."""
        return {**PROCESSOR_LOOPS, **super().implementations()}

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """One, the same in every suite: a ceiling has no shapes. A plain run asks for it from `standard` on."""
        return [suite_case(device)]

    def rejects(self, case: Case) -> str:
        chains, length = sizes(case)
        if chains % BLOCK_CHAINS:
            return f"chains={chains} is no multiple of {BLOCK_CHAINS}"
        return f"length={length} is no multiple of {LENGTH_STEP}" if length % LENGTH_STEP else ""

    def work(self, case: Case, precision: str) -> Work:
        """Two operations for each multiply-add; two vectors of 16 read, each sum written once."""
        chains, length = sizes(case)
        return Work(
            operations=2 * chains * length,
            bytes_read=2 * EDGE * PRECISIONS[precision].bits // 8,
            bytes_written=chains * (8 if precision == "fp64" else 4),
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`a` and `b`, 16 each: drawn from `VALUES` for normal and uniform, so that every sum is exact."""
        import torch

        if data not in DATA:
            raise ValueError(f"data={data!r} is none of {', '.join(DATA)}")
        tensors = {}
        for name in ("a", "b"):
            if data in ("zeros", "ones"):
                values = torch.full((EDGE,), float(data == "ones"))
            else:
                values = torch.tensor(VALUES)[torch.randint(len(VALUES), (EDGE,), generator=generator)]
            tensors[name] = values.to(torch_dtype(precision, device)).to(device.torch_device)
        return tensors

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """length · a[i mod 16] · b[j]: exact."""
        import torch

        a, b = (inputs[name].cpu().double() for name in ("a", "b"))
        chosen = torch.arange(self.output_rows(inputs.case)) if rows is None else rows.cpu()
        return sizes(inputs.case)[1] * torch.outer(a, b)[chosen % EDGE]

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor:
        tile = self.reference(inputs, rows=_first_rows()) @ vector.cpu().double()
        return tile.repeat(self.output_rows(inputs.case) // EDGE)

    def output_rows(self, case: Case) -> int:
        return sizes(case)[0] // EDGE

    def reduction_length(self, case: Case) -> int:
        return sizes(case)[1]

    def tolerance(self, case: Case, precision: str, accumulate: str, output: str) -> float:
        """Every sum is exact in every type that holds one, so it has to be equal: a step left out would show."""
        return 0.0


def _first_rows() -> torch.Tensor:
    import torch

    return torch.arange(EDGE)
