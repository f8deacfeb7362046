"""Whether a change in time holds in clock cycles too: a clock that fell is no slower code (nvbench's rule). Pure."""

from __future__ import annotations

from dataclasses import replace
from math import log, log1p

from bench.analysis.verdicts import SeriesVerdict, change
from bench.analysis.words import mhz


def in_cycles(one: SeriesVerdict, before_hz: float | None, after_hz: float | None) -> SeriesVerdict:
    """The verdict with what the clock says of it: "ambiguous" (`clock_change`) where the clock explains the change.

    Unchanged where nothing was called, or where a side's clock is not known.
    """
    if one.verdict not in ("regression", "improvement") or one.ratio is None or not before_hz or not after_hz:
        return one
    cycles = one.ratio * after_hz / before_hz
    clocks = f"the clock went from {mhz(before_hz)} to {mhz(after_hz)} MHz"
    direction = 1.0 if one.verdict == "regression" else -1.0
    if direction * log(cycles) > log1p(one.threshold_asked or 0.0):
        return replace(one, notes=(*one.notes, f"in cycles {change(cycles)} ({clocks})"))
    text = f"{change(one.ratio)} in time, but {clocks}: in cycles {change(cycles)}"
    return replace(one, verdict="ambiguous", reason="clock_change", text=text)
