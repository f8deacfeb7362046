"""A toy scenario of three calls at two precisions, and rows of it."""

from __future__ import annotations

from typing import Any

import msgspec

from bench import records
from tests import factories

PLANNED = records.PlannedScenario(
    device="cpu",
    suite="toy",
    size="tiny",
    title="A toy",
    step="a step",
    entries={"a": ["bf16", "int8"], "b": ["bf16", "int8"], "c": ["bf16"]},
)
WEIGHTS = {"a": 3, "b": 1, "c": 2}


def row(entry: str, precision: str = "bf16", median_s: float = 1e-3, **changes: Any) -> records.Measurement:
    """A usable row of an entry: 10**9 operations, rated 2·10**12 a second."""
    asked = records.ScenarioEntry(suite="toy", size="tiny", entry=entry, weight=WEIGHTS[entry])
    fields: dict[str, Any] = {
        "precision": precision,
        "accumulate": "int32" if precision == "int8" else "fp32",
        "scenario": asked,
    }
    return factories.measurement(
        median_s=median_s, operations=10**9, case={"n": ord(entry)}, **({"rated": 2e12} | fields | changes)
    )


def run(*rows: records.Measurement) -> records.RunFile:
    """A run that was asked for the toy scenario."""
    file = factories.run_file(list(rows))
    return msgspec.structs.replace(file, run=msgspec.structs.replace(file.run, scenarios=[PLANNED]))
