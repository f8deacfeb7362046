"""How a row's telemetry is read: `losses` and `validity` ask here, and a key that is missing is unknown, never zero.

The dictionary is what a run file holds under `telemetry` (`bench.telemetry.summary` writes it): quantity → {"median",
"min", "max", "mean"?, "samples", "source"}, of sustained rows `over_time` → {quantity: {"at_s", "values", "source"}},
`throttle` → {"share": {reason: share of samples}, …}, `canary` → the readings before and after, and `canary_reference`,
the best of the launch. Nothing is raised: a file may come from another version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Final, Literal

from bench.analysis.words import percent

Telemetry = Mapping[str, Any]

CLOCK: Final = "clock_hz"

CANARY_FIGURES: Final = ("clock_hz", "fma_flops_one", "fma_flops_all")
"""What a canary reads (`bench.telemetry.canary`): its clock, and multiply-adds per second of one and of all threads."""
REASON_WORDS: Final[dict[str, str]] = {
    # The names that drivers' bits are decoded to, for a reader; a name that is not here is shown as it is.
    "sw_power_cap": "power cap",
    "ppt_pwr": "power cap",
    "sw_thermal_slowdown": "thermal slowdown",
    "hw_thermal_slowdown": "thermal slowdown",
    "thermal_throttle_count": "thermal slowdown",
    "hw_slowdown": "hardware slowdown",
    "hw_power_brake_slowdown": "power brake",
    "gpu_idle": "idle",
    "applications_clocks_setting": "application clocks that were set",
    "display_clock_setting": "display clocks that were set",
}


def quantity(
    telemetry: Telemetry | None, name: str, statistic: Literal["median", "min", "max", "samples", "rise"] = "median"
) -> float | None:
    """A statistic of a sampled quantity in its own unit; None where it was not sampled."""
    found = (telemetry or {}).get(name)
    return _number(found.get(statistic)) if isinstance(found, Mapping) else None


def clock_hz(telemetry: Telemetry | None) -> float | None:
    """The clock over the row: the median of what was sampled, else the faster of the canary's before and after.

    The faster, for interrupts and stolen time only ever slow a reading of the canary.
    """
    sampled = quantity(telemetry, CLOCK)
    return max((hz for hz in canary(telemetry, CLOCK) if hz), default=None) if sampled is None else sampled


def over_time(telemetry: Telemetry | None, name: str) -> list[tuple[float, float]]:
    """(seconds since the start, value) of a quantity over a sustained measurement; [] where it was not sampled."""
    every = (telemetry or {}).get("over_time")
    found = every.get(name) if isinstance(every, Mapping) else None
    columns = [found.get("at_s"), found.get("values")] if isinstance(found, Mapping) else []
    if not all(isinstance(column, list) for column in columns):
        return []
    pairs = [(_number(at_s), _number(value)) for at_s, value in zip(*columns, strict=False)]
    return [(at_s, value) for at_s, value in pairs if at_s is not None and at_s >= 0 and value is not None]


def share(telemetry: Telemetry | None, name: str) -> float | None:
    """A share of the time, 0–1: its mean by counters where there is one, else the median of its samples."""
    found = (telemetry or {}).get(name)
    if not isinstance(found, Mapping):
        return None
    mean = _number(found.get("mean"))
    return _number(found.get("median")) if mean is None else mean


def throttle_shares(telemetry: Telemetry | None) -> dict[str, float] | None:
    """Reason → share of the samples that had it, largest first; {} where none had, None where nothing could tell."""
    throttle = (telemetry or {}).get("throttle")
    shares = throttle.get("share") if isinstance(throttle, Mapping) else None
    if not isinstance(shares, Mapping):
        return None
    known = {str(reason): part for reason, value in shares.items() if (part := _number(value))}
    return dict(sorted(known.items(), key=lambda entry: -entry[1]))


def throttle_words(telemetry: Telemetry | None) -> list[str]:
    """ "power cap in 83 % of samples" for each reason, the most frequent first; [] where none is known.

    Reasons that read alike count once, by the most frequent: drivers set several bits for one cause.
    """
    shares: dict[str, float] = {}
    for reason, part in (throttle_shares(telemetry) or {}).items():
        shares.setdefault(reason_words(reason), part)
    return [f"{words} in {percent(part)} of samples" for words, part in shares.items()]


def reason_words(reason: str) -> str:
    """A throttle reason for a reader: "power cap"."""
    return REASON_WORDS.get(reason, reason.replace("_", " "))


def canary(telemetry: Telemetry | None, figure: str) -> list[float | None]:
    """What the canary read of one of `CANARY_FIGURES` before and after the row; None for what it did not tell."""
    readings = (telemetry or {}).get("canary")
    if not isinstance(readings, Sequence) or isinstance(readings, str):
        return []
    return [_number(reading.get(figure)) for reading in readings if isinstance(reading, Mapping)]


def canary_best(telemetry: Telemetry | None, figure: str) -> float | None:
    """The best that a canary read of a figure in this launch."""
    best = (telemetry or {}).get("canary_reference")
    return _number(best.get(figure)) if isinstance(best, Mapping) else None


def canary_reference(readings: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The best of each figure over a launch's canaries, as their `to_record` gives them: for `canary_reference`."""
    known = [(figure, _number(reading.get(figure))) for reading in readings for figure in CANARY_FIGURES]
    return {
        figure: max(values)
        for figure in CANARY_FIGURES
        if (values := [value for name, value in known if name == figure and value])
    }


def _number(value: Any) -> float | None:
    """A finite number of at least zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        return None
    return float(value)
