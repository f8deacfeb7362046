"""What a list of devices is rated at, measured at and delivers: three figures a precision, each exact, never mixed.

rated: the nameplate as published, or count × the rated peak. measured: count × the best rate that a run reached on one
such device. effective: count × the rate over a whole piece of work (a scenario, else a kernel's cases together).
Figures are fractions of operations per second. There is no total over precisions, and what is published without a
precision stays under "undisclosed". Count × one device leaves out what joining devices costs, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Final, Literal

from bench.analysis.capacity_seen import Seen

Basis = Literal["rated", "measured", "effective"]
BASES: Final[tuple[Basis, ...]] = ("rated", "measured", "effective")
Kind = Literal["installed", "contracted", "planned"]
UNDISCLOSED: Final = "undisclosed"
HOURS_PER_YEAR: Final = 8760
NO_JOINING: Final = "count × one device: what joining the devices costs is not in it"


@dataclass(frozen=True)
class Figure:
    """Operations per second at one precision, on one basis, and where it comes from."""

    basis: Basis
    precision: str
    work: str
    """"" for rated and measured; the scenario or kernel for effective."""
    operations_per_s: Fraction
    source: str


@dataclass(frozen=True)
class Asked:
    """One entry of the device list."""

    name: str
    kind: Kind
    count: int | None = None
    precision: str = UNDISCLOSED
    """Of the nameplate."""
    nameplate: Fraction | None = None
    application_level: Fraction | None = None
    """The share of the nameplate that is said to be in use."""
    device: str = ""
    """Which device it is made of, where that is known; else "" (the entry's own name is tried)."""
    power_w: Fraction | None = None
    pue: Fraction | None = None
    price: Fraction | None = None
    currency: str = ""
    year: int | None = None
    growth: Fraction | None = None


@dataclass(frozen=True)
class Known:
    """What is known of one device of a product: figures of each basis."""

    figures: tuple[Figure, ...] = ()
    power_w: Fraction | None = None
    power_source: str = ""

    def of(self, basis: Basis, precision: str, work: str = "") -> Figure | None:
        """The figure asked for; None where there is none."""
        return next((f for f in self.figures if (f.basis, f.precision, f.work) == (basis, precision, work)), None)


@dataclass(frozen=True)
class Planned:
    """One entry worked out."""

    asked: Asked
    count: Fraction | None
    count_source: str
    figures: tuple[Figure, ...]
    facility_w: Fraction | None
    power_source: str
    energy_j_per_year: Fraction | None
    cost: Fraction | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Need:
    """How many devices a wanted computing power takes."""

    device: str
    figure: Figure
    """One device's."""
    wanted: Fraction
    exact: Fraction
    count: int


@dataclass(frozen=True)
class Plan:
    """All entries, and the sums over those of one kind, basis, precision and work."""

    entries: tuple[Planned, ...]
    totals: Mapping[tuple[Kind, Basis, str, str], Fraction] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """Device's name → what the runs tell of it beside rates."""


def plan(asked: Sequence[Asked], known: Mapping[str, Known], year: int | None = None) -> Plan:
    """Work every entry out; `known` is by the device's name, `year` the one that growing entries are taken to."""
    entries = tuple(_planned(one, known.get(one.device or one.name, Known()), year) for one in asked)
    totals: dict[tuple[Kind, Basis, str, str], Fraction] = {}
    for entry in entries:
        for figure in entry.figures:
            if figure.precision == UNDISCLOSED:
                continue  # a sum of figures at unknown precisions is one across precisions
            key = (entry.asked.kind, figure.basis, figure.precision, figure.work)
            totals[key] = totals.get(key, Fraction(0)) + figure.operations_per_s
    return Plan(entries, totals)


def need(device: str, known: Known, wanted: Fraction, basis: Basis, precision: str, work: str = "") -> Need | None:
    """How many of a device deliver `wanted` on that basis; None where the basis has no figure."""
    figure = known.of(basis, precision, work)
    if figure is None:
        return None
    exact = wanted / figure.operations_per_s
    return Need(device, figure, wanted, exact, ceil(exact))


def grown(value: Fraction, growth: Fraction, years: int) -> Fraction:
    """value · (1 + growth)^years, exactly."""
    return value * (1 + growth) ** years


def _planned(one: Asked, known: Known, year: int | None) -> Planned:
    nameplate, notes = _nameplate(one, year)
    count, count_source = _count(one, known, nameplate)
    figures: list[Figure] = []
    if nameplate is not None:
        figures.append(Figure("rated", one.precision, "", nameplate, "nameplate as published"))
    if count is not None:
        # A nameplate stands for its own precision; the chip's ratings say what the same devices have at the others.
        taken = {one.precision} if nameplate is not None else set()
        for each in known.figures:
            if each.basis != "rated" or each.precision not in taken:
                source = f"{count_source} × {each.source}"
                total = count * each.operations_per_s
                figures.append(Figure(each.basis, each.precision, each.work, total, source))
    missing = [basis for basis in BASES if basis not in {figure.basis for figure in figures}]
    if missing:
        notes.append(f"{' and '.join(missing)}: not known{_why_unknown(one, known, count)}")
    power_w = one.power_w or known.power_w
    power_source = "as given" if one.power_w else known.power_source
    facility_w = count * power_w * (one.pue or 1) if count is not None and power_w else None
    if facility_w is not None and one.pue is None:
        notes.append("power is that of the devices alone: no PUE given")
    return Planned(
        asked=one,
        count=count,
        count_source=count_source,
        figures=tuple(figures),
        facility_w=facility_w,
        power_source=power_source if facility_w is not None else "",
        energy_j_per_year=facility_w * HOURS_PER_YEAR * 3600 if facility_w is not None else None,
        cost=count * one.price if count is not None and one.price is not None else None,
        notes=tuple(notes),
    )


def _nameplate(one: Asked, year: int | None) -> tuple[Fraction | None, list[str]]:
    """The nameplate, grown to the year asked for, and what there is to say of it."""
    notes = []
    nameplate = one.nameplate
    if nameplate is not None and one.growth is not None and one.year is not None and year not in (None, one.year):
        assert year is not None
        nameplate = grown(nameplate, one.growth, year - one.year)
        notes.append(
            f"grown from {one.year} to {year} at the stated yearly rate: an extrapolation, not a figure of {year}"
        )
    if one.nameplate is not None and one.precision == UNDISCLOSED:
        notes.append("the nameplate names no precision: it stands for none, and enters no sum of one")
    if one.kind != "installed":
        notes.append(f"{one.kind}, not installed")
    return nameplate, notes


def _count(one: Asked, known: Known, nameplate: Fraction | None) -> tuple[Fraction | None, str]:
    if one.count is not None:
        return Fraction(one.count), "count as given"
    rated = known.of("rated", one.precision)
    if nameplate is None or rated is None:
        return None, ""
    return nameplate / rated.operations_per_s, f"nameplate over the rated {one.precision} of one"


def _why_unknown(one: Asked, known: Known, count: Fraction | None) -> str:
    if not known.figures:
        return f" (no rating and no run of {one.device or one.name!r})"
    return "" if count is not None else " (how many devices it is can't be told)"
