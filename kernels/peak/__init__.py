"""Measured ceilings of compute: the kernel `peak`, multiply-adds that stay in registers."""

from kernels.peak.problem import Peak

__all__ = ["Peak"]
