"""Sets a measured row against its rating: which rated figure applies, the share of it, and whether it is plausible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from bench import records
from bench.kernel import Role
from bench.ratings import BANDWIDTH, HOST_LINK, INTERCONNECT, DeviceRatings, Tables, clock_adjusted_peak

PLAUSIBLE: Final = 1.02
"""Largest believable rate over the clock-adjusted peak of the unit that executes it (method, validity)."""

_OF_ROLE: Final = {Role.BANDWIDTH: BANDWIDTH, Role.COLLECTIVE: INTERCONNECT, Role.TRANSFER: HOST_LINK}
"""Ratings in bytes per second, by the role of the kernels that are set against them."""


@dataclass(frozen=True)
class Denominators:
    """What the rows of one device are set against."""

    device: records.Device
    ratings: DeviceRatings
    tables: Tables

    def key(self, role: Role, precision: str, accumulate: str | None) -> str:
        """The name of the rating that applies: "precision/accumulate", or by the kernel's role one in bytes."""
        return _OF_ROLE.get(role, f"{precision}/{accumulate}")

    def plausible_peak(self, key: str) -> float | None:
        """The most that the unit can do at the highest clock known of the device; None when unknown."""
        rated = self.ratings.peaks.get(key)
        figure = _figure(rated, key)
        clock = self.device.clock.hz if self.device.clock else None
        adjusted = clock_adjusted_peak(self.device, key, clock, self.tables) if clock else None
        known = [peak for peak in (figure, adjusted) if peak]
        return max(known) if known else None


def rate_row(row: records.Measurement, role: Role, denominators: Denominators) -> records.Measurement:
    """The row with its rating, utilisation and plausibility filled in; rows that were not timed come back unrated."""
    key = denominators.key(role, row.precision, row.accumulate)
    of: records.UtilizationOf = "bytes" if role.counts_bytes else "operations"
    if row.status not in records.MEASURED or row.rate is None:
        return msgspec.structs.replace(row, utilization_of=of, utilization_reason=f"not measured: {row.status}")
    if key == INTERCONNECT and row.hosts > 1:
        reason = f"its ranks are on {row.hosts} machines, and what is rated is the links within one"
        return msgspec.structs.replace(row, utilization_of=of, utilization_reason=reason)
    rated = denominators.ratings.rated(key)
    figure = _figure(rated, key)
    achieved = row.rate.bytes_per_s if of == "bytes" else row.rate.operations_per_s
    if key == HOST_LINK and rated and figure and achieved and rated.kind != "user" and achieved > PLAUSIBLE * figure:
        # Virtual machines may show a link that is not the board's; the copy itself is checked.
        reason = (
            f"{achieved / figure:.3g} × what its link is said to carry: that is not the way it went ({rated.source})"
        )
        return msgspec.structs.replace(row, utilization_of=of, utilization_reason=reason)
    row = msgspec.structs.replace(row, rated=rated, utilization_of=of)
    if figure is None or achieved is None:
        return msgspec.structs.replace(row, utilization_reason=denominators.ratings.reason(key))
    return _plausible(msgspec.structs.replace(row, utilization=achieved / figure), key, denominators)


def _plausible(row: records.Measurement, key: str, denominators: Denominators) -> records.Measurement:
    """`invalid` where the rate is above what the executing unit can do at the highest clock known."""
    assert row.time is not None
    if row.executed is not None:
        key = f"{row.executed.precision}/{_native_accumulate(row.executed.precision)}"
        executed_per_s: float | None = row.executed.operations / row.time.median_s
    elif key in _OF_ROLE.values():
        # A rate above the memory's is the cache's: the row says `warm`. One above the links' is that of a switch which
        # adds up on its own, or of a shared memory. The rating can refute neither.
        return row
    else:
        executed_per_s = row.rate.operations_per_s if row.rate else None
    peak = denominators.plausible_peak(key)
    if peak is None or executed_per_s is None or executed_per_s <= PLAUSIBLE * peak:
        return row
    reason = (
        f"{executed_per_s / peak:.2f} × the {key} peak of {peak / 1e12:.4g} T/s at the highest clock known: "
        "wrong rating row, a sparse figure, work removed, or a clock above the one rated"
    )
    also = [row.status, *row.also] if row.status != "ok" else row.also
    return msgspec.structs.replace(row, status="invalid", reason=reason, also=list(also))


def _native_accumulate(precision: str) -> str:
    from bench.precision import PRECISIONS

    return PRECISIONS[precision].accumulate


def _figure(rated: records.Rated | None, key: str) -> float | None:
    if rated is None:
        return None
    return rated.bytes_per_s if key in _OF_ROLE.values() else rated.operations_per_s
