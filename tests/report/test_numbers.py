"""Digits as the interval supports, prefixes, percentages and cases for readers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.numbers import decimals, percent, prefix, short_case, with_interval


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (152.34, 151.9, 152.7, "152.3 ± 0.4"),
        (152.34, 140.0, 164.0, "152 ± 12"),
        (1.5234, 1.5230, 1.5238, "1.523"),  # tighter than four digits show
        (0.01234, 0.01200, 0.01260, "0.0123 ± 0.0003"),
        (152.34, None, None, "152"),
        (1.5, None, None, "1.50"),
    ],
)
def test_no_more_digits_than_the_interval_supports(value: float, low: float, high: float, shown: str) -> None:
    assert with_interval(value, low, high) == shown


@given(st.floats(1e-6, 1e6), st.floats(1e-9, 1e6))
def test_what_is_shown_is_within_half_a_last_digit_or_the_half_width_of_the_value(value: float, half: float) -> None:
    digits = decimals(value, half)
    assert 0 <= digits <= 12
    assert abs(float(f"{value:.{digits}f}") - value) <= max(half, 0.5 * 10.0**-digits) * (1 + 1e-9)


@given(st.lists(st.floats(0, 1e18), max_size=5))
def test_one_prefix_serves_a_column(values: list[float]) -> None:
    factor, _ = prefix(values)
    assert max(values, default=0.0) / factor < 1000 or factor == 1e15
    assert factor == 1.0 or max(values) / factor >= 1


@given(st.floats(0, 2))
def test_percentages_keep_two_digits(ratio: float) -> None:
    shown = float(percent(ratio).removesuffix(" %"))
    assert math.isclose(shown, 100 * ratio, rel_tol=0.06, abs_tol=0.5)


def test_unknown_share_is_not_a_number() -> None:
    assert percent(None) == "n/a"


def test_a_case_shows_what_is_not_default_and_joins_equals() -> None:
    case = {"batch": 1, "m": 64, "n": 64, "k": 64, "trans_a": 0, "layout": "nhwc"}
    assert short_case(case, {"batch": 1, "trans_a": 0}) == "m=n=k=64 layout=nhwc"
    assert short_case({"batch": 1}, {"batch": 1}) == "batch=1"
