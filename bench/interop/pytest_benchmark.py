"""pytest-benchmark's JSON: written so that its own `compare` reads it, and read from version 2.5 to 5."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles, stdev
from typing import Any, Final

from bench import __version__, records
from bench.interop import model, reading, writing
from bench.interop.figures import Figures, of_samples
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File, Point
from bench.interop.naming import parameters

VERSION: Final = "5.0.0"
"""Of pytest-benchmark's format, which is what the key `version` says."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """One benchmark a series. Rounds are the launches' medians, or the samples where there was one launch."""
    run, found, left_out = model.one_run(runs)
    document = {
        "machine_info": _machine_info(run),
        "commit_info": {
            "id": model.commit(run),
            "time": None,
            "author_time": None,
            "dirty": bool((run.run.git or {}).get("dirty")),
            "project": None,
            "branch": model.branch(run),
        },
        "benchmarks": [_benchmark(point, run, options) for point in found],
        "datetime": run.run.started,
        "version": VERSION,
    }
    return Export((File("", writing.json_bytes(document)),), left_out)


def read(data: bytes, origin: Origin) -> list[Imported]:
    """The run of a pytest-benchmark file; a test's parameters are the case, its name without them the kernel."""
    document = reading.document(data)
    builder = Builder(origin, _head(document))
    for node in document.get("benchmarks").required("an array of benchmarks").items():
        _add(builder, node)
    return finished([builder], data)


def _machine_info(run: records.RunFile) -> dict[str, Any]:
    host = run.run.host
    accelerators = [device for device in run.devices if device.kind != "cpu"]
    processor = next((device for device in run.devices if device.kind == "cpu"), None)
    return {
        "node": host.get("name"),
        "processor": host.get("arch"),
        "machine": host.get("arch"),
        "python_compiler": None,
        "python_implementation": "CPython",
        "python_implementation_version": host.get("python"),
        "python_version": host.get("python"),
        "python_build": [],
        "release": host.get("kernel"),
        "system": host.get("os"),
        "cpu": {"brand_raw": processor.name, "arch": host.get("arch")} if processor else {},
        "gpu": [
            {"device": one.device, "name": one.name, "memory_bytes": one.memory_bytes, "driver": one.driver}
            for one in accelerators
        ],
        "software": run.run.software,
    }


def _benchmark(point: Point, run: records.RunFile, options: ExportOptions) -> dict[str, Any]:
    row, work = point.row, point.row.work
    device = run.device(row.device)
    return {
        "group": row.kernel,
        "name": point.name,
        "fullname": point.name,
        "params": None,
        "param": None,
        "extra_info": {
            "suanli_bench": __version__,
            "run": run.run.id,
            "device": row.device,
            "device_name": device.name if device else None,
            "rounds_are": point.values_are,
            "status": row.status,
            "operations": work.operations if work else None,
            "bytes": work.bytes if work else None,
            "rate": point.rate,
            "rate_unit": point.unit,
            "rated": point.rated,
            "utilization": point.utilization,
        },
        "options": {
            "disable_gc": False,
            "timer": f"suanli-bench {row.time.timer}" if row.time else "suanli-bench",
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": True,
        },
        "stats": statistics(point, options.ops_from),
    }


def statistics(point: Point, ops_from: model.OpsFrom) -> dict[str, Any]:
    """The `stats` of a point, in seconds, from what its spread is of."""
    values = sorted(point.values_s)
    q1, _, q3 = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    iqr = q3 - q1
    mean = sum(values) / len(values)
    spread = stdev(values) if len(values) > 1 else 0.0
    low, high = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    outside_iqr = sum(not low <= value <= high for value in values)
    outside_stdev = sum(not mean - spread <= value <= mean + spread for value in values)
    time = point.row.time
    return {
        "min": values[0],
        "max": values[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(values),
        "median": point.median_s,
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside_iqr,
        "stddev_outliers": outside_stdev,
        "outliers": f"{outside_stdev};{outside_iqr}",
        "ld15iqr": next(value for value in values if value >= low),
        "hd15iqr": next(value for value in reversed(values) if value <= high),
        "ops": 1 / (point.median_s if ops_from == "median" else mean),
        "total": sum(values),
        "data": list(point.values_s),
        "iterations": time.calls_per_sample if time and time.calls_per_sample else 1,
    }


def _head(document: reading.Node) -> Head:
    machine, commit = document.get("machine_info"), document.get("commit_info")
    head = Head(version=document.get("version").text(), started=reading.moment(document.get("datetime")))
    if not machine.missing:
        head.host = _present(
            name=machine.get("node").text(),
            os=machine.get("system").text(),
            kernel=machine.get("release").text(),
            arch=machine.get("machine").text(),
            python=machine.get("python_version").text(),
        )
        cpu = machine.get("cpu")
        if not cpu.missing:  # py-cpuinfo called it brand before version 5
            head.device_name = cpu.get("brand_raw").text() or cpu.get("brand").text()
        software = machine.get("software").entries() if isinstance(machine.get("software").value, dict) else ()
        head.software = {name: value.text() or "" for name, value in software}
    if not commit.missing and commit.get("id").value:
        head.git = {
            "commit": commit.get("id").text(),
            "branch": commit.get("branch").text(),
            "dirty": bool(commit.get("dirty").value),
        }
    return head


def _add(builder: Builder, node: reading.Node) -> None:
    """One benchmark: a launch, or several where an export of ours says that its rounds are launches."""
    full, plain = node.get("fullname"), node.get("name")
    name = (plain if full.missing else full).name()
    case = {}
    if isinstance(node.get("params").value, dict):
        case = parameters(node.get("params"))
    elif isinstance(node.get("param").value, str):
        case = {"param": node.get("param").name()} if node.get("param").value.strip() else {}
    if case:
        name = name.partition("[")[0] or name
    stats = node.get("stats").required("an object of statistics")
    extra = node.get("extra_info")
    ours = isinstance(extra.value, dict) and isinstance(extra.value.get("suanli_bench"), str)
    known: dict[str, Any] = {}
    if ours:
        known = {"work": _work(extra), "bandwidth": extra.get("rate_unit").value == "B/s"}
        device, product = extra.get("device").text() or "", extra.get("device_name").text() or ""
        builder.head.device_names[device.partition(":")[0]] = product
    samples = stats.get("data").numbers()
    if ours and extra.value.get("rounds_are") == "launches" and samples:
        for launch, value in enumerate(samples):
            builder.add(name, Figures(median_s=value, **known), case, launch)
        return
    builder.add(name, _figures(stats, samples, known), case)


def _figures(stats: reading.Node, samples: Sequence[float], more: dict[str, Any]) -> Figures:
    """The file's own statistics; the median from the samples, or the mean in its place, where it has none."""
    known: dict[str, Any] = {
        "q1_s": stats.get("q1").number(),
        "q3_s": stats.get("q3").number(),
        "min_s": stats.get("min").number(),
        "mean_s": stats.get("mean").number(),
        "stdev_s": stats.get("stddev").number(),
        "samples": stats.get("rounds").count(),
        "calls_per_sample": stats.get("iterations").count(),
    }
    given = {name: value for name, value in known.items() if value is not None}
    middle = stats.get("median").number()
    if samples:
        return of_samples(samples, **(given | more | ({"median_s": middle} if middle is not None else {})))
    if middle is None:
        words = ("the file has no median: this is the mean",)
        return Figures(median_s=known["mean_s"], warnings=words, **(known | more))
    return Figures(median_s=middle, **(known | more))


def _work(extra: reading.Node) -> records.Work | None:
    operations, moved = extra.get("operations").count(), extra.get("bytes").count()
    return records.Work(operations=operations, bytes=moved) if operations is not None and moved is not None else None


def _present(**values: str | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
