"""A report as one JSON document: the view as it is, unrounded; docs/reading-a-report.md says what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

import msgspec

import bench
from bench.analysis.report_view import (
    DeviceView,
    Headline,
    ReportView,
    RooflineView,
    Row,
    ScenarioView,
    operations_per_j,
    per_money,
    unit_of,
)
from bench.analysis.roofline import Ceilings
from bench.report.report_row import figures

SCHEMA: Final = 1
"""Raised when a key changes its meaning or goes; new keys may come without."""


def document(view: ReportView, *, title: str = "") -> dict[str, Any]:
    """The document as dictionaries and lists; unknown is None."""
    return {
        "schema": SCHEMA,
        "bench_version": bench.__version__,
        "title": title,
        "labels": list(view.labels),
        "kernels": list(view.kernels),
        "prices": [{"pattern": one.pattern, "per_hour": one.per_hour} for one in view.prices],
        "devices": [_device(one) for one in view.devices],
        "headlines": [_headline(one, view) for one in view.headlines],
        "rows": [_row(one) for one in view.rows],
        "rooflines": [_roofline(one) for one in view.rooflines],
        "scenarios": [_scenario(one) for one in view.scenarios],
    }


def text(view: ReportView, *, title: str = "") -> str:
    """The document as text, each item of a list on a line of its own: it can be searched and compared by lines."""
    parts = []
    for key, value in document(view, title=title).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            shown = "[\n" + ",\n".join(map(_encoded, value)) + "\n]"
        else:
            shown = _encoded(value)
        parts.append(f"{json.dumps(key)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _encoded(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # what overflowed is unknown
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _device(one: DeviceView) -> dict[str, Any]:
    return {
        "key": one.key,
        "label": one.label,
        "name": one.name,
        "source": one.source,
        "rated_only": one.rated_only,
        "price_per_hour": one.price_per_hour,
        "ratings": msgspec.to_builtins(dict(one.ratings)),
        "device": msgspec.to_builtins(one.device),
        "run": msgspec.to_builtins(one.run),
        "end": msgspec.to_builtins(one.end),
    }


def _headline(one: Headline, view: ReportView) -> dict[str, Any]:
    series = one.row.series if one.row else None
    return {
        "device": one.device,
        "label": one.label,
        "kernel": one.kernel,
        "best": one.best,
        "status": one.status,
        "reason": one.reason,
        "row": one.row.key if one.row else None,
        "unit": unit_of(one.label),
        "value_per_s": one.value,
        "low_per_s": series.low if series else None,
        "high_per_s": series.high if series else None,
        "spread": series.spread if series else None,
        "rated": msgspec.to_builtins(one.rated),
        "rated_per_s": one.rated_per_s,
        "utilization": one.utilization,
        "work_per_money": per_money(one, view.device(one.device)),
    }


def _row(row: Row) -> dict[str, Any]:
    evidence = msgspec.to_builtins(row.evidence)
    del evidence["samples_s"]  # its quantiles are enough, the run file has them all
    return {
        "key": row.key,
        "device": row.device,
        **figures(row),
        "losses": None if row.losses is None else [msgspec.to_builtins(loss) for loss in row.losses],
        "operations_per_j": operations_per_j(row),
        "quantiles_s": list(row.quantiles_s),
        "evidence": evidence,
    }


def _roofline(one: RooflineView) -> dict[str, Any]:
    roof = one.roofline
    return {
        "device": one.device,
        "precision": roof.precision,
        "accumulate": roof.accumulate,
        "warm": roof.warm,
        "measured": _ceilings(roof.measured),
        "rated": _ceilings(roof.rated),
        "memory_bytes_per_s": roof.memory_bytes_per_s,
        "of_products": roof.of_products,
        "points": [
            {"row": row.key, "operations_per_byte": per_byte, "operations_per_s": per_s}
            for row, per_byte, per_s in one.points
        ],
    }


def _ceilings(one: Ceilings) -> dict[str, float | None]:
    return {"operations_per_s": one.operations_per_s, "bytes_per_s": one.bytes_per_s}


def _scenario(one: ScenarioView) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "device": one.device,
        "suite": outcome.planned.suite,
        "size": outcome.planned.size,
        "title": outcome.planned.title,
        "step": outcome.planned.step,
        "label": one.label,
        "complete": outcome.complete,
        "best": one.best,
        "excluded": one.excluded,
        "value_per_s": one.value,
        "utilization": one.utilization,
        "parts": [
            {"entry": part.entry, "weight": part.weight, "time_s": part.time_s, "row": row.key if row else None}
            for part, row in zip(outcome.parts, one.rows, strict=True)
        ],
        "missing": [{"entry": part.entry, "status": part.status, "reason": part.reason} for part in outcome.missing],
    }
