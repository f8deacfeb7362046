"""Implementations of `peak` on a processor: a unit of `units` each, its compiled loop on all cores in use."""

from __future__ import annotations

import ctypes
import os
import weakref
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bench.kernel import Call, Case, DeviceView, Implementation, Inputs, Supports, implementation
from bench.precision import PRECISIONS
from kernels.peak import compiled
from kernels.peak.shapes import BLOCK_CHAINS, EDGE, sizes
from kernels.peak.units import UNITS, Unit, available, flags_for
from kernels.tensors import poisoned

if TYPE_CHECKING:
    import torch

ANYWHERE: Final = -1
"""For a thread: no CPU of its own."""
TOPOLOGY: Final = Path("/sys/devices/system/cpu")


def processor_reason(precision: str, device: DeviceView) -> str:
    """Why no loop at all can run at the precision on this processor; "" when some can, or it is no processor."""
    if device.type != "cpu":
        return ""
    if not available(precision, device.isa):
        wanted = ", ".join(flags_for(precision))
        return f"this processor has no {precision} unit" + (f": none of {wanted}" if wanted else "")
    if os.name != "posix":
        return "the loops need POSIX threads"
    return "" if compiled.compiler() else compiled.NO_COMPILER


def _supports(unit: Unit) -> Supports:
    def reason(case: Case, precision: str, device: DeviceView) -> str:
        missing = [flag for flag in unit.flags if flag not in device.isa]
        return processor_reason(precision, device) or (f"this processor has no {', '.join(missing)}" if missing else "")

    return reason


def _implementation(unit: Unit) -> Implementation:
    def build(kernel: object, inputs: Inputs) -> Call:
        chains, length = sizes(inputs.case)
        blocks = chains // BLOCK_CHAINS
        a, b = inputs["a"], inputs["b"]
        y = poisoned((chains // EDGE, EDGE), _output_dtype(inputs.precision), inputs.device)
        pool = Pool(unit.loops[inputs.precision], unit.options, min(inputs.device.units, blocks))

        def call() -> torch.Tensor:
            pool.run(a.data_ptr(), b.data_ptr(), y.data_ptr(), blocks, length)
            return y

        return call

    build.__doc__ = unit.summary + "."
    return implementation(
        unit.name,
        precisions=tuple(unit.loops),
        devices=("cpu",),
        accumulate=unit.accumulate,
        capturable=False,
        supports=_supports(unit),
    )(build)


PROCESSOR_LOOPS: Final = MappingProxyType({unit.name: _implementation(unit) for unit in UNITS})
"""Name → implementation, for `Peak` to list."""


class Pool:
    """Threads of one unit's library, one a core in use, that wait for work; ended when nothing refers to the pool.

    Raises NotImplementedError with the reason where the library, the unit or the threads can't be had.
    """

    def __init__(self, loops: str, options: tuple[str, ...], threads: int) -> None:
        library = compiled.library(loops, options)
        library.peak_open.argtypes = (ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        library.peak_open.restype = ctypes.c_void_p
        library.peak_close.argtypes = (ctypes.c_void_p,)
        library.peak_close.restype = None
        library.peak_run.argtypes = (*(ctypes.c_void_p,) * 4, ctypes.c_long, ctypes.c_long)
        library.peak_run.restype = None
        why = ctypes.c_int(0)
        self._handle = library.peak_open(threads, (ctypes.c_int * threads)(*placement(threads)), ctypes.byref(why))
        if not self._handle:
            raise NotImplementedError(f"the system refuses the {loops} unit or its threads: {os.strerror(why.value)}")
        self._run = library.peak_run
        weakref.finalize(self, library.peak_close, self._handle)

    def run(self, a: int, b: int, out: int, blocks: int, length: int) -> None:
        """One call of the work, by addresses; the interpreter's lock is free meanwhile."""
        self._run(self._handle, a, b, out, blocks, length)


def placement(threads: int) -> list[int]:
    """A CPU for each thread: one of every core that this process may use, first threads of cores first.

    `ANYWHERE` for all where the system places threads itself, or allows fewer CPUs than there are threads.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [ANYWHERE] * threads
    firsts: list[int] = []
    others: list[int] = []
    seen: set[str] = set()
    for cpu in sorted(os.sched_getaffinity(0)):
        core = _core(cpu)
        (others if core in seen else firsts).append(cpu)
        seen.add(core)
    chosen = [*firsts, *others][:threads]
    return chosen if len(chosen) == threads else [ANYWHERE] * threads


def _core(cpu: int) -> str:
    """What tells the CPU's core: the list of CPUs on it, or the CPU itself where the system presents none."""
    for name in ("core_cpus_list", "thread_siblings_list"):  # since Linux 5.2, and before
        try:
            return (TOPOLOGY / f"cpu{cpu}" / "topology" / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
    return str(cpu)


def _output_dtype(precision: str) -> torch.dtype:
    import torch

    if PRECISIONS[precision].integer:
        return torch.int32
    return torch.float64 if precision == "fp64" else torch.float32
