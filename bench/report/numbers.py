"""Numbers for readers: SI prefixes, no more digits than the interval supports, cases in few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Final

PREFIXES: Final = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
DIGITS_WITHOUT_INTERVAL: Final = 3
"""Significant digits of a figure whose interval is unknown."""


def prefix(values: Iterable[float]) -> tuple[float, str]:
    """The SI prefix, as (factor, letter), that suits the largest of the values: one for a whole column."""
    largest = max((abs(value) for value in values), default=0.0)
    return next(((factor, letter) for factor, letter in PREFIXES if largest >= factor), (1.0, ""))


def decimals(value: float, half_width: float | None) -> int:
    """Decimals that the half-width supports: down to the digit that it leaves in doubt, at most four significant.

    Without a half-width the value gets three significant digits.
    """
    if value == 0:
        return 0
    magnitude = floor(log10(abs(value)))
    if not half_width or half_width >= abs(value):
        return max(0, DIGITS_WITHOUT_INTERVAL - 1 - magnitude)
    in_doubt = -floor(log10(half_width))
    return max(0, min(in_doubt, 3 - magnitude))


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """ "152.3 ± 0.4": half the interval beside the value, both to the same digit."""
    if low is None or high is None:
        return f"{value:.{decimals(value, None)}f}"
    half = (high - low) / 2
    digits = decimals(value, half)
    shown = f"{half:.{digits}f}"
    if not float(shown):  # tighter than the digits shown
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ± {shown}"


def percent(ratio: float | None) -> str:
    """ "76 %", one decimal below ten; "n/a" when unknown."""
    if ratio is None:
        return "n/a"
    share = 100 * ratio
    return f"{share:.0f} %" if share >= 9.95 else f"{share:.2g} %"


def short_case(case: Mapping[str, int | str], defaults: Mapping[str, int | str | None] | None = None) -> str:
    """A case without the fields at their defaults, equal neighbours joined: "m=n=k=1024"."""
    left_out = defaults or {}
    shown = [(name, value) for name, value in case.items() if left_out.get(name) != value]
    words: list[tuple[str, int | str]] = []
    for name, value in shown or list(case.items()):
        if words and words[-1][1] == value:
            words[-1] = (f"{words[-1][0]}={name}", value)
        else:
            words.append((name, value))
    return " ".join(f"{name}={value}" for name, value in words)


def duration(seconds: float) -> str:
    """ "48 s", "3 min 05 s"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
