"""The page's part on many devices: who is sick and why, the map node × device, how each kind is spread.

What is drawn and listed is bounded, whatever the fleet's size: `charts.fleet.CELLS` cells, `LISTED` devices.
"""

from __future__ import annotations

from typing import Any, Final

from bench.analysis.fleet import DeviceVerdict, Fleet, Kind
from bench.report.charts import fleet as charts
from bench.report.charts import fleet_spread
from bench.report.numbers import percent
from bench.report.page.wording import cut, raw, safe

LISTED: Final = 200
"""Devices (and of them sick ones, and such that were not judged) that are listed one by one."""
REASON: Final = 600
"""Characters of why a device is sick; the command's JSON document has all of it."""


def section(fleet: Fleet, language: str) -> dict[str, Any]:
    """Everything that the template of the part asks for."""
    nodes = charts.nodes_of(fleet.devices)
    sick, unjudged = fleet.sick, [one for one in fleet.devices if one.status == "unjudged"]
    targets = {charts.key_of(one): f"sick{place}" for place, one in enumerate(sick[:LISTED])}
    return {
        "counts": {
            "devices": f"{len(fleet.devices):,}",
            "sick": f"{len(sick):,}",
            "unjudged": f"{len(unjudged):,}",
            "kinds": len(fleet.kinds),
            "runs": f"{fleet.runs:,}",
            "rows": f"{fleet.rows:,}",
        },
        "sick": [{"id": targets[charts.key_of(one)], **_device(one)} for one in sick[:LISTED]],
        "sick_more": max(0, len(sick) - LISTED),
        "unjudged": [_device(one) for one in unjudged[:LISTED]],
        "unjudged_more": max(0, len(unjudged) - LISTED),
        "map": safe(charts.heat_map(fleet, language, targets)),
        "form": charts.form_of(nodes),
        "nodes_per_cell": charts.nodes_per_cell(nodes),
        "kinds": [_kind(one) for one in fleet.kinds],
        "spread": [
            {"sku": cut(kind.sku), "svg": safe(chart)}
            for kind in fleet.kinds
            if (chart := fleet_spread.spread([one for one in fleet.distributions if one.sku == kind.sku], language))
        ],
        "devices": [_device(one) for one in fleet.devices] if len(fleet.devices) <= LISTED else [],
    }


def _device(one: DeviceVerdict) -> dict[str, Any]:
    return {
        "name": charts.short_name(one),
        "sku": cut(one.sku),
        "status": one.status,
        "rules": list(dict.fromkeys(finding.rule for finding in one.findings)),
        "series": cut(one.findings[0].series) if one.findings else "",
        "figures": [
            _figure(one.relative_time, 3),
            _figure(one.robust_z, 1),
            _figure(one.distance, 3),
            (raw(one.utilization), percent(one.utilization) if one.utilization is not None else ""),
        ],
        "reason": cut(one.reason, REASON),
    }


def _kind(one: Kind) -> dict[str, Any]:
    quantiles = one.quantiles or (None,) * 5
    which = f"{one.fastest} … {one.slowest}" if one.judged > 1 else one.fastest
    return {
        "sku": cut(one.sku),
        "counts": [f"{one.devices:,}", f"{one.sick:,}", f"{one.series:,}"],
        "spread": (raw(one.spread), percent(one.spread) if one.spread is not None else ""),
        # The median is 1 by what the times are relative to.
        "quantiles": [_figure(quantiles[place], 3) for place in (0, 1, 3, 4)],
        "which": cut(which),
        "note": cut(one.note),
    }


def _figure(value: float | None, digits: int) -> tuple[str, str]:
    """The value itself, and as it is shown; "" where it is unknown."""
    return raw(value), "" if value is None else f"{value:.{digits}f}"
