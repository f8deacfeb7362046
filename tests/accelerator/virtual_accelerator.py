"""Gives torch the accelerator of virtual.cpp as `virtual`; torch loads it by itself (entry point `torch.backends`)."""

from __future__ import annotations

import ctypes
import os
import types
from typing import Any

LIBRARY = "VIRTUAL_ACCELERATOR_LIBRARY"
"""Environment variable that names the compiled library."""


def load() -> None:
    """Register the device type and its module, as a vendor's package does."""
    import torch

    torch.ops.load_library(os.environ[LIBRARY])
    library = ctypes.CDLL(os.environ[LIBRARY])
    for name in ("free_bytes", "total_bytes", "device_count", "current"):
        getattr(library, f"virtual_{name}").restype = ctypes.c_int64

    def index_of(device: Any = None) -> int:
        if device is None:
            return int(library.virtual_current())
        number = device if isinstance(device, int) else torch.device(device).index
        return int(library.virtual_current()) if number is None else number

    module: Any = types.ModuleType("torch.virtual")
    module.is_available = lambda: True
    module.device_count = lambda: int(library.virtual_device_count())
    module.current_device = index_of
    module.set_device = lambda device: library.virtual_set_current(ctypes.c_int64(index_of(device)))
    module.synchronize = lambda device=None: torch.accelerator.synchronize(index_of(device))
    module.break_down = lambda device=None: library.virtual_break(ctypes.c_int64(index_of(device)))
    module.get_device_name = lambda device=None: "Virtual accelerator"
    module.mem_get_info = lambda device=None: (
        int(library.virtual_free_bytes(ctypes.c_int64(index_of(device)))),
        int(library.virtual_total_bytes()),
    )
    torch.utils.rename_privateuse1_backend("virtual")
    torch._register_device_module("virtual", module)
