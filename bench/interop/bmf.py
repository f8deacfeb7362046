"""Bencher Metric Format: benchmark → measure → value with its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench import records
from bench.interop import model, reading, writing
from bench.interop.figures import of_value
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File, Point

LATENCY: Final = "latency"
"""Bencher's own measure, in nanoseconds."""
RATES: Final[dict[model.Unit, str]] = {
    "FLOPS": "flops-per-second",
    "OPS": "operations-per-second",
    "B/s": "bytes-per-second",
}
UTILIZATION: Final = "utilization"
UNIT_OF: Final = {
    # Bencher's own measures first: latency is in ns, throughput in operations, which are calls, per second.
    LATENCY: "ns",
    "throughput": "ops/s",
    "flops-per-second": "FLOP/s",
    "operations-per-second": "OP/s",
    "bytes-per-second": "B/s",
}
"""Measure → unit, in the order in which they are looked for."""
NS: Final = 1e9


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """Latency, the rate that matters and the utilisation of each series."""
    _, found, left_out = model.one_run(runs)
    return Export((File("", writing.json_bytes({point.name: _measures(point) for point in found})),), left_out)


def read(data: bytes, origin: Origin) -> list[Imported]:
    """One run. Of a benchmark's measures its latency is taken, or a rate where it has none."""
    builder = Builder(origin, Head())
    for name, measures in reading.document(data).entries():
        if not name.strip():
            raise measures.wrong("a benchmark with a name")
        _add(builder, name, measures)
    return finished([builder], data)


def _measures(point: Point) -> dict[str, Any]:
    bounds = point.interval_s
    latency: dict[str, float] = {"value": point.median_s * NS}
    if bounds:
        latency |= {"lower_value": bounds[0] * NS, "upper_value": bounds[1] * NS}
    measures = {LATENCY: latency}
    if point.rate:
        amount = point.rate * point.median_s
        rate = {"value": point.rate}
        if bounds:
            rate |= {"lower_value": amount / bounds[1], "upper_value": amount / bounds[0]}
        measures[RATES[point.unit]] = rate
    if point.utilization is not None:
        measures[UTILIZATION] = {"value": point.utilization}
    return measures


def _add(builder: Builder, name: str, measures: reading.Node) -> None:
    known = {measure: unit for measure, unit in UNIT_OF.items() if not measures.get(measure).missing}
    if builder.origin.unit:
        others = [measure for measure, _ in measures.entries() if measure not in (*UNIT_OF, UTILIZATION)]
        known |= dict.fromkeys(others, builder.origin.unit)
    if not known:
        names = ", ".join(measure for measure, _ in measures.entries())
        builder.add(name, f"none of its measures ({reading.short(names)}) is a time or rate that is known")
        return
    measure, unit = next(iter(known.items()))
    value = measures.get(measure).get("value").number()
    # What the bounds are is left to who writes them, so they become no interval of ours.
    builder.add(name, of_value(value, unit))
