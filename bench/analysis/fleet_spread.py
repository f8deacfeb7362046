"""How the devices of a kind are spread, and from where on the rules call one slow: what a fleet's charts draw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from bench.analysis.fleet_rules import Limits, Rules
from bench.analysis.identity import SeriesKey

LARGEST: Final = 700.0
"""Largest logarithm that exp() takes; times that far apart are no devices of one kind."""


@dataclass(frozen=True)
class Compared:
    """One series (or all of them together) over the devices of a kind, in natural logarithms of time."""

    relative: tuple[float, ...]
    """ln(time / the kind's), a device each."""
    centre: float
    """What the robust z is counted from."""
    middle: float
    """What the times that are shown are relative to."""
    scale: float
    """The kind's spread: a robust z of 1."""
    unit: float
    """The kind's spread of signed distances."""


@dataclass(frozen=True)
class Distribution:
    """Times relative to the kind's: 1.1 is 10 % slower."""

    sku: str
    key: SeriesKey | None
    """None: the median over all series of each device."""
    cases: int
    """How many cases of this kernel and precision there are; the one in which a device stands out most is this."""
    times: tuple[float, ...]
    """A device each, ascending."""
    bound: float
    """From this time on, a device that is slower by as much in all of its samples reaches every limit of its rule."""


def bound(limits: Limits, compared: Compared) -> float:
    """The relative time at which z, distance and distance over spread are all reached by a plain shift.

    A shift of ln(time) by d has the distance d, so that the largest of the three limits decides.
    """
    by_z = compared.centre + limits.robust_z * compared.scale
    reached = max(by_z, limits.distance, limits.distance_spreads * compared.unit)
    return exp(min(reached - compared.middle, LARGEST))


def distributions(
    sku: str, overall: Compared, compared: Mapping[int, Compared], keys: Sequence[SeriesKey], rules: Rules
) -> list[Distribution]:
    """Of one kind: over all series, then a series for each kernel, precision and mode; [] of fewer than two devices.

    `compared` is by the number of the series, which is its place in `keys`.
    """
    if len(overall.relative) < 2:
        return []
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for number in sorted(compared):
        if len(compared[number].relative) > 1:
            key = keys[number]
            groups.setdefault((key.kernel, key.precision, key.accumulate, key.mode), []).append(number)
    found = [_distribution(sku, None, len(compared), overall, rules.device)]
    for numbers in groups.values():
        worst = max(numbers, key=lambda number: max(compared[number].relative) / compared[number].scale)
        found.append(_distribution(sku, keys[worst], len(numbers), compared[worst], rules.series))
    return found


def _distribution(sku: str, key: SeriesKey | None, cases: int, compared: Compared, limits: Limits) -> Distribution:
    times = tuple(sorted(exp(each - compared.middle) for each in compared.relative))
    return Distribution(sku, key, cases, times, bound(limits, compared))
