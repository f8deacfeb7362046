"""Sides and launches without a machine: times drawn from a model of its noise, in run files as a launch writes them.

The model is the method's own (section 8): a drift that the whole session shares, and a noise of each launch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from typing import Literal

from bench import records
from bench.ab.evidence import Standing
from bench.ab.launches import Label, Launch
from bench.ab.rehearsal import Rows
from bench.ab.sides import Ready, parse
from tests import factories


def side(text: str, label: Literal["A", "B"]) -> Ready:
    """A side that could be launched, were there a machine."""
    return Ready(label, parse(text, label), "python", {}, Path(), "0", narrows=True)


SIDES = (side("env:X=0", "A"), side("env:X=1", "B"))


@dataclass
class Machine:
    """Launches drawn, not measured. `slower` names the kernels there are, each with B's time over A's."""

    slower: Mapping[str, float] = field(default_factory=lambda: {"gemm": 1.0})
    noise: float = 0.015
    drift: float = 0.03
    seed: int = 0
    dies: Callable[[int], str] = lambda number: ""
    """Number of a launch → why it dies, or ""."""
    row: Callable[[records.Measurement, int], records.Measurement] = lambda row, number: row
    """What becomes of a row of that launch."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.order: list[Label] = []
        self.asked: list[Rows | None] = []
        self.now = 0.0

    def __call__(self, ready: Ready, rows: Rows | None) -> Launch:
        number = len(self.order)
        self.order.append(ready.label)
        self.asked.append(rows)
        self.now += self.drift / 16 * self.random.gauss(0.0, 1.0)
        reason = self.dies(number)
        if reason:
            return Launch(ready.label, 1.0, Path("none"), None, reason)
        wanted = [name for place, name in enumerate(self.slower, start=1) if rows is None or place in rows]
        return Launch(ready.label, 1.0, Path("none"), self._file(wanted, ready.label, number))

    def _file(self, kernels: Sequence[str], label: Label, number: int) -> records.RunFile:
        made = []
        for kernel in kernels:
            log_time = self.now + self.random.gauss(0.0, self.noise)
            time_s = 1e-3 * exp(log_time) * (self.slower[kernel] if label == "B" else 1.0)
            place = list(self.slower).index(kernel) + 1
            row = factories.measurement(median_s=time_s, low_s=time_s, high_s=time_s, kernel=kernel, id=f"{place:05d}")
            made.append(self.row(row, number))
        return factories.run_file(made)


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.stages: list[tuple[str, int, int]] = []
        self.pairs = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def stage(self, name: str, series: int, pairs: int) -> None:
        self.stages.append((name, series, pairs))

    def launching(self, label: Label) -> None:
        """Nothing to keep."""

    def launched(self, launch: Launch) -> None:
        if launch.reason:
            self.messages.append(launch.reason)

    def standing(self, pairs: int, standings: Sequence[Standing]) -> None:
        self.pairs += 1
