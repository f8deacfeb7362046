"""The page's parts on what lasts: sustained rates with clock and power, and operations per joule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import records
from bench.analysis import observed
from bench.analysis.report_view import ReportView, Row, operations_per_j
from bench.report.charts import bars, points, svg
from bench.report.numbers import percent
from bench.report.page.wording import cut, raw, safe

Name = Callable[[Row], str]
MHZ = 1e6


def sustained(view: ReportView, language: str, name: Name) -> list[dict[str, Any]]:
    """The ranked rows that were kept running, each with its chart and what it leaves of the burst."""
    found = []
    for row in view.rows:
        one = row.evidence.sustained
        chart = points.sustained(view, row, language, name) if row.ranked and one else ""
        if chart and one:
            found.append(
                {
                    "device": view.device(row.device).label,
                    "label": row.label,
                    "key": row.key,
                    "name": name(row),
                    "svg": safe(chart),
                    "over_time": [
                        (f"over_time.{what}", safe(drawn))
                        for what in points.OVER_TIME
                        if (drawn := points.over_time(view, row, what, language, name))
                    ],
                    "facts": [(key, words) for key, words in _facts(row, one) if words],
                }
            )
    return found


def energy(view: ReportView, language: str, name: Name) -> dict[str, Any] | None:
    """Operations per joule: a chart a precision that several devices have, and every ranked row; None without any."""
    rows = [(row, per_j) for row in view.rows if row.ranked and (per_j := operations_per_j(row))]
    if not rows:
        return None
    rows.sort(key=lambda pair: (view.labels.index(pair[0].label) if pair[0].label in view.labels else 0, -pair[1]))
    lines = []
    for row, per_j in rows:
        power_w = observed.quantity(row.evidence.telemetry, "power_w")
        lines.append(
            {
                "device": view.device(row.device).label,
                "label": row.label,
                "key": row.key,
                "name": name(row),
                "raw": raw(per_j),
                "figure": svg.short(per_j, bars.energy_unit(row.label)),
                "power": f"{power_w:.0f} W" if power_w is not None else "",
            }
        )
    charts = ((label, bars.energy(view, label, rows, language)) for label in view.labels)
    return {"rows": lines, "panels": [{"label": label, "svg": safe(chart)} for label, chart in charts if chart]}


def _facts(row: Row, one: records.Sustained) -> list[tuple[str, str]]:
    """(key of the name, words): what is left of the burst and of the start, and clock and power over the window."""
    time, telemetry = row.evidence.time, row.evidence.telemetry
    of_burst = one.burst_median_s / time.median_s if one.burst_median_s and time and time.median_s else None
    return [
        ("col.sustained", percent(of_burst) if of_burst else ""),
        ("sustained.droop", percent(one.droop_ratio) if one.droop_ratio is not None else ""),
        ("sustained.constant", f"{one.time_constant_s:.0f} s" if one.time_constant_s is not None else ""),
        ("fact.clock", _over_the_window(telemetry, "clock_hz", MHZ, "MHz")),
        ("fact.power", _over_the_window(telemetry, "power_w", 1.0, "W")),
        ("fact.temperature", _over_the_window(telemetry, "temperature_c", 1.0, "°C")),
        ("fact.throttle", cut(", ".join(observed.throttle_words(telemetry)))),
    ]


def _over_the_window(telemetry: observed.Telemetry | None, what: str, factor: float, unit: str) -> str:
    """ "1,410 MHz (1,305 … 1,980)": the median, and how far it moved; "" where it was not sampled."""
    middle = observed.quantity(telemetry, what)
    if middle is None:
        return ""
    low, high = (observed.quantity(telemetry, what, which) for which in ("min", "max"))
    moved = f" ({low / factor:,.0f} … {high / factor:,.0f})" if low is not None and high is not None else ""
    return f"{middle / factor:,.0f} {unit}{moved}"
