"""Several run files as one report: devices side by side, the best row of each precision, every row with its evidence.

All formats of `python -m bench report` draw from this one object. Pure: nothing here reads, formats or translates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

from bench import records
from bench.analysis.losses import of_file
from bench.analysis.report_view_scenarios import fits, with_best
from bench.analysis.report_view_types import (
    BANDWIDTH,
    FLATTERING,
    QUANTILES,
    SECONDS_PER_HOUR,
    DeviceView,
    Headline,
    HeadlineStatus,
    Price,
    ReportView,
    RooflineView,
    Row,
    ScenarioView,
    key_label,
    operations_per_j,
    per_money,
    precision_label,
    unit_of,
)
from bench.analysis.roofline import intensity, is_ceiling, is_warm, rooflines
from bench.analysis.scenarios import Speedup
from bench.analysis.summary import Series, series
from bench.kernel import Role
from bench.precision import PRECISIONS
from bench.ratings import Entry, Tables, peaks_of

__all__ = [
    "BANDWIDTH",
    "FLATTERING",
    "QUANTILES",
    "SECONDS_PER_HOUR",
    "DeviceView",
    "Headline",
    "HeadlineStatus",
    "Price",
    "ReportView",
    "RooflineView",
    "Row",
    "ScenarioView",
    "build",
    "key_label",
    "operations_per_j",
    "per_money",
    "precision_label",
    "quantiles",
    "unit_of",
]


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
    scenarios: list[ScenarioView] = []
    ratios: list[tuple[str, Speedup]] = []
    for place, (name, file) in enumerate(files):
        for device, measurements in _devices_of(file):
            key = f"d{len(devices)}"
            devices.append(replace(_measured_device(key, name, file, device, measurements), file=place))
            part = records.RunFile(run=file.run, devices=[device] if device else [], measurements=measurements)
            found = _rows(key, part, tables)
            rows += found
            roofs += _rooflines(key, part, found)
            if file.run.scenarios:
                fit, faster = fits(key, device.device if device else measurements[0].device, part, found)
                scenarios += fit
                ratios += faster
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
        scenarios=tuple(with_best(scenarios)),
        speedups=tuple(ratios),
        _by_device={one.key: one for one in devices},
        _rows_by_device=_rows_by_device(rows),
    )


def quantiles(samples: Sequence[float] | None, most: int = QUANTILES) -> tuple[float, ...]:
    """At most `most` evenly placed order statistics, ascending: all of them where there are no more."""
    ordered = sorted(samples or ())
    if len(ordered) <= most:
        return tuple(ordered)
    return tuple([ordered[place] for place in _places(len(ordered), most)])


@cache
def _places(samples: int, most: int) -> tuple[int, ...]:
    return tuple(round(place * (samples - 1) / (most - 1)) for place in range(most))


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


def _rows_by_device(rows: Iterable[Row]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.device, []).append(row)
    return {key: tuple(some) for key, some in found.items()}


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


def _rows(key: str, part: records.RunFile, tables: Tables | None) -> list[Row]:
    # A row's losses ask the others for the bandwidth alone, and they do so for each row of a large run.
    bandwidth = [row for row in part.measurements if row.utilization_of == "bytes"]
    memory = records.RunFile(run=part.run, devices=part.devices, measurements=bandwidth)
    return [_row(f"{key}r{n}", key, one, memory, tables) for n, one in enumerate(series(part.measurements))]


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
    elif evidence.role is Role.COLLECTIVE:
        excluded = "collective: bytes between devices, which no figure of one device's memory is set beside"
    elif evidence.role is Role.TRANSFER:
        excluded = "transfer: bytes between host and device, which no figure of the device's memory is set beside"
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
