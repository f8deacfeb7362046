"""One row, inside the worker: inputs, reference, candidates checked and screened, the winner timed.

Every way in which that can end is a status with a reason; nothing is raised past `measure_row` but a user's error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import records
from bench.kernel import Call, Inputs, Role
from bench.runner import collective
from bench.runner.collective_meeting import Company
from bench.runner.protocol import Measure, Measured
from bench.runner.row import FREE_MEMORY_SHARE, TIMED_MINIMUM_S, Candidate, ProgressSink, Row, failure, record
from bench.stats.droop import droop
from bench.stats.intervals import thin
from bench.telemetry.canary import Probe
from bench.timing import CachePlan, Expected, Timing, check_call, measure, plan_cache, prepare
from bench.timing.race import ROUNDS, draw_width, medians, race, winner
from bench.timing.sustained import SLICES_KEPT, Sustained, sustain

SCREEN_SHARE: Final = 0.25
"""Of a row's budget, the most that choosing among implementations may take (ours)."""
SCREEN_ONE_S: Final = 0.3
"""Seconds of screening per implementation (ours): two that are closer than the noise of that are a draw."""
SCREEN_LEAST_S: Final = 0.06
"""The same where set-up has used up the row's budget, as a first choice of tile sizes does (ours). With nothing left a
look would be one call by the host's clock, launch included, and the plan that hangs on its length another."""
BURST_BESIDE_S: Final = 1.0
"""Seconds of burst measurement before a sustained one, for the gap between the two (ours)."""


def measure_row(
    request: Measure,
    device: records.Device,
    progress: ProgressSink,
    probe: Probe | None = None,
    company: Company | None = None,
) -> Measured:
    """Measure one row: its record without rating, statuses from unsupported to ok, and what the parent needs beside.

    `company` are the ranks that measure with this one; with them a kernel whose role is that of a collective is
    measured by all at once.
    """
    row = Row(request, device, progress, probe)
    try:
        import torch

        with row.backend.precision_mode(request.precision):
            if company is not None and row.kernel.role is Role.COLLECTIVE:
                # Not in inference mode: the threads of a group write to its tensors, and may be outside of it.
                with torch.no_grad():
                    collective.measure(row, company)
            else:
                with torch.inference_mode():
                    _measure(row)
    except Exception as error:  # a kernel may raise anything: it costs its own row
        row.outcome.status, row.outcome.reason = failure(row.backend, error)
    finally:
        if company is None or not company.unusable:  # a device that waits for a lost rank would hold this up
            row.backend.empty_cache()
    return Measured(measurement=record(row), window_s=row.outcome.window_s, canaries=row.outcome.canaries)


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
    timing = _sustained(row, winner) if row.request.mode == "sustained" else _burst(row, first, winner, call_s)
    _judge(row, winner, expected, timing)


def _burst(row: Row, first: Inputs, winner: Candidate, call_s: float | None) -> Timing:
    """Isolated calls in the cache state that is asked for, until a stopping rule ends them."""
    plan = _cache_plan(row, call_s)
    row.outcome.cache_reason = plan.why
    calls = _copies(row, first, winner, plan)
    row.progress("timing", winner.implementation.name)
    with row.timed():
        return measure(
            calls,
            row.backend,
            plan=plan,
            capturable=winner.implementation.capturable,
            budget_s=max(TIMED_MINIMUM_S, row.remaining_s()),
        )


def _sustained(row: Row, winner: Candidate) -> Timing:
    """A short burst for comparison, then calls back to back for the wall time; the record's samples are its slices."""
    plan = CachePlan("warm", why="back to back: each call finds what the last one left")
    row.outcome.cache_reason = plan.why
    row.progress("burst", winner.implementation.name)
    burst = measure([winner.call], row.backend, plan=plan, capturable=False, budget_s=BURST_BESIDE_S)
    row.progress("sustained", f"{row.request.sustain_s:g} s")
    with row.timed():
        result = sustain(winner.call, row.backend, wall_s=row.request.sustain_s)
    row.outcome.sustained = _over_time(row, result, burst.to_time().median_s)
    return Timing.of_slices(result.per_call_s, result.calls, result.wall_s, warmup_s=burst.warmup_s + burst.timed_s)


def _over_time(row: Row, result: Sustained, burst_median_s: float) -> records.Sustained:
    amount = row.work.operations or row.work.bytes
    rates = [amount / seconds for seconds in result.per_call_s]
    fall = droop(result.ends_s, rates)
    return records.Sustained(
        wall_s=result.wall_s,
        calls=result.calls,
        ends_s=thin(result.ends_s, SLICES_KEPT),
        per_call_s=thin(result.per_call_s, SLICES_KEPT),
        burst_median_s=burst_median_s,
        droop_ratio=fall.ratio if fall else None,
        time_constant_s=fall.time_constant_s if fall else None,
    )


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
            if row.backend.is_lost():
                raise  # none can do better here; the parent asks a new worker, without this one
            status, reason = failure(row.backend, error)
        else:
            if check.passed:
                passed.append(Candidate(implementation, call, check))
                continue
            status = "wrong"
            outcome.check = check
        row.backend.empty_cache()  # not where the error is handled, which holds what its frames held
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
    plan = _cache_plan(row, None)
    brief = CachePlan(plan.label, 1, plan.flush_bytes, plan.why)
    share_s = SCREEN_SHARE * row.remaining_s() / len(candidates)
    look_s = max(SCREEN_LEAST_S, min(SCREEN_ONE_S, share_s)) / ROUNDS
    by_name = {candidate.implementation.name: candidate for candidate in candidates}
    calls = {name: candidate.call for name, candidate in by_name.items()}
    with row.outcome.phase("screen"):
        looks = race(calls, row.backend, brief, look_s, lambda name: row.progress("screen", name))
    seconds = medians(looks)
    row.outcome.screened.extend(
        {"implementation": name, "status": "ok", "screened_s": each} for name, each in seconds.items()
    )
    chosen = winner(seconds, draw_width(looks))
    return by_name[chosen], seconds[chosen]


def _cache_plan(row: Row, call_s: float | None) -> CachePlan:
    if row.kernel.role is Role.TRANSFER:
        # The host's caches are not the device's to flush, and copies of its buffers would not be pinned.
        return CachePlan("warm", why="the same buffers each time, as in nvbandwidth")
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
