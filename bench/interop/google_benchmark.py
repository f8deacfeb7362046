"""Google Benchmark's JSON: written so that its compare.py reads it, and read with its repetitions and aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench import records
from bench.interop import model, reading, units, writing
from bench.interop.figures import Figures, of_samples
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File, Point

COUNTERS: Final[dict[model.Unit, str]] = {
    "FLOPS": "flops_per_second",
    "OPS": "ops_per_second",
    "B/s": "bytes_per_second",
}
OURS: Final = "suanli_bench"
"""The key of the context that marks an export of ours, whose repetitions are launches."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """One repetition a launch. `cpu_time` repeats `real_time`: compare.py needs the key, and we measure no CPU time."""
    run, found, left_out = model.one_run(runs)
    processor = next((device for device in run.devices if device.kind == "cpu"), None)
    document = {
        "context": {
            "date": run.run.started,
            "host_name": run.run.host.get("name"),
            "executable": "python -m bench",
            "num_cpus": (processor.units.in_use if processor else None) or 0,
            "mhz_per_cpu": round((processor.clock.hz or 0) / 1e6) if processor and processor.clock else 0,
            "cpu_scaling_enabled": False,
            "caches": [],
            "load_avg": [],
            "library_build_type": "release",
            OURS: run.run.bench_version,
            "run": run.run.id,
        },
        "benchmarks": [one for index, point in enumerate(found) for one in _repetitions(point, index)],
    }
    return Export((File("", writing.json_bytes(document)),), left_out)


def read(data: bytes, origin: Origin) -> list[Imported]:
    """One run. Repetitions of one process are samples of one launch; an export of ours has a launch in each."""
    document = reading.document(data)
    context = document.get("context")
    head = Head(version=context.get("library_version").text() if not context.missing else None)
    launches = False
    if not context.missing:
        head.started = reading.moment(context.get("date"))
        head.host = {"name": context.get("host_name").text()} if not context.get("host_name").missing else {}
        launches = not context.get(OURS).missing
    builder = Builder(origin, head)
    rows: dict[str, list[reading.Node]] = {}
    for node in document.get("benchmarks").required("an array of benchmarks").items():
        run_name = node.get("run_name")
        rows.setdefault((node.get("name") if run_name.missing else run_name).name(), []).append(node)
    for name, nodes in rows.items():
        _add(builder, name, nodes, launches)
    return finished([builder], data)


def _repetitions(point: Point, index: int) -> list[dict[str, Any]]:
    time = point.row.time
    calls = (time.samples or 1) * (time.calls_per_sample or 1) if time else 1
    counters = {}
    if point.rate:
        counters[COUNTERS[point.unit]] = point.rate
    if point.utilization is not None:
        counters["utilization"] = point.utilization
    return [
        {
            "name": point.name,
            "family_index": index,
            "per_family_instance_index": 0,
            "run_name": point.name,
            "run_type": "iteration",
            "repetitions": len(point.launches_s),
            "repetition_index": number,
            "threads": 1,
            "iterations": calls,
            "real_time": seconds * 1e9,
            "cpu_time": seconds * 1e9,
            "time_unit": "ns",
            **counters,
        }
        for number, seconds in enumerate(point.launches_s)
    ]


def _add(builder: Builder, name: str, nodes: Sequence[reading.Node], launches: bool) -> None:
    plain = [node for node in nodes if node.get("run_type").value in (None, "iteration")]
    for node in plain:
        if node.get("error_occurred").value is True:
            message = node.get("error_message").text() or "an error without a message"
            builder.add(name, f"google-benchmark: {message}", status="failed")
            return
    times = [seconds for node in plain if (seconds := _seconds(node, "real_time")) is not None]
    if launches and times:
        for launch, seconds in enumerate(times):
            builder.add(name, Figures(median_s=seconds), launch=launch)
    elif times:
        builder.add(name, of_samples(times, calls_per_sample=plain[0].get("iterations").count()))
    else:
        builder.add(name, _aggregated(nodes))


def _aggregated(nodes: Sequence[reading.Node]) -> Figures | str:
    """From the aggregates, where a file reports those alone: the median, or else the mean."""
    named = {
        node.get("aggregate_name").value: node for node in nodes if isinstance(node.get("aggregate_name").value, str)
    }
    seconds = {name: _seconds(named[name], "real_time") for name in ("median", "mean", "stddev") if name in named}
    middle = seconds.get("median")
    words = ("the file has no median: this is the mean",) if middle is None else ()
    chosen = middle if middle is not None else seconds.get("mean")
    if chosen is None:
        return "the file has neither repetitions, a median nor a mean"
    count = next(iter(named.values())).get("repetitions").count()
    return Figures(
        median_s=chosen, mean_s=seconds.get("mean"), stdev_s=seconds.get("stddev"), samples=count, warnings=words
    )


def _seconds(node: reading.Node, key: str) -> float | None:
    value = node.get(key).number()
    unit = units.parse(node.get("time_unit").text() or "ns")
    if unit is None or unit.kind != "time":
        raise node.get("time_unit").wrong("ns, us, ms or s")
    return value * unit.factor if value is not None else None
