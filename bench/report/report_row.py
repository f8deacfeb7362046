"""The figures of a measured row under the names that they have in every form of a report that is data."""

from __future__ import annotations

from typing import Any

from bench.analysis.report_view import Row


def figures(row: Row) -> dict[str, Any]:
    """What was measured and how it stands: unrounded, per second in the row's `unit`; unknown is None.

    The names are those of the columns and keys that docs/reading-a-report.md describes.
    """
    one = row.series
    return {
        "label": row.label,
        "unit": one.unit,
        "status": one.status,
        "reason": one.reason,
        "ranked": row.ranked,
        "excluded": row.excluded,
        "value_per_s": one.value,
        "low_per_s": one.low,
        "high_per_s": one.high,
        "spread": one.spread,
        "launches": len(one.rows),
        "rated_per_s": one.rated,
        "utilization": one.utilization,
    }
