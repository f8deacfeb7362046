"""Figures inside the reasons that analysis writes: shares, clocks, three significant digits. No layout."""

from __future__ import annotations


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
    """ "1 core", "2 cores": the noun alone."""
    return noun if count == 1 else f"{noun}s"
