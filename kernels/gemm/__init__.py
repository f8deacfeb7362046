"""Matrix products, single and batched: the kernel `gemm`."""

from kernels.gemm.problem import Gemm

__all__ = ["Gemm"]
