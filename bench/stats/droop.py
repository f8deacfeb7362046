"""How a rate falls while a device works without pause: by how much, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import e
from typing import Final

from bench.stats.robust import mad, median

INITIAL_SLICES: Final = 3
"""Slices that show the rate before it falls: few, since a power limit acts within a second (ours)."""
FINAL_SHARE: Final = 1 / 3
"""Of the slices, those that show where it settles (ours)."""
SMOOTHING: Final = 5
"""Slices of the running median that the time constant is read from, so that one slow slice is no fall (ours)."""
SIGNIFICANT: Final = 3.0
"""A fall of fewer than this many scaled MADs of the final rates is noise: it has no time constant (ours)."""
MINIMUM_SLICES: Final = 9


@dataclass(frozen=True)
class Droop:
    """`ratio` is the final rate over the initial; `time_constant_s` is when all but 1/e of the fall has happened."""

    initial_per_s: float
    final_per_s: float
    ratio: float
    time_constant_s: float | None


def droop(times_s: Sequence[float], rates_per_s: Sequence[float]) -> Droop | None:
    """The fall of a rate over time; None with fewer than nine slices.

    `times_s` are the slices' ends, ascending. For an exponential fall r(t) = r∞ + (r0 − r∞)·exp(−t/τ) the time
    constant is τ; a rate that rises or only scatters has none. Raises ValueError where the two differ in length or a
    rate is not positive.
    """
    if len(times_s) != len(rates_per_s):
        raise ValueError(f"{len(times_s)} times for {len(rates_per_s)} rates")
    if any(not rate > 0 for rate in rates_per_s):
        raise ValueError("a rate is not positive")
    count = len(rates_per_s)
    if count < MINIMUM_SLICES:
        return None
    initial = median(list(rates_per_s[:INITIAL_SLICES]))
    settled = list(rates_per_s[-round(FINAL_SHARE * count) :])
    final = median(settled)
    significant = initial - final > SIGNIFICANT * mad(settled)
    constant_s = _time_constant(times_s, rates_per_s, final + (initial - final) / e) if significant else None
    return Droop(initial, final, final / initial, constant_s)


def _time_constant(times_s: Sequence[float], rates_per_s: Sequence[float], level_per_s: float) -> float | None:
    """When the running median first falls to the level."""
    for end in range(SMOOTHING, len(rates_per_s) + 1):
        if median(list(rates_per_s[end - SMOOTHING : end])) <= level_per_s:
            return times_s[end - 1 - SMOOTHING // 2]
    return None
