"""The map of a search: what each cell holds, that it fits its terminal, and that the drawing is well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.search.landscape import Landscape, landscape, narrowed
from bench.search.looks import Estimate
from bench.search.plot import svg, terminal
from bench.search.space import Axis
from tests.search.spaces import fields_space, space_of

SVG = "{http://www.w3.org/2000/svg}"


def mapped(rates: dict[tuple[int, ...], float], *lengths: int, words: int = 0) -> Landscape:
    ordered = sorted(rates.items(), key=lambda entry: -entry[1])
    found = landscape(space_of(*lengths, words=words), [Estimate(point, rate, 1) for point, rate in ordered])
    assert found is not None
    return found


def test_the_longest_axes_with_a_direction_are_laid_out_and_a_cell_holds_the_best_of_the_others() -> None:
    one = mapped({(0, 3, 1, 0): 5.0, (1, 3, 1, 1): 9.0, (0, 0, 0, 0): 2.0}, 3, 9, 5, words=12)
    assert (one.x.name, one.y.name) == ("x1", "x2")
    assert one.cells[3, 1].best.rate == 9.0 and one.cells[3, 1].points == 2
    assert one.best == (3, 1) and one.rate == 9.0
    assert one.share(one.cells[0, 0]) == pytest.approx(2 / 9)


def test_a_space_of_one_axis_is_one_row_and_one_of_a_single_point_has_no_map() -> None:
    one = mapped({(2,): 5.0, (0,): 1.0}, 4)
    assert one.y.values == ("",) and set(one.cells) == {(0, 0), (2, 0)}
    assert landscape(space_of(1, 1), [Estimate((0, 0), 1.0, 1)]) is None
    assert landscape(space_of(4, 4), []) is None


@given(
    st.dictionaries(st.tuples(st.integers(0, 29), st.integers(0, 11)), st.floats(1.0, 100.0), min_size=1, max_size=40),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_narrowing_keeps_the_best_and_every_point(rates: dict[tuple[int, ...], float], columns: int, rows: int) -> None:
    whole = mapped(rates, 30, 12)
    small = narrowed(whole, columns, rows)
    assert len(small.x.values) <= columns and len(small.y.values) <= rows
    assert small.rate == whole.rate == max(rates.values())
    assert sum(cell.points for cell in small.cells.values()) == len(rates)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_map_fits_its_terminal_and_marks_the_best(width: int) -> None:
    rates = {(x, y): 1.0 + x + y for x in range(40) for y in range(30) if (x + y) % 3}
    lines = terminal(mapped(rates, 40, 30), width).split("\n")
    grid = lines[:-3]
    assert all(len(line) <= max(width, 20) for line in grid)
    assert len(grid) <= 30 and sum(line.count("★") for line in grid) == 1
    assert "not looked at" in lines[-1]


def test_without_colour_or_block_characters_it_is_plain_ascii() -> None:
    text = terminal(mapped({(0, 0): 1.0, (3, 2): 4.0}, 4, 3), 80, plain=True)
    assert text.isascii() and "@" in text and "\x1b" not in text
    assert "\x1b[" in terminal(mapped({(0, 0): 1.0}, 4, 3), 80, colour=True)


def test_a_drawing_is_well_formed_and_says_each_cell_in_words() -> None:
    space = fields_space([Axis("a", (2, 4, 6)), Axis("b", (8, 16))])
    one = landscape(space, [Estimate((2, 1), 2e12, 3), Estimate((0, 0), 1e12, 1)])
    assert one is not None
    root = ET.fromstring(svg(one, space, "gemm <fp32> & more", "FLOPS"))
    tips = [element.text for element in root.iter(f"{SVG}title")]
    assert len(tips) == 6 and tips.count("not looked at") == 4
    assert any("a=6 b=16" in tip and "2 TFLOPS" in tip and "100 % of the best" in tip for tip in tips if tip)
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {"gemm <fp32> & more", "a", "b", "6", "16"} <= set(words)


def test_a_drawing_of_a_huge_space_stays_small() -> None:
    rates = {(x, y): 1.0 + x for x in range(0, 1000, 7) for y in range(0, 900, 90)}
    one = mapped(rates, 1000, 900)
    assert len(svg(one, space_of(1000, 900), "t", "B/s")) < 2_000_000
