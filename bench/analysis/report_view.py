"""Several run files as one report: devices side by side, the best row of each precision, every row with its evidence.

All formats of `python -m bench report` draw from this one object. Pure: nothing here reads, formats or translates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import isfinite
from typing import Final, Literal

from bench import records
from bench.analysis.losses import of_file
from bench.analysis.roofline import Roofline, intensity, is_ceiling, is_warm, rooflines
from bench.analysis.summary import Series, series
from bench.precision import PRECISIONS
from bench.ratings import Entry, Tables, peaks_of

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
    _by_device: dict[str, DeviceView] = field(default_factory=dict, repr=False, compare=False)

    def device(self, key: str) -> DeviceView:
        """The device of that key."""
        return self._by_device[key]

    def best(self) -> list[Headline]:
        """One headline a device and precision, in the order of `labels`; in each the highest rate first, none last."""
        chosen = [one for one in self.headlines if one.best]
        return sorted(chosen, key=lambda one: (self.labels.index(one.label), -(one.value or 0.0), one.value is None))


def build(
    files: Sequence[tuple[str, records.RunFile]],
    *,
    tables: Tables | None = None,
    rated_only: Sequence[Entry] = (),
    prices: Sequence[Price] = (),
) -> ReportView:
    """The view of run files, each with the name to show for it.

    With `tables` losses are as the whole file tells them (`losses.of_file`), without as they are stored. `rated_only`
    are rows of the tables for hardware that nobody has measured. A device's price is that of the last matching pattern.
    """
    devices: list[DeviceView] = []
    rows: list[Row] = []
    roofs: list[RooflineView] = []
    for name, file in files:
        for device, measurements in _devices_of(file):
            key = f"d{len(devices)}"
            devices.append(_measured_device(key, name, file, device, measurements))
            part = records.RunFile(run=file.run, devices=[device] if device else [], measurements=measurements)
            found = [_row(f"{key}r{n}", key, one, part, tables) for n, one in enumerate(series(measurements))]
            rows += found
            roofs += _rooflines(key, part, found)
    devices += [_rated_device(f"d{len(devices) + n}", entry) for n, entry in enumerate(rated_only)]
    devices = [replace(one, price_per_hour=_price(one.name, prices)) for one in _told_apart(devices)]
    labels = _labels(row.label for row in rows if not is_ceiling(row.evidence))
    if not labels:
        labels = _labels(key_label(key) for one in devices for key in one.ratings)
    return ReportView(
        devices=tuple(devices),
        labels=labels,
        kernels=tuple(dict.fromkeys(row.evidence.kernel for row in rows)),
        headlines=tuple(_headlines(devices, labels, rows)),
        rows=tuple(rows),
        rooflines=tuple(roofs),
        prices=tuple(prices),
        _by_device={one.key: one for one in devices},
    )


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
    energy = (row.evidence.telemetry or {}).get("energy")
    found = energy.get("operations_per_j") if isinstance(energy, Mapping) else None
    return float(found) if isinstance(found, int | float) and isfinite(found) and found > 0 else None


def quantiles(samples: Sequence[float] | None, most: int = QUANTILES) -> tuple[float, ...]:
    """At most `most` evenly placed order statistics, ascending: all of them where there are no more."""
    ordered = sorted(samples or ())
    if len(ordered) <= most:
        return tuple(ordered)
    return tuple(ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most))


def _devices_of(file: records.RunFile) -> list[tuple[records.Device | None, list[records.Measurement]]]:
    """Each device with its rows; a device without a row is one too, and so is a row whose device line is missing."""
    groups: dict[tuple[str, int, str], list[records.Measurement]] = {}
    for row in file.measurements:
        groups.setdefault((row.host, row.rank, row.device), []).append(row)
    found = [(_device_of(file, *key), rows) for key, rows in groups.items()]
    seen = [id(device) for device, _ in found]
    return [*found, *((device, []) for device in file.devices if id(device) not in seen)]


def _device_of(file: records.RunFile, host: str, rank: int, name: str) -> records.Device | None:
    """The device line of a row. A row may leave its host out; the rank it has."""
    named = [one for one in file.devices if one.device == name]
    ranked = [one for one in named if one.rank == rank] or named
    return next((one for one in ranked if one.host == host), ranked[0] if ranked else None)


def _measured_device(
    key: str,
    source: str,
    file: records.RunFile,
    device: records.Device | None,
    rows: Sequence[records.Measurement],
) -> DeviceView:
    name = device.name or device.device if device else rows[0].device
    ratings = device.ratings if device else {}
    return DeviceView(key, name, name, source, file.run, file.end, device, ratings)


def _rated_device(key: str, entry: Entry) -> DeviceView:
    return DeviceView(key, entry.name, entry.name, "", None, None, None, peaks_of(entry))


def _told_apart(devices: Sequence[DeviceView]) -> list[DeviceView]:
    """Labels that no two share: the name, then what differs (host and rank, run), then a number."""
    labels = [one.label for one in devices]
    for more in (_place, lambda one: one.source, lambda one: one.key):
        tally = Counter(labels)
        labels = [
            f"{label} · {more(one)}" if tally[label] > 1 and more(one) else label
            for label, one in zip(labels, devices, strict=True)
        ]
    return [replace(one, label=label) for one, label in zip(devices, labels, strict=True)]


def _place(one: DeviceView) -> str:
    device = one.device
    return "" if device is None or device.device == "cpu" else f"{device.host} {device.device}".strip()


def _price(name: str, prices: Sequence[Price]) -> float | None:
    found = [one.per_hour for one in prices if fnmatchcase(name.casefold(), one.pattern.casefold())]
    return found[-1] if found else None


def _row(key: str, device: str, one: Series, part: records.RunFile, tables: Tables | None) -> Row:
    evidence = _evidence(one)
    losses = evidence.losses if tables is None else of_file(evidence, part, tables)
    quarantine = [reason for row in one.rows for reason in row.quarantine]
    excluded = ""
    if one.status not in records.USABLE or one.value is None:
        excluded = f"{one.status}: {one.reason}" if one.reason else one.status
    elif quarantine:
        excluded = f"quarantine: {', '.join(dict.fromkeys(quarantine))}"
    elif evidence.data in FLATTERING:
        excluded = f"data: {evidence.data} draw less power than real numbers, so that clocks stay higher"
    elif is_ceiling(evidence):
        excluded = "ceiling: it shows what the unit can do and does no work that anybody has"
    label = BANDWIDTH if one.unit == "B/s" else precision_label(evidence.precision, evidence.accumulate)
    return Row(
        key=key,
        device=device,
        label=label,
        series=one,
        evidence=evidence,
        losses=tuple(losses) if losses else None,
        quantiles_s=quantiles(evidence.samples_s),
        ranked=not excluded,
        excluded=excluded,
    )


def _evidence(one: Series) -> records.Measurement:
    timed = [row for row in one.rows if row.time is not None and row.time.median_s > 0]
    middle = sorted(timed, key=lambda row: row.time.median_s if row.time else 0.0)
    return middle[(len(middle) - 1) // 2] if middle else one.first


def _rooflines(key: str, part: records.RunFile, rows: Sequence[Row]) -> list[RooflineView]:
    found = []
    for roof in rooflines(part.measurements, part.devices):
        points = []
        for row in rows:
            one, per_byte = row.evidence, intensity(row.evidence)
            belongs = (one.precision, one.accumulate, is_warm(one)) == (roof.precision, roof.accumulate, roof.warm)
            if belongs and row.ranked and row.label != BANDWIDTH and per_byte and row.series.value:
                points.append((row, per_byte, row.series.value))
        found.append(RooflineView(key, roof, tuple(points)))
    return found


def _labels(found: Iterable[str]) -> tuple[str, ...]:
    """In the order of the precisions, other accumulations behind the plain one, bandwidth last."""
    order = [name.upper() for name in PRECISIONS]

    def place(label: str) -> tuple[bool, int, str]:
        name = label.partition(" ")[0]
        return label == BANDWIDTH, order.index(name) if name in order else len(order), label

    return tuple(sorted(dict.fromkeys(found), key=place))


def _headlines(devices: Sequence[DeviceView], labels: Sequence[str], rows: Sequence[Row]) -> Iterable[Headline]:
    cells: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        if not is_ceiling(row.evidence):
            cells.setdefault((row.device, row.label), {}).setdefault(row.evidence.kernel, []).append(row)
    for device in devices:
        for label in labels:
            found = [
                _headline(device, label, kernel, part) for kernel, part in cells.get((device.key, label), {}).items()
            ] or [_unmeasured(device, label)]
            best = max(found, key=lambda one: one.value or 0.0)
            yield from (replace(one, best=one is best) for one in found)


def _headline(device: DeviceView, label: str, kernel: str, rows: Sequence[Row]) -> Headline:
    ranked = [row for row in rows if row.ranked]
    if not ranked:
        reasons = Counter(row.excluded for row in rows)
        return Headline(
            device.key, label, kernel, None, _rating(device, label), "excluded", reasons.most_common(1)[0][0], False
        )
    best = max(ranked, key=lambda row: row.series.value or 0.0)
    status: HeadlineStatus = "ok" if best.series.status == "ok" else "noisy"
    rated = best.series.measured.rated or _rating(device, label)
    return Headline(device.key, label, kernel, best, rated, status, best.series.reason, False)


def _unmeasured(device: DeviceView, label: str) -> Headline:
    status: HeadlineStatus = "rated only" if device.rated_only else "not measured"
    return Headline(device.key, label, "", None, _rating(device, label), status, "", False)


def _rating(device: DeviceView, label: str) -> records.Rated | None:
    return next((rated for key, rated in device.ratings.items() if key_label(key) == label), None)
