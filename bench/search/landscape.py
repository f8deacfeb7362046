"""A searched space as a map: two of its axes, and in each cell the best rate seen there. Pure: figures, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.search.looks import Estimate
from bench.search.space import Axis, Space


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
    best: tuple[int, int] | None

    @property
    def rate(self) -> float:
        """The best rate of all; 0 where nothing ran."""
        return self.cells[self.best].best.rate if self.best else 0.0

    def share(self, cell: Cell) -> float:
        """A cell's rate over the best."""
        return cell.best.rate / self.rate


def landscape(space: Space, estimates: Sequence[Estimate]) -> Landscape | None:
    """The map over the two axes with the most values, those with a direction first; None for fewer than two axes.

    `estimates` are in descending order of their rate.
    """
    axes = sorted(
        (number for number, axis in enumerate(space.axes) if len(axis.values) > 1),
        key=lambda number: (not space.axes[number].ordered, -len(space.axes[number].values), number),
    )
    if len(axes) < 2:
        return None
    x, y = axes[:2]

    def place(one: Estimate) -> tuple[int, int]:
        return one.point[x], one.point[y]

    by_cell = groupby(sorted(estimates, key=place), key=place)
    cells = {}
    for where, group in by_cell:
        seen = list(group)
        cells[where] = Cell(max(seen, key=lambda one: one.rate), len(seen))
    best = place(estimates[0]) if estimates else None
    return Landscape(space.axes[x], space.axes[y], cells, best)


def narrowed(one: Landscape, columns: int) -> Landscape:
    """The map with neighbouring values of x joined until it has at most so many columns; the best of them stands."""
    width = -(-len(one.x.values) // max(1, columns))
    if width == 1:
        return one
    cells: dict[tuple[int, int], Cell] = {}
    for (x, y), cell in one.cells.items():
        other = cells.get((x // width, y))
        points = cell.points + (other.points if other else 0)
        best = cell.best if other is None or cell.best.rate >= other.best.rate else other.best
        cells[x // width, y] = Cell(best, points)
    best_at = (one.best[0] // width, one.best[1]) if one.best else None
    return Landscape(Axis(one.x.name, one.x.values[::width]), one.y, cells, best_at)
