"""One row that all ranks measure together, inside the worker: each does the same steps, and what fails at one fails at
all, with the rank named."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from bench import records
from bench.kernel import Inputs
from bench.runner.collective_meeting import Company, Here, NotMet, common
from bench.runner.row import FREE_MEMORY_SHARE, TIMED_MINIMUM_S, Candidate, Row, failure
from bench.stats.robust import median
from bench.timing import Expected, Group, check_together, measure_together, prepare
from bench.timing.race import winner
from bench.timing.together import WHY_WARM
from bench.timing.together_check import by_rank, copied

if TYPE_CHECKING:
    import torch

LOOK_S: Final = 0.3
"""Seconds of a look at each implementation where there are several (ours)."""
BUFFERS: Final = 3
"""What a row holds at once, in copies of its inputs: themselves, the output, what they are put back from."""

Made = TypeVar("Made")


class Refused(Exception):
    """The row ends here, at every rank with the same status and reason."""

    def __init__(self, status: records.Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def measure(row: Row, company: Company) -> None:
    """Measure a row with all ranks; its outcome says how that went. Raises nothing but what is no Exception."""
    outcome, request = row.outcome, row.request
    if request.mode == "sustained":
        outcome.status, outcome.reason = "unsupported", "collectives are measured in bursts: leave --mode out"
        return
    row.progress("meeting", "")
    try:
        with outcome.phase("meeting"):
            group, every = company.join(request.id, row.device, _here(row))
    except NotMet as alone:
        outcome.status, outcome.reason = alone.status, str(alone)
        return
    outcome.hosts = len({one.host for one in every})
    try:
        _measure(row, group, common(every))
    except Refused as refused:
        outcome.status, outcome.reason = refused.status, refused.reason
    except Exception as error:  # a kernel or the group may raise anything: it costs this row
        status, reason = failure(row.backend, error)
        outcome.status, outcome.reason = status, company.broke(request.id, row.device, error, reason)


def _here(row: Row) -> Here:
    request = row.request
    case = ",".join(f"{name}={value}" for name, value in request.case.items())
    what = (request.kernel, case, request.precision, request.data, row.view.type)
    return Here(
        host=socket.gethostname(),
        what=" ".join(what),
        group="",
        implementations=request.implementations,
        accelerator="" if row.device.kind == "cpu" else row.device.unique_id or "",
    )


def _measure(row: Row, group: Group, names: Sequence[str]) -> None:
    outcome = row.outcome
    if not names:
        raise Refused("failed", "the ranks have no implementation of it in common")
    made = _at_all(row, group, lambda: _prepared(row))
    candidates = _checked(row, group, names, made)
    chosen = _fastest(row, group, candidates)
    outcome.implementation, outcome.check = chosen.implementation, chosen.check
    outcome.cache_reason = WHY_WARM
    # Rank 0's: a budget decides how many calls are made, which has to be the same at all.
    budget_s = max(TIMED_MINIMUM_S, group.exchange([row.remaining_s()])[0][0])
    row.progress("timing", chosen.implementation.name)
    with row.timed():
        timing = measure_together(chosen.call, row.backend, group, budget_s=budget_s)
    row.progress("check", "after timing")
    accumulate = chosen.implementation.accumulates(row.request.precision)
    with outcome.phase("check"):
        check, reason = check_together(
            chosen.call, made.expected, made.kept, accumulate, row.backend, group, inputs_matter=False
        )
    if not check.passed:
        outcome.check = check
        raise Refused("wrong", f"right before the timing, wrong after it: {reason}")
    outcome.timing = timing
    outcome.status, outcome.reason = ("ok", "") if timing.reached_target else ("noisy", timing.noise_reason)


@dataclass(frozen=True)
class Prepared:
    """What a rank has made of a row by itself; `kept` are the inputs as they were."""

    inputs: Inputs
    kept: dict[str, torch.Tensor]
    expected: Expected


def _prepared(row: Row) -> Prepared:
    """Inputs and reference; MemoryError where the row won't fit into what memory is free."""
    free_bytes = row.backend.memory_free_bytes()
    needed = BUFFERS * row.kernel.input_bytes(row.request.case, row.request.precision)
    if free_bytes is not None and needed > free_bytes * FREE_MEMORY_SHARE:
        raise MemoryError(f"its buffers need {needed / 1e9:.3g} GB, {free_bytes / 1e9:.3g} GB are free")
    with row.outcome.phase("inputs"):
        row.progress("inputs", "")
        first = row.inputs()
    with row.outcome.phase("reference"):
        row.progress("reference", "")
        return Prepared(first, copied(first), prepare(row.kernel, first, row.request.seed))


def _checked(row: Row, group: Group, names: Sequence[str], made: Prepared) -> list[Candidate]:
    """The implementations that give the right answer at every rank. Refused, with the worst status, where none does."""
    outcome = row.outcome
    passed: list[Candidate] = []
    failures: list[tuple[records.Status, str]] = []
    for name in names:
        implementation = row.implementations[name]
        row.progress("check", name)
        try:
            with outcome.phase("build"):
                call = _at_all(row, group, partial(implementation.build, row.kernel, made.inputs))
            with outcome.phase("check"):
                accumulate = implementation.accumulates(row.request.precision)
                check, reason = check_together(call, made.expected, made.kept, accumulate, row.backend, group)
            if check.passed:
                passed.append(Candidate(implementation, call, check))
                continue
            outcome.check = check
            failures.append(("wrong", f"{name}: {reason}"))
        except Refused as refused:
            failures.append((refused.status, f"{name}: {refused.reason}"))
        outcome.screened.append({"implementation": name, "status": failures[-1][0], "reason": failures[-1][1]})
    if not passed:
        if len(names) == 1:
            outcome.implementation = row.implementations[names[0]]
        worst = min((status for status, _ in failures), key=records.STATUSES.index)
        raise Refused(worst, "; ".join(reason for _, reason in failures))
    return passed


def _fastest(row: Row, group: Group, candidates: Sequence[Candidate]) -> Candidate:
    """The one with the shortest call in a brief look, by rank 0's word; a draw goes to the one written first."""
    if len(candidates) == 1:
        return candidates[0]
    seconds: dict[str, float] = {}
    with row.outcome.phase("screen"):
        for candidate in candidates:
            name = candidate.implementation.name
            row.progress("screen", name)
            timing = measure_together(candidate.call, row.backend, group, budget_s=LOOK_S)
            seconds[name] = median(timing.samples_s)
    row.outcome.screened.extend(
        {"implementation": name, "status": "ok", "screened_s": each} for name, each in seconds.items()
    )
    place = list(seconds).index(winner(seconds))
    return candidates[int(group.exchange([float(place)])[0][0])]


def _at_all(row: Row, group: Group, step: Callable[[], Made]) -> Made:
    """What a step gives that each rank does for itself. Refused at all ranks where it fails at one."""
    made: Made | None = None
    reason, code = "", len(records.STATUSES)
    try:
        made = step()
    except Exception as error:  # a kernel may raise anything
        status, reason = failure(row.backend, error)
        code = records.STATUSES.index(status)
    codes = [int(values[0]) for values in group.exchange([float(code)])]
    if min(codes) < len(records.STATUSES):
        words = group.exchange_words(reason)
        failed = {rank: words[rank] for rank, each in enumerate(codes) if each < len(records.STATUSES)}
        raise Refused(records.STATUSES[min(codes)], by_rank(failed))
    assert made is not None
    return made
