"""One matrix product for each expert of a mixture, over the tokens routed to it: the kernel `grouped_gemm`."""

from kernels.grouped_gemm.problem import GroupedGemm

__all__ = ["GroupedGemm"]
