"""Memory bandwidth: the kernels `memory` (STREAM's triad) and `copy`."""

from kernels.memory.streams import Copy, Memory

__all__ = ["Copy", "Memory"]
