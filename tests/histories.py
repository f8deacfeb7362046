"""Points and histories for tests: what a store would hand out, of which a test names only what it is about."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.analysis.history import History, history

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Point:
    """One run's value of one series."""

    series: str = "gemm[m=1024,n=1024,k=1024] fp32 best burst normal cold cpu"
    class_id: str = "0123456789abcdef"
    run_id: str = "run"
    started: str = ""
    started_s: float = 0.0
    commit: str | None = None
    value_s: float | None = 1e-3
    status: str = "ok"
    quarantined: bool = False


@dataclass(frozen=True)
class Accepted:
    """An accepted change."""

    run_id: str
    commit: str | None = None
    reason: str = "known"
    series: str = Point.series
    class_id: str = Point.class_id


def points(values: Sequence[float | None], **changes: Any) -> list[Point]:
    """A run a day; the i-th has commit "c000i" and so on."""
    found = []
    for i, value in enumerate(values):
        moment = FIRST + timedelta(days=i)
        point = Point(
            run_id=f"run{i:04}",
            started=moment.isoformat(),
            started_s=moment.timestamp(),
            commit=f"c{i:04}",
            value_s=value,
        )
        found.append(replace(point, **changes))
    return found


def noisy(levels: Sequence[float], noise: float = 0.01, seed: int = 1) -> list[float]:
    """The levels, each times 1 + a little normal noise."""
    draw = random.Random(seed)
    return [level * (1.0 + draw.gauss(0.0, noise)) for level in levels]


def stepped(accepted: Iterable[Accepted] = (), **changes: Any) -> History:
    """Thirty runs at 1 ms, then thirty at 1.2 ms."""
    return history(points(noisy([1e-3] * 30 + [1.2e-3] * 30), **changes), accepted)
