"""Runs for tests that are fit to be reference results, but for what a test changes."""

from __future__ import annotations

from typing import Any

import msgspec

from bench import records
from tests.factories import device, measurement, run_file

HOST = {"name": "anonymous", "os": "Linux", "kernel": "6.1", "arch": "x86_64", "python": "3.11.7"}
TELEMETRY = {"busy_share_other": {"median": 0.0, "source": "proc"}, "unknown": ["throttle"]}


def row(**changes: Any) -> records.Measurement:
    return measurement(**({"host": "", "telemetry": TELEMETRY} | changes))


def fit(*rows: records.Measurement, devices: list[records.Device] | None = None, **run: Any) -> records.RunFile:
    """The run, complete and anonymous."""
    file = run_file(list(rows) or [row()], devices=[device()] if devices is None else devices)
    facts = {"suite": "standard", "host": HOST, "command": ["bench", "run", "--anonymize"], **run}
    return msgspec.structs.replace(file, run=msgspec.structs.replace(file.run, **facts))
