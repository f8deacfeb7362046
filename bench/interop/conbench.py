"""Conbench: the bodies of POST /api/benchmark-results, one a series; sending them is left to its own client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import records
from bench.interop import model, writing
from bench.interop.model import Export, ExportOptions, File, Point


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """Times only, as raw data: Conbench computes its own aggregates, and refuses given ones of few samples."""
    run, found, left_out = model.one_run(runs)
    bodies = [_body(point, run) for point in found]
    return Export((File("", writing.json_bytes(bodies)),), left_out)


def _body(point: Point, run: records.RunFile) -> dict[str, Any]:
    row = point.row
    values = list(point.values_s)
    commit = model.commit(run)
    body: dict[str, Any] = {
        "run_id": run.run.id,
        "batch_id": run.run.id,
        "timestamp": run.run.started,
        "run_reason": "suanli-bench",
        "tags": {
            "name": row.kernel,
            **{key: str(value) for key, value in row.case.items()},
            "precision": row.precision,
            "accumulate": row.accumulate or "",
            "implementation": point.key.implementation,
            "mode": row.mode,
            "data": row.data,
            "cache": row.cache,
            "device": point.key.device,
        },
        "context": {"benchmark_language": "Python", **{f"software {k}": v for k, v in run.run.software.items()}},
        "info": {"rate": point.rate, "rate_unit": point.unit, "rated": point.rated, "utilization": point.utilization},
        "machine_info": _machine_info(run),
        "stats": {"data": values, "unit": "s", "times": values, "time_unit": "s", "iterations": len(values)},
    }
    if commit:
        body["github"] = {"commit": commit, "branch": model.branch(run)}
    return body


def _machine_info(run: records.RunFile) -> dict[str, Any]:
    """Conbench wants every key; of what is unknown it takes an empty text, and 0 for a number, all spelled as text."""
    host = run.run.host
    processor = next((device for device in run.devices if device.kind == "cpu"), None)
    accelerators = [device for device in run.devices if device.kind != "cpu"]
    caches = processor.caches if processor else {}
    cores = (processor.units.in_use if processor else None) or 0
    clock_hz = processor.clock.hz if processor and processor.clock and processor.clock.hz else 0
    return {
        "name": str(host.get("name") or ""),
        "os_name": str(host.get("os") or ""),
        "os_version": str(host.get("kernel") or ""),
        "architecture_name": str(host.get("arch") or ""),
        "kernel_name": str(host.get("kernel") or ""),
        "memory_bytes": str((processor.memory_bytes if processor else None) or 0),
        "cpu_model_name": processor.name if processor else "",
        "cpu_core_count": str(cores),
        "cpu_thread_count": str(processor.details.get("logical_cpus", cores) if processor else 0),
        **{f"cpu_{level}_cache_bytes": str(caches.get(level, 0)) for level in ("l1d", "l1i", "l2", "l3")},
        "cpu_frequency_max_hz": str(round(clock_hz)),
        "gpu_count": str(len(accelerators)),
        "gpu_product_names": [device.name for device in accelerators],
    }
