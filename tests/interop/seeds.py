"""A run to export, and a small valid file of every format that is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from bench import records
from bench.interop import registry
from bench.interop.importing import Imported, Origin
from bench.interop.model import ExportOptions
from tests.factories import device, measurement, run_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def a_run(**changes: Any) -> records.RunFile:
    """Two GEMM series of three launches, an INT8 one, a bandwidth, and rows of every kind that is not usable."""
    rows = [
        *(measurement(launch=launch, median_s=1e-3 * (1 + launch / 100)) for launch in range(3)),
        *(measurement(launch=launch, median_s=1 / 3000, precision="fp16") for launch in range(3)),
        measurement(precision="int8", accumulate="int32", status="noisy", reason="the budget is spent"),
        measurement(kernel="memory", case={"bytes": 4096}, operations=0, utilization_of="bytes", rated=None),
        measurement(kernel="conv", case={"n": 1}, timed=False, status="unsupported", reason="no | unit <here>"),
        measurement(kernel="conv", case={"n": 2}, timed=False, status="wrong", reason="error 0.3 > 1e-6"),
        measurement(kernel="conv", case={"n": 3}, timed=False, status="crashed", reason="signal 11\nlast words"),
        measurement(kernel="conv", case={"n": 4}, status="contended", reason="25 % taken by @somebody"),
        measurement(kernel="conv", case={"n": 5}, quarantine=["steal of 7 %"]),
    ]
    file = run_file(rows, devices=[device(memory_bytes=2**34)])
    file.run.git = {"commit": COMMIT, "branch": "main", "dirty": False}
    file.run.host = {"name": "box", "os": "Linux", "kernel": "6.1", "arch": "x86_64", "python": "3.11.7"}
    file.run.implementation = "all"
    for name, value in changes.items():
        setattr(file.run, name, value)
    return file


def exported(name: str, runs: Iterable[records.RunFile], **options: Any) -> dict[str, bytes]:
    """The files of an export by their names."""
    made = registry.export_runs(registry.exported(name), list(runs), ExportOptions(**options))
    return {file.name: file.data for file in made.files}


def imported(name: str, data: bytes, unit: str | None = None) -> list[Imported]:
    """The runs of a foreign file."""
    origin = Origin(format=name, file="theirs.json", imported="2026-02-03T04:05:06+00:00", unit=unit)
    return registry.read(registry.imported(name), data, origin)


def rows_of(name: str, data: bytes, unit: str | None = None) -> list[records.Measurement]:
    """The measurements of a foreign file that holds one run."""
    (one,) = imported(name, data, unit)
    return one.run.measurements


def dumped(document: Any) -> bytes:
    """JSON as others write it, NaN included."""
    return json.dumps(document).encode()


PYTEST_BENCHMARK: dict[str, Any] = {
    "machine_info": {
        "node": "runner",
        "machine": "x86_64",
        "system": "Linux",
        "release": "5.15",
        "python_version": "3.9.1",
        "cpu": {"brand_raw": "Some CPU @ 3.00GHz"},
    },
    "commit_info": {"id": COMMIT, "time": "2021-01-02T03:04:05", "dirty": False, "branch": "main", "project": "x"},
    "benchmarks": [
        {
            "group": None,
            "name": "test_sort[10-fast]",
            "fullname": "tests/test_sort.py::test_sort[10-fast]",
            "params": {"size": 10, "how": "fast", "ratio": 0.5},
            "param": "10-fast",
            "extra_info": {},
            "options": {"disable_gc": False, "timer": "perf_counter", "min_rounds": 5},
            "stats": {
                "min": 1e-05,
                "max": 4e-05,
                "mean": 2.5e-05,
                "stddev": 1.29e-05,
                "rounds": 4,
                "median": 2.5e-05,
                "iqr": 2e-05,
                "q1": 1.5e-05,
                "q3": 3.5e-05,
                "ops": 40000.0,
                "total": 1e-04,
                "data": [1e-05, 2e-05, 3e-05, 4e-05],
                "iterations": 3,
            },
        },
    ],
    "datetime": "2021-01-02T03:04:05.678901+00:00",
    "version": "4.0.0",
}
GAB_CUSTOM: list[Any] = [
    {"name": "gemm throughput", "unit": "TFLOP/s", "value": 2.0, "range": "± 0.1", "extra": "whatever"},
    {"name": "latency", "unit": "ms", "value": 12.5},
    {"name": "size", "unit": "Megabytes", "value": 3},
]
GAB_HISTORY: dict[str, Any] = {
    "lastUpdate": 1623426262137,
    "repoUrl": "https://example.org/x",
    "entries": {
        "Benchmark": [
            {
                "commit": {"id": COMMIT, "message": "a", "timestamp": "2021-06-11T17:35:41+02:00", "url": "u"},
                "date": 1623426260826,
                "tool": "pytest",
                "benches": [
                    {
                        "name": "tests/test_a.py::test_draw",
                        "value": 0.25,
                        "unit": "iter/sec",
                        "range": "stddev: 0.05",
                        "extra": "mean: 4000.5 msec\nrounds: 5",
                    }
                ],
            },
            {
                "commit": {"id": COMMIT[::-1]},
                "date": 1623426270826,
                "tool": "cargo",
                "benches": [{"name": "bench_fib", "value": 149, "unit": "ns/iter", "range": "± 6"}],
            },
        ]
    },
}
BMF: dict[str, Any] = {
    "bench_a": {"latency": {"value": 88.0, "lower_value": 87.42, "upper_value": 88.88}},
    "bench_b": {"throughput": {"value": 400.0}},
    "bench_c": {"binary-size": {"value": 12.0}},
}
ASV: dict[str, Any] = {
    "commit_hash": COMMIT,
    "env_name": "py3.9-numpy",
    "date": 1600000000000,
    "params": {"machine": "box", "os": "Linux 5.4", "arch": "x86_64", "cpu": "Some CPU", "num_cpu": "4", "ram": "8"},
    "python": "3.9",
    "requirements": {"numpy": "1.21"},
    "env_vars": {},
    "result_columns": [
        *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
        *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
    ],
    "results": {
        "suite.time_sort": [
            [1e-3, 2e-3, None, math.nan],
            [["10", "20"], ["'a'", "'b'"]],
            "v1",
            1600000000001,
            1.5,
            [0.9e-3, 1.9e-3, None, None],
            [1.1e-3, 2.1e-3, None, None],
            [0.95e-3, 1.95e-3, None, None],
            [1.05e-3, 2.05e-3, None, None],
            [10, 20, None, None],
            [3, 4, None, None],
            [[1e-3, 1.1e-3, 0.9e-3], None, None, None],
        ],
        "suite.track_error": [[0.5], []],
        "suite.peakmem_all": [[100000], []],
        "suite.time_broken": [None, []],
    },
    "durations": {},
    "version": 2,
}
GOOGLE: dict[str, Any] = {
    "context": {
        "date": "2021-03-04T05:06:07+01:00",
        "host_name": "box",
        "num_cpus": 8,
        "library_version": "v1.8.3",
    },
    "benchmarks": [
        *(
            {
                "name": "BM_copy/64",
                "run_name": "BM_copy/64",
                "run_type": "iteration",
                "repetitions": 3,
                "repetition_index": index,
                "threads": 1,
                "iterations": 1000,
                "real_time": 10.0 + index,
                "cpu_time": 10.0,
                "time_unit": "us",
            }
            for index in range(3)
        ),
        {
            "name": "BM_only_mean",
            "run_name": "BM_only",
            "run_type": "aggregate",
            "aggregate_name": "mean",
            "repetitions": 5,
            "real_time": 2.0,
            "cpu_time": 2.0,
            "time_unit": "ms",
        },
        {"name": "BM_bad", "run_type": "iteration", "error_occurred": True, "error_message": "no memory"},
    ],
}
PYPERF: dict[str, Any] = {
    "version": "1.0",
    "metadata": {
        "name": "telco",
        "loops": 8,
        "unit": "second",
        "perf_version": "2.6.0",
        "hostname": "box",
        "platform": "Linux-5.15-x86_64-with-glibc2.35",
        "cpu_model_name": "Some CPU",
        "python_version": "3.11.2 (64-bit)",
    },
    "benchmarks": [
        {
            "runs": [
                {"metadata": {"calibrate_loops": 8}, "warmups": [[1, 0.02], [8, 0.021]]},
                {
                    "metadata": {"date": "2021-03-04 05:06:07.000001"},
                    "values": [0.0226, 0.0225],
                    "warmups": [[8, 0.03]],
                },
                {"metadata": {}, "values": [0.0221, 0.0223]},
            ]
        },
        {"metadata": {"name": "memory", "unit": "byte"}, "runs": [{"values": [123456]}]},
    ],
}
CSV = b'kernel,case,median_s,commit\nsort,"n=10,how=fast",0.0025,abc1234\nsort,n=20,,abc1234\n'
OTAVA = (
    b"time,commit,branch,latency (ms),throughput (iter/s),depth_us,weight\n"
    b"2021-01-01T00:00:00+00:00,aaaaaaa,main,1.5,200,7,1\n"
    b"1609545600,bbbbbbb,main,,250,8,2\n"
)


def seeds() -> dict[str, list[bytes]]:
    """Valid files of every format that is read: other tools' and our own exports."""
    run = a_run()
    theirs: dict[str, list[bytes]] = {
        "bench": [],
        "pytest-benchmark": [dumped(PYTEST_BENCHMARK)],
        "github-action-benchmark": [
            dumped(GAB_CUSTOM),
            b"window.BENCHMARK_DATA = " + dumped(GAB_HISTORY),
        ],
        "bmf": [dumped(BMF)],
        "asv": [dumped(ASV)],
        "google-benchmark": [dumped(GOOGLE)],
        "pyperf": [dumped(PYPERF)],
        "csv": [CSV],
        "otava": [OTAVA],
    }
    for name, found in theirs.items():
        if name != "pyperf":
            files = exported(name, [run])
            found += [data for path, data in files.items() if not path.endswith(("benchmarks.json", "machine.json"))]
    return theirs
