"""What timing needs of a device: synchronise, events, graphs, a busy stream, memory.

One generic path, through torch.accelerator and torch.Event, with small exceptions for those that need them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final, Protocol

from bench.devices import arithmetic
from bench.errors import UnavailableError
from bench.kernel import Call
from bench.records import Device


class Event(Protocol):
    """A mark in the device's stream of work."""

    def record(self) -> Any:
        """Put the mark behind the work that is queued now."""

    def query(self) -> bool:
        """Whether the device has come to the mark."""
        ...


class Backend:
    """Any accelerator, through torch.accelerator and torch.Event; vendors' exceptions are subclasses.

    Making one makes its device the current one of this process.
    """

    can_sleep: bool = False
    """Whether `busy_sleep` really occupies the stream."""
    supports_graphs: bool = False

    def __init__(self, device: Device) -> None:
        self.device = device
        self.torch_device = device.device
        self._module = _module(device.kind)
        self._make_current()
        self.has_events = self._events_work()

    def synchronize(self) -> None:
        """Wait until the device has done all the work that is queued."""
        import torch

        # torch.accelerator serves one type a process; a second one (mps beside cuda) has its own module only.
        current = torch.accelerator.current_accelerator()
        if current is not None and current.type == self.device.kind:
            torch.accelerator.synchronize(self.torch_device)
        else:
            self._module.synchronize()

    def is_lost(self) -> bool:
        """Whether the device no longer answers this process: an illegal access or a failed assertion stays for good."""
        try:
            self.synchronize()
        except Exception:  # Whatever a backend raises here, the device has not answered.
            return True
        return False

    def event(self) -> Event:
        """A new event that carries a time. UnavailableError where the device has none."""
        if not self.has_events:
            raise UnavailableError(f"{self.torch_device} has no device events: time it from the host")
        return self._new_event()

    def elapsed_s(self, start: Any, end: Any) -> float:
        """Seconds between two recorded events, after a synchronise."""
        return float(start.elapsed_time(end)) * 1e-3

    def capture(self, call: Callable[[], object]) -> Call:
        """Record one call in a device graph and return its replay. UnavailableError where there are no graphs."""
        raise UnavailableError(f"{self.torch_device}: no device graphs with this backend")

    def busy_sleep(self, seconds: float) -> None:
        """Keep the stream occupied for about `seconds`, so that the host gets ahead; nothing unless `can_sleep`."""

    def empty_cache(self) -> None:
        """Give memory that torch holds but doesn't use back to the device."""
        import torch

        # torch's own function raises where the type's allocator keeps nothing back, and every call into a device that a
        # kernel has broken does: whether it is lost, `is_lost` tells.
        with suppress(RuntimeError, AttributeError):
            (getattr(self._module, "empty_cache", None) or torch.accelerator.empty_cache)()

    def memory_free_bytes(self) -> int | None:
        """Free memory of the device, or None where it doesn't tell."""
        query = getattr(self._module, "mem_get_info", None)
        try:
            return int(query(self.torch_device)[0]) if query else None
        except (RuntimeError, TypeError, NotImplementedError):
            return None

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error means that memory ran out, here or on the host."""
        return is_out_of_memory(error)

    @contextmanager
    def precision_mode(self, precision: str) -> Iterator[None]:
        """TF32 is allowed inside for "tf32" and for nothing else; strict FP32 before, for all others, and after."""
        if precision == "tf32":
            self.allow_tf32()
        else:
            self.strict_fp32()
        try:
            yield
        finally:
            self.strict_fp32()

    def strict_fp32(self) -> None:
        """See `arithmetic.strict_fp32`."""
        arithmetic.strict_fp32()

    def allow_tf32(self) -> None:
        """See `arithmetic.allow_tf32`."""
        arithmetic.allow_tf32()

    def _make_current(self) -> None:
        import torch

        index = torch.device(self.torch_device).index
        setter = getattr(self._module, "set_device", None)
        if setter is not None and index is not None:
            setter(index)

    def _new_event(self) -> Event:
        import torch

        return torch.Event(self.device.kind, enable_timing=True)

    def _events_work(self) -> bool:
        """Events that can be made, recorded and read: some backends have the class but not the clock."""
        import torch

        try:
            # torch.accelerator.synchronize does nothing for a type of which torch has seen no tensor yet.
            torch.empty(1, device=self.torch_device)
            start, end = self._new_event(), self._new_event()
            start.record()
            end.record()
            self.synchronize()
            return self.elapsed_s(start, end) >= 0
        except Exception:  # Whatever a backend raises here, the answer is no.
            return False


class CpuBackend(Backend):
    """The processor: calls return when they are done, so there is nothing to wait for and no event."""

    def synchronize(self) -> None:
        """Nothing is queued."""

    def empty_cache(self) -> None:
        """The allocator keeps nothing back."""

    def memory_free_bytes(self) -> int | None:
        """What the system has available, or less where the control group's limit leaves less."""
        import psutil

        available = int(psutil.virtual_memory().available)
        limit = self.device.memory_bytes
        if limit is None:
            return available
        return max(0, min(available, limit - int(psutil.Process().memory_info().rss)))

    def _make_current(self) -> None:
        pass

    def _events_work(self) -> bool:
        return False


_GRAPH_WARMUP_CALLS: Final = 3
"""torch's notes on CUDA graphs: a few calls on a side stream before capture, so that lazy set-up is done."""
_SLEEP_CALIBRATION_CYCLES: Final = 10_000_000
"""5 to 10 ms at 1–2 GHz: long against a launch, short against a measurement."""


class CudaBackend(Backend):
    """torch.cuda, NVIDIA's or another vendor's: graphs, and a sleep in cycles that is calibrated once."""

    can_sleep = True
    supports_graphs = True

    def memory_free_bytes(self) -> int | None:
        """What the driver has free, and what torch's allocator holds without using it: a tensor can have both."""
        free = super().memory_free_bytes()
        if free is None:
            return None
        kept = self._module.memory_reserved(self.torch_device) - self._module.memory_allocated(self.torch_device)
        return free + max(0, int(kept))

    def capture(self, call: Callable[[], object]) -> Call:
        """Record one call in a CUDA graph after warming it up on a side stream. What capture refuses is raised."""
        import torch

        before = torch.cuda.current_stream(self.torch_device)
        side = self._module.Stream(self.torch_device)
        side.wait_stream(before)
        with torch.cuda.stream(side):
            for _ in range(_GRAPH_WARMUP_CALLS):
                call()
        before.wait_stream(side)
        self.synchronize()
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        broke: list[Exception] = []
        try:
            with torch.cuda.graph(graph, pool=pool, stream=side):
                try:
                    call()
                except Exception as error:
                    broke.append(error)
                    raise
        except Exception as error:
            torch.cuda.set_stream(before)
            _abandon_capture(graph, pool, before.device_index)
            # The end of a broken capture raises too, and would hide what broke it.
            raise (broke.pop() if broke else error) from None
        return graph.replay

    def busy_sleep(self, seconds: float) -> None:
        """Occupy the stream for about `seconds` with a spinning kernel."""
        cycles = int(seconds * _sleep_cycles_per_s(self.torch_device))
        if cycles > 0:
            self._module._sleep(cycles)


_abandoned: Final[list[object]] = []
"""Graphs whose capture broke: torch's allocator of pinned memory goes on asking them whether they still capture."""


def _abandon_capture(graph: object, pool: object, device_index: int) -> None:
    """Tell torch's allocator that a capture is over which broke before torch could.

    Where the end of the capture itself fails, torch leaves the stream current (its caller's to mend) and the allocator
    in the belief that it still captures: it would give no memory back to the device for the rest of the process
    (CUDAGraph::capture_end, CUDACachingAllocator release_cached_blocks).
    """
    import torch

    allocator: Any = torch._C
    try:
        allocator._cuda_endAllocateToPool(device_index, pool)
    except RuntimeError:  # torch had come so far by itself: the pool is the graph's to release
        return
    allocator._cuda_releasePool(device_index, pool)
    _abandoned.append(graph)


@cache
def _sleep_cycles_per_s(torch_device: str) -> float:
    """Cycles a second of the counter that the sleep spins on: measured, as it is not the SM clock everywhere."""
    import torch

    module: Any = torch.cuda
    with torch.cuda.device(torch_device):
        module._sleep(_SLEEP_CALIBRATION_CYCLES // 10)  # loads the kernel
        module.synchronize()
        start = time.perf_counter()
        module._sleep(_SLEEP_CALIBRATION_CYCLES)
        module.synchronize()
        return _SLEEP_CALIBRATION_CYCLES / (time.perf_counter() - start)


class MpsBackend(Backend):
    """Apple's GPU: shared memory, no device index."""

    def memory_free_bytes(self) -> int | None:
        """What Metal recommends at most, less what torch has allocated."""
        import torch

        return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory()))

    def _make_current(self) -> None:
        pass


def backend(device: Device) -> Backend:
    """The backend of a discovered device; makes it the current device of this process. Imports torch."""
    kinds: dict[str, type[Backend]] = {"cpu": CpuBackend, "cuda": CudaBackend, "mps": MpsBackend}
    return kinds.get(device.kind, Backend)(device)


_OUT_OF_MEMORY: Final = (
    # The words of torch's allocators, in lower case.
    "out of memory",  # CUDA, HIP, XPU, MPS ("MPS backend out of memory"), most vendors
    "can't allocate memory",  # DefaultCPUAllocator on Linux and macOS
    "not enough memory",  # DefaultCPUAllocator on Windows
    "cannot allocate memory",  # the system's own words
    "out_of_device_memory",  # Level Zero, ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY
    "out_of_host_memory",
    "out_of_resources",  # PI_ERROR_OUT_OF_RESOURCES, UR_RESULT_ERROR_OUT_OF_RESOURCES
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "hipblas_status_alloc_failed",
    "invalid buffer size",  # MPS, for a buffer larger than Metal takes
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: by its type where torch has one, else by its allocator's words."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in message for words in _OUT_OF_MEMORY)


def _module(kind: str) -> Any:
    import torch

    return getattr(torch, kind, None)
