"""One row, inside the worker: inputs, reference, candidates checked and screened, the winner timed.

Every way in which that can end is a status with a reason; nothing is raised past `measure_row` but a user's error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench import plugins, records
from bench.devices import Backend, backend, view
from bench.kernel import Call, Implementation, Inputs, Kernel
from bench.kernel import Work as KernelWork
from bench.runner.protocol import Measure
from bench.timing import CachePlan, Expected, Timing, check_call, measure, plan_cache, prepare, screen

if TYPE_CHECKING:
    from bench.kernel import DeviceView

ProgressSink = Callable[[str, str], None]

SCREEN_SHARE: Final = 0.25
"""Of a row's budget, the most that choosing among implementations may take (ours)."""
SCREEN_ONE_S: Final = 0.15
"""Seconds of screening per implementation: enough to tell a factor of two apart, not a percent (ours)."""
TIMED_MINIMUM_S: Final = 0.6
"""Timed even when set-up has used up the row's budget: the stopping rules ask for at least 0.5 s."""
FREE_MEMORY_SHARE: Final = 0.8
"""Of the free memory, what inputs, outputs and a float64 reference together may take."""


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
    cache_reason: str = ""
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

    def __init__(self, request: Measure, device: records.Device, progress: ProgressSink) -> None:
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

    def inputs(self) -> Inputs:
        """The inputs, from the run's seed."""
        import torch

        generator = torch.Generator().manual_seed(self.request.seed)
        tensors = self.kernel.inputs(self.request.case, self.request.precision, self.view, self.request.data, generator)
        return Inputs(self.request.case, self.request.precision, self.view, tensors)


def measure_row(request: Measure, device: records.Device, progress: ProgressSink) -> records.Measurement:
    """Measure one row and return its record, without rating; statuses from unsupported to ok."""
    row = Row(request, device, progress)
    try:
        import torch

        with torch.inference_mode():
            (row.backend.allow_tf32 if request.precision == "tf32" else row.backend.strict_fp32)()
            _measure(row)
    except Exception as error:  # a kernel may raise anything: it costs its own row
        row.outcome.status, row.outcome.reason = _failure(row.backend, error)
    finally:
        row.backend.empty_cache()
    return _record(row)


def _measure(row: Row) -> None:
    outcome = row.outcome
    if not _fits(row):
        return
    with outcome.phase("inputs"):
        row.progress("inputs", "")
        first = row.inputs()
    with outcome.phase("reference"):
        row.progress("reference", "")
        expected = prepare(row.kernel, first, row.request.seed)
    candidates = _checked(row, first, expected)
    if not candidates:
        return
    winner, call_s = _fastest(row, candidates)
    outcome.implementation, outcome.check = winner.implementation, winner.check
    plan = _cache_plan(row, call_s)
    outcome.cache_reason = plan.why
    calls = _copies(row, first, winner, plan)
    row.progress("timing", winner.implementation.name)
    timing = measure(
        calls,
        row.backend,
        plan=plan,
        capturable=winner.implementation.capturable,
        budget_s=max(TIMED_MINIMUM_S, row.remaining_s()),
    )
    _judge(row, winner, expected, timing)


def _fits(row: Row) -> bool:
    """Whether inputs and output fit into what memory is free, before anything is allocated."""
    free = row.backend.memory_free_bytes()
    needed = row.work.bytes_read + row.work.bytes_written
    if free is None or needed <= free * FREE_MEMORY_SHARE:
        return True
    row.outcome.status = "out_of_memory"
    row.outcome.reason = f"inputs and output need {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free"
    return False


def _checked(row: Row, first: Inputs, expected: Expected) -> list[Candidate]:
    """Build and call each candidate once and keep those that give the right answer.

    The row gets the worst status among them where none does.
    """
    outcome = row.outcome
    passed: list[Candidate] = []
    failures: list[tuple[records.Status, str]] = []
    for name in row.request.implementations:
        implementation = row.implementations[name]
        row.progress("check", name)
        try:
            with outcome.phase("build"):
                call = implementation.build(row.kernel, first)
            with outcome.phase("check"):
                accumulate = implementation.accumulates(row.request.precision)
                check, reason = check_call(call, expected, accumulate, row.backend)
        except Exception as error:  # the next candidate may do better
            status, reason = _failure(row.backend, error)
            row.backend.empty_cache()
        else:
            if check.passed:
                passed.append(Candidate(implementation, call, check))
                continue
            status = "wrong"
            outcome.check = check
        failures.append((status, f"{name}: {reason}"))
        outcome.screened.append({"implementation": name, "status": status, "reason": reason})
    if not passed:
        worst = min(failures, key=lambda failure: records.STATUSES.index(failure[0]))
        outcome.status, outcome.reason = worst[0], "; ".join(reason for _, reason in failures)
        if len(row.request.implementations) == 1:
            outcome.implementation = row.implementations[row.request.implementations[0]]
    return passed


def _fastest(row: Row, candidates: Sequence[Candidate]) -> tuple[Candidate, float | None]:
    """The candidate with the shortest call in a brief look, and the seconds of that call.

    A single candidate is looked at only where the length of its call decides how it is timed (device graphs).
    """
    if len(candidates) == 1 and not row.backend.supports_graphs:
        return candidates[0], None
    per_candidate_s = min(SCREEN_ONE_S, SCREEN_SHARE * max(row.remaining_s(), 0.0) / len(candidates))
    plan = _cache_plan(row, None)
    brief = CachePlan(plan.label, 1, plan.flush_bytes, plan.why)
    times: list[tuple[float, Candidate]] = []
    with row.outcome.phase("screen"):
        for candidate in candidates:
            name = candidate.implementation.name
            row.progress("screen", name)
            seconds = screen([candidate.call], row.backend, brief, per_candidate_s, capturable=False)
            times.append((seconds, candidate))
            row.outcome.screened.append({"implementation": name, "status": "ok", "screened_s": seconds})
    seconds, fastest = min(times, key=lambda pair: pair[0])
    return fastest, seconds


def _cache_plan(row: Row, call_s: float | None) -> CachePlan:
    return plan_cache(
        row.request.cache,
        call_bytes=row.work.bytes,
        input_bytes=row.kernel.input_bytes(row.request.case, row.request.precision),
        cache_bytes=row.view.cache_bytes,
        memory_budget=row.backend.memory_free_bytes(),
        device_type=row.view.type,
        vendor=row.view.vendor,
        graphs=row.backend.supports_graphs and call_s is not None,
        call_s=call_s,
    )


def _copies(row: Row, first: Inputs, winner: Candidate, plan: CachePlan) -> list[Call]:
    """The winner built on each rotated copy of the inputs; the first copy is already there.

    Clones, not fresh random data: what makes a call cold is the address, and a clone costs a tenth of the time.
    """
    calls = [winner.call]
    with row.outcome.phase("copies"):
        for number in range(1, plan.copies):
            row.progress("copies", f"{number + 1}/{plan.copies}")
            tensors = {name: tensor.clone() for name, tensor in first.tensors.items()}
            copy = Inputs(first.case, first.precision, first.device, tensors)
            calls.append(winner.implementation.build(row.kernel, copy))
    return calls


def _judge(row: Row, winner: Candidate, expected: Expected, timing: Timing) -> None:
    """The timed row's status. The call has to be right still: what timing wore out or overwrote shows here."""
    outcome = row.outcome
    with outcome.phase("check"):
        row.progress("check", "after timing")
        accumulate = winner.implementation.accumulates(row.request.precision)
        check, reason = check_call(winner.call, expected, accumulate, row.backend, inputs_matter=False)
    if not check.passed:
        outcome.status, outcome.check = "wrong", check
        outcome.reason = f"right before the timing, wrong after it: {reason}"
        return
    outcome.timing = timing
    outcome.warnings.extend(timing.warnings)
    outcome.status, outcome.reason = ("ok", "") if timing.reached_target else ("noisy", timing.noise_reason)


def _failure(device: Backend, error: BaseException) -> tuple[records.Status, str]:
    """The status and reason of an exception raised by a kernel."""
    message = " ".join(str(error).split())[:300] or "no message"
    if device.is_out_of_memory(error):
        return "out_of_memory", message
    if isinstance(error, NotImplementedError):
        return "unsupported", message
    return "failed", f"{type(error).__name__}: {message}"


def _record(row: Row) -> records.Measurement:
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
