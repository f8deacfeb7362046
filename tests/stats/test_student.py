"""Student's t distribution, against tables, closed forms and the normal distribution."""

from __future__ import annotations

from math import atan, comb, cos, inf, nan, pi, sin, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.student import pooled_p, regularized_beta, two_sided_p

TABLE = [
    # Degrees of freedom, t, two-sided p: critical values as every table of the distribution has them.
    (1, 12.7062, 0.05),
    (2, 4.30265, 0.05),
    (5, 2.57058, 0.05),
    (10, 2.22814, 0.05),
    (10, 4.58689, 0.001),
    (30, 2.75000, 0.01),
    (60, 3.46020, 0.001),
    (120, 1.97993, 0.05),
]


@pytest.mark.parametrize(("degrees", "t", "p"), TABLE)
def test_critical_values_of_the_tables(degrees: int, t: float, p: float) -> None:
    assert two_sided_p(t, degrees) == pytest.approx(p, rel=2e-5)


def closed_form(t: float, degrees: int) -> float:
    """P(|T| < t) as a finite sum of cosines (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    theta = atan(t / sqrt(degrees))
    term, total = (1.0, 1.0) if degrees % 2 == 0 else (cos(theta), cos(theta))
    start = 2 if degrees % 2 == 0 else 3
    for k in range(start, degrees - 1, 2):
        term *= cos(theta) ** 2 * (k - 1) / k
        total += term
    if degrees % 2 == 0:
        return sin(theta) * total
    return 2.0 / pi * (theta + (sin(theta) * total if degrees > 1 else 0.0))


@given(st.floats(0.0, 30.0), st.integers(1, 120))
def test_the_closed_form_for_whole_degrees_of_freedom(t: float, degrees: int) -> None:
    assert two_sided_p(t, degrees) == pytest.approx(1.0 - closed_form(t, degrees), abs=1e-12)


@given(st.floats(0.0, 1.0), st.integers(1, 12), st.integers(1, 12))
def test_the_incomplete_beta_of_whole_numbers_is_a_binomial_tail(x: float, a: int, b: int) -> None:
    n = a + b - 1
    tail = sum(comb(n, j) * x**j * (1.0 - x) ** (n - j) for j in range(a, n + 1))
    assert regularized_beta(x, a, b) == pytest.approx(tail, abs=1e-12)


@given(st.floats(-8.0, 8.0))
def test_many_degrees_of_freedom_are_the_normal_distribution(t: float) -> None:
    normal = 2.0 * NormalDist().cdf(-abs(t))
    assert two_sided_p(t, 1e7) == pytest.approx(normal, rel=1e-4)


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0), st.floats(1.0, 200.0))
def test_a_larger_t_is_no_likelier(one: float, other: float, degrees: float) -> None:
    small, large = sorted((one, other))
    assert two_sided_p(large, degrees) <= two_sided_p(small, degrees) + 1e-14


def test_the_ends() -> None:
    assert two_sided_p(0.0, 5) == 1.0
    assert two_sided_p(inf, 5) == two_sided_p(-1e200, 5) == 0.0
    assert 0.0 < two_sided_p(1e3, 60) < 1e-100
    assert two_sided_p(1e-9, 60) == pytest.approx(1.0, abs=1e-8)


def test_the_pooled_test_of_a_textbook_example() -> None:
    # Means 2 and 4 with deviations of squares 10 and 10 over 5 + 5 values: s² = 20/8, t = 2/√(2.5·0.4) = 2.
    assert pooled_p(2.0, sqrt(2.5), 5, 5) == pytest.approx(two_sided_p(2.0, 8), rel=1e-12)


def test_without_noise_equal_means_are_equal_and_others_are_not() -> None:
    assert pooled_p(0.0, 0.0, 4, 4) == 1.0
    assert pooled_p(1e-9, 0.0, 4, 4) == 0.0


@pytest.mark.parametrize("arguments", [(nan, 5), (1.0, 0), (1.0, -1.0)])
def test_what_has_no_distribution_is_refused(arguments: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no t distribution"):
        two_sided_p(*arguments)


def test_arguments_outside_their_domain_are_refused() -> None:
    with pytest.raises(ValueError, match="not defined"):
        regularized_beta(1.5, 1.0, 1.0)
    with pytest.raises(ValueError, match="degree of freedom"):
        pooled_p(1.0, 1.0, 1, 1)
