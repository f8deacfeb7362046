"""A fleet as charts: the heat map node × device, and how the devices of a kind are spread beside where sick begins.

Colours are never alone: a sick device has a triangle, one that was not judged a dashed frame, and each cell its name
and time as a title.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import median
from typing import Final, Literal

from bench.analysis.fleet import DeviceVerdict, Fleet, Status, name_of
from bench.report.charts import svg
from bench.report.report_words import say

DeviceKey = tuple[str, int, str, str]
"""(host, rank, device, run): what tells devices apart."""
Form = Literal["figures", "cells", "nodes"]
Node = tuple[str, Sequence[DeviceVerdict]]
NOBODY: Final[Mapping[DeviceKey, str]] = {}

EDGES: Final = (0.97, 0.99, 1.01, 1.03, 1.05, 1.10, 1.20, 1.50, 2.00)
"""Relative times at which the colour changes: its ten steps are those of the page's other heat maps."""
DARK: Final = 5
"""The first step that bears light letters."""
COLUMNS: Final = 8
"""Devices of a node up to which a cell has room for its figure."""
LINES: Final = 40
"""Nodes up to which each has a line of its own."""
CELLS: Final = 2000
"""Cells of a map: with more devices a cell is a node, with more nodes several of them."""
LEFT: Final = 84
PITCH: Final = 24
"""Lines with figures."""
WIDEST: Final = 64
SMALL: Final = 11
"""Cells without."""
LINE: Final = 13
GAP: Final = 5
"""Between two nodes of a line."""
SWATCH: Final = 34
LEGEND: Final = 62
SICK: Final = 1
"""The series whose colour a sick device's mark has."""
TRIANGLE: Final = 2
NAME: Final = 60
REASON: Final = 160


@dataclass(frozen=True)
class Cell:
    """A device, or several nodes' devices together."""

    time: float | None
    """Relative; of several the median."""
    status: Status
    """Of several sick where one is."""
    title: str
    target: str = ""
    """Where its mark leads to."""


def key_of(one: DeviceVerdict) -> DeviceKey:
    """The device's identity."""
    return one.host, one.rank, one.device, one.run


def short_name(one: DeviceVerdict) -> str:
    """`fleet.name_of`, a long host's or device's name cut, so that rank and device are always told."""
    host, device = _cut(one.host or one.run, NAME), _cut(one.device, NAME)
    return name_of(replace(one, host=host, device=device))


def nodes_of(devices: Iterable[DeviceVerdict]) -> list[Node]:
    """Nodes by name, numbers in names by their value, each with its devices by rank."""
    found: dict[tuple[str, str], list[DeviceVerdict]] = {}
    for one in devices:
        found.setdefault((one.host, one.run), []).append(one)
    ordered = sorted(found.items(), key=lambda entry: [_natural(part) for part in entry[0]])
    return [(host or run, members) for (host, run), members in ordered]


def form_of(nodes: Sequence[Node]) -> Form:
    """Whether a cell of the map has its figure, is a device without one, or stands for nodes."""
    if len(nodes) <= LINES and max((len(members) for _, members in nodes), default=0) <= COLUMNS:
        return "figures"
    return "cells" if sum(len(members) for _, members in nodes) <= CELLS else "nodes"


def nodes_per_cell(nodes: Sequence[Node]) -> int:
    """Nodes that a cell stands for where it stands for any."""
    return max(1, ceil(len(nodes) / CELLS))


def level_of(time: float) -> int:
    """The step of the map's colour: 0 is fastest."""
    return bisect_right(EDGES, time)


def heat_map(fleet: Fleet, language: str = "en", targets: Mapping[DeviceKey, str] = NOBODY) -> str:
    """Each device's time over the median device of its kind, a node after the other. "" of no device.

    `targets`: where the marks of sick devices lead to.
    """
    nodes = nodes_of(fleet.devices)
    if not nodes:
        return ""
    form = form_of(nodes)
    if form == "figures":
        body, height = _with_figures(nodes, targets)
    else:
        body, height = _without_figures(_blocks(nodes, form, targets), gap=GAP if form == "cells" else 0)
    body += _legend(height + 14, language)

    def alt(language: str) -> str:
        known = [one.relative_time for one in fleet.devices if one.relative_time is not None]
        unknown = say("na", language)
        return say(
            "fleet.map.alt",
            language,
            devices=f"{len(fleet.devices):,}",
            nodes=f"{len(nodes):,}",
            low=f"{min(known):.3f}" if known else unknown,
            high=f"{max(known):.3f}" if known else unknown,
            sick=f"{len(fleet.sick):,}",
            unjudged=f"{sum(one.status == 'unjudged' for one in fleet.devices):,}",
        )

    linked = form != "nodes" and any(key_of(one) in targets for one in fleet.sick)
    return svg.chart(height + 14 + LEGEND, body, alt, language, points=linked)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which node10 stands behind node9: digits by their number, without making one of a hostile name."""
    parts = re.split("([0-9]+)", name)
    digits = [part.lstrip("0") if place % 2 else part for place, part in enumerate(parts)]
    return [(len(part) if place % 2 else 0, part) for place, part in enumerate(digits)]


def _with_figures(nodes: Sequence[Node], targets: Mapping[DeviceKey, str]) -> tuple[list[str], float]:
    width = min(WIDEST, (svg.WIDTH - LEFT) / max(len(members) for _, members in nodes))
    body = []
    for line, (name, members) in enumerate(nodes):
        top = line * PITCH
        body.append(svg.text(LEFT - 8, top + 15, name, "soft", "end", most=11))
        for place, one in enumerate(members):
            left, cell = LEFT + place * width, _cell(one, targets)
            body.append(_rect(left, top, width - 2, PITCH - 2, cell))
            body.append(_figure(left + width - 2, top, cell))
            # The mark is drawn last of the cell, so that the pointer meets it first.
            if one.status == "sick":
                body.append(_mark(left + 6, top + 12, cell))
    return body, len(nodes) * PITCH


def _figure(right: float, top: float, cell: Cell) -> str:
    """The time at the right of a cell, in letters that its colour bears."""
    if cell.time is None:
        return svg.text(right - 4, top + 15, "–", "soft", "end")
    shade = "soft" if cell.status == "unjudged" else "low" if level_of(cell.time) < DARK else "high"
    return svg.text(right - 4, top + 15, f"{cell.time:.2f}", shade, "end")


def _blocks(nodes: Sequence[Node], form: Form, targets: Mapping[DeviceKey, str]) -> list[tuple[str, list[Cell]]]:
    """Cells that stand together, with the name of their (first) node."""
    if form == "cells":
        return [(name, [_cell(one, targets) for one in members]) for name, members in nodes]
    step = nodes_per_cell(nodes)
    return [(nodes[at][0], [_cell_of_nodes(nodes[at : at + step])]) for at in range(0, len(nodes), step)]


def _without_figures(blocks: Sequence[tuple[str, Sequence[Cell]]], gap: float) -> tuple[list[str], float]:
    """Block after block, as many to a line as fit; each line has the name of its first."""
    body: list[str] = []
    x, top = float(svg.WIDTH + 1), -float(LINE)
    for name, cells in blocks:
        if x > LEFT and x + len(cells) * SMALL > svg.WIDTH:
            x = float(svg.WIDTH + 1)
        for cell in cells:
            if x + SMALL > svg.WIDTH + 1:
                x, top = float(LEFT), top + LINE
                body.append(svg.text(LEFT - 6, top + 9, name, "small", "end", most=14))
            body.append(_rect(x, top, SMALL - 1, SMALL - 1, cell))
            if cell.status == "sick":
                body.append(_mark(x + (SMALL - 1) / 2, top + (SMALL - 1) / 2 + 0.5, cell))
            x += SMALL
        x += gap
    return body, top + LINE


def _cell(one: DeviceVerdict, targets: Mapping[DeviceKey, str]) -> Cell:
    figure = "–" if one.relative_time is None else f"×{one.relative_time:.3f}"
    mark = {"sick": " ▲", "unjudged": " ?", "healthy": ""}[one.status]
    reason = f": {_cut(one.reason, REASON)}" if one.reason else ""
    title = f"{short_name(one)} ({_cut(one.sku, NAME)}) {figure}{mark}{reason}"
    return Cell(one.relative_time, one.status, title, targets.get(key_of(one), ""))


def _cell_of_nodes(nodes: Sequence[Node]) -> Cell:
    members = [one for _, some in nodes for one in some]
    times = [one.relative_time for one in members if one.relative_time is not None]
    sick = sum(one.status == "sick" for one in members)
    judged = any(one.status != "unjudged" for one in members)
    names = _cut(nodes[0][0], NAME) + (f" … {_cut(nodes[-1][0], NAME)}" if len(nodes) > 1 else "")
    figure = f" ×{median(times):.3f} ({min(times):.3f} … {max(times):.3f})" if times else " –"
    title = f"{names}: {len(members):,}{figure}" + (f", ▲ {sick:,}" if sick else "")
    return Cell(median(times) if times else None, "sick" if sick else "healthy" if judged else "unjudged", title)


def _cut(text: str, most: int) -> str:
    shown = svg.printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _rect(x: float, y: float, width: float, height: float, cell: Cell) -> str:
    empty = cell.time is None or cell.status == "unjudged"
    kind = "empty" if empty or cell.time is None else f"t{level_of(cell.time)}"
    return (
        f'<rect x="{svg.number(x)}" y="{svg.number(y)}" width="{svg.number(width)}" height="{svg.number(height)}" '
        f'class="{kind}" rx="1.5"><title>{svg.clean(cell.title)}</title></rect>'
    )


def _mark(x: float, y: float, cell: Cell) -> str:
    if cell.target:
        return svg.mark(x, y, cell.target, cell.title, SICK, TRIANGLE)
    return _sign(x, y, f"<title>{svg.clean(cell.title)}</title>")


def _sign(x: float, y: float, inside: str = "") -> str:
    place = f'transform="translate({svg.number(x)} {svg.number(y)})"'
    return f'<g class="mark">{inside}<path class="s{SICK}" {place} d="{svg.MARKERS[TRIANGLE]}"/></g>'


def _legend(top: float, language: str) -> list[str]:
    """The colours with the times between them, and the signs with their words."""
    body = [svg.phrase(0, top + 10, "fleet.map.x", language, "soft")]
    for level in range(len(EDGES) + 1):
        body.append(svg.rect(level * SWATCH, top + 17, SWATCH - 1, 10, f"t{level}"))
    for place, edge in enumerate(EDGES, start=1):
        body.append(svg.text(place * SWATCH - 0.5, top + 39, f"{edge:.2f}", "small", "middle"))
    body.append(_sign(6, top + 53))
    body.append(svg.phrase(18, top + 57, "fleet.is.sick", language, "soft"))
    body.append(svg.rect(120, top + 47, 10, 10, "empty"))
    body.append(svg.phrase(136, top + 57, "fleet.is.unjudged", language, "soft"))
    return body
