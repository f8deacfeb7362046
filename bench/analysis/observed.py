"""How a row's telemetry is read: `losses` and `validity` ask here, and a key that is missing is unknown, never zero.

The dictionary is what a run file holds under `telemetry`: quantity → {"median", "min", "max", "samples", "source"},
`throttle` → {"share": {reason: share of samples}, …}, `canary` → {"before", "after", "reference"}. Nothing is raised:
a file may come from another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Literal

Telemetry = Mapping[str, Any]

CLOCK: Final = "clock_hz"

POWER_CAP: Final = "sw_power_cap"
SLOWDOWNS: Final[dict[str, str]] = {
    # NVML's clock-event reasons (nvml.h, nvmlClocksEventReasons), in snake case, that mean a device in trouble.
    "sw_thermal_slowdown": "thermal slowdown",
    "hw_thermal_slowdown": "thermal slowdown by the hardware",
    "hw_slowdown": "hardware slowdown",
    "hw_power_brake_slowdown": "power brake",
}
REASON_WORDS: Final[dict[str, str]] = {
    **SLOWDOWNS,
    POWER_CAP: "power cap",
    "gpu_idle": "idle",
    "applications_clocks_setting": "application clocks set",
    "sync_boost": "sync boost",
    "display_clock_setting": "display clocks",
}


def quantity(
    telemetry: Telemetry | None, name: str, statistic: Literal["median", "min", "max"] = "median"
) -> float | None:
    """A statistic of a sampled quantity in its own unit; None where it was not sampled."""
    found = (telemetry or {}).get(name)
    return _number(found.get(statistic)) if isinstance(found, Mapping) else None


def throttle_shares(telemetry: Telemetry | None) -> dict[str, float] | None:
    """Reason → share of the samples that had it, largest first; {} where none had, None where nothing could tell."""
    throttle = (telemetry or {}).get("throttle")
    shares = throttle.get("share") if isinstance(throttle, Mapping) else None
    if not isinstance(shares, Mapping):
        return None
    known = {str(reason): share for reason, value in shares.items() if (share := _number(value)) and share > 0}
    return dict(sorted(known.items(), key=lambda entry: -entry[1]))


def canary(telemetry: Telemetry | None, when: Literal["before", "after", "reference"], what: str) -> float | None:
    """What the canary read `before` or `after` the row, or the best that it read in this launch (`reference`)."""
    readings = (telemetry or {}).get("canary")
    reading = readings.get(when) if isinstance(readings, Mapping) else None
    return _number(reading.get(what)) if isinstance(reading, Mapping) else None


def reason_words(reason: str) -> str:
    """A throttle reason for a reader: "power cap"; an unknown one as it is called."""
    return REASON_WORDS.get(reason, reason.replace("_", " "))


def _number(value: Any) -> float | None:
    """A finite number of at least zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        return None
    return float(value)
