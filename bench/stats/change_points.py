"""Where the level of a series steps, how surely, and whether its newest value strays.

Deterministic: the same values give the same answer. Values are on an additive scale (the history takes logarithms of
times); their names, dates and meanings are `bench.analysis.history`'s business.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import fsum, log, sqrt
from typing import Final

from bench.stats.robust import checked, median, robust_z
from bench.stats.student import pooled_p

ROUNDING: Final = 1e-12
"""Of the sum of all distances: by how much a later split must be better, so that a tie stays with the first."""
SUSPECT_FROM: Final = 10
"""Earlier values without which nothing is suspected: a MAD of fewer is often near zero by chance (ours)."""
SUSPECT_Z: Final = 5.0
"""Robust z above which the newest value is suspected (method, section 9)."""
SERIAL: Final = 0.3
"""Autocorrelation of the residuals above which a change point is only possible (method, section 9)."""


@dataclass(frozen=True)
class Rules:
    """What makes a change point. Windows, weak pass and merging are otava's; the thresholds are the method's."""

    windows: tuple[int, ...] = (50, 25)
    """Values looked at together, each window half past the one before: in a long series an early large step would hide
    later small ones. The method has 50; 25 beside it (ours) finds twice as many slow-downs that lasted six runs."""
    p: float = 1e-4
    weak_factor: float = 10.0
    """Times p: what the first pass asks, whose windows cut segments short."""
    least: int = 4
    """Values of a segment."""
    size: float = log(1.03)
    noise_widths: float = 2.0
    """Of the local noise: a smaller step is no change, however many values confirm it."""
    far_better: float = 100.0
    """Ratio of likelihoods at which a step is really that of fewer values than a segment needs (ours)."""


@dataclass(frozen=True)
class ChangePoint:
    """A step of the level between `index` − 1 and `index`."""

    index: int
    before: float
    """Mean of the segment that ends here."""
    after: float
    noise: float
    """Pooled standard deviation of both segments."""
    p: float

    @property
    def size(self) -> float:
        """How far the level moved, without its sign."""
        return abs(self.after - self.before)


RULES: Final = Rules()


def change_points(values: Sequence[float], rules: Rules = RULES) -> tuple[ChangePoint, ...]:
    """The change points of a series, in order. Raises ValueError on none, NaN or infinity.

    Windowed E-divisive: in each window the split that maximises the energy statistic of Matteson & James (J. Am. Stat.
    Assoc. 109, 2014) is a candidate, tested by a pooled t-test, and both sides are divided again; then the candidates
    of all windows are merged, the weakest removed first, until all that stay are significant, far enough apart and
    large enough (Fleming et al., ICPE 2023: Hunter, now Apache otava).
    """
    segments = _Segments(checked(values))
    return _merged(segments, _candidates(segments, rules), rules)


def compare(values: Sequence[float], index: int) -> ChangePoint | None:
    """The step at an index that is known from elsewhere, by all values on both sides; None with fewer than 3 in all."""
    if not 0 < index < len(values) or len(values) < 3:
        return None
    return _Segments(checked(values)).compare(0, index, len(values))


def residuals(values: Sequence[float], indices: Iterable[int]) -> list[float]:
    """What is left of each value when the mean of its segment is taken away; segments begin at the indices."""
    segments = _Segments(values)
    bounds = [0, *indices, len(values)]
    return [value - segments.mean(start, end) for start, end in pairwise(bounds) for value in values[start:end]]


def autocorrelation(values: Sequence[float], indices: Iterable[int] = ()) -> float:
    """Lag-1 autocorrelation of the residuals, over pairs within one segment; 0 where nothing is left."""
    edges = set(indices)
    left = residuals(values, sorted(edges))
    squares = fsum(x * x for x in left)
    products = fsum(left[i - 1] * left[i] for i in range(1, len(left)) if i not in edges)
    return products / squares if squares else 0.0


def newest_z(values: Sequence[float], indices: Sequence[int] = (), rules: Rules = RULES) -> float | None:
    """How many robust standard deviations the newest value lies from the median of its segment.

    The scale is the MAD of the last widest window's residuals around their segments' medians. None where fewer than ten
    values, or less than a shortest segment, came before, or where the distance is below the size of a change.
    """
    earlier = values[:-1]
    start = indices[-1] if indices else 0
    if len(earlier) < SUSPECT_FROM or len(earlier) - start < rules.least:
        return None
    distance = values[-1] - median(earlier[start:])
    if abs(distance) <= rules.size:
        return None
    around: list[float] = []
    for first, end in pairwise([0, *indices, len(earlier)]):
        centre = median(earlier[first:end])
        around += [value - centre for value in earlier[first:end]]
    return robust_z(distance, around[-max(rules.windows) :])


def best_split(values: Sequence[float], least: int) -> tuple[int, float] | None:
    """Where a series divides best, and the energy statistic there; None where a side would have fewer than `least` ≥ 2.

    q(τ) = a·b/(a + b) · (2·mean |x − y| − mean |x − x'| − mean |y − y'|) over x before τ and y from τ on, a and b their
    numbers, each pair counted once (Székely & Rizzo 2005; Matteson & James, eq. 5, with all values after τ as y).

    The sums follow from two figures a value: the distances to all earlier values, by insertion into a sorted list, and
    to all values, by prefix sums: n log n comparisons, instead of n² distances.
    """
    count = len(values)
    if count < 2 * least:
        return None
    earlier, ordered = _distances_to_earlier(values)
    to_all = _distances_to_all(ordered)
    total = fsum(earlier)
    left, right = 0.0, total
    best, best_q = 0, 0.0
    for split in range(1, count - least + 1):
        value = values[split - 1]
        left += earlier[split - 1]
        right -= to_all[value] - earlier[split - 1]
        if split < least:
            continue
        # Over the pairs' numbers a·b, a(a − 1)/2 and b(b − 1)/2; what belongs to neither side lies between them.
        a, b = split, count - split
        q = 2.0 / count * ((total - left - right) - b * left / (a - 1) - a * right / (b - 1))
        if not best or q > best_q + ROUNDING * total:
            best, best_q = split, q
    return best, best_q


def _distances_to_earlier(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """For each value the sum of its distances to those before it, and all values in ascending order."""
    ordered: list[float] = []
    distances = []
    total = 0.0
    for count, value in enumerate(values):
        below = bisect_left(ordered, value)
        distances.append(total - 2.0 * sum(ordered[:below]) + value * (2 * below - count))
        ordered.insert(below, value)
        total += value
    return distances, ordered


def _distances_to_all(ordered: Sequence[float]) -> dict[float, float]:
    """Value → the sum of its distances to all values, which are in ascending order."""
    count, total = len(ordered), fsum(ordered)
    below = accumulate(ordered, initial=0.0)
    return {
        value: total - 2.0 * sum_below + value * (2 * rank - count)
        for rank, (value, sum_below) in enumerate(zip(ordered, below, strict=False))
    }


class _Segments:
    """Means and squares of stretches of a series, each worked out once."""

    def __init__(self, values: Sequence[float]) -> None:
        # Around the median: levels far from zero would cost digits in the sums of distances.
        self._centre = median(values) if values else 0.0
        self.values = [value - self._centre for value in values]
        self._known: dict[tuple[int, int], tuple[float, float]] = {}

    def mean(self, start: int, end: int) -> float:
        """Of the values as they were given."""
        return self._moments(start, end)[0] + self._centre

    def compare(self, start: int, index: int, end: int) -> ChangePoint:
        """The step between two neighbouring segments."""
        before, squares_before = self._moments(start, index)
        after, squares_after = self._moments(index, end)
        noise = sqrt((squares_before + squares_after) / (end - start - 2))
        p = pooled_p(after - before, noise, index - start, end - index)
        return ChangePoint(index, before + self._centre, after + self._centre, noise, p)

    def _moments(self, start: int, end: int) -> tuple[float, float]:
        """Mean and sum of squared deviations."""
        known = self._known.get((start, end))
        if known is None:
            part = self.values[start:end]
            mean = fsum(part) / len(part)
            if part.count(part[0]) == len(part):
                # Equal values have no spread; fsum(n·x)/n may be off by a rounding.
                known = part[0], 0.0
            else:
                known = mean, fsum((value - mean) ** 2 for value in part)
            self._known[start, end] = known
        return known


def _candidates(segments: _Segments, rules: Rules) -> list[int]:
    """The splits of all windows that pass the weak test, in order.

    Windows overlap wherever splits were found (otava goes on from the last one): a step a few values before the end of
    a window is misplaced there, and the next window puts it right.
    """
    found: set[int] = set()
    for window in rules.windows:
        step = window // 2
        for start in range(0, max(1, len(segments.values) - window + step), step):
            found.update(_divided(segments, start, min(start + window, len(segments.values)), rules))
    return sorted(found)


def _divided(segments: _Segments, start: int, end: int, rules: Rules) -> list[int]:
    """The splits of one stretch: its best one if it is significant, and those of both its sides."""
    best = best_split(segments.values[start:end], rules.least)
    if best is None:
        return []
    split = start + best[0]
    if segments.compare(start, split, end).p >= rules.p * rules.weak_factor:
        return []
    return [*_divided(segments, start, split, rules), split, *_divided(segments, split, end, rules)]


def _merged(segments: _Segments, candidates: list[int], rules: Rules) -> tuple[ChangePoint, ...]:
    """The candidates that hold between their neighbours; the weakest goes first, since that changes its neighbours."""
    kept = _apart(segments, candidates, rules.least)
    while kept:
        bounds = [0, *kept, len(segments.values)]
        points = [segments.compare(*bounds[i - 1 : i + 2]) for i in range(1, len(bounds) - 1)]
        weakest = max(points, key=lambda point: point.p)
        if weakest.p < rules.p:
            weakest = min(points, key=lambda point: point.size - _asked(point, rules))
            if weakest.size > _asked(weakest, rules):
                outer = zip(bounds, points, bounds[2:], strict=False)
                early = next(
                    (point for start, point, end in outer if _premature(segments, start, point, end, rules)), None
                )
                if early is None:
                    return tuple(points)
                weakest = early
        kept.remove(weakest.index)
    return ()


def _premature(segments: _Segments, start: int, point: ChangePoint, end: int, rules: Rules) -> bool:
    """Whether fewer values than a segment needs explain the step far better: two or three wild ones, not a level.

    Such a step would be placed at a value of the old level, only to have enough of them.
    """
    near_end = range(end - rules.least + 1, end) if end - point.index < 2 * rules.least else ()
    near_start = range(start + 1, start + rules.least) if point.index - start < 2 * rules.least else ()
    others = (segments.compare(start, other, end).noise for other in (*near_end, *near_start))
    # Of normal values the likelihoods are as the pooled deviations to the power of minus their number.
    enough = rules.far_better ** (-1.0 / (end - start)) * point.noise
    return any(noise < enough for noise in others)


def _asked(point: ChangePoint, rules: Rules) -> float:
    """The size that a change point must exceed."""
    return max(rules.size, rules.noise_widths * point.noise)


def _apart(segments: _Segments, candidates: list[int], least: int) -> list[int]:
    """The candidates without those that overlapping windows placed too close to a better one.

    Of two that are too close each is judged as if the other were not there: the one that leaves less noise is better.
    (By p as well, but p of a large step is 0 in floating point.)
    """
    kept = list(candidates)
    while True:
        bounds = [0, *kept, len(segments.values)]
        near = next((i for i in range(1, len(kept)) if bounds[i + 1] - bounds[i] < least), None)
        if near is None:
            return kept
        start, one, other, end = bounds[near - 1 : near + 3]
        first, second = (segments.compare(start, index, end).noise for index in (one, other))
        kept.remove(one if second < first * (1.0 - ROUNDING) else other)
