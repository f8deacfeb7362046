"""What a comparison says of a series, and the rule for paired launches that says it (docs/comparing.md).

Pure: launches come from `bench.ab`, stored runs are compared by `bench.analysis.comparison`. Every verdict starts from
"ambiguous" and is upgraded by evidence alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, log, log1p, pi, sqrt
from statistics import NormalDist
from typing import Final, Literal, TypeAlias, get_args

from bench.analysis.words import counted, percent
from bench.stats.multiple import benjamini_hochberg
from bench.stats.resampling import mean_deviation
from bench.stats.robust import median
from bench.stats.signed_rank import signed_rank_interval, signed_rank_p

Verdict: TypeAlias = Literal[
    "regression", "missing", "ambiguous", "quarantined", "not_comparable", "improvement", "same"
]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
"""Every verdict, the worst first."""
Stage: TypeAlias = Literal["screen", "again", "confirm"]
"""The first pairs of every series; fresh pairs of an ambiguous one; fresh pairs of a candidate."""

THRESHOLD_STEADY: Final = 0.03
"""Smallest change that is called on a GPU (method, section 8)."""
THRESHOLD_FREE: Final = 0.05
"""… on a CPU, or wherever clocks are free."""
SCREEN_PAIRS: Final = 8
"""Launches a side of the first stage (method, section 8)."""
CONFIRM_PAIRS: Final = 16
"""Fresh launches a side of a candidate, and of an ambiguous series that is measured again."""
SCREEN_P: Final = 0.01
FALSE_DISCOVERY: Final = 0.05
"""q of Benjamini–Hochberg among the confirmed candidates of one direction."""
SAME_P: Final = 0.05
"""Level of each of the two one-sided tests behind "same"."""
NOISE_MULTIPLE: Final = 2.0
"""The threshold is never below this many times the series' launch noise."""
POWER: Final = 0.8
"""What "can be seen" means: called in this share of comparisons, the usual convention of power analysis."""
SHIFT_SHARE: Final = 0.5
"""Of a class's judged series, the share that has to move the same way to be one event."""
SHIFT_LEAST: Final = 6
"""Judged series below which half of a class is no pattern (ours): three named cases may well all have been changed."""

LARGEST_LOG: Final = 700.0
"""e to this is a float, and so is the inverse."""
MEDIAN_OF_NORMAL: Final = sqrt(pi / 2)
"""Standard deviation of a median over that of a mean, for normal data and many of them."""
MEAN_DEVIATION_TO_SIGMA: Final = sqrt(pi / 2)
"""σ over the mean absolute deviation of normal data."""


@dataclass(frozen=True)
class SeriesVerdict:
    """What a comparison says of one series, with the evidence. Times are seconds a call, one per launch.

    `ratio` is time new / time base; `ci95_low` and `ci95_high` bound it. `threshold` is the change that had to be
    exceeded (0.05: 5 %), `threshold_asked` the one asked for: noise may have raised it.
    """

    series: str
    verdict: Verdict
    reason: str
    """A stable code: docs/comparing.md lists them."""
    text: str
    """The same as a sentence."""
    ratio: float | None = None
    ci95_low: float | None = None
    ci95_high: float | None = None
    p: float | None = None
    """One-sided p-value of the direction in which the series moved."""
    threshold: float | None = None
    threshold_asked: float | None = None
    launch_noise: float | None = None
    """Relative standard deviation of one launch's median."""
    noise_source: str = ""
    cannot_see_below: float | None = None
    """The smallest change that is called in four of five comparisons as noisy as this one; None: no change is."""
    base_s: tuple[float, ...] = ()
    new_s: tuple[float, ...] = ()
    evidence: str = ""
    """What the figures rest on, in words: "8 pairs of launches", "one launch a side: weak"."""
    group: str = ""
    """The comparison class in words: series of one group that all move the same way are one event."""
    differences: tuple[tuple[str, str, str], ...] = ()
    """(field, base's value, new's value) of what must not differ and does."""
    notes: tuple[str, ...] = ()

    @property
    def base_launches(self) -> int:
        """How many launches of the base were evidence."""
        return len(self.base_s)

    @property
    def new_launches(self) -> int:
        """How many launches of the new side were evidence."""
        return len(self.new_s)


def judge_pairs(
    base_s: Sequence[float],
    new_s: Sequence[float],
    *,
    threshold: float,
    aa_noise: float | None = None,
    stage: Stage = "screen",
    series: str = "",
) -> SeriesVerdict:
    """The verdict of paired launches: `base_s[i]` and `new_s[i]` are medians in seconds of launches next to each other.

    Take them in ABBA order: pairs alternate in which side comes first. d = ln(new/base). A regression needs a one-sided
    exact signed-rank p < 0.01 and median(d) > ln(1 + t), where t is `threshold`, or twice the series' launch noise if
    that is more: the larger of `aa_noise` (relative, from earlier A/A launches) and of what these pairs scatter by.
    "same" needs two one-sided tests inside ± the threshold asked for. At the stage "confirm" p ≤ 0.05 is enough: pass
    all candidates of a suite to `confirmed`. Raises ValueError where the sides differ in length, or a time or the
    threshold is not positive.
    """
    differences = paired_differences(base_s, new_s)
    if not (isfinite(threshold) and threshold > 0):
        raise ValueError(f"threshold = {threshold} is not above 0")
    noise = max(launch_noise(differences), aa_noise or 0.0)
    needed = effective_threshold(threshold, noise)
    centre = median(differences)
    toward = signed_rank_p(differences if centre >= 0 else [-d for d in differences])
    verdict, reason = _paired(differences, threshold, needed, toward, stage)
    interval = signed_rank_interval(differences)
    pairs = len(differences)
    return SeriesVerdict(
        series=series,
        verdict=verdict,
        reason=reason,
        text=sentence(verdict, reason, ratio_of(centre), threshold=needed, asked=threshold, noise=noise),
        ratio=ratio_of(centre),
        ci95_low=ratio_of(min(interval[0], centre)) if interval else None,
        ci95_high=ratio_of(max(interval[1], centre)) if interval else None,
        p=toward,
        threshold=needed,
        threshold_asked=threshold,
        launch_noise=noise,
        noise_source="given" if aa_noise and noise == aa_noise else "the scatter of these pairs",
        cannot_see_below=cannot_see_below(noise, pairs, threshold=threshold),
        base_s=tuple(base_s),
        new_s=tuple(new_s),
        evidence=f"{counted(pairs, 'pair')} of launches, interleaved",
    )


def confirmed(screened: Sequence[SeriesVerdict], fresh: Sequence[SeriesVerdict]) -> list[SeriesVerdict]:
    """The final verdicts of a suite's candidates: `screened` called them, `fresh` are their pairs at stage "confirm".

    Both in the same order. Benjamini–Hochberg at q = 0.05 among the candidates of each direction; pass every candidate,
    those that fell below their threshold with fresh pairs too, for they were tests as well. One that fails, or now
    points the other way, is "ambiguous".
    """
    found = list(fresh)
    for direction in _DIRECTIONS:
        places = [i for i, one in enumerate(screened) if one.verdict == direction]
        points = [_points(fresh[i]) == direction for i in places]
        adjusted = benjamini_hochberg(
            [fresh[i].p or 0.0 if held else 1.0 for i, held in zip(places, points, strict=True)]
        )
        for place, p in zip(places, adjusted, strict=True):
            one = fresh[place]
            if one.verdict in _DIRECTIONS and p > FALSE_DISCOVERY:
                text = sentence("ambiguous", "not_confirmed", one.ratio or 1.0)
                found[place] = replace(one, verdict="ambiguous", reason="not_confirmed", text=text)
    return found


def paired_differences(base_s: Sequence[float], new_s: Sequence[float]) -> list[float]:
    """ln(new/base) of each pair."""
    if len(base_s) != len(new_s):
        raise ValueError(f"{len(base_s)} launches of the base for {len(new_s)} of the new side")
    if not base_s or not all(isfinite(time) and time > 0 for time in (*base_s, *new_s)):
        raise ValueError("a launch's time is not above 0")
    return [log(new) - log(base) for base, new in zip(base_s, new_s, strict=True)]


def launch_noise(differences: Sequence[float]) -> float:
    """Relative standard deviation of one launch, by how far paired log-differences scatter about their median.

    By their mean absolute deviation: one wild launch of sixteen weighs less than in a standard deviation. A pair holds
    the noise of two launches, hence √2; √(n/(n − 1)) makes up for the centre being fitted. 0 for a single pair.
    """
    count = len(differences)
    if count < 2:
        return 0.0
    return MEAN_DEVIATION_TO_SIGMA * mean_deviation(differences) * sqrt(count / (count - 1)) / sqrt(2)


def effective_threshold(threshold: float, noise: float) -> float:
    """The threshold asked for, or twice the launch noise where that is more, as a share.

    Twice in logarithms, for that is where noise is measured: e^(2 · noise) − 1. With 1 + 2 · noise a launch noise of
    13.6 % had half as many false alarms again (simulated).
    """
    return max(threshold, ratio_of(NOISE_MULTIPLE * noise) - 1.0)


def cannot_see_below(noise: float, pairs: int, *, threshold: float, power: float = POWER) -> float | None:
    """The smallest slow-down that `judge_pairs` calls with that power; None where no slow-down is ever called.

    `noise` is the relative standard deviation of a launch, `pairs` the launches a side. The median of n differences
    scatters by √(π/2) · √2 · noise / √n, and has to stay above the threshold. Fewer than seven pairs never reach
    p < 0.01 (2⁻⁷ is the first below).
    """
    if 2.0**-pairs >= SCREEN_P:
        return None
    scatter = MEDIAN_OF_NORMAL * sqrt(2) * noise / sqrt(pairs)
    return ratio_of(log1p(effective_threshold(threshold, noise)) + NormalDist().inv_cdf(power) * scatter) - 1.0


def what_can_be_seen(noise: float | None, visible: float | None) -> str:
    """The sentence to print before anything is measured or judged; "" where the noise is unknown."""
    if visible is None:
        return "so few launches can show no change: seven pairs are the least"
    if noise is None:
        return ""
    return f"at a launch noise of {percent(noise)} no change below {percent(visible)} can be called"


def worst(verdicts: Iterable[SeriesVerdict]) -> Verdict:
    """The worst verdict of all; "not_comparable" of none."""
    return min((one.verdict for one in verdicts), key=VERDICTS.index, default="not_comparable")


def by_importance(verdicts: Iterable[SeriesVerdict]) -> list[SeriesVerdict]:
    """The worst first, and within a verdict the largest change first."""

    def importance(one: SeriesVerdict) -> tuple[int, float, str]:
        return VERDICTS.index(one.verdict), -abs(log(one.ratio)) if one.ratio else inf, one.series

    return sorted(verdicts, key=importance)


@dataclass(frozen=True)
class SuiteShift:
    """Half of a class, or more, moved the same way: one event of the machine or of what all kernels share."""

    group: str
    direction: Literal["slower", "faster"]
    series: tuple[str, ...]
    judged: int
    ratio: float
    """The median of the ratios of those that moved."""
    text: str


def suite_shifts(verdicts: Sequence[SeriesVerdict]) -> tuple[list[SeriesVerdict], list[SuiteShift]]:
    """The verdicts with those that belong to a shift marked `suite_shift`, and the shifts, each to be reported once.

    A marked series keeps its verdict, for it is slower whoever caused it; what changes is whom to ask.
    """
    shifts = []
    marked: dict[int, SeriesVerdict] = {}
    for group in dict.fromkeys(one.group for one in verdicts):
        judged = [i for i, one in enumerate(verdicts) if one.group == group and one.verdict in _JUDGED]
        for verdict, direction in _DIRECTIONS.items():
            moved = [i for i in judged if verdicts[i].verdict == verdict]
            if len(judged) < SHIFT_LEAST or len(moved) < SHIFT_SHARE * len(judged):
                continue
            ratio = median([verdicts[i].ratio or 1.0 for i in moved])
            names = tuple(verdicts[i].series for i in moved)
            words = f"{len(moved)} of {len(judged)} series {change(ratio)} (median): one event, not {len(moved)}"
            shifts.append(SuiteShift(group, direction, names, len(judged), ratio, words))
            marked |= {i: replace(verdicts[i], reason="suite_shift") for i in moved}
    return [marked.get(i, one) for i, one in enumerate(verdicts)], shifts


_JUDGED: Final = ("regression", "improvement", "ambiguous", "same")
_DIRECTIONS: Final[Mapping[Verdict, Literal["slower", "faster"]]] = {"regression": "slower", "improvement": "faster"}


def ratio_of(log_ratio: float) -> float:
    """e to that power; beyond e^±700, which only a foreign file can hold, the largest or smallest that a float can."""
    return exp(max(-LARGEST_LOG, min(LARGEST_LOG, log_ratio)))


def change(ratio: float) -> str:
    """ "12 % slower", "unchanged": a ratio of times in words."""
    if abs(ratio - 1.0) < 5e-4:
        return "unchanged"
    return f"{percent(ratio - 1.0)} slower" if ratio > 1 else f"{percent(1.0 - ratio)} less time"


def sentence(
    verdict: Verdict, reason: str, ratio: float, *, threshold: float = 0.0, asked: float = 0.0, noise: float = 0.0
) -> str:
    """A judged series in words; reasons of series that were not judged bring their own."""
    seen = change(ratio)
    limit = percent(threshold)
    if threshold > asked:
        limit += f" (twice the launch noise of {percent(noise)})"
    return {
        "slower": f"{seen}, above the threshold of {limit}",
        "faster": f"{seen}, beyond the threshold of {limit}",
        "within_threshold": f"{seen}; a change of {percent(asked)} is ruled out",
        "below_noise": f"{seen}, which is more than asked about, but not above {limit}",
        "near_threshold": f"{seen}: a change, but it can't be told on which side of {limit} it lies",
        "uncertain": f"{seen}, but launches scatter too much to tell (launch noise {percent(noise)})",
        "not_confirmed": f"a first measurement stood out, a fresh one did not confirm it ({seen})",
        "one_launch": f"{seen}; a single launch a side can't tell that from the noise between launches",
        "too_few_launches": f"{seen}, but fewer than seven pairs of launches can't show a change",
    }.get(reason, f"{verdict}: {seen}")


def _paired(
    differences: Sequence[float], threshold: float, needed: float, p: float, stage: Stage
) -> tuple[Verdict, str]:
    """Verdict and reason code of log-differences; `p` is that of the direction in which they moved."""
    size = abs(median(differences))
    significant = p <= FALSE_DISCOVERY if stage == "confirm" else p < SCREEN_P
    if significant and size > log1p(needed):
        return ("regression", "slower") if median(differences) > 0 else ("improvement", "faster")
    margin = log1p(threshold)
    above, below = signed_rank_p(differences, -margin), signed_rank_p([-d for d in differences], -margin)
    if max(above, below) < SAME_P:
        return "same", "within_threshold"
    if 2.0 ** -len(differences) >= SCREEN_P:
        return "ambiguous", "too_few_launches"
    if stage == "confirm":
        return "ambiguous", "not_confirmed"
    if significant:
        return "ambiguous", "below_noise" if size > margin else "near_threshold"
    return "ambiguous", "uncertain"


def _points(one: SeriesVerdict) -> Verdict:
    """The verdict that lies in the direction in which a series moved."""
    return "regression" if (one.ratio or 1.0) >= 1.0 else "improvement"
