"""The page's part on applications: a heat map of scenario by device and precision, and the calls behind each cell."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.analysis.report_view import ReportView, Row, ScenarioView, precision_label, unit_of
from bench.analysis.scenarios import Part, Total
from bench.precision import PRECISIONS
from bench.report.charts import svg
from bench.report.page.evidence import time_unit
from bench.report.page.wording import cut, level_of, raw, share_of

Cell = dict[str, Any]


def applications(view: ReportView) -> dict[str, Any] | None:
    """The table's labels and lines, and a card for each cell by device; None where no run was asked for scenarios."""
    if not view.scenarios:
        return None
    anchors = {id(one): f"{one.device}s{place}" for place, one in enumerate(view.scenarios)}
    found = {one.label for one in view.scenarios}
    labels = [label for label in view.labels if label in found]
    labels += sorted(found - set(labels))
    rivals = Counter(_work(one) for one in view.scenarios if one.value is not None and not one.excluded)
    cells: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for one in view.scenarios:
        planned = one.outcome.planned
        line = cells.setdefault((planned.suite, planned.size, one.device), {})
        line[one.label] = _cell(one, anchors[id(one)], best=one.best and rivals[_work(one)] > 1)
    order = list(dict.fromkeys(key[:2] for key in cells))  # devices of one application stand below each other
    return {
        "labels": labels,
        "lines": [
            {
                "suite": cut(suite),
                "size": size,
                "device": view.device(device).label,
                "cells": [line.get(label) for label in labels],
            }
            for (suite, size, device), line in sorted(cells.items(), key=lambda entry: order.index(entry[0][:2]))
        ],
        "groups": [
            {"label": device.label, "items": items}
            for device in view.devices
            if (items := [_card(view, one, anchors[id(one)]) for one in view.scenarios if one.device == device.key])
        ],
    }


def _work(one: ScenarioView) -> tuple[str, str, str]:
    return one.outcome.planned.suite, one.outcome.planned.size, one.label


def _cell(one: ScenarioView, anchor: str, best: bool) -> Cell:
    share = one.utilization if not one.excluded else None
    return {
        "key": anchor,
        "figure": svg.rate(one.value, unit_of(one.label)) if one.value else "",
        "raw": raw(one.value),
        "share": share_of(share),
        "share_raw": raw(share),
        "level": level_of(share),
        "best": best,
        "missing": len(one.outcome.missing),
        "calls": one.outcome.calls,
        "excluded": bool(one.excluded) and one.outcome.complete,
    }


def _card(view: ReportView, one: ScenarioView, anchor: str) -> dict[str, Any]:
    """What stands behind a cell: the figure in full, each call with its row, each missing call with its reason."""
    planned, total = one.outcome.planned, one.outcome.total if one.outcome.complete else None
    return {
        "id": anchor,
        "label": one.label,
        "suite": cut(planned.suite),
        "size": planned.size,
        "title": cut(planned.title),
        "step": cut(planned.step),
        "facts": _facts(one, total),
        "reason": "" if not one.outcome.complete else cut(one.excluded),
        "parts": [_part(each, row, total) for each, row in zip(one.outcome.parts, one.rows, strict=True)],
        "missing": [
            {
                "entry": cut(each.entry),
                "status": each.status,
                "reason": cut(each.reason),
            }
            for each in one.outcome.missing
        ],
        "counts": {"missing": len(one.outcome.missing), "calls": one.outcome.calls},
        "faster": _faster(view, one),
    }


def _facts(one: ScenarioView, total: Total | None) -> list[tuple[str, str, str]]:
    """(key of the name, words, the value itself) of a whole scenario; [] of one that lacks a call."""
    if total is None:
        return []
    unit, (factor, letter) = unit_of(one.label), time_unit(total.time_s)
    rated = total.rated_per_s
    return [
        ("measured", svg.rate(total.operations_per_s, unit), raw(total.operations_per_s)),
        ("rated", svg.rate(rated, unit) if rated else "", raw(rated)),
        ("fact.share", share_of(total.utilization), raw(total.utilization)),
        ("bandwidth", svg.rate(total.bytes_per_s, "B/s") if total.bytes else "", raw(total.bytes_per_s)),
        ("scenarios.time", f"{total.time_s / factor:.4g} {letter}", raw(total.time_s)),
    ]


def _part(part: Part, row: Row | None, total: Total | None) -> dict[str, Any]:
    factor, letter = time_unit(part.time_s)
    share = part.operations / part.time_s / part.rated_per_s if part.rated_per_s else None
    return {
        "entry": cut(part.entry),
        "key": row.key if row else "",
        "weight": part.weight,
        "time": f"{part.time_s / factor:.4g} {letter}",
        "raw": raw(part.time_s),
        "of_time": share_of(part.weight * part.time_s / total.time_s) if total else "",
        "share": share_of(share),
        "share_raw": raw(share),
    }


def _faster(view: ReportView, one: ScenarioView) -> list[dict[str, str]]:
    """How this precision compares with the one that has most of the scenario's calls, over those measured at both."""
    own = PRECISIONS[one.outcome.precision].accumulate == one.outcome.accumulate
    return [
        {
            "precision": precision_label(each.precision, None),
            "base": precision_label(each.base, None),
            "ratio": f"{each.ratio:.2f}",
            "calls": str(each.calls),
        }
        for device, each in view.speedups
        if own and device == one.device and each.planned == one.outcome.planned
        if each.precision == one.outcome.precision
    ]
