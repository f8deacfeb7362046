"""Samples made the `telemetry` value of a measurement: each figure with its source, nothing that was not said. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final

from bench.telemetry.canary import Canary
from bench.telemetry.model import FIELDS, Sample, Source

LARGEST_GAP_S: Final = 3.0
"""Between two power samples that a straight line may join (method, energy)."""
_GAUGES: Final = (
    "clock_hz",
    "memory_clock_hz",
    "power_w",
    "temperature_c",
    "utilization",
    "memory_used_bytes",
    "other_processes",
    "steal_share",
    "busy_share_other",
    "pressure_cpu",
)
_RISES: Final = ("ecc_errors", "involuntary_switches")
"""Counters of which the rise over the window counts."""
_EXACT_SHARES: Final = {"steal_share": "steal_s", "busy_share_other": "busy_other_s"}
"""Shares whose mean over the window follows from counters, without the rounding of each sample."""

Samples = Sequence[Sample]
Points = list[tuple[float, float]]
"""(time in seconds, value), in order of time."""


def summarize(
    samples_by_source: Mapping[str, Samples],
    window: tuple[float, float],
    static: Mapping[str, Mapping[str, Any]] | None = None,
    canaries: Sequence[Canary] = (),
    *,
    sources: Sequence[Source] = (),
    absent: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A record's `telemetry` over the window (start, end) in time.monotonic() seconds. JSON-serialisable.

    `samples_by_source` is `Sampler.window`'s answer, in order of preference: of two sources that tell the same
    quantity the first counts. `static` is source → its `static()`. `canaries` are those before and after. `sources`
    tell what is supported and refused, `absent` why others could not be opened (and why some were given up).
    """
    start_s, end_s = window
    found: dict[str, Any] = {"window_s": end_s - start_s}
    for name in _GAUGES:
        _first(found, name, samples_by_source, partial(gauge, name=name, window=window))
    _first(found, "throttle", samples_by_source, partial(throttle, window=window))
    _first(found, "energy", samples_by_source, partial(energy, window=window))
    _first(found, "violation_s", samples_by_source, partial(violations, window=window))
    for name in _RISES:
        _first(found, name, samples_by_source, partial(rise_seen, name=name))
    if canaries:
        found["canary"] = [canary.to_record() for canary in canaries]
        switches = [c.involuntary_switches for c in canaries if c.involuntary_switches is not None]
        if len(switches) > 1:
            # The worker counts its own exactly; a source outside it only sees the threads alive when it looks.
            found["involuntary_switches"] = {"rise": switches[-1] - switches[0], "source": "getrusage"}
    if static:
        found["static"] = {name: dict(values) for name, values in static.items() if values}
    if sources:
        found["supported"] = {source.name: sorted(source.fields & FIELDS) for source in sources}
        refused = {source.name: dict(source.refused) for source in sources if source.refused}
        found |= {"refused": refused} if refused else {}
        found["versions"] = {source.name: source.version for source in sources if source.version}
    if absent:
        found["absent"] = dict(absent)
    return found


def gauge(samples: Samples, name: str, window: tuple[float, float]) -> dict[str, Any] | None:
    """Median, least and greatest of the values within the window, and how many there are; None where there is none."""
    values = [value for _, value in _inside(points(samples, name), window)]
    if not values:
        return None
    found: dict[str, Any] = {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "samples": len(values),
    }
    if name in _EXACT_SHARES:
        mean = share_of(samples, _EXACT_SHARES[name], window)
        found |= {} if mean is None else {"mean": mean}
    return found


def share_of(samples: Samples, counter: str, window: tuple[float, float]) -> float | None:
    """Rise of a CPU-seconds counter over that of all CPU time, 0–1, over the part of the window that samples span."""
    # Not `counter_rise`: what others used is a difference of two clocks, and may fall by a tick.
    rise = _difference(points(samples, counter), window)
    total = _difference(points(samples, "cpu_total_s"), window)
    return None if rise is None or total is None or total[0] <= 0 else min(1.0, max(0.0, rise[0] / total[0]))


def throttle(samples: Samples, window: tuple[float, float]) -> dict[str, Any] | None:
    """{"share": reason → share of the samples that have it, "bits_seen", "samples"}; None where nobody knows.

    An empty "share" beside samples says that the clock was free; that is not the same as None.
    """
    start_s, end_s = window
    told = [s for s in samples if start_s <= s.time_s <= end_s and s.throttle_reasons is not None]
    if not told:
        return None
    tally = Counter(reason for sample in told for reason in sample.throttle_reasons or ())
    found: dict[str, Any] = {
        "share": {reason: count / len(told) for reason, count in tally.most_common()},
        "samples": len(told),
    }
    bits = [sample.throttle_bits for sample in told if sample.throttle_bits is not None]
    if bits:
        seen = 0
        for each in bits:
            seen |= each
        found["bits_seen"] = seen
    return found


def energy(samples: Samples, window: tuple[float, float]) -> dict[str, Any] | None:
    """Joules over the window: by the counter's difference where there is one, else by trapezoids under the power.

    {"energy_j", "method": counter | sampled, "coverage": the share of the window that samples span, "mean_power_w",
    "samples"}. `energy_j` is that of the covered part; nothing is made up for the rest. Counters are interpolated at
    the window's edges.
    """
    for name, method, integrate in (("energy_j", "counter", counter_rise), ("power_w", "sampled", integral)):
        known = points(samples, name)
        told = integrate(known, window)
        if told is not None and told[1] > 0:
            joules, covered_s = told
            return {
                "energy_j": joules,
                "method": method,
                "coverage": min(1.0, covered_s / (window[1] - window[0])),
                "mean_power_w": joules / covered_s,
                "samples": len(_inside(known, window)),
            }
    return None


def violations(samples: Samples, window: tuple[float, float]) -> dict[str, Any] | None:
    """{"rise": kind → seconds by which its counter rose over the window}; None where no kind was read twice."""
    kinds = sorted({kind for sample in samples for kind in sample.violation_s or ()})
    rises = {}
    for kind in kinds:
        known = [(s.time_s, s.violation_s[kind]) for s in samples if s.violation_s and kind in s.violation_s]
        rise = counter_rise(known, window)
        if rise is not None:
            rises[kind] = rise[0]
    return {"rise": rises} if rises else None


def points(samples: Samples, name: str) -> Points:
    """The moments at which the samples tell this quantity."""
    found = ((sample.time_s, getattr(sample, name)) for sample in samples)
    return [(time_s, value) for time_s, value in found if value is not None and math.isfinite(value)]


def counter_rise(known: Points, window: tuple[float, float]) -> tuple[float, float] | None:
    """(rise, seconds covered) of a counter over the window, by straight lines at its edges; None without two readings.

    A counter that fell was reset (the driver was loaded anew): then nothing is known.
    """
    if any(after < before for (_, before), (_, after) in pairwise(known)):
        return None
    return _difference(known, window)


def _difference(known: Points, window: tuple[float, float]) -> tuple[float, float] | None:
    if len(known) < 2:
        return None
    start_s, end_s = max(window[0], known[0][0]), min(window[1], known[-1][0])
    return (_at(known, end_s) - _at(known, start_s), end_s - start_s) if end_s > start_s else None


def integral(
    known: Points, window: tuple[float, float], largest_gap_s: float = LARGEST_GAP_S
) -> tuple[float, float] | None:
    """(area, seconds covered) under straight lines between the points, cut at the window; long gaps are left out."""
    area = covered = 0.0
    for (time_a, value_a), (time_b, value_b) in pairwise(known):
        start_s, end_s = max(time_a, window[0]), min(time_b, window[1])
        if end_s <= start_s or time_b - time_a > largest_gap_s:
            continue
        slope = (value_b - value_a) / (time_b - time_a)
        first, last = value_a + slope * (start_s - time_a), value_a + slope * (end_s - time_a)
        area += (first + last) / 2 * (end_s - start_s)
        covered += end_s - start_s
    return (area, covered) if covered > 0 else None


def _at(known: Points, time_s: float) -> float:
    """The value at a moment within the points, by a straight line."""
    for (time_a, value_a), (time_b, value_b) in pairwise(known):
        if time_a <= time_s <= time_b and time_b > time_a:
            return value_a + (value_b - value_a) * (time_s - time_a) / (time_b - time_a)
    return known[-1][1]


def _inside(known: Points, window: tuple[float, float]) -> Points:
    return [(time_s, value) for time_s, value in known if window[0] <= time_s <= window[1]]


def rise_seen(samples: Samples, name: str) -> dict[str, Any] | None:
    """By how much a counting number rose; read from the outermost samples, for events are not spread evenly."""
    known = points(samples, name)
    if len(known) < 2 or known[-1][1] < known[0][1]:
        return None
    return {"rise": known[-1][1] - known[0][1]}


def _first(
    found: dict[str, Any], key: str, by_source: Mapping[str, Samples], tell: Callable[[Samples], dict[str, Any] | None]
) -> None:
    """Put in what the first source knows of it, with that source's name."""
    for source, samples in by_source.items():
        told = tell(samples)
        if told is not None:
            found[key] = {**told, "source": source}
            return
