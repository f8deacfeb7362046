"""What a foreign file says of one benchmark: its times, from samples, statistics or a single value with a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from statistics import median, quantiles
from typing import Any, Final

from bench import records
from bench.interop import reading, units

LEAST_S: Final = 1e-15
MOST_S: Final = 1e9
"""Times outside are no measurement of a kernel, and their logarithms and ratios would be noise."""
MAX_SAMPLES: Final = 1_000
"""Raw samples kept of a row, evenly thinned: the run file's own limit."""


@dataclass(frozen=True)
class Figures:
    """What a foreign file says of one benchmark in one launch, in seconds a call."""

    median_s: float | None
    q1_s: float | None = None
    q3_s: float | None = None
    min_s: float | None = None
    mean_s: float | None = None
    stdev_s: float | None = None
    ci95_low_s: float | None = None
    ci95_high_s: float | None = None
    samples: int | None = None
    samples_s: Sequence[float] | None = None
    calls_per_sample: int | None = None
    work: records.Work | None = None
    bandwidth: bool = False
    """Whether bytes are what the benchmark is about."""
    warnings: tuple[str, ...] = ()


def of_samples(samples: Sequence[float], /, **changes: Any) -> Figures:
    """The figures of raw samples in seconds; those that no measurement can have been are left out."""
    samples_s = [sample for sample in samples if LEAST_S <= sample <= MOST_S]
    if not samples_s:
        return Figures(**({"median_s": None} | changes))
    several = len(samples_s) > 1
    quarters = quantiles(samples_s, n=4, method="inclusive") if several else [samples_s[0]] * 3
    mean = fsum(samples_s) / len(samples_s)
    known: dict[str, Any] = {
        "median_s": median(samples_s),
        "q1_s": quarters[0],
        "q3_s": quarters[2],
        "min_s": min(samples_s),
        "mean_s": mean,
        # Not statistics.stdev: its exact fractions take seconds for a million samples.
        "stdev_s": sqrt(fsum((sample - mean) ** 2 for sample in samples_s) / (len(samples_s) - 1)) if several else None,
        "samples": len(samples_s),
        "samples_s": samples_s,
    }
    return Figures(**(known | changes))


def of_value(value: float | None, unit: str) -> Figures | str:
    """The figures of one value with a unit, or why it is none.

    A rate is kept as the time of one unit of it, so that it can be compared and followed as a time is: 2 TFLOP/s is
    0.5 s for 1e12 operations. The row says so.
    """
    known = units.parse(unit)
    if known is None:
        return f"the unit {reading.shown(unit)} is neither a time nor a rate"
    if value is None or (known.kind != "time" and value <= 0):
        return Figures(median_s=None)
    if known.kind == "time":
        return Figures(median_s=value * known.factor)
    if known.kind == "calls":
        return Figures(median_s=1 / (value * known.factor), warnings=("from a rate of calls",))
    amount = int(known.factor)
    work = records.Work(
        operations=amount if known.kind == "operations" else 0, bytes=amount if known.kind == "bytes" else 0
    )
    words = f"the file has a rate and no time: a call stands for {known.factor:g} {known.kind}"
    return Figures(median_s=1 / value, work=work, bandwidth=known.kind == "bytes", warnings=(words,))


def thinned(samples: Sequence[float], most: int = MAX_SAMPLES) -> list[float]:
    """At most so many of the samples, evenly spaced, the first and the last among them."""
    if len(samples) <= most:
        return list(samples)
    step = (len(samples) - 1) / (most - 1)
    return [samples[round(number * step)] for number in range(most)]


def why_impossible(time_s: float | None) -> str:
    """Why a time is none that could have been measured; "" where it could."""
    if time_s is None or not isfinite(time_s):
        return "the file has no finite time"
    if not LEAST_S <= time_s <= MOST_S:
        return f"{time_s:g} s is no time of a benchmark"
    return ""


def time_of(figures: Figures) -> records.Time:
    """The record of figures whose median is known; a statistic that can be none of times is null."""
    assert figures.median_s is not None
    return records.Time(
        median_s=figures.median_s,
        q1_s=_plausible(figures.q1_s),
        q3_s=_plausible(figures.q3_s),
        min_s=_plausible(figures.min_s),
        mean_s=_plausible(figures.mean_s),
        stdev_s=_plausible(figures.stdev_s),
        ci95_low_s=_plausible(figures.ci95_low_s),
        ci95_high_s=_plausible(figures.ci95_high_s),
        samples=figures.samples,
        calls_per_sample=figures.calls_per_sample,
        timer="imported",
        stop="imported",
    )


def _plausible(time_s: float | None) -> float | None:
    """A statistic that can be one of times; None for any other."""
    return time_s if time_s is not None and 0 <= time_s <= MOST_S else None


def rate_of(work: records.Work | None, time: records.Time) -> records.Rate | None:
    """Operations and bytes per second, of those that the work has."""
    if work is None:
        return None
    return records.Rate(
        operations_per_s=work.operations / time.median_s if work.operations else None,
        bytes_per_s=work.bytes / time.median_s if work.bytes else None,
    )
