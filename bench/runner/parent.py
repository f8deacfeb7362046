"""A process that does not outlive the one that started it."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""prctl(2)."""


def end_with_parent(by: signal.Signals) -> None:
    """On Linux the kernel sends this process `by` when its parent dies, even while it is stuck in a long call."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, by)
