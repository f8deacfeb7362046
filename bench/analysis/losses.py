"""Where the rest of the rated figure went: utilisation as a product of named factors, each with its reason.

    achieved / rated = units × clock × memory × launch × kernel

units: present over rated. clock: observed over rated; may exceed 1. memory: min(1, intensity × measured bandwidth /
peak), with the peak of those units at that clock and the bandwidth of the row's cache state. launch: the share of the
time that the device worked, on a processor all of it. kernel: the rest. A factor of which too little is known is not
guessed: it stays inside `kernel`, whose reason names it. A row of bytes has `launch` and `kernel` alone: how fast
memory chips and links deliver depends on neither the multiprocessors nor their clock, and memory can't be its own
excuse. Only copies between host and device have `units` too: what the slot leaves of the device's link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from bench import records
from bench.analysis import observed
from bench.analysis.roofline import intensity, measured_bandwidth, ridge_point
from bench.analysis.utilization import Denominators
from bench.analysis.words import mhz, percent, plural, three_digits
from bench.kernel import Role
from bench.ratings import DeviceRatings, Tables, host_link
from bench.ratings.matching import RDNA

Name = Literal["units", "clock", "memory", "launch"]

ROUNDING: Final = 1e-9
"""A kernel factor above 1 by no more than this is arithmetic, not a bound that was exceeded."""
MEASURED: Final = "measured"
"""How the source of a clock begins that the harness measured itself (`bench.devices.clock`)."""


@dataclass(frozen=True)
class Factor:
    """One factor before the product is closed: `ratio` is None where too little is known, and `why` says what."""

    name: Name
    ratio: float | None
    why: str


def explain(
    row: records.Measurement,
    *,
    role: Role,
    denominators: Denominators,
    bandwidth_bytes_per_s: float | None,
    memory_bytes_per_s: float | None = None,
    launch_share: float | None = None,
) -> list[records.Loss] | None:
    """The factors of a row's utilisation, in the order units, clock, memory, launch, kernel; None where it is null.

    `bandwidth_bytes_per_s` is the best bandwidth measured on this device in the row's cache state
    (`roofline.measured_bandwidth`), `memory_bytes_per_s` that from memory: no cache is slower, so a row that memory
    would not bind is not bound by a cache of unknown bandwidth. `launch_share` is the share of the row's time in which
    the device had nothing to do. None is unknown for each. The product of the ratios is the utilisation, to rounding.
    Source: docs/losses.md.

    Raises ValueError for a launch share outside [0, 1).
    """
    if row.utilization is None or row.rated is None:
        return None
    launch = _launch(launch_share, denominators.device)
    if role is Role.TRANSFER and row.rated.kind != "user":
        return _closed(row, [_link(denominators.device.pcie), launch])
    if role.counts_bytes:
        return _closed(row, [launch])
    units = _units(row.rated, denominators)
    clock = _clock(row, row.rated, denominators.device)
    memory = _memory(row, units, clock, bandwidth_bytes_per_s, memory_bytes_per_s)
    return _closed(row, [units, clock, memory, launch])


def largest(losses: Sequence[records.Loss]) -> records.Loss | None:
    """The factor that costs most: the smallest ratio, the earlier where two are equal; None where none is below 1."""
    costly = [loss for loss in losses if loss.ratio < 1]
    return min(costly, key=lambda loss: loss.ratio, default=None)


def of_file(row: records.Measurement, run: records.RunFile, tables: Tables) -> list[records.Loss] | None:
    """A row's losses as a whole run file tells them: those stored, unless the file has learnt of the memory since.

    A file of an earlier version has none stored, and a row measured before the run's bandwidth knew nothing of it.
    Both are explained from what the file holds: the ratings of its device, and its rows of bandwidth.
    """
    device = run.device(row.device)
    if row.utilization is None or device is None:
        return row.losses
    stored = row.losses or []
    launch = next((1 - loss.ratio for loss in stored if loss.factor == "launch"), None)
    fresh = explain(
        row,
        role=row.role or (Role.BANDWIDTH if row.utilization_of == "bytes" else Role.COMPUTE),
        denominators=Denominators(device, DeviceRatings(device.rating_name, device.ratings, device.name), tables),
        bandwidth_bytes_per_s=measured_bandwidth(run.measurements, row.device, row.cache),
        memory_bytes_per_s=measured_bandwidth(run.measurements, row.device, "cold"),
        launch_share=launch,
    )
    return stored if stored and (_knows_memory(stored) or not _knows_memory(fresh or [])) else fresh


def _link(link: records.PcieLink | None) -> Factor:
    """What the link can carry where the device is plugged in, over what the device is made for."""
    if link is None or link.lanes_here is None:
        return Factor("units", None, "the lanes in use are not known")
    made_for = host_link.bytes_per_s(link.gt_per_s, link.lanes)
    here = host_link.bytes_per_s(link.gt_per_s_here or link.gt_per_s, link.lanes_here)
    if made_for is None or here is None:
        return Factor("units", None, "the speed of its link is not known")
    speed = f"PCI Express {host_link.generation(link.gt_per_s)}"
    if link.gt_per_s_here is None:
        speed += ", if its slot has that"
    elif link.gt_per_s_here != link.gt_per_s:
        speed = f"PCI Express {host_link.generation(link.gt_per_s_here)} of {host_link.generation(link.gt_per_s)}"
    return Factor("units", min(1.0, here / made_for), f"{link.lanes_here} of {link.lanes} lanes in use, {speed}")


def _units(rated: records.Rated, denominators: Denominators) -> Factor:
    """Units present over units rated; a computed rating is that of the units in use already."""
    units = denominators.device.units
    in_use = units.in_use
    why = f": {units.why}" if units.why else ""
    if in_use is None:
        return Factor("units", None, "the device does not tell how many it has")
    if rated.kind == "computed" and denominators.device.kind == "cpu":
        of = f" of {units.total}" if units.total and units.total != in_use else ""
        return Factor(
            "units", 1.0, f"rated for the {in_use}{of} {plural(units.kind, units.total or in_use)} in use{why}"
        )
    present = units.total or _units_of_the_row(denominators)
    if present is None:
        return Factor("units", None, "how many the rating stands for is not known")
    if in_use == present:
        return Factor("units", 1.0, f"all {in_use} {plural(units.kind, in_use)}")
    return Factor("units", in_use / present, f"{in_use} of {present} {plural(units.kind, present)}{why}")


def _units_of_the_row(denominators: Denominators) -> int | None:
    """The units per torch device of the row of the tables that rates the device."""
    name = denominators.ratings.name
    entry = denominators.tables.entry(name) if name else None
    if entry is None or not entry.units:
        return None
    each = entry.units // entry.devices_per_row[0]
    # HIP counts RDNA's work-group processors, pairs of the compute units that data sheets count.
    pairs = entry.target.startswith(RDNA) and denominators.device.units.in_use == each // 2
    return each // 2 if pairs else each or None


def _clock(row: records.Measurement, rated: records.Rated, device: records.Device) -> Factor:
    """The clock observed over the row against the clock of the rating."""
    seen_hz = observed.clock_hz(row.telemetry)
    if not rated.clock_hz:
        return Factor("clock", None, "the rating names no clock")
    if seen_hz:
        change = f"{mhz(rated.clock_hz)} → {mhz(seen_hz)} MHz"
        return Factor("clock", seen_hz / rated.clock_hz, f"{change}: {_clock_reason(row, seen_hz / rated.clock_hz)}")
    if _rated_at_measured_clock(rated, device):
        return Factor("clock", 1.0, f"rated at the {mhz(rated.clock_hz)} MHz measured here before the rows")
    return Factor("clock", None, "not observed during the row")


def _rated_at_measured_clock(rated: records.Rated, device: records.Device) -> bool:
    """Whether the rating was computed from a clock that this process measured, so that it has the losses in it."""
    clock = device.clock
    return bool(rated.kind == "computed" and clock and clock.source.startswith(MEASURED) and clock.hz == rated.clock_hz)


def _clock_reason(row: records.Measurement, ratio: float) -> str:
    if ratio >= 1:
        return "no slower than rated"
    if observed.throttle_shares(row.telemetry) is None:
        return "the source does not say why"
    return ", ".join(observed.throttle_words(row.telemetry)) or "no throttle reason was set"


def _memory(
    row: records.Measurement,
    units: Factor,
    clock: Factor,
    bandwidth_bytes_per_s: float | None,
    memory_bytes_per_s: float | None,
) -> Factor:
    """min(1, intensity × bandwidth / peak), with the peak that units and clock leave of the rated one."""
    rated_per_s = row.rated.operations_per_s if row.rated else None
    operations_per_byte = intensity(row)
    if operations_per_byte is None or rated_per_s is None:
        return Factor("memory", None, "the row's operations per byte are not known")
    bandwidth = bandwidth_bytes_per_s or memory_bytes_per_s
    if bandwidth is None:
        return Factor("memory", None, "no bandwidth was measured here")
    missing = [factor.name for factor in (units, clock) if factor.ratio is None]
    if units.ratio is None or clock.ratio is None:
        return Factor("memory", None, f"its peak needs the {' and the '.join(missing)}")
    ridge = ridge_point(rated_per_s * units.ratio * clock.ratio, bandwidth)
    at = f"at the measured {three_digits(bandwidth / 1e9)} GB/s"
    has = f"{three_digits(operations_per_byte)} operations per byte"
    if operations_per_byte >= ridge:
        of_memory = "" if bandwidth_bytes_per_s else " of the memory, and a cache is no slower"
        why = f"bound by compute: {has}, {three_digits(ridge)} are enough {at}{of_memory}"
        return Factor("memory", 1.0, why)
    if bandwidth_bytes_per_s is None:
        return Factor("memory", None, f"the bandwidth of a {row.cache} cache was not measured here")
    why = f"{has}, needs at least {three_digits(ridge)} to be bound by compute {at}"
    return Factor("memory", operations_per_byte / ridge, why)


def _launch(share: float | None, device: records.Device) -> Factor:
    if share is None and device.kind == "cpu":
        return Factor("launch", 1.0, "a processor waits for no host: calling counts as the kernel's")
    if share is None:
        return Factor("launch", None, "time between calls was not told apart")
    if not 0 <= share < 1:
        raise ValueError(f"launch_share: {share} is not in [0, 1)")
    if share == 0:
        return Factor("launch", 1.0, "the device worked all the time")
    return Factor("launch", 1 - share, f"the device waited for the host in {percent(share)} of the time")


def _closed(row: records.Measurement, factors: Sequence[Factor]) -> list[records.Loss]:
    """The known factors, and `kernel` as what is left; a memory bound that the row exceeded goes into `kernel`."""
    assert row.utilization is not None
    known = [(f.name, f.ratio, f.why) for f in factors if f.ratio is not None and f.ratio > 0]
    rest = row.utilization / prod(ratio for _, ratio, _ in known)
    unknown = [f"{f.name} unknown ({f.why})" for f in factors if f.ratio is None]
    notes = [f"{', '.join(unknown)}: part of this factor"] if unknown else []
    memory = next((ratio for name, ratio, _ in known if name == "memory"), 1.0)
    if memory < 1 and rest > 1 + ROUNDING:
        why = f"the memory bound of {percent(memory)} was exceeded {rest:.3g} times, so it was none: merged"
        notes.insert(0, why + " (data came out of a cache)")
        known = [entry for entry in known if entry[0] != "memory"]
        rest = row.utilization / prod(ratio for _, ratio, _ in known)
    allowed = _allowance([name for name, _, _ in known])
    why = "; ".join([f"{percent(rest)} of {allowed}", *_executed(row), *notes])
    found = [records.Loss(factor=name, ratio=ratio, why=reason) for name, ratio, reason in known]
    return [*found, records.Loss(factor="kernel", ratio=rest, why=why)]


def _allowance(names: Sequence[str]) -> str:
    """Of what the kernel reached a share, in words."""
    if not names:
        return "the rated figure"
    *first, last = names
    return f"what {', '.join(first)} and {last} leave" if first else f"what {last} leaves"


def _executed(row: records.Measurement) -> list[str]:
    """By which other unit, or with how many other operations, the work was done."""
    executed = row.executed
    if executed is None:
        return []
    return [executed.note or f"executed at {executed.precision}"]


def _knows_memory(losses: Sequence[records.Loss]) -> bool:
    return any(loss.factor == "memory" for loss in losses)
