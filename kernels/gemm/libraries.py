"""gemm by further paths of torch's: FP8 with a scale for each row and column, and torch.compile with all its choices.

torch.mm, torch._scaled_mm with one scale a tensor and torch._int_mm are in `floating` and `integer`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from kernels.gemm.floating import _scaled_reason
from kernels.gemm.operands import offered, operands, output_shape, per_matrix, sizes
from kernels.tensors import cuda_capability, int_mm_reason, native_reason, poisoned

if TYPE_CHECKING:
    import torch

COMPILATIONS: Final = 1 << 16
"""Shapes that one function may be compiled for; torch's own limit of 8 would run the ninth uncompiled."""


def _rowwise_reason(case: Case, precision: str, device: DeviceView) -> str:
    """`torch._scaled_mm`'s own conditions, and those of row-wise scales (cuda/RowwiseScaledMM.cu: sm_89 to sm_12x)."""
    reason = _scaled_reason(case, precision, device)
    if not reason and device.vendor != "amd" and cuda_capability(device)[0] > 12:
        return "torch has row-wise FP8 scales for compute capability 8.9 to 12"
    return reason


def compile_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why torch.compile can't compile a product for the device; "" when it can. Does not import torch."""
    if device.type not in ("cpu", "cuda"):
        return f"torch.compile with max-autotune has product templates for cpu and cuda, not for {device.type}"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs Triton on a GPU, which is not installed"
    if device.type == "cpu" and shutil.which(cxx()) is None:
        return f"torch.compile needs a C++ compiler on a CPU: there is no {cxx()} (CXX names another)"
    if precision == "int8":
        batch, m, n, k = sizes(case)
        return int_mm_reason(m, n, k, device) or ("torch._int_mm takes no batch" if batch > 1 else "")
    return native_reason(case, precision, device)


def cxx() -> str:
    """The C++ compiler that torch's inductor calls (torch/_inductor/config.py, `cpp.cxx`)."""
    return os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")


class LibraryProducts:
    """Further library implementations, for `Gemm` to inherit."""

    @implementation("scaled_mm-rowwise", precisions=("fp8",), supports=_rowwise_reason)
    def scaled_mm_rowwise(self, inputs: Inputs) -> Call:
        """torch._scaled_mm: e4m3 with a scale for each row of A and column of B, BF16 out, full accumulation."""
        import torch

        _, m, n, _ = sizes(inputs.case)
        a, b = operands(inputs)
        b = b.transpose(-2, -1).contiguous().transpose(-2, -1)
        scale_a = torch.ones((m, 1), dtype=torch.float32, device=a.device)
        scale_b = torch.ones((1, n), dtype=torch.float32, device=a.device)
        c = poisoned(output_shape(inputs.case), torch.bfloat16, inputs.device)

        def multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
            return torch._scaled_mm(left.contiguous(), right, scale_a, scale_b, out_dtype=torch.bfloat16, out=out)

        return offered(per_matrix(multiply, a, b, c))

    @implementation(
        "compile",
        precisions=("fp32", "tf32", "bf16", "fp16", "int8"),
        devices=("cpu", "cuda"),
        in_best=False,
        supports=compile_reason,
    )
    def compiled(self, inputs: Inputs) -> Call:
        """torch.compile with max-autotune: inductor's templates raced against the vendor's BLAS; graphs left to us."""
        import torch

        a, b = operands(inputs)

        def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            if left.dtype == torch.int8:
                return torch._int_mm(left, right)
            return left @ right

        with torch._dynamo.config.patch(recompile_limit=COMPILATIONS, accumulated_recompile_limit=COMPILATIONS):
            compiled = torch.compile(multiply, mode="max-autotune-no-cudagraphs", dynamic=False, fullgraph=True)
            compiled(a, b)  # compiles
        return lambda: compiled(a, b)
