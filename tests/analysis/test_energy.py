"""Energy per operation: only where a window is long enough, and only of the part that it covers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.energy import LEAST_WINDOW_S, with_energy
from tests.factories import measurement


def _row(energy: dict[str, Any] | None, wall_s: float = 10.0, calls: int = 100) -> records.Measurement:
    sustained = records.Sustained(wall_s=wall_s, calls=calls, ends_s=[wall_s], per_call_s=[wall_s / calls])
    telemetry = {"energy": energy} if energy else {}
    return measurement(mode="sustained", sustained=sustained, telemetry=telemetry, operations=10**9)


@given(st.floats(0.1, 1.0), st.floats(1.0, 1e5), st.integers(1, 10**6))
def test_energy_per_operation_is_that_of_the_covered_part(coverage: float, joules: float, calls: int) -> None:
    row = with_energy(_row({"energy_j": joules, "coverage": coverage, "method": "counter"}, calls=calls))
    assert row.telemetry is not None
    told = row.telemetry["energy"]
    assert told["operations_per_j"] == pytest.approx(10**9 * calls * coverage / joules)
    assert told["operations_per_j"] * told["j_per_operation"] == pytest.approx(1.0)
    assert told["method"] == "counter"


@pytest.mark.parametrize(
    "row",
    [
        _row(None),
        _row({"energy_j": 100.0, "coverage": 1.0}, wall_s=LEAST_WINDOW_S - 0.1),
        _row({"energy_j": 0.0, "coverage": 1.0}),
        measurement(telemetry={"energy": {"energy_j": 100.0, "coverage": 1.0}}),
    ],
    ids=["unknown", "short window", "a counter that stood still", "isolated calls"],
)
def test_no_energy_is_claimed_where_none_is_known(row: records.Measurement) -> None:
    assert with_energy(row) == row
