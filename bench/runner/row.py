"""One row while it is measured: what its phases share, what has become of it, and the record it ends as."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bench import plugins, records
from bench.devices import Backend, backend, view
from bench.kernel import Call, DeviceView, Implementation, Inputs, Kernel
from bench.kernel import Work as KernelWork
from bench.runner.protocol import Measure
from bench.telemetry.canary import Canary, Probe
from bench.timing import Timing

TIMED_MINIMUM_S: Final = 0.6
"""Timed even when set-up has used up the row's budget: the stopping rules ask for at least 0.5 s."""
FREE_MEMORY_SHARE: Final = 0.8
"""Of the free memory, what inputs and output may take; the rest is for the reference (ours)."""

ProgressSink = Callable[[str, str], None]


@dataclass
class Outcome:
    """What has become of a row so far."""

    status: records.Status = "failed"
    reason: str = ""
    implementation: Implementation | None = None
    check: records.Check | None = None
    timing: Timing | None = None
    screened: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sustained: records.Sustained | None = None
    window_s: tuple[float, float] | None = None
    """Start and end of the timed calls by time.monotonic(), which all processes of a machine share."""
    canaries: list[Canary] = field(default_factory=list)
    cache_reason: str = ""
    hosts: int = 1
    """Machines that took part."""
    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the wall time of the block to the row's account."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.spent_s[name] = self.spent_s.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class Candidate:
    """An implementation that has passed its check on the first copy of the inputs."""

    implementation: Implementation
    call: Call
    check: records.Check


class Row:
    """One row being measured: what the phases share."""

    def __init__(self, request: Measure, device: records.Device, progress: ProgressSink, probe: Probe | None) -> None:
        self._probe = probe
        self.request = request
        self.started = time.perf_counter()
        self.progress = progress
        self.device = device
        self.view: DeviceView = view(device)
        self.backend: Backend = backend(device)
        self.kernel: Kernel = plugins.load().kernel(request.kernel)
        self.implementations = plugins.load().implementations(request.kernel)
        self.work: KernelWork = self.kernel.work(request.case, request.precision)
        self.outcome = Outcome()

    def remaining_s(self) -> float:
        """What is left of the row's budget."""
        return self.request.budget_s - (time.perf_counter() - self.started)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around the timed calls: a canary before and after, and the window that telemetry is joined by."""
        self._canary()
        started = time.monotonic()
        yield
        self.outcome.window_s = (started, time.monotonic())
        self._canary()

    def _canary(self) -> None:
        if self._probe is not None:
            with self.outcome.phase("canary"):
                self.outcome.canaries.append(self._probe.measure())

    def inputs(self) -> Inputs:
        """The inputs, from the run's seed."""
        import torch

        generator = torch.Generator().manual_seed(self.request.seed)
        tensors = self.kernel.inputs(self.request.case, self.request.precision, self.view, self.request.data, generator)
        return Inputs(self.request.case, self.request.precision, self.view, tensors)


_LIBRARYS_REFUSAL: Final = ("_STATUS_NOT_SUPPORTED", "_status_not_implemented")
"""What torch passes on of cuBLAS, cuDNN and cuSPARSE, and of rocBLAS, where these have no kernel for a problem."""


def failure(device: Backend, error: BaseException) -> tuple[records.Status, str]:
    """The status and reason of an exception raised by a kernel."""
    message = " ".join(str(error).split())[:300] or "no message"
    if device.is_out_of_memory(error):
        return "out_of_memory", message
    if isinstance(error, NotImplementedError) or any(word in message for word in _LIBRARYS_REFUSAL):
        return "unsupported", message
    return "failed", f"{type(error).__name__}: {message}"


def record(row: Row) -> records.Measurement:
    request, outcome, timing = row.request, row.outcome, row.outcome.timing
    name = outcome.implementation.name if outcome.implementation else _label(request.implementations)
    return records.Measurement(
        id=request.id,
        device=request.device,
        host=row.device.host,
        rank=row.device.rank,
        launch=request.launch,
        kernel=request.kernel,
        case=request.case,
        precision=request.precision,
        accumulate=outcome.implementation.accumulates(request.precision) if outcome.implementation else None,
        implementation=name,
        role=row.kernel.role,
        mode=request.mode,
        data=request.data,
        cache=timing.cache if timing else request.cache or "not-applicable",
        status=outcome.status,
        reason=outcome.reason,
        check=outcome.check,
        work=records.Work(operations=row.work.operations, bytes=row.work.bytes),
        executed=_executed(row),
        time=timing.to_time() if timing else None,
        samples_s=timing.thinned_samples_s() if timing else None,
        rate=_rate(row.work, timing.to_time().median_s) if timing else None,
        spent_s=outcome.spent_s | (timing.spent_s if timing else {}),
        screened=outcome.screened,
        warnings=outcome.warnings,
        cache_reason=outcome.cache_reason,
        sustained=outcome.sustained,
        hosts=outcome.hosts,
    )


def _label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "best"


def _executed(row: Row) -> records.Executed | None:
    implementation = row.outcome.implementation
    if implementation is None or implementation.executed is None:
        return None
    executed = implementation.executed(row.request.case, row.request.precision, row.view)
    if executed is None:
        return None
    return records.Executed(operations=executed.operations, precision=executed.precision, note=executed.note)


def _rate(work: KernelWork, median_s: float) -> records.Rate:
    return records.Rate(
        operations_per_s=work.operations / median_s if work.operations else None,
        bytes_per_s=work.bytes / median_s if work.bytes else None,
    )
