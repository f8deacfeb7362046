"""Which point to look at next: a balanced design, then a model's guesses, the surroundings of the best, second looks.

Ask and tell: the strategy measures nothing, keeps no clock and draws from its own seed, so that the same answers lead
to the same questions. It is told the rate of each short look, and believes of a point the median of its looks.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import log, sqrt
from typing import Final, Literal, TypeAlias

from bench.search.looks import Estimate, Looks
from bench.search.space import Point, Space
from bench.search.surrogate import Surrogate

Stage: TypeAlias = Literal["design", "model", "neighbour", "random", "again", "confirm"]

DESIGN_LEAST: Final = 16
DESIGN_PER_VALUE: Final = 2
"""Looks of the design at each value of the longest axis (ours)."""
DESIGN_SHARE: Final = 0.02
"""Of the space, the most that the design of a large axis takes, but `DESIGN_LEAST` in any case (ours)."""
MODEL_POINTS: Final = 3
NEIGHBOUR_POINTS: Final = 2
RANDOM_EVERY: Final = 3
"""Rounds after which one point is drawn blindly: what the model can't imagine is found by nothing else (ours)."""
AGAIN_POINTS: Final = 3
"""Second looks of a round."""
TOP_VALUES: Final = 3
"""Of each axis, the values with the largest effects, whose combinations are candidates."""
MOST_COMBINATIONS: Final = 243
DRAWN_CANDIDATES: Final = 80
LONG_AXIS: Final = 64
"""Values up to which an axis is tried whole around the best; of a longer one the near ones and some others (ours)."""
INCUMBENTS: Final = 3
"""The best points so far, whose surroundings are candidates."""
CURIOSITY: Final = 0.7
"""Weight of what is not known of a candidate, in scatters of the model (ours)."""
REACHES: Final = 2.0
"""A point is looked at again while so many standard errors would lift it to the best (ours)."""
MOST_LOOKS: Final = 4
SETTLED_LOOKS: Final = 2
"""The same once every point is known: more of them is what measuring the finalists is for (ours)."""
IMPROVEMENT: Final = 0.003
"""Less than this is no progress (ours)."""
PATIENCE: Final = 20
"""Rounds without progress, after which the search has converged once all neighbours of the best are known (ours)."""


@dataclass(frozen=True)
class Ask:
    """One look that is wanted."""

    point: Point
    stage: Stage


class Strategy:
    """The state of one search. `ask` for the next look, `tell` its rate, or None where it could not be had."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space = space
        self._draw = random.Random(seed)
        self.looks = Looks()
        self._queue: deque[Ask] = deque(Ask(point, "design") for point in self._design())
        self._round = 0
        self._progress_round = 0
        self._progress_rate = 0.0

    # --- the dialogue ---------------------------------------------------------------------------------------------

    def ask(self) -> Ask | None:
        """The next look; None when every point is known or the search has converged."""
        while True:
            while self._queue:
                wanted = self._queue.popleft()
                if wanted.stage in ("again", "confirm") or not self.seen(wanted.point):
                    return wanted
            if self.converged:
                return None
            self._next_round()
            if not self._queue:
                return None

    def tell(self, point: Point, rate: float | None) -> None:
        """The rate of one look at a point, or None where it could not run; also of looks that nobody asked for."""
        self.looks.tell(point, rate)

    def seen(self, point: Point) -> bool:
        """Whether the point has been looked at, with or without success."""
        return self.looks.seen(point)

    # --- what is believed -----------------------------------------------------------------------------------------

    def finalists(self) -> list[Estimate]:
        """The points to measure in full: the best, each taken for a standard error of its looks less than it seems.

        The highest of many single looks is as a rule the luckiest one.
        """
        noise = self.looks.noise
        return sorted(self.looks.estimates(), key=lambda one: noise / sqrt(one.looks) - log(one.rate))

    @property
    def converged(self) -> bool:
        """Whether nothing better came for `PATIENCE` rounds and all around the best point is known."""
        if self._round - self._progress_round < PATIENCE or not self.looks.logarithms():
            return False
        return all(map(self.seen, self.space.neighbours(self.looks.estimates()[0].point)))

    # --- rounds ---------------------------------------------------------------------------------------------------

    def _design(self) -> list[Point]:
        """Points that show every value of an axis about equally often, drawn anew where they make no sense."""
        longest = max((len(axis.values) for axis in self.space.axes), default=1)
        count = DESIGN_PER_VALUE * longest
        count = max(DESIGN_LEAST, min(count, int(DESIGN_SHARE * self.space.combinations)))
        columns = []
        for axis in self.space.axes:
            column = [place * len(axis.values) // count for place in range(count)]
            self._draw.shuffle(column)
            columns.append(column)
        points = (point if self.space.valid(point) else self._any() for point in zip(*columns, strict=True))
        return list(dict.fromkeys(point for point in points if point is not None))

    def _any(self) -> Point | None:
        """A sensible point that nobody has looked at, at random; None where none turned up."""
        for _ in range(200):
            point = self.space.any_point(self._draw)
            if self.space.valid(point) and not self.seen(point):
                return point
        return None

    def _next_round(self) -> None:
        """Queue second looks, then neighbours of the best, the model's candidates, and now and then a blind draw."""
        self._round += 1
        estimates = self.looks.estimates()
        if not estimates:
            self._queue_random()
            return
        if estimates[0].rate > self._progress_rate * (1.0 + IMPROVEMENT):
            self._progress_round, self._progress_rate = self._round, estimates[0].rate
        surrogate = Surrogate(self.space.axes, self.looks.logarithms())
        near = self._around(estimates)
        self._queue_best(surrogate, near, "neighbour", NEIGHBOUR_POINTS)
        self._queue_best(surrogate, {**near, **self._afar(surrogate)}, "model", MODEL_POINTS)
        if self._round % RANDOM_EVERY == 0 or not self._queue:
            self._queue_random()
        most_looks = MOST_LOOKS if self._queue else SETTLED_LOOKS
        self._queue.extendleft(Ask(point, "again") for point in reversed(self._again(estimates, most_looks)))

    def _queue_random(self) -> None:
        point = self._any() or next((p for p in self.space.points() if not self.seen(p)), None)
        if point is not None:
            self._queue.append(Ask(point, "random"))

    def _again(self, estimates: Sequence[Estimate], most_looks: int) -> list[Point]:
        """Points that a look may have wronged: those that their error would lift to the best, and the best itself."""
        noise, best = self.looks.noise, log(estimates[0].rate)
        open_ = [
            one
            for one in estimates
            if one.looks < most_looks and log(one.rate) + REACHES * noise / sqrt(one.looks) >= best
        ]
        # Of two that are equally likely the less known; the best itself first, for all others are held to it.
        open_.sort(key=lambda one: (one.point != estimates[0].point, one.looks, -one.rate))
        return [one.point for one in open_[:AGAIN_POINTS]]

    def _around(self, estimates: Sequence[Estimate]) -> dict[Point, None]:
        """Points not looked at near the best ones: along one axis, or one step along two at once."""
        found: dict[Point, None] = {}
        for one in estimates[:INCUMBENTS]:
            for number, axis in enumerate(self.space.axes):
                for place in _along(len(axis.values), one.point[number]):
                    moved = (*one.point[:number], place, *one.point[number + 1 :])
                    if self.space.valid(moved):
                        found[moved] = None
            for moved in self._diagonal(one.point):
                found[moved] = None
        return {point: None for point in found if not self.seen(point)}

    def _diagonal(self, point: Point) -> Iterator[Point]:
        ordered = [number for number, axis in enumerate(self.space.axes) if axis.ordered]
        for first, second in combinations(ordered, 2):
            for one, other in product((-1, 1), repeat=2):
                moved = list(point)
                moved[first] += one
                moved[second] += other
                inside = all(0 <= place < len(axis.values) for place, axis in zip(moved, self.space.axes, strict=True))
                if inside and self.space.valid(tuple(moved)):
                    yield tuple(moved)

    def _afar(self, surrogate: Surrogate) -> dict[Point, None]:
        """Candidates all over the space: combinations of each axis' best values, and some drawn at random."""
        per_axis = []
        combinations_left = MOST_COMBINATIONS
        for effects in surrogate.effects:
            count = min(TOP_VALUES, len(effects), max(1, combinations_left))
            per_axis.append(sorted(range(len(effects)), key=lambda place: -effects[place])[:count])
            combinations_left //= count
        drawn = (self.space.any_point(self._draw) for _ in range(DRAWN_CANDIDATES))
        candidates = dict.fromkeys([*product(*per_axis), *drawn])
        return {point: None for point in candidates if not self.seen(point) and self.space.valid(point)}

    def _queue_best(self, surrogate: Surrogate, candidates: dict[Point, None], stage: Stage, count: int) -> None:
        waiting = {ask.point for ask in self._queue}
        hopes = []
        for point in candidates:
            if point not in waiting:
                expected = surrogate.predict(point)
                hopes.append((expected.mean + CURIOSITY * surrogate.scatter * sqrt(expected.ignorance), point))
        hopes.sort(key=lambda hope: (-hope[0], hope[1]))
        self._queue.extend(Ask(point, stage) for _, point in hopes[:count])


def _along(length: int, here: int) -> Iterator[int]:
    """Places of one axis to try from `here`."""
    for place in range(length):
        near = abs(place - here) <= LONG_AXIS // 4
        if length <= LONG_AXIS or near or place % (2 * length // LONG_AXIS) == 0:
            yield place
