"""Spaces and landscapes for tests: a kernel that only has fields, and rates that are a formula."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from typing import TYPE_CHECKING, ClassVar

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work
from bench.search.space import IMPLEMENTATION, Axis, Point, Space
from bench.search.strategy import Strategy

if TYPE_CHECKING:
    import torch


class Fields(Kernel):
    """Four fields, one of them of words; an odd `a` with b = 3 makes no sense."""

    name: ClassVar[str] = "fields"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("a", "needed", maximum=10_000),
        Field("b", "needed", maximum=10_000),
        Field("c", "optional", default=1),
        Field("layout", "of words", default="rows", choices=("rows", "columns")),
    )

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return [{"a": 1, "b": 1}]

    def work(self, case: Case, precision: str) -> Work:
        return Work(operations=int(case["a"]) * int(case["b"]), bytes_read=8, bytes_written=8)

    def rejects(self, case: Case) -> str:
        return "an odd a does not go with b = 3" if int(case["a"]) % 2 and case["b"] == 3 else ""

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        raise NotImplementedError

    def output_rows(self, case: Case) -> int:
        return 1

    def reduction_length(self, case: Case) -> int:
        return 1


def space_of(*lengths: int, words: int = 0) -> Space:
    """Axes x0, x1, … with the values 1 … n, and one of so many words; every combination makes sense."""
    axes = [Axis(f"x{number}", tuple(range(1, length + 1))) for number, length in enumerate(lengths)]
    if words:
        axes.append(Axis(IMPLEMENTATION, tuple(f"way{number}" for number in range(words))))
    return Space(axes, dict, lambda case, implementation: "")


def fields_space(axes: Sequence[Axis], reason: Callable[[Mapping[str, int | str], str], str] | None = None) -> Space:
    """A space of `Fields`' cases."""
    return Space(axes, Fields.complete_case, reason or (lambda case, implementation: ""))


Rate = Callable[[Point], float]


def matmul_like(space: Space, seed: int) -> Rate:
    """Rates as products have them, the best and the worst about a factor of twenty apart.

    They rise with each field and level off, tiles that are left half used cost, and each way has its own level.
    """
    draw = random.Random(seed)
    effects = [_levelling(axis, draw) if axis.ordered else _levels(axis, draw) for axis in space.axes]
    rough = {point: draw.gauss(0.0, 0.01) for point in space.points()}
    return lambda point: 1e11 * exp(sum(e[place] for e, place in zip(effects, point, strict=True)) + rough[point])


def _levels(axis: Axis, draw: random.Random) -> list[float]:
    return [draw.uniform(-0.3, 0.0) for _ in axis.values]


def _levelling(axis: Axis, draw: random.Random) -> list[float]:
    start, tile, cost = draw.uniform(0.3, 3.0), draw.choice((2, 3, 4)), draw.uniform(0.02, 0.25)
    length = len(axis.values)
    fall = draw.uniform(0.0, 0.02) * length
    places = range(1, length + 1)
    return [log(x / (x + start)) - cost * (x % tile > 0) - fall * ((x - 1) / length) ** 2 for x in places]


def searched(space: Space, rate: Rate, seed: int, looks: int, noise: float = 0.02) -> tuple[Strategy, list[Point]]:
    """The strategy after so many looks, each of which errs by `noise`, and what it asked for."""
    strategy, draw, asked = Strategy(space, seed), random.Random(1_000_003 * seed + 17), []
    while len(asked) < looks and (ask := strategy.ask()) is not None:
        asked.append(ask.point)
        strategy.tell(ask.point, rate(ask.point) * exp(-abs(draw.gauss(0.0, noise))))
    return strategy, asked
