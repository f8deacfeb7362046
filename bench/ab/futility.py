"""When more pairs of launches can change nothing, or hardly anything: the only rules by which an `ab` ends early.

Both only ever leave a series "ambiguous" that might have been called: neither can add a false alarm.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, log1p, sqrt
from typing import Final

from bench.analysis.verdicts import SAME_P, SCREEN_P, judge_pairs, launch_noise
from bench.stats.robust import median
from bench.stats.signed_rank import signed_rank_p

LEAST_CHANCE: Final = 0.1
"""Below this chance of an answer an ambiguous series is not measured again (ours): nine waits of ten for nothing."""
DRAWS: Final = 200
"""Simulated repetitions behind a chance: ±0.04 at 0.1 (95 %, binomial)."""
FAR: Final = 1e6
"""A log-difference beyond any other: the most that a pair still to come can weigh. Not inf, whose difference is NaN."""


def hopeless(differences: Sequence[float], pairs: int, threshold: float, level: float = SCREEN_P) -> bool:
    """Whether `judge_pairs` of `pairs` pairs, these among them, is "ambiguous" whatever those still to come give.

    `differences` are ln(new/base) so far, `level` the largest p that is called. Exact: the signed-rank p of a direction
    is smallest where every pair to come lies in it, beyond all others; where even that p is too large, or the median
    stays within the threshold, that direction is out of reach. Likewise for each of the two tests behind "same". (A
    threshold that noise raises only makes calls rarer.)
    """
    if not differences:
        return False
    margin = log1p(threshold)
    up = [*differences, *[FAR] * (pairs - len(differences))]
    down = [-value for value in differences] + [FAR] * (pairs - len(differences))
    called = any(signed_rank_p(best) <= level and median(best) > margin for best in (up, down))
    same = all(signed_rank_p(best, -margin) < SAME_P for best in (up, down))
    return not called and not same


def chance_of_an_answer(differences: Sequence[float], pairs: int, threshold: float) -> float:
    """How likely `pairs` fresh pairs give a verdict other than "ambiguous", were these the truth: 0 … 1.

    Simulated with normal differences of the median and the scatter of those given, from a fixed seed.
    """
    centre, sigma = median(list(differences)), sqrt(2) * launch_noise(differences)
    draw = random.Random(0)
    answers = 0
    for _ in range(DRAWS):
        new_s = [exp(draw.gauss(centre, sigma)) for _ in range(pairs)]
        verdict = judge_pairs([1.0] * pairs, new_s, threshold=threshold, stage="again").verdict
        answers += verdict != "ambiguous"
    return answers / DRAWS
