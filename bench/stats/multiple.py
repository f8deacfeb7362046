"""Many tests at once: which of their p-values may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import isnan


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Each p-value adjusted: rejecting where it is at most q keeps the expected share of false rejections below q.

    The step-up procedure (Benjamini & Hochberg, J. R. Stat. Soc. B 57, 1995), in the order given. ValueError where a
    value is outside 0 … 1.
    """
    order = _descending(p_values)
    total = len(order)
    scaled = (p_values[place] * total / (total - above) for above, place in enumerate(order))
    return _restored(order, accumulate(scaled, min))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value adjusted: rejecting where it is at most α keeps the chance of any false rejection below α.

    The step-down procedure (Holm, Scand. J. Stat. 6, 1979), in the order given. ValueError as above.
    """
    order = _descending(p_values)[::-1]
    total = len(order)
    scaled = (p_values[place] * (total - below) for below, place in enumerate(order))
    return _restored(order, accumulate(scaled, max))


def _descending(p_values: Sequence[float]) -> list[int]:
    wrong = [p for p in p_values if isnan(p) or not 0.0 <= p <= 1.0]
    if wrong:
        raise ValueError(f"p = {wrong[0]} is outside 0 … 1")
    return sorted(range(len(p_values)), key=lambda place: -p_values[place])


def _restored(order: Sequence[int], adjusted: accumulate[float]) -> list[float]:
    """The adjusted values in the order given, none above 1."""
    found = dict(zip(order, adjusted, strict=True))
    return [min(1.0, found[place]) for place in range(len(order))]
