"""Two-dimensional convolution: the kernel `conv`."""

from kernels.conv.problem import Conv

__all__ = ["Conv"]
