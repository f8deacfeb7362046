"""A report as comma-separated values: one line a measured row, unrounded, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from bench.analysis import observed
from bench.analysis.losses import largest
from bench.analysis.report_view import (
    BANDWIDTH,
    SECONDS_PER_HOUR,
    DeviceView,
    ReportView,
    Row,
    key_label,
    operations_per_j,
    unit_of,
)
from bench.report.charts.svg import printable
from bench.report.report_row import figures

COLUMNS: Final = (
    *("device", "device_name", "run", "run_id", "host", "rank", "label", "kernel", "case", "precision", "accumulate"),
    *("implementation", "mode", "data", "cache", "status", "reason", "ranked", "excluded", "unit", "value_per_s"),
    *("low_per_s", "high_per_s", "spread", "launches", "rated_per_s", "rated_kind", "rated_source", "utilization"),
    *("utilization_reason", "loss_units", "loss_clock", "loss_memory", "loss_launch", "loss_kernel", "largest_loss"),
    *("largest_loss_reason", "median_s", "ci95_low_s", "ci95_high_s", "samples", "operations", "bytes", "check_error"),
    *("check_tolerance", "clock_hz", "power_w", "operations_per_j", "price_per_hour", "work_per_money"),
    *("method_version", "torch", "driver", "started"),
)
"""Stable: a column may be added at the end, none is renamed. `docs/reading-a-report.md` says what each holds."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute a cell instead of showing it (OWASP, CSV Injection)."""
RATED_ONLY: Final = "rated only"


def comma_separated(view: ReportView) -> str:
    """Every row of the view, and a line for each rated peak of hardware that nobody has measured; unknown is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for device in view.devices:
        if device.rated_only:
            found = [_device(device) | _rating(device, key) for key in device.ratings]
        else:
            found = [_device(device) | _row(row, device) for row in view.rows_of(device.key)]
        writer.writerows({name: cell(value) for name, value in one.items()} for one in found)
    return out.getvalue()


def cell(value: object) -> object:
    """A value as a cell: numbers as they are, unknown and endless ones empty, text such that nothing computes it."""
    if isinstance(value, str):
        shown = printable(value)
        return f"'{shown}" if value.lstrip().startswith(FORMULA) or value.startswith(FORMULA) else shown
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or (isinstance(value, float) and not isfinite(value)) else value


def _device(one: DeviceView) -> dict[str, Any]:
    run, device = one.run, one.device
    found: dict[str, Any] = {"device": one.label, "device_name": one.name, "price_per_hour": one.price_per_hour}
    if device is not None:
        found["driver"] = device.driver
    if run is not None:
        found |= {"run": one.source, "run_id": run.id, "method_version": run.method_version, "started": run.started}
        found["torch"] = run.software.get("torch")
    return found


def _rating(device: DeviceView, key: str) -> dict[str, Any]:
    """The line of a rated peak without a measurement."""
    rated, label = device.ratings[key], key_label(key)
    precision, _, accumulate = key.partition("/")
    return {
        "label": label,
        "precision": "" if key == BANDWIDTH else precision,
        "accumulate": accumulate,
        "status": RATED_ONLY,
        "ranked": False,
        "excluded": RATED_ONLY,
        "unit": unit_of(label),
        "rated_per_s": rated.bytes_per_s if label == BANDWIDTH else rated.operations_per_s,
        "rated_kind": rated.kind,
        "rated_source": rated.source,
    }


def _row(row: Row, device: DeviceView) -> dict[str, Any]:
    per_s, evidence, price = row.series.value, row.evidence, device.price_per_hour
    return {
        **figures(row),
        "host": evidence.host,
        "rank": evidence.rank,
        "kernel": evidence.kernel,
        "case": ",".join(f"{name}={value}" for name, value in evidence.case.items()),
        "precision": evidence.precision,
        "accumulate": evidence.accumulate,
        "implementation": evidence.implementation,
        "mode": evidence.mode,
        "data": evidence.data,
        "cache": evidence.cache,
        "work_per_money": per_s * SECONDS_PER_HOUR / price if per_s and price and row.ranked else None,
        **_losses(row),
        **_evidence(row),
    }


def _losses(row: Row) -> dict[str, Any]:
    losses = row.losses or ()
    worst = largest(losses)
    found: dict[str, Any] = {f"loss_{loss.factor}": loss.ratio for loss in losses}
    return found | {
        "largest_loss": worst.factor if worst else None,
        "largest_loss_reason": worst.why if worst else None,
    }


def _evidence(row: Row) -> Mapping[str, Any]:
    """What lies behind the figure: the launch that its check, its time and its telemetry are of."""
    one = row.evidence
    found: dict[str, Any] = {
        "utilization_reason": one.utilization_reason,
        "clock_hz": observed.clock_hz(one.telemetry),
        "power_w": observed.quantity(one.telemetry, "power_w"),
        "operations_per_j": operations_per_j(row),
    }
    if one.rated is not None:
        found |= {"rated_kind": one.rated.kind, "rated_source": one.rated.source}
    if one.time is not None:
        found |= {"median_s": one.time.median_s, "samples": one.time.samples}
        found |= {"ci95_low_s": one.time.ci95_low_s, "ci95_high_s": one.time.ci95_high_s}
    if one.work is not None:
        found |= {"operations": one.work.operations, "bytes": one.work.bytes}
    if one.check is not None:
        found |= {"check_error": one.check.error, "check_tolerance": one.check.tolerance}
    return found
