"""Peaks by formula: units × operations per clock × clock, as a cross-check of the tables and at an observed clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.ratings import processors
from bench.ratings.matching import RDNA, match
from bench.ratings.peaks import BANDWIDTH, KEY_FIGURES, MIXED, all_units, figure_for, rated_clock_hz
from bench.ratings.tables import ClockRate, Entry, Tables
from bench.records import Device

TOLERANCE: Final = 0.03
"""How far a rated figure and the formula may differ before `check` reports them; rounded data sheets stay within."""


@dataclass(frozen=True)
class Disagreement:
    """A rated figure that differs from units × operations per clock × clock. Rates are operations per second."""

    name: str
    figure: str
    rated_operations_per_s: float
    formula_operations_per_s: float
    formula: str
    basis: str

    @property
    def ratio(self) -> float:
        """Formula over rated."""
        return self.formula_operations_per_s / self.rated_operations_per_s


def check(tables: Tables) -> list[Disagreement]:
    """Every figure that differs from its formula by more than 3 % of itself, in the order of the tables."""
    return [d for d in comparisons(tables) if abs(d.ratio - 1) > TOLERANCE]


def comparisons(tables: Tables) -> list[Disagreement]:
    """Every rated figure that has a formula beside it, agreeing or not."""
    found = []
    for entry in tables.entries:
        for figure in sorted({r.figure for r in tables.rates}):
            rated = getattr(entry, figure)
            rate = clock_rate(tables, entry, figure)
            clock_hz = rated_clock_hz(entry, figure)
            if rated is None or rate is None or clock_hz is None or entry.units is None:
                continue
            found.append(
                Disagreement(
                    name=entry.name,
                    figure=figure,
                    rated_operations_per_s=rated * 1e12,
                    formula_operations_per_s=entry.units * rate.operations_per_clock * clock_hz,
                    formula=f"{entry.units} × {rate.operations_per_clock} × {clock_hz / 1e6:.0f} MHz",
                    basis=rate.basis,
                )
            )
    return found


def clock_rate(tables: Tables, entry: Entry, figure: str) -> ClockRate | None:
    """The rate per clock and unit that explains a figure of an entry; None where the accumulation class is open."""
    return _rate(tables, entry.vendor, entry.target, figure, entry.fp32_accumulate_rate)


def clock_adjusted_peak(device: Device, key: str, clock_hz: float, tables: Tables) -> float | None:
    """Operations per second of the units in use at `clock_hz`; None where the tables can't tell.

    None for bandwidth, for a figure held below the formula by rule (`capped`), and for an architecture without rate.
    An unlisted GPU has one where its architecture has a single rate. A slice has that of its own units.
    """
    if key == BANDWIDTH or clock_hz <= 0:
        return None
    if key == MIXED:
        int8 = clock_adjusted_peak(device, "int8/int32", clock_hz, tables)
        fp16 = clock_adjusted_peak(device, "fp16/fp32", clock_hz, tables)
        return 2 / (1 / int8 + 1 / fp16) if int8 and fp16 else None
    if key not in KEY_FIGURES:
        return None
    if device.kind == "cpu":
        per_clock, units = _processor_rate(device, key, tables), device.units.in_use
    else:
        entry = _entry(device, tables)
        per_clock, units = _device_rate(device, entry, key, tables), _units(device, entry)
    return units * per_clock * clock_hz if units and per_clock else None


def _processor_rate(device: Device, key: str, tables: Tables) -> int | None:
    core = processors.find_microarchitecture(device.details, tables)
    rate = processors.per_cycle(core, device.isa)[0].get(key) if core else None
    return rate.operations if rate else None


def _entry(device: Device, tables: Tables) -> Entry | None:
    return match(
        tables,
        device.name,
        torch_device=device.kind,
        memory_bytes=device.memory_bytes,
        units=all_units(device),
        pci_id=device.pci_id,
    )


def _device_rate(device: Device, entry: Entry | None, key: str, tables: Tables) -> int | None:
    if entry is not None and key in entry.capped:
        return None
    figure = figure_for(entry, key) if entry else None
    vendor, target = (entry.vendor, entry.target) if entry else _architecture(device)
    accumulate = entry.fp32_accumulate_rate if entry else ""
    for name in (figure,) if figure else KEY_FIGURES[key]:
        rate = _rate(tables, vendor, target, name, accumulate)
        if rate is not None:
            return rate.operations_per_clock
    return None


def _rate(tables: Tables, vendor: str, target: str, figure: str, accumulate: str) -> ClockRate | None:
    rates = [r for r in tables.rates if (r.vendor, r.target, r.figure) == (vendor, target, figure)]
    if len(rates) == 1:
        return rates[0]
    return next((r for r in rates if r.rate == accumulate), None)


def _architecture(device: Device) -> tuple[str, str]:
    """(vendor, target) as the rates name them, from what the device itself reports."""
    architecture = device.architecture.split(":")[0]
    if architecture.startswith("gfx"):
        return "AMD", architecture
    if device.vendor.casefold() == "nvidia" and device.capability is not None:
        return "NVIDIA", ".".join(map(str, device.capability))
    return "", ""


def _units(device: Device, entry: Entry | None) -> int | None:
    """Units in use as the rates count them: compute units, where HIP reports RDNA's work-group processors."""
    in_use, reported = device.units.in_use, all_units(device)
    pairs = entry is not None and entry.units is not None and reported is not None and reported * 2 == entry.units
    return in_use * 2 if in_use and pairs and entry is not None and entry.target.startswith(RDNA) else in_use
