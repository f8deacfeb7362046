"""What a count out of so many says of a share."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a binomial share (0–1), by Wilson's score (J. Am. Stat. Assoc. 22, 1927).

    Good from a handful of trials on and at shares of 0 and 1 (Brown, Cai & DasGupta, Stat. Sci. 16, 2001).
    Raises ValueError on a count outside 0 … total, no trial at all, or a confidence outside 0 … 1.
    """
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no share")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence} is outside 0 … 1")
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = count / total
    scale = 1.0 + z * z / total
    centre = (share + z * z / (2.0 * total)) / scale
    half = z / scale * sqrt(share * (1.0 - share) / total + z * z / (4.0 * total * total))
    # At the ends the formula gives 0 and 1 exactly; rounding may not.
    return (0.0 if count == 0 else max(0.0, centre - half), 1.0 if count == total else min(1.0, centre + half))
