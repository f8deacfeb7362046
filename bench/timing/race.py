"""Which of several right implementations is the fastest: looks in turns, and a draw for the plainer one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.stats.robust import median
from bench.timing.backend import Backend
from bench.timing.cache import CachePlan
from bench.timing.measure import screen
from bench.timing.timers import Call

ROUNDS: Final = 3
GIVE_UP: Final = 1.5
"""One slower than this many times the best look so far gets no further look (ours)."""
DRAW: Final = 0.08
"""Within this share of the fastest it is a draw (ours): looks of a tenth of a second on a shared machine scatter by
several percent, and the fastest of two equals would be chosen by noise, anew in each run."""
DRAW_LEAST: Final = 0.01
"""The same where looks agree better than that (ours): three can do so by chance."""


def race(
    calls: Mapping[str, Call],
    backend: Backend,
    plan: CachePlan,
    look_s: float,
    on_look: Callable[[str], None] | None = None,
) -> dict[str, list[float]]:
    """Looks at each, seconds per call: `ROUNDS` of `look_s` seconds, or fewer of one that is out of the running.

    In turns, so that a neighbour who comes and goes meets them all.
    """
    looks: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            best = min((min(seen) for seen in looks.values() if seen), default=0.0)
            if looks[name] and min(looks[name]) > GIVE_UP * best:
                continue
            if on_look:
                on_look(name)
            looks[name].append(screen([call], backend, plan, look_s, capturable=False))
    return looks


def medians(looks: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Seconds per call of each, roughly."""
    return {name: median(seen) for name, seen in looks.items()}


def draw_width(looks: Mapping[str, Sequence[float]]) -> float:
    """Within which share of the fastest it is a draw: as far as the looks at one and the same lay apart.

    Of those that stayed in the running, the one whose looks scattered most; at least `DRAW_LEAST`, at most `DRAW`.
    """
    ranges = [(max(seen) - min(seen)) / median(seen) for seen in looks.values() if len(seen) == ROUNDS]
    return min(DRAW, max(DRAW_LEAST, *ranges)) if ranges else DRAW


def winner(seconds: Mapping[str, float], draw: float = DRAW) -> str:
    """The fastest, or the first of those that draw with it: kernels write their plainest implementation first."""
    fastest = min(seconds.values())
    return next(name for name, each in seconds.items() if each <= (1 + draw) * fastest)
