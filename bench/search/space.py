"""A structured space of cases: axes with values, and which combinations make sense. Pure: no device is asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Final, TypeAlias

from bench.errors import UsageError, unknown_name
from bench.kernel import Kernel

Point: TypeAlias = tuple[int, ...]
"""One place of each axis, counted from 0."""

IMPLEMENTATION: Final = "implementation"
"""The axis that names the implementation; the others name fields of the case."""
COUNTED: Final = 20_000
"""Up to so many combinations the sensible ones are counted, beyond that estimated from a sample (ours)."""
ORDERED_LEAST: Final = 3
"""Integer values from which an axis has a direction; two are a choice."""
MOST_VALUES: Final = 1000
"""Values of one axis: a misplaced step would make millions."""
MOST_DIGITS: Final = 18
"""Of an integer: what every field takes, and within 64 bits."""
MOST_COMBINATIONS: Final = 1_000_000
"""Of all axes: where few of them make sense, all of them have to be walked through."""


@dataclass(frozen=True)
class Axis:
    """One dimension: `name` is a field, several that go together ("h=w"), or `implementation`."""

    name: str
    values: tuple[int | str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that take the value."""
        return tuple(self.name.split("="))

    @property
    def ordered(self) -> bool:
        """Whether neighbouring values are alike: integers that ascend, and more than a choice of two."""
        return len(self.values) >= ORDERED_LEAST and all(isinstance(value, int) for value in self.values)


class Space:
    """Every combination of the axes' values that `reason` finds nothing against.

    `complete` turns the given fields into a whole case; `reason(case, implementation)` is "" for a case that can be.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        complete: Callable[[Mapping[str, int | str]], dict[str, int | str]],
        reason: Callable[[Mapping[str, int | str], str], str],
    ) -> None:
        self.axes = tuple(axes)
        self._complete = complete
        self._reason = reason
        self._valid: dict[Point, bool] = {}

    @property
    def combinations(self) -> int:
        """Points with those that make no sense."""
        return prod(len(axis.values) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """Points that make sense; beyond `COUNTED` combinations an estimate from a sample of a tenth of that."""
        if self.combinations <= COUNTED:
            return sum(1 for _ in self.points())
        draw = random.Random(0)
        sample = COUNTED // 10
        return round(self.combinations * sum(self.valid(self.any_point(draw)) for _ in range(sample)) / sample)

    def points(self) -> Iterator[Point]:
        """Every point that makes sense, in the order of the axes."""
        return filter(self.valid, product(*(range(len(axis.values)) for axis in self.axes)))

    def any_point(self, draw: random.Random) -> Point:
        """A combination at random, sensible or not."""
        return tuple(draw.randrange(len(axis.values)) for axis in self.axes)

    def valid(self, point: Point) -> bool:
        """Whether the point makes sense."""
        known = self._valid.get(point)
        if known is None:
            known = self._valid[point] = self._judge(point)
        return known

    def _judge(self, point: Point) -> bool:
        try:
            return not self._reason(self.case(point), self.implementation(point))
        except UsageError:
            return False

    def case(self, point: Point) -> dict[str, int | str]:
        """The whole case of a point. Raises UsageError where the kernel rejects it."""
        return self._complete(self._given(point))

    def _given(self, point: Point) -> dict[str, int | str]:
        return {
            name: axis.values[place]
            for axis, place in zip(self.axes, point, strict=True)
            if axis.name != IMPLEMENTATION
            for name in axis.fields
        }

    def implementation(self, point: Point) -> str:
        """The implementation of a point."""
        for axis, place in zip(self.axes, point, strict=True):
            if axis.name == IMPLEMENTATION:
                return str(axis.values[place])
        return ""

    def point(self, case: Mapping[str, int | str], implementation: str) -> Point | None:
        """The point of a case; None where the space does not have it."""
        place = []
        for axis in self.axes:
            value = implementation if axis.name == IMPLEMENTATION else case.get(axis.fields[0])
            if value not in axis.values:
                return None
            place.append(axis.values.index(value))
        found = tuple(place)
        try:
            return found if dict(self.case(found)) == dict(case) else None
        except UsageError:
            return None

    def neighbours(self, point: Point) -> Iterator[Point]:
        """Sensible points one step along one axis away; on an axis without direction every other value."""
        for number, axis in enumerate(self.axes):
            here = point[number]
            places = (here - 1, here + 1) if axis.ordered else range(len(axis.values))
            for place in places:
                moved = (*point[:number], place, *point[number + 1 :])
                if 0 <= place < len(axis.values) and place != here and self.valid(moved):
                    yield moved

    def text(self) -> str:
        """The axes as `--space` takes them, the implementations left out."""
        return ",".join(
            f"{axis.name}={'|'.join(map(str, axis.values))}" for axis in self.axes if axis.name != IMPLEMENTATION
        )


def parse_axes(text: str, kernel: Kernel) -> list[Axis]:
    """Read "m=256:4096:256,n=64|128,trans_b=0|1"; UsageError names part, value and what is allowed.

    A range takes both ends; "h=w=7|14" sets both fields.
    """
    fields = {spec.name: spec for spec in kernel.fields}
    axes: list[Axis] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, values = part.rpartition("=")
        names = tuple(piece.strip() for piece in name.split("="))
        if not equals or not values or not all(names):
            raise UsageError(f"--space: {part!r} is not FIELD=FROM:TO:STEP or FIELD=A|B|C")
        for one in names:
            if one not in fields:
                raise unknown_name(f"--space: {kernel.name} has no such field", one, fields)
            if any(one in axis.fields for axis in axes) or names.count(one) > 1:
                raise UsageError(f"--space: {one!r} is given twice")
        of_words = {bool(fields[one].choices) for one in names}
        if len(of_words) > 1:
            raise UsageError(f"--space: {part!r} joins a field of words with one of integers")
        axes.append(Axis("=".join(names), _values(part, values, integers=of_words == {False})))
    missing = [
        spec.name for spec in kernel.fields if spec.default is None and not any(spec.name in a.fields for a in axes)
    ]
    if missing:
        raise UsageError(f"--space: {kernel.name} needs values for {', '.join(missing)}")
    return axes


def _values(part: str, text: str, *, integers: bool) -> tuple[int | str, ...]:
    pieces = [piece.strip() for piece in text.split("|")]
    if not integers:
        return tuple(dict.fromkeys(pieces))
    found: set[int] = set()
    for piece in pieces:
        found.update(_integers(part, piece))
    return tuple(sorted(found))


def _integers(part: str, piece: str) -> range:
    """ "64" or "256:4096:256", both ends taken."""
    numbers = [number.strip() for number in piece.split(":")]
    plain = all(number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS for number in numbers)
    if len(numbers) not in (1, 3) or not plain:
        raise UsageError(f"--space: {piece!r} in {part!r} is not an integer or FROM:TO:STEP")
    first, last, step = map(int, numbers if len(numbers) == 3 else (*numbers, *numbers, "1"))
    if step < 1 or last < first or (last - first) // step >= MOST_VALUES:
        raise UsageError(f"--space: {piece!r} in {part!r} has no values, or more than {MOST_VALUES}")
    return range(first, last + 1, step)


def checked_axes(kernel: Kernel, axes: Sequence[Axis]) -> list[Axis]:
    """The axes, once each value is one that its field allows; UsageError names what is not so, or too much."""
    limits = {spec.name: spec for spec in kernel.fields}
    for axis in axes:
        for name in axis.fields:
            if name not in limits:
                raise unknown_name(f"--space: {kernel.name} has no such field", name, limits)
            spec = limits[name]
            for value in axis.values:
                if spec.choices and value not in spec.choices:
                    raise unknown_name(f"--space: {name}", str(value), spec.choices)
                if isinstance(value, int) and not spec.minimum <= value <= spec.maximum:
                    raise UsageError(f"--space: {name}={value} is outside {spec.minimum} … {spec.maximum}")
    combinations = prod(len(axis.values) for axis in axes)
    if combinations > MOST_COMBINATIONS:
        raise UsageError(f"--space: {combinations} combinations are more than {MOST_COMBINATIONS}")
    return list(axes)
