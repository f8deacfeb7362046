"""From a view to what the page's template places: strings, charts and raw values, section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import unquote

from bench import records
from bench.analysis.fleet import Fleet
from bench.analysis.report_view import (
    QUANTILES,
    DeviceView,
    Headline,
    ReportView,
    Row,
    key_label,
    per_money,
    precision_label,
    unit_of,
)
from bench.report.charts import bars, points, svg
from bench.report.charts.svg import printable
from bench.report.numbers import percent, prefix, with_interval
from bench.report.page import fleet, power
from bench.report.page.applications import applications
from bench.report.page.beside import quantiles_shown
from bench.report.page.wording import Defaults, cut, level_of, loss_of, name_of, raw, safe, share_of

OPEN: Final = 5
"""Devices up to which the sections of each are open; more are a click away."""
HEADLINE_STATUSES: Final = ("ok", "noisy", "excluded", "not measured", "rated only")


def page(
    view: ReportView, language: str, defaults: Defaults, files: Sequence[str] = (), many: Fleet | None = None
) -> dict[str, Any]:
    """Everything that the template asks for; `files` are the addresses of the run files beside the page.

    `many`: what is said of the devices that were measured together, if any were.
    """
    known: dict[str, str] = {}

    def name(row: Row) -> str:  # charts ask for each several times
        if row.key not in known:
            known[row.key] = name_of(row, defaults)
        return known[row.key]

    places = {one.key: place for place, one in enumerate(view.devices)}
    found: dict[str, Any] = {
        "open": len(view.devices) <= OPEN,
        "counts": {
            "devices": len(view.devices),
            "rows": len(view.rows),
            "ranked": sum(row.ranked for row in view.rows),
            "runs": len({one.source for one in view.devices if one.source}),
        },
        "labels": view.labels,
        "kernels": [printable(kernel) for kernel in view.kernels],
        "prices": bool(view.prices),
        "panels": [{"label": label, "svg": safe(bars.delivered(view, label, language))} for label in view.labels],
        "headlines": [_headline(view, one, places) for one in _ordered(view)],
        "headline_statuses": _present(HEADLINE_STATUSES, (one.status for one in view.headlines)),
        "row_statuses": _present(records.STATUSES[::-1], (row.series.status for row in view.rows)),
        "fleet": fleet.section(many, language) if many is not None else None,
        "losses": _grouped(view, lambda key: _losses(view, key, language, name)),
        "rooflines": _grouped(view, lambda key: _rooflines(view, key, language, name)),
        "heat": _heat(view),
        "sizes": _grouped(view, lambda key: _sizes(view, key, language, name)),
        "sustained": power.sustained(view, language, name),
        "energy": power.energy(view, language, name),
        "scenarios": applications(view),
        "excluded": _grouped(view, lambda key: _excluded(view, key, name)),
        "devices": [_device(one, files) for one in view.devices],
        "folder": printable(unquote(files[0].rpartition("/")[0])) if files else "",
        "folder_address": f"{files[0].rpartition('/')[0]}/" if files else "",
        "thinned": quantiles_shown(view) if quantiles_shown(view) < QUANTILES else 0,
        "kernel_marks": _legend(view.kernels),
        "label_marks": _legend(view.labels),
    }
    shown = {"losses": "losses", "roofline": "rooflines", "heat": "heat", "sizes": "sizes"}
    shown |= {"scenarios": "scenarios", "sustained": "sustained", "energy": "energy"}
    present = [section for section, key in shown.items() if found[key]]
    found["missing"] = [section for section in shown if section not in present and found["headlines"]]
    together = ["fleet"] if found["fleet"] else []
    found["sections"] = ["delivered", "results", *together, *present, "rows", "excluded", "method", "runs"]
    return found


def _ordered(view: ReportView) -> list[Headline]:
    """By precision, then the highest rate first; what has none stands last."""
    return sorted(view.headlines, key=lambda one: (view.labels.index(one.label), one.value is None, -(one.value or 0)))


def _headline(view: ReportView, one: Headline, places: dict[str, int]) -> dict[str, Any]:
    device, unit = view.device(one.device), unit_of(one.label)
    # One prefix a line: what was measured and what is rated are compared by eye.
    factor, letter = prefix([one.value or one.rated_per_s or 0.0])
    money = per_money(one, device)
    series = one.row.series if one.row else None
    return {
        "device": places[one.device],
        "name": device.label,
        "label": one.label,
        "kernel": printable(one.kernel),
        "status": one.status,
        "reason": cut(one.reason),
        "best": one.best,
        "key": one.row.key if one.row else "",
        "raw": raw(one.value),
        "figure": _scaled(one.value, factor, f"{letter}{unit}", series.low, series.high) if series else "",
        "rated_raw": raw(one.rated_per_s),
        "rated": _scaled(one.rated_per_s, factor, f"{letter}{unit}"),
        "share_raw": raw(one.utilization),
        "share": share_of(one.utilization),
        "bar": _bar(one.utilization),
        "money_raw": raw(money),
        "money": svg.short(money, {"FLOPS": "FLOP", "OPS": "OP", "B/s": "B"}[unit]) if money else "",
        "loss": loss_of(one.row) if one.row else None,
    }


def _scaled(value: float | None, factor: float, unit: str, low: float | None = None, high: float | None = None) -> str:
    if not value:
        return ""
    bounds = (None if low is None else low / factor, None if high is None else high / factor)
    return f"{with_interval(value / factor, *bounds)} {unit}"


def _bar(ratio: float | None) -> Any:
    """A share as a small bar; what is above the rated peak fills it."""
    width = svg.number(100 * min(1.0, ratio or 0.0))
    return safe(
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" '
        f'height="8"/><rect class="fill" width="{width}" height="8"/></svg>'
    )


def _losses(view: ReportView, key: str, language: str, name: Callable[[Row], str]) -> list[dict[str, Any]]:
    return [
        {
            "label": one.label,
            "key": one.row.key,
            "name": name(one.row),
            "svg": safe(bars.waterfall(view, one, language)),
            "losses": [(loss.factor, percent(loss.ratio), cut(loss.why)) for loss in one.row.losses or ()],
            "reason": one.row.evidence.utilization_reason or "–",
        }
        for one in view.headlines
        if one.best and one.device == key and one.row is not None
    ]


def _rooflines(view: ReportView, key: str, language: str, name: Callable[[Row], str]) -> list[dict[str, Any]]:
    return [
        {
            "label": precision_label(one.roofline.precision, one.roofline.accumulate),
            "warm": one.roofline.warm,
            "svg": safe(points.roofline(view, one, language, name)),
        }
        for one in view.rooflines
        if one.device == key and one.points
    ]


def _sizes(view: ReportView, key: str, language: str, name: Callable[[Row], str]) -> list[dict[str, Any]]:
    kernels = dict.fromkeys(row.evidence.kernel for row in view.rows_of(key))
    charts = ((kernel, points.sizes(view, key, kernel, language, name)) for kernel in kernels)
    return [{"name": kernel, "svg": safe(chart)} for kernel, chart in charts if chart]


def _excluded(view: ReportView, key: str, name: Callable[[Row], str]) -> list[dict[str, Any]]:
    return [
        {"key": row.key, "name": f"{row.label} {name(row)}", "reason": cut(row.excluded)}
        for row in view.rows_of(key)
        if not row.ranked
    ]


def _heat(view: ReportView) -> list[dict[str, Any]]:
    """A line a device and kernel, a cell a precision; [] where nothing has a share."""
    cells = {(one.device, one.kernel, one.label): one for one in view.headlines if one.kernel}
    lines = dict.fromkeys((device, kernel) for device, kernel, _ in cells)
    if not any(one.utilization is not None for one in cells.values()):
        return []
    return [
        {
            "name": view.device(device).label,
            "kernel": kernel,
            "cells": [_cell(cells.get((device, kernel, label))) for label in view.labels],
        }
        for device, kernel in lines
    ]


def _cell(one: Headline | None) -> dict[str, Any]:
    share = one.utilization if one else None
    return {
        "level": level_of(share),
        "share": share_of(share),
        "raw": raw(share),
        "key": one.row.key if one and one.row else "",
        "measured": one is not None,
    }


def _device(one: DeviceView, files: Sequence[str]) -> dict[str, Any]:
    facts = [(key, printable(text)) for key, text in _facts(one) if text]
    ratings = []
    for key, rated in one.ratings.items():
        label = key_label(key)
        value = rated.bytes_per_s if label == "bandwidth" else rated.operations_per_s
        figure = svg.rate(value, unit_of(label)) if value else ""
        ratings.append((label, figure, printable(f"{rated.kind}: {rated.source}")))
    file = files[one.file] if files and one.file is not None else ""
    return {"label": printable(one.label), "facts": facts, "ratings": ratings, "file": file}


def _facts(one: DeviceView) -> Iterable[tuple[str, str]]:
    device, run = one.device, one.run
    if one.price_per_hour is not None:
        yield "fact.price", f"{one.price_per_hour:g}"
    if device is not None:
        total = f" / {device.units.total}" if device.units.total else ""
        yield "fact.architecture", " ".join(filter(None, (device.vendor, device.architecture)))
        yield "fact.units", f"{device.units.in_use}{total} {device.units.kind} {device.units.why}".strip()
        yield "fact.memory", f"{device.memory_bytes / 2**30:.1f} GiB" if device.memory_bytes else ""
        clock = device.clock
        yield "fact.clock", f"{clock.hz / 1e6:,.0f} MHz ({clock.source})" if clock and clock.hz else ""
        yield "fact.driver", ", ".join(filter(None, (device.driver, device.runtime)))
        yield "fact.limit", f"{device.power_limit_w:.0f} W" if device.power_limit_w else ""
    if run is not None:
        yield "fact.run", f"{run.id} ({one.source})" if one.source not in ("", run.id) else run.id
        yield "fact.started", run.started
        yield "fact.status", one.end.status if one.end else ""
        yield "fact.command", " ".join(run.command)
        yield "fact.suite", run.suite or ""
        yield "fact.versions", ", ".join(f"{name} {version}" for name, version in run.software.items())
        yield "fact.os", " ".join(str(run.host.get(key, "")) for key in ("os", "kernel", "arch")).strip()
        yield "fact.method", str(run.method_version)
        yield "fact.commit", str((run.git or {}).get("commit", ""))


def _grouped(view: ReportView, items: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The items of each device that has any."""
    groups = ((one.label, items(one.key)) for one in view.devices)
    return [{"label": label, "items": found} for label, found in groups if found]


def _legend(names: Sequence[str]) -> list[dict[str, Any]]:
    """A mark beside each name, as charts draw it."""
    return [
        {
            "name": name,
            "svg": safe(
                '<svg class="chart" viewBox="-7 -7 14 14" aria-hidden="true"><g class="mark">'
                f'<path class="s{place % len(svg.MARKERS)}" d="{svg.MARKERS[place % len(svg.MARKERS)]}"/></g></svg>'
            ),
        }
        for place, name in enumerate(names)
    ]


def _present(order: Sequence[str], found: Iterable[str]) -> list[str]:
    there = set(found)
    return [one for one in order if one in there]
