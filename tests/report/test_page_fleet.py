"""Many devices on the page: each figure the verdict's, sick told by a shape too, a bounded size, no name is markup."""

from __future__ import annotations

import os
import re
from pathlib import Path
from statistics import median
from typing import Final
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.fleet import Fleet, name_of
from bench.analysis.report_view import build
from bench.report.charts import fleet as charts
from bench.report.charts import fleet_spread, svg
from bench.report.page import render, render_fleet
from bench.report.page.fleet import LISTED
from bench.report.report_words import LANGUAGES, say
from tests.factories import measurement, run_file
from tests.fleets import judged, large, lines, mixed
from tests.page_reading import Section
from tests.report_views import HOSTILE

SVG: Final = "{http://www.w3.org/2000/svg}"
GOLDEN: Final = Path(__file__).resolve().parent / "golden"
TRIANGLE: Final = svg.MARKERS[charts.TRIANGLE]
EMPTY: Final = Fleet((), (), 0, 0)


def tree(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)


def titles(chart: str) -> dict[str, str]:
    """Title → the class of its cell."""
    cells = [one for one in tree(chart).iter(f"{SVG}rect") if one.find(f"{SVG}title") is not None]
    return {one.findtext(f"{SVG}title") or "": one.get("class") or "" for one in cells}


def triangles(chart: str) -> int:
    """Those of the chart, without the legend's."""
    return sum(one.get("d") == TRIANGLE for one in tree(chart).iter(f"{SVG}path")) - 1


def test_every_figure_is_the_verdicts_to_the_digits_shown() -> None:
    fleet = mixed()
    found = Section(render_fleet(fleet), "fleet")
    assert found.values
    for value, shown in found.values:
        if value == "":
            assert shown == "n/a"
        elif shown.endswith("%"):
            assert f"{100 * float(value):.2g}" == f"{float(shown.removesuffix(' %')):.2g}"
        else:
            assert f"{float(value):.{len(shown.partition('.')[2])}f}" == shown
    values = [value for value, _ in found.values]
    for one in fleet.devices:
        figures = (one.relative_time, one.robust_z, one.distance)
        times = 1 + (one.status == "sick")
        assert all(values.count(repr(float(each))) >= times for each in figures if each is not None), name_of(one)


def test_a_sick_device_is_told_with_its_reason_as_the_command_says_it() -> None:
    fleet = mixed()
    text = Section(render_fleet(fleet), "fleet").text
    assert len(fleet.sick) == 2
    for one in fleet.sick:
        assert name_of(one) in text and one.reason in text
    assert "clock 1,140 MHz where its kind has 1,410 MHz: thermal slowdown in 83 % of samples" in text
    assert "slow over all series" in text and "a row fails here alone" in text
    assert "no neighbour of its kind, no stored run and no rating to compare it with" in text


def test_the_map_has_each_device_with_its_name_time_and_colour() -> None:
    fleet = mixed()
    cells = titles(charts.heat_map(fleet))
    assert len(cells) == len(fleet.devices)
    for one in fleet.devices:
        ((title, kind),) = [(title, kind) for title, kind in cells.items() if title.startswith(f"{name_of(one)} ")]
        if one.relative_time is None:
            assert " –" in title and kind == "empty"
        elif one.status == "unjudged":
            assert title.partition(": ")[0].endswith("?") and kind == "empty"
        else:
            assert f" ×{one.relative_time:.3f}" in title
            assert kind == f"t{sum(edge <= one.relative_time for edge in charts.EDGES)}"


def test_sick_is_a_shape_and_not_a_colour_alone() -> None:
    for fleet in (mixed(), large(125, 8, sick=(3, 500)), large(3000, 1, sick=(3, 500))):
        assert triangles(charts.heat_map(fleet)) == len(fleet.sick) == 2


def test_a_mark_leads_to_the_row_of_its_device() -> None:
    page = render_fleet(mixed())
    aims = set(re.findall(r'<a href="#(sick\d+)" class="mark"', page))
    assert aims == {"sick0", "sick1"} == set(re.findall(r'<tr id="(sick\d+)"', page))


def test_nodes_stand_in_the_order_of_their_numbers() -> None:
    assert [name for name, _ in charts.nodes_of(large(12, 1).devices)] == [f"node{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("nodes", "a_node", "form", "cells"),
    [
        (40, 8, "figures", 320),
        (41, 8, "cells", 328),
        (2, 64, "cells", 128),
        (125, 8, "cells", 1000),
        (251, 8, "nodes", 251),
        (1250, 8, "nodes", 1250),
        (10_000, 1, "nodes", 2000),
    ],
)
def test_a_map_of_any_size_stays_small(nodes: int, a_node: int, form: str, cells: int) -> None:
    fleet = large(nodes, a_node, sick=(7,))
    chart = charts.heat_map(fleet)
    assert charts.form_of(charts.nodes_of(fleet.devices)) == form
    assert len(titles(chart)) == cells <= charts.CELLS
    box = [float(each) for each in (tree(chart).get("viewBox") or "").split()]
    assert box[2] == svg.WIDTH and box[3] < 3 * svg.WIDTH, "no taller than a screen or two"
    for one in tree(chart).iter(f"{SVG}rect"):
        assert 0 <= float(one.get("x") or 0) <= svg.WIDTH - float(one.get("width") or 0) + 1


def test_a_cell_of_nodes_says_which_and_how_far_apart_they_are() -> None:
    fleet = large(4000, 1, sick=(1,))
    title = next(iter(titles(charts.heat_map(fleet))))
    middle = median(one.relative_time or 0 for one in fleet.devices[:2])
    assert title == f"node0 … node1: 2 ×{middle:.3f} (0.995 … 1.500), ▲ 1"


def test_a_page_of_ten_thousand_devices_is_small_and_names_the_sick_ones() -> None:
    many = render_fleet(large(1250, 8, sick=range(0, 10_000, 20)))
    assert len(many.encode()) < 2_000_000
    assert len(re.findall(r'<tr id="sick\d+"', many)) == LISTED
    assert f"And {500 - LISTED} more" in many and "in their order, 1 each" in many
    assert "Every device" not in Section(many, "fleet").text


def test_a_band_shows_each_device_and_where_sick_begins() -> None:
    fleet = judged(lines(dict.fromkeys(range(40), 1.0) | {5: 1.5}))
    found = [one for one in fleet.distributions if one.sku == fleet.kinds[0].sku]
    chart = fleet_spread.spread(found)
    beyond = sum(time >= one.bound for one in found for time in one.times)
    dots = len(list(tree(chart).iter(f"{SVG}circle")))
    assert beyond >= 2 and triangles(chart) + 1 == beyond and dots + beyond == sum(len(one.times) for one in found)
    words = [one.text or "" for one in tree(chart).iter(f"{SVG}text")]
    for one in found:
        low, q1, middle, q3, high = fleet_spread.quantiles(one)
        assert f"{low:.3f} … {middle:.3f} … {high:.3f}" in words
        told = f"from {low:.3f} to {high:.3f}, median {middle:.3f}, middle half {q1:.3f} to {q3:.3f}"
        assert f"{told}; sick from {one.bound:.3f} on" in (tree(chart).get("aria-label") or "")


def test_many_devices_are_bars_of_which_none_is_too_low_to_see() -> None:
    fleet = judged(lines(dict.fromkeys(range(120), 1.0) | {5: 3.0}))
    (overall,) = [one for one in fleet.distributions if one.key is None]
    bars = list(tree(fleet_spread.spread([overall])).iter(f"{SVG}rect"))
    heights = [float(one.get("height") or 0) for one in bars]
    assert min(heights) >= 2 and max(heights) == fleet_spread.ROOM
    assert [one.get("class") for one in bars][-1] == "lost", "the slow one stands at the edge of the axis"
    assert not list(tree(fleet_spread.spread([overall])).iter(f"{SVG}circle"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "fleet",
    [EMPTY, judged(lines({0: 1.0})), judged(lines({0: 1.0}, rows={0: {"status": "failed", "timed": False}})), mixed()],
    ids=["nothing", "one", "dead", "mixed"],
)
def test_every_state_has_a_page(fleet: Fleet, language: str) -> None:
    page = render_fleet(fleet, language=language)
    text = Section(page, "fleet").text
    assert say("fleet.title", language) in page and "None" not in text and "nan" not in text
    assert (say("fleet.sick.none", language) in text) == (not fleet.sick)


def elements(page: str) -> list[str]:
    return re.findall(r"<[a-z][a-z0-9]*(?=[\s>])", page)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_wherever_they_stand(name: str) -> None:
    plain, hostile = render_fleet(mixed("plain")), render_fleet(mixed(name))
    assert elements(hostile) == elements(plain)
    tree(charts.heat_map(mixed(name)))


@settings(max_examples=15, deadline=None)
@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("<>&\"'{}$/")), min_size=1))
def test_any_name_leaves_the_map_whole(name: str) -> None:
    fleet = mixed(name)
    assert len(titles(charts.heat_map(fleet))) == len(fleet.devices)
    for one in tree(charts.heat_map(fleet)).iter(f"{SVG}text"):
        assert (one.text or "").isprintable()


def test_a_report_has_the_part_where_it_is_given_and_else_not() -> None:
    view = build([("a", run_file([measurement()]))])
    assert Section(render(view), "fleet").text == ""
    found = render(view, many=mixed())
    assert "Sick devices" in Section(found, "fleet").text
    assert re.search(r'<a href="#fleet" data-i18n="fleet">Fleet</a>', found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ["map", "spread"])
def test_the_charts_are_as_they_were_looked_at(part: str, language: str) -> None:
    """After a change that is meant: UPDATE_GOLDEN=1, and look at the pictures before they are committed."""
    fleet = mixed()
    chart = charts.heat_map(fleet, language) if part == "map" else fleet_spread.spread(fleet.distributions, language)
    text, path = svg.standalone(chart, ("fleet",)), GOLDEN / f"fleet-{part}-{language}.svg"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(text.encode())
    assert path.read_bytes().decode() == text
