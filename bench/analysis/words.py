"""Figures inside the reasons that analysis writes: shares, clocks, three significant digits, counts. No layout."""

from __future__ import annotations

from typing import Final

HISSING: Final = ("s", "x", "z", "ch", "sh")
"""Ends of nouns whose plural has "es"."""


def percent(ratio: float) -> str:
    """ "83 %"; two significant digits below ten."""
    share = 100 * ratio
    return f"{share:,.0f} %" if share >= 9.95 else f"{share:.2g} %"


def mhz(hz: float) -> str:
    """ "1,410", without the unit."""
    return f"{hz / 1e6:,.0f}"


def three_digits(value: float) -> str:
    """Three significant digits, thousands separated, never an exponent for a large number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plural(noun: str, count: int) -> str:
    """ "core" of 1, "cores" of 2, "launches" of 3: the noun alone, which has a regular plural."""
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith(HISSING) else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """ "1 device", "1,024 devices", "2 launches"."""
    return f"{count:,} {plural(noun, count)}"
