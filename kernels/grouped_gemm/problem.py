"""What a grouped_gemm is: its fields, work, inputs and float64 reference. How it is computed stands beside it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work
from bench.precision import PRECISIONS
from kernels.gemm.operands import float64_product
from kernels.grouped_gemm.cases import suite_cases
from kernels.grouped_gemm.products import GroupedProducts
from kernels.grouped_gemm.routing import routing
from kernels.tensors import fill, output_bytes

if TYPE_CHECKING:
    import torch

PROJECTED_ELEMENTS: Final = 1 << 30
"""Most weights that a projection reads: a processor takes seconds to turn so many into float64 (ours)."""


class GroupedGemm(GroupedProducts, Kernel):
    """C = A·B[expert]ᵀ, row by row: A (tokens·top_k, k) sorted by expert, B (experts, n, k) as layers store it."""

    name: ClassVar[str] = "grouped_gemm"
    summary: ClassVar[str] = "a product for each expert of a mixture, over the tokens routed to it"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("experts", "weight matrices", maximum=65_536),
        Field("top_k", "experts that each token goes to", maximum=65_536),
        Field("tokens", "tokens that are routed", maximum=2**24),
        Field("n", "columns of C: outputs of an expert"),
        Field("k", "columns of A: the length of each sum"),
    )

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return suite_cases(suite, device)

    def rejects(self, case: Case) -> str:
        if int(case["top_k"]) > int(case["experts"]):
            return f"top_k={case['top_k']} is more than experts={case['experts']}: a token goes to different ones"
        return ""

    def work(self, case: Case, precision: str) -> Work:
        """2·tokens·top_k·n·k operations; the weights of experts that no token chose are not read."""
        n, k, rows = int(case["n"]), int(case["k"]), int(case["tokens"]) * int(case["top_k"])
        weights = len(routing(case).busy) * n * k
        return Work(
            operations=2 * rows * n * k,
            bytes_read=(rows * k + weights) * PRECISIONS[precision].bits // 8,
            bytes_written=rows * n * output_bytes(precision),
        )

    def input_bytes(self, case: Case, precision: str) -> int:
        n, k, rows = int(case["n"]), int(case["k"]), int(case["tokens"]) * int(case["top_k"])
        return (rows * k + int(case["experts"]) * n * k) * PRECISIONS[precision].bits // 8

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`a` (tokens·top_k, k), its rows sorted by expert, `b` (experts, n, k), and `ends` (experts,), int32."""
        import torch

        plan, n, k = routing(case), int(case["n"]), int(case["k"])
        return {
            "a": fill((plan.rows, k), precision, data, device, generator),
            "b": fill((len(plan.counts), n, k), precision, data, device, generator),
            "ends": torch.tensor(plan.ends, dtype=torch.int32, device=device.torch_device),
        }

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Rows are those of A: all tokens of the first expert, then all of the second."""
        import torch

        a, b, plan = inputs["a"], inputs["b"], routing(inputs.case)
        if rows is None:
            return torch.cat([float64_product(a[start:stop], b[expert].t()) for expert, start, stop in plan.busy])
        wanted = torch.empty(len(rows), b.shape[1], dtype=torch.float64)
        by_expert: dict[int, list[int]] = {}
        for place, row in enumerate(rows.tolist()):
            by_expert.setdefault(bisect_right(plan.ends, row), []).append(place)
        for expert, places in by_expert.items():
            here = rows[places].to(a.device)
            wanted[places] = float64_product(a[here], b[expert].t())
        return wanted

    def output_rows(self, case: Case) -> int:
        return int(case["tokens"]) * int(case["top_k"])

    def reduction_length(self, case: Case) -> int:
        return int(case["k"])

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor | None:
        """A·(Bᵀ·v) of each expert; None beyond `PROJECTED_ELEMENTS` weights."""
        import torch

        a, b, plan = inputs["a"], inputs["b"], routing(inputs.case)
        if b.numel() > PROJECTED_ELEMENTS:
            return None
        vector = vector.cpu().double()
        return torch.cat(
            [float64_product(a[start:stop], float64_product(b[e].t(), vector)) for e, start, stop in plan.busy]
        )
