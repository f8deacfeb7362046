"""The real tools take what is exported for them: each is installed with the tests and runs on our files."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.interop import registry
from bench.interop.comparison import Comparison, Verdict
from bench.interop.model import ExportOptions
from tests.factories import measurement, run_file
from tests.interop.seeds import a_run, exported

FIRST = "gemm[m=1000,n=1000,k=1000] fp32 torch burst normal cold cpu"
EVIL = 'back\\slash "quoted"\nnew line | <tag> & \x00\x1b[31m \ud800 é 算力'

MIXED = Comparison(
    verdict="regression",
    series=[
        Verdict(series="slow", verdict="regression", text="slower than 5 %", ratio=1.2, ci95_low=1.1, ci95_high=1.3),
        Verdict(series="gone", verdict="missing", text="the worker died"),
        Verdict(series="new", verdict="missing", text="no baseline: latest holds no run"),
        Verdict(series="unclear", verdict="ambiguous", text=EVIL, ratio=1.04),
        Verdict(series="same", verdict="same", ratio=1.0),
    ],
)


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(folder: Path, name: str, runs: Iterable[records.RunFile], **options: Any) -> None:
    for file, data in exported(name, runs, **options).items():
        path = folder / (file or "out")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def compared(name: str) -> str:
    (file,) = registry.export_comparison(registry.exported(name), MIXED, ExportOptions()).files
    return file.data.decode()


def test_pytest_benchmark_compares_two_exports(tmp_path: Path) -> None:
    for name, factor in (("base", 1.0), ("new", 2.0)):
        folder = tmp_path / name
        rows = [measurement(launch=launch, median_s=factor * 1e-3 * (1 + launch / 100)) for launch in range(3)]
        written(folder, "pytest-benchmark", [run_file(rows)])
        (folder / "out").rename(tmp_path / f"{name}.json")
    columns = "min,max,mean,stddev,median,iqr,outliers,ops,rounds,iterations"
    command = ["compare", "base.json", "new.json", f"--columns={columns}", "--csv=out.csv", "--sort=name"]
    shown = run(sys.executable, "-m", "pytest_benchmark", *command, cwd=tmp_path)
    assert "benchmark 'gemm': 2 tests" in shown
    base, new = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert float(base["median"]) == pytest.approx(1.01e-3) and float(new["median"]) == pytest.approx(2.02e-3)
    assert float(base["ops"]) == pytest.approx(1 / 1.01e-3) and base["rounds"] == "3"


def test_asv_publishes_two_commits(tmp_path: Path, require: Any) -> None:
    git = require("git")
    for number in range(2):
        options = ["-c", "user.email=a@example.org", "-c", "user.name=A"]
        if number == 0:
            run(git, "init", "-q", "-b", "main", "repo", cwd=tmp_path)
        run(git, *options, "commit", "-q", "--allow-empty", "-m", str(number), cwd=tmp_path / "repo")
        commit = run(git, "rev-parse", "HEAD", cwd=tmp_path / "repo").strip()
        one = a_run(
            git={"commit": commit, "branch": "main", "dirty": False}, started=f"2026-01-0{number + 1}T00:00:00+00:00"
        )
        written(tmp_path / "results", "asv", [one])
    config = {"version": 1, "project": "x", "repo": "repo", "branches": ["main"], "environment_type": "existing"}
    config |= {"results_dir": "results", "html_dir": "html", "env_dir": "env"}
    (tmp_path / "asv.conf.json").write_text(json.dumps(config))
    shown = run(sys.executable, "-m", "asv", "publish", "--no-pull", cwd=tmp_path)
    assert "Skipping" not in shown
    index = json.loads((tmp_path / "html" / "index.json").read_text())
    name = FIRST.replace("gemm[", "gemm.time_call[")
    assert index["benchmarks"][name]["unit"] == "seconds"
    assert index["machines"]["box"]["arch"] == "x86_64"
    graphs = {path.name: path for path in (tmp_path / "html" / "graphs").glob("arch-*/**/gemm.*.json")}
    assert len(graphs) == 3
    values = [value for _, value in json.loads(graphs[f"{name}.json"].read_text())]
    assert values == [1.01e-3, 1.01e-3], "a point a commit"


def test_a_junit_reader_sees_each_outcome_of_a_run(tmp_path: Path) -> None:
    import junitparser

    rows = [measurement(timed=False, status="crashed", reason=EVIL, kernel="evil")]
    (tmp_path / "report.xml").write_bytes(exported("junit", [a_run()])[""])
    (tmp_path / "evil.xml").write_bytes(exported("junit", [run_file(rows)])[""])
    report = junitparser.JUnitXml.fromfile(str(tmp_path / "report.xml"))
    assert (report.tests, report.failures, report.errors) == (9, 1, 1)
    (suite,) = report
    assert (suite.skipped, suite.hostname, suite.timestamp) == (3, "box", "2026-01-01T00:00:00")
    outcomes = {case.name.partition(" ")[0]: [type(one).__name__ for one in case.result] for case in suite}
    assert outcomes["conv[n=1]"] == outcomes["conv[n=4]"] == outcomes["conv[n=5]"] == ["Skipped"]
    assert outcomes["conv[n=2]"] == ["Failure"] and outcomes["conv[n=3]"] == ["Error"]
    first = next(case for case in suite if case.name == FIRST)
    assert first.classname == "bench.gemm" and "median of 3 launches: 0.00101 s a call" in first.system_out
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "evil.xml"))
    (case,) = suite
    assert "算力" in case.result[0].text and 'back\\slash "quoted"' in case.result[0].message


def test_a_junit_reader_sees_each_verdict_of_a_comparison(tmp_path: Path) -> None:
    import junitparser

    (tmp_path / "report.xml").write_text(compared("junit"))
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "report.xml"))
    found = {case.name: ([type(one).__name__ for one in case.result], case.result[:1]) for case in suite}
    assert found["slow"][0] == ["Failure"]
    assert found["slow"][1][0].message == "regression: +20.0 % (+10.0 … +30.0): slower than 5 %"
    assert found["slow"][1][0].type == "regression"
    assert found["gone"][0] == ["Error"]
    assert found["new"][0] == ["Skipped"], "no baseline is no error"
    assert found["unclear"][0] == ["Skipped"]
    assert found["same"][0] == []


def families(text: str, dialect: str) -> dict[str, Any]:
    from prometheus_client import parser as prometheus
    from prometheus_client.openmetrics import parser as openmetrics

    parser = openmetrics if dialect == "openmetrics" else prometheus
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


@pytest.mark.parametrize("dialect", ["prometheus", "openmetrics"])
def test_the_prometheus_client_reads_a_run(dialect: str) -> None:
    text = exported(dialect, [a_run()])[""].decode()
    assert text.endswith("# EOF\n") == (dialect == "openmetrics")
    found = families(text, dialect)
    times = {
        (one.labels["benchmark"], one.labels["stat"]): one.value for one in found["bench_kernel_time_seconds"].samples
    }
    assert times[FIRST, "median"] == 1.01e-3
    assert times[FIRST, "low"] == 1e-3
    (rate, *_) = found["bench_kernel_throughput_flops_per_second"].samples
    assert rate.labels == {"benchmark": FIRST, "kernel": "gemm", "device": "cpu", "dtype": "fp32"}
    assert rate.value == 2e9 / 1.01e-3
    (info,) = found["bench_device" if dialect == "openmetrics" else "bench_device_info"].samples
    assert info.labels["name"] == "Some CPU" and info.value == 1
    usable = [one.value for one in found["bench_kernel_usable"].samples]
    assert usable.count(1.0) == 4 and usable.count(0.0) == 5
    if dialect == "openmetrics":
        assert found["bench_kernel_time_seconds"].unit == "seconds"
        assert found["bench_kernel_throughput_bytes_per_second"].unit == "bytes_per_second"


@pytest.mark.parametrize("dialect", ["prometheus", "openmetrics"])
def test_the_prometheus_client_reads_a_comparison_and_gets_every_character_back(dialect: str) -> None:
    found = families(compared(dialect), dialect)
    regressed = {one.labels["benchmark"]: one.value for one in found["bench_regression"].samples}
    assert regressed == {"slow": 1, "gone": 0, "new": 0, "unclear": 0, "same": 0}
    evil = run_file([measurement(kernel='a\\b"c\nd')])
    for one in families(exported(dialect, [evil])[""].decode(), dialect)["bench_kernel_usable"].samples:
        assert one.labels["kernel"] == 'a\\b"c\nd'


def test_the_google_document_has_what_compare_py_reads() -> None:
    document = json.loads(exported("google-benchmark", [a_run()])[""])
    assert {"date", "host_name", "num_cpus", "mhz_per_cpu", "library_build_type"} <= set(document["context"])
    first = [one for one in document["benchmarks"] if one["name"] == FIRST]
    assert [one["repetition_index"] for one in first] == [0, 1, 2]
    for one in document["benchmarks"]:
        # What tools/gbench/report.py of Google Benchmark takes from an entry.
        assert one["run_type"] == "iteration" and one["time_unit"] in ("ns", "us", "ms", "s")
        assert one["real_time"] > 0 and one["cpu_time"] > 0 and one["repetitions"] >= 1
    assert len({(one["name"], one["repetition_index"]) for one in document["benchmarks"]}) == len(
        document["benchmarks"]
    )
