"""Computing power in the field's words: read exactly, printed exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.units import LETTERS, decimal, parse, parse_share, text


@pytest.mark.parametrize(
    ("written", "operations_per_s"),
    [
        ("100 P", 10**17),
        ("120P", 12 * 10**16),
        ("3 E", 3 * 10**18),
        ("1.2 EFLOPS", 12 * 10**17),
        ("100 PFLOPS", 10**17),
        ("989.4 TFLOPS", 9894 * 10**11),
        ("624 TOPS", 624 * 10**12),
        ("1,979 T", 1979 * 10**12),
        ("百亿亿次", 10**18),
        ("亿亿次", 10**16),
        ("每秒百亿亿次", 10**18),
        ("12.5 亿亿次/秒", 125 * 10**15),
        ("10万亿次", 10**13),
    ],
)
def test_what_the_field_writes_is_read_exactly(written: str, operations_per_s: int) -> None:
    assert parse(written) == operations_per_s


@pytest.mark.parametrize(
    "written", ["", "P", "100", "100 p", "-1 P", "1e3 P", "100 PB", "1,00 P", "亿亿", "inf P", "٣ P"]
)
def test_anything_else_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValueError, match="write it as 100 P"):
        parse(written)


@given(st.integers(1, 10**6), st.integers(0, 6), st.sampled_from(sorted(LETTERS)))
def test_what_is_printed_reads_back_as_the_same(number: int, decimals: int, letter: str) -> None:
    value = Fraction(number, 10**decimals) * LETTERS[letter]
    if value >= 10**6:
        assert parse(text(value)) == value


@given(st.decimals(min_value=0, max_value=1000, places=3))
def test_a_share_is_a_hundredth(number: object) -> None:
    assert parse_share(f"{number} %") == Fraction(str(number)) / 100


def test_a_figure_without_an_end_says_that_it_is_rounded() -> None:
    assert decimal(Fraction(1, 3)) == "≈0.3333"
    assert decimal(Fraction(1, 4)) == "0.25"
    assert decimal(Fraction(0)) == "0"
