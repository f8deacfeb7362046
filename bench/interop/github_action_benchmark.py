"""github-action-benchmark: its two custom files written, a custom file or the history in data.js read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from bench import records
from bench.interop import model, reading, units, writing
from bench.interop.figures import Figures, of_value
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File, Point

UNITS: Final[dict[model.Unit, tuple[str, float]]] = {
    "FLOPS": ("TFLOP/s", 1e12),
    "OPS": ("TOP/s", 1e12),
    "B/s": ("GB/s", 1e9),
}
"""Always the same unit: the tool compares values, and does not look at their units."""
PREFIX: Final = re.compile(r"window\.BENCHMARK_DATA\s*=")
EXTRA_MEAN: Final = re.compile(r"mean: (\d+(?:\.\d*)?(?:e[+-]?\d+)?) (\w{1,10})", re.IGNORECASE)
EXTRA_ROUNDS: Final = re.compile(r"rounds: (\d{1,15})\b")
RANGE_STDDEV: Final = re.compile(r"stddev: (\d+(?:\.\d*)?(?:e[+-]?\d+)?)", re.IGNORECASE)
"""What its pytest adapter writes into `extra` and `range`; the range is in seconds whatever the unit."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """Two files, since a file has one direction: rates (customBiggerIsBetter), times (customSmallerIsBetter)."""
    run, found, left_out = model.one_run(runs)
    bigger = [_rate(point, run) for point in found if point.rate]
    smaller = [_time(point, run) for point in found]
    files = [File("smaller", writing.json_bytes(smaller))]
    if bigger:  # the tool refuses an empty array
        files.insert(0, File("bigger", writing.json_bytes(bigger)))
    return Export(tuple(files), left_out)


def read(data: bytes, origin: Origin) -> list[Imported]:
    """A run for each entry of a history (data.js, with or without its first words), or one for a custom file."""
    text = reading.text_of(data).strip()
    prefix = PREFIX.match(text)
    document = reading.parsed(text[prefix.end() if prefix else 0 :].removesuffix(";"))
    if isinstance(document.value, list):
        builder = Builder(origin, Head())
        for node in document.items():
            _add(builder, node, tool="")
        return finished([builder], data)
    entries = document.get("entries").required("the suites of a history")
    builders: list[Builder] = []
    for suite, points in entries.entries():
        for point in points.items():
            reading.limit_runs(len(builders) + 1)
            builders.append(_entry(origin, suite, point))
    return finished(builders, data)


def _rate(point: Point, run: records.RunFile) -> dict[str, Any]:
    unit, factor = UNITS[point.unit]
    bounds = point.interval_s
    spread = None
    if bounds and point.rate:
        # The work is that of the row, so a bound of the time is a bound of the rate.
        amount = point.rate * point.median_s
        spread = (amount / bounds[0] - amount / bounds[1]) / 2 / factor
    return _one(point, run, (point.rate or 0.0) / factor, unit, spread)


def _time(point: Point, run: records.RunFile) -> dict[str, Any]:
    bounds = point.interval_s
    return _one(point, run, point.median_s, "s", (bounds[1] - bounds[0]) / 2 if bounds else None)


def _one(point: Point, run: records.RunFile, value: float, unit: str, spread: float | None) -> dict[str, Any]:
    count = len(point.values_s)
    extra = [f"{point.values_are}: {count}", f"run: {run.run.id}"]
    if point.utilization is not None:
        extra.insert(0, f"of the rated peak: {100 * point.utilization:.1f} %")
    shown = {} if spread is None else {"range": f"± {spread:.3g}"}
    return {"name": point.name, "value": value, "unit": unit, **shown, "extra": "\n".join(extra)}


def _entry(origin: Origin, suite: str, point: reading.Node) -> Builder:
    commit = point.get("commit")
    # Suites are often machines ("Linux", "GPU") with benchmarks of the same names: each is a class of its own.
    head = Head(started=reading.moment(point.get("date")), device_name=f"suite {suite}", details={"suite": suite})
    if not commit.missing:
        head.git = {"commit": commit.get("id").text(), "branch": None, "dirty": False}
    tool = point.get("tool").text() or ""
    head.version = tool or None
    builder = Builder(origin, head)
    for node in point.get("benches").items():
        _add(builder, node, tool)
    return builder


def _add(builder: Builder, node: reading.Node, tool: str) -> None:
    name = node.get("name").name()
    unit = node.get("unit").text() or builder.origin.unit or ""
    figures = of_value(node.get("value").number(), unit)
    if isinstance(figures, Figures) and tool == "pytest":
        figures = _of_pytest(node, figures)
    builder.add(name, figures)


def _of_pytest(node: reading.Node, figures: Figures) -> Figures:
    """What its pytest adapter keeps: the rate of the mean, the standard deviation, the mean, the rounds."""
    extra, spread = node.get("extra").text() or "", node.get("range").text() or ""
    # The line break between mean and rounds was a control character to `text`; both are found all the same.
    mean, rounds, stdev = EXTRA_MEAN.search(extra), EXTRA_ROUNDS.search(extra), RANGE_STDDEV.search(spread)
    unit = units.parse(mean[2]) if mean else None
    return Figures(
        median_s=figures.median_s,
        mean_s=float(mean[1]) * unit.factor if mean and unit and unit.kind == "time" else None,
        stdev_s=float(stdev[1]) if stdev else None,
        samples=int(rounds[1]) if rounds else None,
        warnings=("the file has the mean of the rounds, not their median",),
    )
