"""Energy per operation of a sustained row: pure, from what telemetry integrated over its window."""

from __future__ import annotations

from typing import Final

import msgspec

from bench import records

LEAST_WINDOW_S: Final = 5.0
"""A power sensor sees a part of the time only (A100, H100: about a quarter), a counter moves every 100 ms: shorter
windows say nothing of a kernel's energy (method, energy)."""


def with_energy(row: records.Measurement) -> records.Measurement:
    """The row with `j_per_operation` and `operations_per_j` in its telemetry's `energy`.

    Only a sustained row of at least 5 s: no energy is claimed for isolated calls. Operations are those of the part of
    the window that the energy covers; idle power is not taken off.
    """
    energy = (row.telemetry or {}).get("energy")
    sustained, work = row.sustained, row.work
    if not isinstance(energy, dict) or sustained is None or work is None or work.operations <= 0:
        return row
    operations = work.operations * sustained.calls * energy["coverage"]
    joules = energy["energy_j"]
    if sustained.wall_s < LEAST_WINDOW_S or not operations or not joules:
        return row
    told = {**energy, "j_per_operation": joules / operations, "operations_per_j": operations / joules}
    return msgspec.structs.replace(row, telemetry={**(row.telemetry or {}), "energy": told})
