"""What a report is made of: devices, rows, headlines, rooflines and scenarios, as `report_view.build` makes them.

Values and what follows from them at once; nothing here reads a file, ranks or formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal

from bench import records
from bench.analysis.roofline import Roofline
from bench.analysis.scenarios import Outcome, Speedup
from bench.analysis.summary import Series
from bench.precision import PRECISIONS

QUANTILES: Final = 64
"""Most samples that a row carries as evidence: evenly placed order statistics of what the run file holds."""
BANDWIDTH: Final = "bandwidth"
FLATTERING: Final = ("zeros", "ones")
"""Data that no application has: rows with them are shown, and never set beside rows of random data."""
SECONDS_PER_HOUR: Final = 3600.0

HeadlineStatus = Literal["ok", "noisy", "excluded", "not measured", "rated only"]


@dataclass(frozen=True)
class Price:
    """What devices cost whose name matches a pattern (`H100*`), per hour, in whatever money its giver thinks in."""

    pattern: str
    per_hour: float


@dataclass(frozen=True)
class DeviceView:
    """One device of one run, or a row of the rating tables that nobody has measured."""

    key: str
    """Short, safe and unique within the report: "d0"."""
    label: str
    """Its name; with the run behind it where two devices share one."""
    name: str
    source: str
    """The run file's name as given to `build`, "" where it is rated only."""
    run: records.Run | None
    end: records.End | None
    device: records.Device | None
    ratings: Mapping[str, records.Rated]
    """As in a run file: "fp16/fp32" or "bandwidth" → the rating."""
    price_per_hour: float | None = None
    file: int | None = None
    """Place of its run file among those given to `build`; None where it is rated only."""

    @property
    def rated_only(self) -> bool:
        """Whether nobody has measured it here."""
        return self.run is None


@dataclass(frozen=True)
class Row:
    """One series with its evidence."""

    key: str
    device: str
    label: str
    """ "FP16", "FP16 (fp16 accumulation)", or "bandwidth"."""
    series: Series
    evidence: records.Measurement
    """The launch whose rate lies next to the series' value: check, telemetry, samples and losses are its."""
    losses: tuple[records.Loss, ...] | None
    quantiles_s: tuple[float, ...]
    """At most `QUANTILES` order statistics of the evidence's samples, ascending, the extremes among them."""
    ranked: bool
    """Whether it may be the best of anything: usable, in no quarantine, and not a ceiling."""
    excluded: str
    """Why it is not ranked; "" where it is."""


@dataclass(frozen=True)
class Headline:
    """The best row of a device at a precision by a kernel, or why there is none."""

    device: str
    label: str
    kernel: str
    """ "" where no kernel was measured."""
    row: Row | None
    rated: records.Rated | None
    status: HeadlineStatus
    reason: str
    best: bool
    """Whether it is the best of all kernels of this device and precision (or stands there for want of one)."""

    @property
    def value(self) -> float | None:
        """Operations (or bytes) per second; None where nothing usable was measured."""
        return self.row.series.value if self.row else None

    @property
    def rated_per_s(self) -> float | None:
        """The rated figure in the same unit; None where it is unknown."""
        if self.rated is None:
            return None
        return self.rated.bytes_per_s if self.label == BANDWIDTH else self.rated.operations_per_s

    @property
    def utilization(self) -> float | None:
        """Measured over rated."""
        return self.value / self.rated_per_s if self.value and self.rated_per_s else None


@dataclass(frozen=True)
class RooflineView:
    """A roofline and the rows that are points under it."""

    device: str
    roofline: Roofline
    points: tuple[tuple[Row, float, float], ...]
    """(row, operations per byte, operations per second)."""


@dataclass(frozen=True)
class ScenarioView:
    """What an application's step comes to on a device at a precision, or which of its calls are missing."""

    device: str
    outcome: Outcome
    label: str
    rows: tuple[Row | None, ...]
    """The row behind each of the outcome's parts, in their order; None where no row tells of it."""
    excluded: str
    """Why it has no figure of the whole, or none that may be ranked; "" where it has."""
    best: bool = False
    """Whether no other device of the report does the same work of this application at this precision faster."""

    @property
    def value(self) -> float | None:
        """Operations per second over all calls, by weight; None where one of them is missing."""
        total = self.outcome.total
        return total.operations_per_s if total and self.outcome.complete else None

    @property
    def utilization(self) -> float | None:
        """The seconds that the rated peaks allow over those taken; None where incomplete or a call is not rated."""
        total = self.outcome.total
        return total.utilization if total and self.outcome.complete else None


@dataclass(frozen=True)
class ReportView:
    """Everything that a report shows."""

    devices: tuple[DeviceView, ...]
    labels: tuple[str, ...]
    """Precisions in their order, bandwidth last."""
    kernels: tuple[str, ...]
    headlines: tuple[Headline, ...]
    rows: tuple[Row, ...]
    rooflines: tuple[RooflineView, ...]
    prices: tuple[Price, ...] = ()
    scenarios: tuple[ScenarioView, ...] = ()
    """In the order of the runs; only of runs that were asked for scenarios."""
    speedups: tuple[tuple[str, Speedup], ...] = ()
    """(device, two precisions of a scenario over the calls measured at both)."""
    _by_device: dict[str, DeviceView] = field(default_factory=dict, repr=False, compare=False)
    _rows_by_device: dict[str, tuple[Row, ...]] = field(default_factory=dict, repr=False, compare=False)

    def device(self, key: str) -> DeviceView:
        """The device of that key."""
        return self._by_device[key]

    def rows_of(self, key: str) -> tuple[Row, ...]:
        """The rows of that device, in the order of `rows`."""
        return self._rows_by_device.get(key, ())

    def best(self) -> list[Headline]:
        """One headline a device and precision, in the order of `labels`; in each the highest rate first, none last."""
        chosen = [one for one in self.headlines if one.best]
        return sorted(chosen, key=lambda one: (self.labels.index(one.label), -(one.value or 0.0), one.value is None))


def precision_label(precision: str, accumulate: str | None) -> str:
    """A precision for a reader; its accumulation is named where the plain name stands for another."""
    plain = PRECISIONS[precision].accumulate if precision in PRECISIONS else None
    return precision.upper() if accumulate in (None, plain) else f"{precision.upper()} ({accumulate} accumulation)"


def key_label(key: str) -> str:
    """The label of a key of a device's ratings: "fp16/fp32" → "FP16"."""
    precision, _, accumulate = key.partition("/")
    return BANDWIDTH if key == BANDWIDTH else precision_label(precision, accumulate or None)


def unit_of(label: str) -> Literal["FLOPS", "OPS", "B/s"]:
    """What a second of a precision is counted in."""
    return "B/s" if label == BANDWIDTH else "OPS" if label.startswith("INT") else "FLOPS"


def per_money(one: Headline, device: DeviceView) -> float | None:
    """Operations (or bytes) delivered for one unit of money: rate × 3600 s / price of an hour."""
    return one.value * SECONDS_PER_HOUR / device.price_per_hour if one.value and device.price_per_hour else None


def operations_per_j(row: Row) -> float | None:
    """Operations per joule of a sustained row; None where no energy was claimed for it (`analysis.energy`)."""
    return claimed_operations_per_j(row.evidence)


def claimed_operations_per_j(row: records.Measurement) -> float | None:
    """The same of a row of a run file."""
    energy = (row.telemetry or {}).get("energy")
    found = energy.get("operations_per_j") if isinstance(energy, Mapping) else None
    return float(found) if isinstance(found, int | float) and isfinite(found) and found > 0 else None
