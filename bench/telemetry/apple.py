"""Samples of an Apple chip through macmon, which needs no root: the GPU's side, or the processor's.

Format: macmon's readme, "Output format". Never run on real hardware yet: see docs/telemetry.md.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bench.telemetry.command import Reading, Tool
from bench.telemetry.tools import known_only, scaled, to_number

_COMMAND: Final = ("macmon", "pipe", "-s", "1", "-i", "200")
"""One sample over 200 ms."""


def parse_gpu(text: str) -> list[Reading]:
    """The GPU's clock, power, heat and share of the time with work. Before 0.8 its clock stood in gpu_usage[0]."""
    told = _last_object(text)
    if told is None:
        return []
    usage = told.get("gpu_usage")
    old_clock = usage[0] if isinstance(usage, list) and usage else None
    values = {
        "clock_hz": scaled(told.get("gpu_freq_mhz", old_clock), 1e6),
        "power_w": to_number(told.get("gpu_power")),
        "temperature_c": _temperature(told, "gpu_temp_avg"),
        "utilization": to_number(told.get("gpu_active_ratio")),
    }
    return [Reading("", known_only(values))]


def parse_cpu(text: str) -> list[Reading]:
    """The clock of the performance cores, and the power and heat of the processor."""
    told = _last_object(text)
    if told is None:
        return []
    usage = told.get("pcpu_usage")
    old_clock = usage[0] if isinstance(usage, list) and usage else None
    values = {
        "clock_hz": scaled(told.get("pcpu_freq_mhz", old_clock), 1e6),
        "power_w": to_number(told.get("cpu_power")),
        "temperature_c": _temperature(told, "cpu_temp_avg"),
        "utilization": to_number(told.get("cpu_active_ratio")),
    }
    return [Reading("", known_only(values))]


GPU: Final = Tool("macmon", _COMMAND, parse_gpu)
CPU: Final = Tool("macmon", _COMMAND, parse_cpu)


def _temperature(told: dict[str, Any], key: str) -> float | None:
    heat = told.get("temp")
    return to_number(heat.get(key)) if isinstance(heat, dict) else None


def _last_object(text: str) -> dict[str, Any] | None:
    """The last JSON object of the lines: macmon prints one a sample."""
    for line in reversed(text.splitlines()):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            return told
    return None
