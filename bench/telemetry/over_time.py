"""How clock, power and temperature went during a sustained measurement, for the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.stats.intervals import thin
from bench.telemetry.model import Sample
from bench.telemetry.summary import points

QUANTITIES: Final = ("clock_hz", "power_w", "temperature_c")
KEPT: Final = 300
"""Readings kept of each quantity: more than a chart has points to draw."""


def over_time(
    samples_by_source: Mapping[str, Sequence[Sample]], start_s: float, end_s: float
) -> dict[str, dict[str, Any]]:
    """Quantity → {"at_s": seconds since `start_s`, "values", "source"}, evenly thinned; what nobody told is left out.

    `samples_by_source` is in order of preference, `start_s` and `end_s` are time.monotonic() seconds.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in QUANTITIES:
        for source, samples in samples_by_source.items():
            inside = [(time_s, value) for time_s, value in points(samples, name) if start_s <= time_s <= end_s]
            if inside:
                at_s, values = (thin(column, KEPT) for column in zip(*inside, strict=True))
                found[name] = {"at_s": [time_s - start_s for time_s in at_s], "values": values, "source": source}
                break
    return found
