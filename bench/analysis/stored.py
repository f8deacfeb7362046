"""The rule for stored runs, whose launches were not interleaved: how they scatter, and what that lets one say.

Weaker than paired launches (`bench.analysis.verdicts`), and said so: what the machine did between two runs is in the
ratio, and nothing in the runs tells it from the change. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, log1p, sqrt
from statistics import NormalDist
from typing import Final

from bench.analysis.verdicts import (
    FALSE_DISCOVERY,
    MEDIAN_OF_NORMAL,
    POWER,
    SeriesVerdict,
    Verdict,
    effective_threshold,
    ratio_of,
    sentence,
)
from bench.analysis.words import percent
from bench.stats.median_bootstrap import ratio_interval
from bench.stats.moderated import PRIOR_DEGREES, Spread, moderated, one_sided_p, spread, t_quantile, typical
from bench.stats.multiple import benjamini_hochberg
from bench.stats.robust import MAD_TO_SIGMA, mad, median

ASSUMED_CPU: Final = 0.045
"""Launch noise of a CPU where nothing tells it: usable launches of the middle series of the reference run, on a virtual
machine, scatter by 4.4 % (81 series of three launches; 9 of 10 below 12.5 %)."""
ASSUMED_OTHER: Final = 0.02
"""… of any other device (ours: the method's 1.5 % with room; no GPU's launches have been measured yet)."""
LEAST_ALIKE: Final = 4
"""Series with launches of their own that can speak for each other."""
LEAST_SCATTER: Final = 8
"""Series of one launch each whose ratios, most of them unchanged, show how launches scatter."""
SAME_CONFIDENCE: Final = 0.90
"""Two one-sided tests at 5 % are a 90 % interval within the limits (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987)."""


@dataclass(frozen=True)
class Launches:
    """What two runs measured of one series: seconds a call, one value a launch, quarantined launches left out."""

    base_s: tuple[float, ...]
    new_s: tuple[float, ...]
    base_within: float = 0.0
    """Relative standard deviation of the one launch's median, from its own interval; 0 where it is not known."""
    new_within: float = 0.0

    @property
    def change(self) -> float:
        """ln of the ratio of the medians, new over base."""
        return log(median(self.new_s)) - log(median(self.base_s))

    @property
    def own(self) -> Spread:
        """How launches scatter within the two runs, in logs."""
        return spread([log(time) for time in self.base_s], [log(time) for time in self.new_s])


@dataclass(frozen=True)
class Noise:
    """How far a launch's median lies from that of another launch of the same, and how that is known."""

    spread: Spread
    source: str


def launch_noises(alike: Sequence[Launches], assumed: float) -> list[Noise]:
    """The noise of each of the series of one class, from the best source there is.

    In this order: its own launches, steadied by those of at least 3 other series; its own alone; how the ratios of at
    least 8 series scatter between the runs; `assumed`, a relative standard deviation.
    """
    owns = [one.own for one in alike]
    with_launches = [own for own in owns if own.degrees_of_freedom > 0]
    if len(with_launches) >= LEAST_ALIKE:
        prior, source = typical(with_launches), f"launches of {len(with_launches)} series"
        return [Noise(moderated(own, prior), source) for own in owns]
    if len(alike) >= LEAST_SCATTER:
        scatter = MAD_TO_SIGMA * mad([one.change for one in alike]) / sqrt(2)
        prior, source = scatter, f"how {len(alike)} series differ between the runs"
    else:
        prior, source = assumed, "assumed"
    return [
        Noise(own, "its own launches") if own.degrees_of_freedom > 0 else Noise(Spread(prior, PRIOR_DEGREES), source)
        for own in owns
    ]


def judge_stored(launches: Launches, noise: Noise, *, threshold: float, series: str = "") -> SeriesVerdict:
    """The verdict of one series of two stored runs, before `believed` has looked at all series together.

    A regression needs the whole 95 % interval of the ratio above 1 + threshold, and the ratio above 1 + twice the
    launch noise; "same" a 90 % interval inside ± threshold. The interval is Student's with the noise given, widened to
    the bootstrap of the medians where both sides have launches to draw from.
    """
    centre, error = launches.change, _error(launches, noise.spread.sigma)
    degrees = noise.spread.degrees_of_freedom
    half = t_quantile(0.95, degrees) * error
    drawn = _bootstrap(launches)
    low, high = min(centre - half, drawn[0]), max(centre + half, drawn[1])
    near = low if centre >= 0 else -high
    same_half = t_quantile(SAME_CONFIDENCE, degrees) * error
    needed = effective_threshold(threshold, noise.spread.sigma)
    same = abs(centre) + same_half < log1p(threshold)
    verdict, reason = _stored(centre, near, same, log1p(threshold), log1p(needed))
    if verdict == "ambiguous" and min(len(launches.base_s), len(launches.new_s)) == 1:
        reason = "one_launch"
    visible = max(log1p(threshold) + half, log1p(needed)) + NormalDist().inv_cdf(POWER) * error
    return SeriesVerdict(
        series=series,
        verdict=verdict,
        reason=reason,
        text=sentence(verdict, reason, ratio_of(centre), threshold=needed, asked=threshold, noise=noise.spread.sigma),
        ratio=ratio_of(centre),
        ci95_low=ratio_of(low),
        ci95_high=ratio_of(high),
        p=one_sided_p(abs(centre), error, degrees),
        threshold=needed,
        threshold_asked=threshold,
        launch_noise=noise.spread.sigma,
        noise_source=noise.source,
        cannot_see_below=ratio_of(visible) - 1.0,
        base_s=launches.base_s,
        new_s=launches.new_s,
        evidence=_evidence(launches, noise),
    )


def believed(verdicts: Sequence[SeriesVerdict]) -> list[SeriesVerdict]:
    """The same, with those called "ambiguous" that stand out no more than one of so many series does by chance.

    Benjamini–Hochberg at q = 0.05 over all series of the comparison, for each direction.
    """
    found = list(verdicts)
    directions: tuple[tuple[Verdict, float], ...] = (("regression", 1.0), ("improvement", -1.0))
    judged = [
        (i, log(one.ratio), one.p) for i, one in enumerate(verdicts) if one.p is not None and one.ratio is not None
    ]
    for direction, sign in directions:
        toward = [p if sign * moved >= 0 else 1.0 - p for _, moved, p in judged]
        for (i, _, _), p in zip(judged, benjamini_hochberg(toward), strict=True):
            one = found[i]
            if one.verdict == direction and p > FALSE_DISCOVERY:
                text = f"{one.text}; but of {len(judged)} series one may stand out so far by chance"
                found[i] = replace(one, verdict="ambiguous", reason="one_of_many", text=text)
    return found


def _stored(centre: float, near: float, same: bool, margin: float, needed: float) -> tuple[Verdict, str]:
    """`near` is the end of the interval that lies closer to no change, in the direction of the change; all in logs."""
    if near > margin and abs(centre) > needed:
        return ("regression", "slower") if centre > 0 else ("improvement", "faster")
    if same:
        return "same", "within_threshold"
    if near > margin:
        return "ambiguous", "below_noise"
    return "ambiguous", "near_threshold" if near > 0 else "uncertain"


def _error(launches: Launches, sigma: float) -> float:
    """Standard error of the ratio of the medians, in logs."""
    sides = ((launches.base_s, launches.base_within), (launches.new_s, launches.new_within))
    return sqrt(sum(_side_variance(len(times), within, sigma) for times, within in sides))


def _side_variance(count: int, within: float, sigma: float) -> float:
    if count == 1:
        return sigma**2 + within**2
    # The median of two is their mean; of more it scatters by up to √(π/2) as much as a mean.
    return sigma**2 / count * (1.0 if count == 2 else MEDIAN_OF_NORMAL**2)


def _bootstrap(launches: Launches) -> tuple[float, float]:
    """Interval of the log-ratio by the bootstrap of the medians; no wider than a point where a side has one launch."""
    if len(launches.base_s) < 2 or len(launches.new_s) < 2:
        return launches.change, launches.change
    return ratio_interval(launches.base_s, launches.new_s)


def _evidence(launches: Launches, noise: Noise) -> str:
    base, new = len(launches.base_s), len(launches.new_s)
    known = f"launch noise {percent(noise.spread.sigma)} ({noise.source})"
    if base == new == 1:
        return f"one launch a side, at different times: weak; {known}"
    sides = f"{base} launches a side" if base == new else f"launches: {base} of the base, {new} new"
    weak = ": weak" if min(base, new) == 1 else ""
    return f"{sides}, not interleaved{weak}; {known}"
