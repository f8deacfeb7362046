"""A searched space as a map: two of its axes, and in each cell the best rate seen there. Pure: figures, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bench.search.looks import Estimate
from bench.search.space import Axis, Space

NO_AXIS: Final = Axis("", ("",))
"""Stands upright where a space has only one axis to lay out."""


@dataclass(frozen=True)
class Cell:
    """What was seen where: the best estimate over all other axes, and how many points were looked at."""

    best: Estimate
    points: int


@dataclass(frozen=True)
class Landscape:
    """`cells[(x, y)]` by place on the two axes; a cell that is not there was not looked at."""

    x: Axis
    y: Axis
    cells: dict[tuple[int, int], Cell]
    best: tuple[int, int]

    @property
    def rate(self) -> float:
        """The best rate of all."""
        return self.cells[self.best].best.rate

    def share(self, cell: Cell) -> float:
        """A cell's rate over the best."""
        return cell.best.rate / self.rate


def landscape(space: Space, estimates: Sequence[Estimate]) -> Landscape | None:
    """The map over the two axes with the most values, those with a direction first.

    `estimates` are in descending order of their rate. A space with one such axis gives a map of one row; None where
    there is nothing to lay out.
    """
    numbers = sorted(
        (number for number, axis in enumerate(space.axes) if len(axis.values) > 1),
        key=lambda number: (not space.axes[number].ordered, -len(space.axes[number].values), number),
    )
    if not numbers or not estimates:
        return None
    x, y = numbers[0], numbers[1] if len(numbers) > 1 else None

    def place(one: Estimate) -> tuple[int, int]:
        return one.point[x], 0 if y is None else one.point[y]

    cells = {}
    for where, group in groupby(sorted(estimates, key=place), key=place):
        seen = list(group)
        cells[where] = Cell(max(seen, key=lambda one: one.rate), len(seen))
    return Landscape(space.axes[x], NO_AXIS if y is None else space.axes[y], cells, place(estimates[0]))


def narrowed(one: Landscape, columns: int, rows: int) -> Landscape:
    """The map with neighbouring values joined until it has at most so many of each; the best of them stands."""
    wide = -(-len(one.x.values) // max(1, columns))
    high = -(-len(one.y.values) // max(1, rows))
    cells: dict[tuple[int, int], Cell] = {}
    for (x, y), cell in one.cells.items():
        where = x // wide, y // high
        other = cells.get(where, cell)
        points = cell.points + (other.points if other is not cell else 0)
        cells[where] = Cell(max(cell.best, other.best, key=lambda best: best.rate), points)
    best = one.best[0] // wide, one.best[1] // high
    return Landscape(Axis(one.x.name, one.x.values[::wide]), Axis(one.y.name, one.y.values[::high]), cells, best)
