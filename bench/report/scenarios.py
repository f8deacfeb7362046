"""What each application's step comes to, in lines below the run table."""

from __future__ import annotations

from collections.abc import Sequence

from bench import records
from bench.analysis.scenarios import Missing, Outcome, Speedup, Total, outcomes, speedups
from bench.analysis.words import counted
from bench.precision import PRECISIONS
from bench.report.numbers import percent, prefix, with_interval


def scenario_lines(run: records.RunFile) -> list[str]:
    """A line for each scenario and precision, then how the precisions compare; nothing where none was asked for."""
    found = outcomes(run)
    several = len({one.planned.device for one in found}) > 1
    lines = [_where(one.planned, several) + _outcome_words(one) for one in found]
    return lines + [_where(one.planned, several) + _speedup_words(one) for one in speedups(found)]


def _where(planned: records.PlannedScenario, several: bool) -> str:
    device = f"{planned.device}: " if several else ""
    return f"{device}{planned.suite} ({planned.size}), "


def _outcome_words(one: Outcome) -> str:
    own = PRECISIONS[one.precision].accumulate
    name = one.precision.upper() + ("" if one.accumulate == own else f" ({one.accumulate} accumulation)")
    sums = one.total
    if one.complete and sums is not None:
        of = len(one.planned.entries)
        which = f"all {of} calls" if one.calls == of else f"the {one.calls} of {of} calls that have it"
        return f"{name}: {_total_words(sums, one.precision)}, over {which}"
    words = f"{name}: incomplete, {len(one.missing)} of {one.calls} calls missing: {_missing_words(one.missing)}"
    if sums is None:
        return words
    return f"{words}; not the scenario's figure, the others alone: {_total_words(sums, one.precision)}"


def _missing_words(missing: Sequence[Missing]) -> str:
    """The entries by their status; the rows above have the reasons."""
    by_status: dict[str, list[str]] = {}
    for one in missing:
        by_status.setdefault(one.status, []).append(one.entry)
    return "; ".join(f"{', '.join(names)} ({status})" for status, names in by_status.items())


def _total_words(sums: Total, precision: str) -> str:
    factor, letter = prefix([sums.operations_per_s])
    rate = f"{with_interval(sums.operations_per_s / factor, None, None)} {letter}{PRECISIONS[precision].unit}"
    byte_factor, byte_letter = prefix([sums.bytes_per_s])
    moved = f"{with_interval(sums.bytes_per_s / byte_factor, None, None)} {byte_letter}B/s"
    if sums.rated_per_s is None:
        return f"{rate} ({moved}); share of rated n/a"
    rated = with_interval(sums.rated_per_s / factor, None, None)
    return f"{rate} ({moved}), {percent(sums.utilization)} of the rated {rated}"


def _speedup_words(one: Speedup) -> str:
    calls = counted(one.calls, "call")
    ratio = f"{one.precision.upper()} is {one.ratio:.2f} × as fast as {one.base.upper()}"
    return f"{ratio} over the {calls} measured at both"
