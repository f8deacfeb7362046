"""OpenMetrics 1.0: the metrics of `bench.interop.exposition` in its dialect."""

from __future__ import annotations

from collections.abc import Sequence

from bench import records
from bench.interop import comparison, exposition
from bench.interop.model import Export, ExportOptions, File


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """A run's metrics."""
    (run,) = runs
    return Export((File("", exposition.openmetrics(exposition.of_run(run))),))


def export_comparison(one: comparison.Comparison, options: ExportOptions) -> Export:
    """A comparison's metrics."""
    return Export((File("", exposition.openmetrics(exposition.of_comparison(one))),))
