"""Records for tests: complete rows of which a test names only what it is about."""

from __future__ import annotations

from typing import Any

from bench import records


def measurement(
    *,
    median_s: float = 1e-3,
    low_s: float | None = 0.99e-3,
    high_s: float | None = 1.01e-3,
    operations: int = 2_000_000_000,
    bytes_: int = 12_000_000,
    rated: float | None = 4e12,
    timed: bool = True,
    **changes: Any,
) -> records.Measurement:
    """A timed FP32 GEMM row that reaches half of its rating, changed as asked."""
    fields: dict[str, Any] = {
        "id": "00001",
        "device": "cpu",
        "host": "host",
        "rank": 0,
        "launch": 0,
        "kernel": "gemm",
        "case": {"m": 1000, "n": 1000, "k": 1000},
        "precision": "fp32",
        "accumulate": "fp32",
        "implementation": "torch",
        "mode": "burst",
        "data": "normal",
        "cache": "cold",
        "status": "ok",
        "reason": "",
        "work": records.Work(operations=operations, bytes=bytes_),
    }
    if timed:
        fields |= {
            "check": records.Check(error=1e-7, tolerance=1e-6, passed=True),
            "time": time(median_s, low_s, high_s),
            "samples_s": [median_s] * 10,
            "rate": records.Rate(operations_per_s=operations / median_s, bytes_per_s=bytes_ / median_s),
        }
        if rated:
            fields |= {
                "rated": records.Rated(kind="computed", operations_per_s=rated, source="a formula"),
                "utilization": operations / median_s / rated,
                "utilization_of": "operations",
            }
    return records.Measurement(**(fields | changes))


def time(median_s: float, low_s: float | None, high_s: float | None) -> records.Time:
    """The time of ten samples without spread but for the interval given."""
    return records.Time(
        median_s=median_s,
        q1_s=median_s,
        q3_s=median_s,
        min_s=median_s,
        mean_s=median_s,
        stdev_s=0.0,
        ci95_low_s=low_s,
        ci95_high_s=high_s,
        samples=10,
        calls_per_sample=1,
        timer="host",
        stop="interval",
    )


def device(**changes: Any) -> records.Device:
    """A two-core CPU."""
    fields: dict[str, Any] = {
        "device": "cpu",
        "kind": "cpu",
        "name": "Some CPU",
        "architecture": "Zen 3",
        "units": records.Units(kind="core", in_use=2, total=2),
        "clock": records.Clock(hz=3.0e9, source="measured"),
    }
    return records.Device(**(fields | changes))


def run_file(rows: list[records.Measurement], **changes: Any) -> records.RunFile:
    """A complete run of those rows."""
    run = records.Run(
        id="20260101T000000Z-00000000",
        started="2026-01-01T00:00:00+00:00",
        command=["bench", "run"],
        bench_version="0",
        method_version=1,
        suite="quick",
        seed=0,
        software={"torch": "2.13.0+cpu"},
    )
    end = records.End(status="complete", counts=records.counts(rows), exit_code=records.exit_code(rows), wall_s=1.0)
    return records.RunFile(run=run, devices=changes.pop("devices", [device()]), measurements=rows, end=end, **changes)
