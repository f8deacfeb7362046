"""Three-dimensional convolution: the kernel `conv3d`."""

from kernels.conv3d.problem import Conv3d

__all__ = ["Conv3d"]
