"""Why a device of a fleet is slower than its kind, in words: the loss factor in which it differs most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

from bench.analysis import observed
from bench.analysis.fleet_merge import FACTORS, Cell
from bench.analysis.words import mhz, percent
from bench.kernel import Role
from bench.stats.robust import median

TELLING: Final = 0.97
"""A factor explains something where it is at most this share of the kind's."""
_UNEXPLAINED: Final = {
    Role.BANDWIDTH: "memory is slow",
    Role.TRANSFER: "the link to the host is slow",
}
"""What is said of a row in bytes where no factor tells."""


@dataclass(frozen=True)
class SlowSeries:
    """The slow device's row, and those of the others of its kind."""

    cell: Cell
    others: Sequence[Cell]
    role: Role


def why_slow(slow: SlowSeries) -> str:
    """ "clock 1,140 MHz where its kind has 1,410 MHz: thermal slowdown in 83 % of samples"; "" where nothing tells."""
    ratios = _factor_ratios(slow)
    clock = _clock_ratio(slow)
    if clock is not None:
        ratios["clock"] = min(clock, ratios.get("clock", clock))
    throttled = observed.throttle_words({"throttle": {"share": slow.cell.throttle or {}}})
    name = min(ratios, key=lambda factor: ratios[factor], default=None)
    # The kernel's factor is what is left once the others are known: a lower clock that isn't its own shows there too.
    if "clock" in ratios and ratios["clock"] <= TELLING and name == "kernel":
        name = "clock"
    if name is None or ratios[name] > TELLING:
        return ", ".join(throttled)
    if name == "clock":
        words = f"clock {_clock_words(slow, ratios[name])}"
        return f"{words}: {', '.join(throttled)}" if throttled else words
    if name == "kernel":
        words = _UNEXPLAINED.get(slow.role, "no factor that was observed explains it")
        return f"{words}: {', '.join(throttled)}" if throttled else words
    words = f"{name}: {percent(ratios[name])} of what its kind has"
    return f"{words}: {', '.join(throttled)}" if throttled else words


def _clock_words(slow: SlowSeries, ratio: float) -> str:
    clocks = [cell.clock_hz for cell in slow.others if cell.clock_hz]
    if slow.cell.clock_hz and clocks:
        return f"{mhz(slow.cell.clock_hz)} MHz where its kind has {mhz(median(clocks))} MHz"
    if slow.cell.clock_hz:
        return f"{mhz(slow.cell.clock_hz)} MHz"
    return f"at {percent(ratio)} of its kind's"


def _clock_ratio(slow: SlowSeries) -> float | None:
    clocks = [cell.clock_hz for cell in slow.others if cell.clock_hz]
    if not slow.cell.clock_hz or not clocks:
        return None
    return slow.cell.clock_hz / median(clocks)


def _factor_ratios(slow: SlowSeries) -> dict[str, float]:
    """Factor → the device's over the median of its kind's, of those that both know."""
    found = {}
    for place, name in enumerate(FACTORS):
        own = slow.cell.factors[place] if slow.cell.factors else float("nan")
        known = [cell.factors[place] for cell in slow.others if cell.factors and not isnan(cell.factors[place])]
        if not isnan(own) and known and (middle := median(known)) > 0:
            found[name] = own / middle
    return found
