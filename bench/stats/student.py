"""Student's t distribution by the regularised incomplete beta function, and the pooled t-test of two means."""

from __future__ import annotations

from math import exp, inf, isnan, lgamma, log, sqrt
from typing import Final

_PRECISION: Final = 1e-15
"""Relative: where the continued fraction has converged."""
_TINY: Final = 1e-300
"""Stands for a denominator of zero in Lentz's method."""
_MOST_TERMS: Final = 100_000
"""The fraction needs about √(a + b) terms: enough for 10⁹ degrees of freedom."""


def regularized_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function (DLMF 8.17.2), for 0 ≤ x ≤ 1 and a, b > 0.

    Raises ValueError outside.
    """
    if not 0.0 <= x <= 1.0 or not a > 0.0 or not b > 0.0:
        raise ValueError(f"I_x(a, b) is not defined for x = {x}, a = {a}, b = {b}")
    return _regularized_beta(x, 1.0 - x, a, b)


def two_sided_p(t: float, degrees_of_freedom: float) -> float:
    """P(|T| ≥ |t|) for Student's t: I_x(ν/2, 1/2) at x = ν / (ν + t²) (Abramowitz & Stegun 26.7.1 and 26.5.27).

    Raises ValueError for NaN or where there is no degree of freedom.
    """
    if isnan(t) or not degrees_of_freedom > 0:
        raise ValueError(f"no t distribution: t = {t}, degrees of freedom = {degrees_of_freedom}")
    squared = t * t
    if squared == inf:
        return 0.0
    total = degrees_of_freedom + squared
    # 1 − x goes in as t²/(ν + t²): the subtraction would lose a small t.
    return _regularized_beta(degrees_of_freedom / total, squared / total, degrees_of_freedom / 2.0, 0.5)


def pooled_p(difference: float, noise: float, count: int, other_count: int) -> float:
    """Two-sided p of a difference of two means, both samples with the same variance (Student's pooled t-test).

    `noise` is the pooled standard deviation; without any, two equal means are certainly equal (1) and others not (0).
    Raises ValueError on fewer than three values in all.
    """
    if count < 1 or other_count < 1 or count + other_count < 3:
        raise ValueError(f"{count} and {other_count} values leave no degree of freedom")
    if noise == 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return two_sided_p(difference / noise / sqrt(1.0 / count + 1.0 / other_count), count + other_count - 2)


def _regularized_beta(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) with y = 1 − x given apart, so that neither loses digits near 0."""
    if x == 0.0 or y == 0.0:
        return 0.0 if x == 0.0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y))
    # The fraction converges fast below the mean; above it the symmetry I_x(a, b) = 1 − I_{1−x}(b, a) helps.
    if x < (a + 1.0) / (a + b + 2.0):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _fraction(y, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b) (DLMF 8.17.22) by Lentz's method as Thompson & Barnett modified it (1986)."""
    c = 1.0
    d = 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / _nonzero(1.0 + even * d)
        c = _nonzero(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 / _nonzero(1.0 + odd * d)
        c = _nonzero(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < _PRECISION:
            return value
    raise ArithmeticError(f"I_x(a, b) does not converge at x = {x}, a = {a}, b = {b}")


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
