"""A project's own suite with the fixture in it: what is measured, written, compared and refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from bench import records
from bench.interop.importing import Origin
from bench.interop.registry import imported, read
from tests.pytest_plugin.conftest import Session


def scaled(path: Path, target: Path, factors: dict[str, float], **device: str) -> None:
    """A copy of a run in which the calls of the tests that are named took so many times as long."""
    file = records.read(path)
    rows = []
    for row in file.measurements:
        assert row.time is not None
        factor = factors.get(row.kernel.rpartition("::")[2], 1.0)
        values = msgspec.structs.asdict(row.time).items()
        times = {name: value * factor for name, value in values if name.endswith("_s") and value is not None}
        rows.append(msgspec.structs.replace(row, time=msgspec.structs.replace(row.time, **times)))
    assert file.end is not None
    devices = [msgspec.structs.replace(one, **device) for one in file.devices]
    lines = [msgspec.structs.replace(file.run, id="baseline"), *devices, *rows, file.end]
    target.write_bytes(b"".join(map(records.encode, lines)))


def test_a_run_file_lies_beside_the_json_and_both_say_the_same(project: Path, session: Session) -> None:
    (project / "out").mkdir()
    ended = session("--benchmark-json=out/now.json", "--benchmark-save=now", "-v")
    assert ended.code == 0, ended.out
    assert "device benchmarks" in ended.out and "run file: out/now.jsonl" in ended.out

    run = records.read(project / "out" / "now.jsonl")
    product, total = run.measurements
    assert (product.kernel, product.case) == ("test_kernels.py::test_product", {"n": 32})
    assert (product.precision, product.role, product.launch) == ("fp32", "compute", 0)
    assert product.work == records.Work(operations=2 * 32**3, bytes=12 * 32 * 32)
    assert product.time is not None and product.rate is not None
    assert product.rate.operations_per_s == 2 * 32**3 / product.time.median_s
    assert total.utilization_of == "bytes"
    assert run.end is not None and run.end.status == "complete"
    assert run.run.implementation == "pytest"

    document = json.loads((project / "out" / "now.json").read_text())
    by_name = {one["name"]: one for one in document["benchmarks"]}
    assert set(by_name) == {"test_product[32]", "test_sum", "test_theirs"}
    extra = by_name["test_product[32]"]["extra_info"]
    assert extra["rate"] == product.rate.operations_per_s
    assert (extra["rate_unit"], extra["device"], extra["cache"]) == ("FLOPS", "cpu", product.cache)
    assert extra["utilization"] == product.utilization
    assert by_name["test_product[32]"]["stats"]["median"] == product.time.median_s
    assert by_name["test_product[32]"]["options"]["timer"] == f"suanli-bench {product.time.timer}"

    # Our own importer and pytest-benchmark's `compare` read it.
    (again,) = read(imported("pytest-benchmark"), (project / "out" / "now.json").read_bytes(), _ORIGIN)
    rows = [row for row in again.run.measurements if row.kernel == "test_kernels.py::test_product"]
    assert [row.time.median_s for row in rows if row.time] == [product.time.median_s]
    compared = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", "0001", "out/now.json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.count("test_product[32]") == 2


_ORIGIN = Origin(format="pytest-benchmark", file="now.json", imported="2026-01-01T00:00:00+00:00")


def test_pytest_benchmarks_switches_hold_for_the_fixture(session: Session) -> None:
    disabled = session("--benchmark-disable")
    assert disabled.code == 0 and "4 passed" in disabled.out
    assert "device benchmarks" not in disabled.out
    assert "1 passed, 3 skipped" in session("--benchmark-skip").out
    assert "1 skipped" in session("--benchmark-only", "-k", "test_no_benchmark or test_theirs").out


def test_a_regression_fails_its_test_and_only_that(project: Path, session: Session, earlier: Path) -> None:
    scaled(earlier, project / "base.jsonl", {"test_product": 1e-6, "test_sum": 1e6})
    ended = session("--bench-compare=base.jsonl", "--junitxml=junit.xml", "-k", "not test_no_benchmark")
    assert ended.code == 1, ended.out
    assert "1 failed, 2 passed" in ended.out, "what is faster passes"
    (line,) = [line for line in ended.out.splitlines() if line.startswith("FAILED")]
    assert line.startswith("FAILED test_kernels.py::test_product[32] - Failed: regression:")
    assert "% slower, above the threshold" in ended.out and "against base.jsonl" in ended.out
    assert "1 regression, 1 improvement" in ended.out
    assert '<failure message="Failed: regression:' in (project / "junit.xml").read_text()


def test_what_cannot_be_told_warns_and_passes(project: Path, session: Session, earlier: Path) -> None:
    scaled(earlier, project / "other.jsonl", {}, name="another processor")
    ended = session("--bench-compare=other.jsonl", "-k", "test_sum")
    assert ended.code == 0, ended.out
    assert "BenchWarning: not_comparable: device differs: another processor in the base" in ended.out
    assert "missing" not in ended.out, "tests that were not selected are not missing"


def test_sessions_are_the_launches_of_one_run_file(project: Path, session: Session, earlier: Path) -> None:
    (project / "run.jsonl").write_bytes(earlier.read_bytes())
    (project / "results").mkdir()
    (project / "results" / "first.jsonl").write_bytes(earlier.read_bytes())
    again = ("--bench-out=run.jsonl", "--bench-append", "--bench-save", "--bench-compare=latest", "-k", "test_sum")
    ended = session(*again)
    assert ended.code == 0, ended.out
    run = records.read(project / "run.jsonl")
    assert [(row.id, row.launch) for row in run.measurements] == [("00001", 0), ("00002", 0), ("00003", 1)]
    assert len(run.devices) == 1 and len(run.resumes) == 1
    assert run.end is not None and run.end.counts == records.counts(run.measurements)
    assert len(list((project / "results").glob("*.jsonl"))) == 2
    # `latest` is a run of the store as it was before this session; both launches are judged.
    assert "launches: 1 of the base, 2 new" in ended.out


def test_a_session_that_stops_early_leaves_a_run_that_says_so(project: Path, session: Session) -> None:
    (project / "test_last.py").write_text("def test_stop():\n    raise KeyboardInterrupt\n")
    ended = session("--bench-out=run.jsonl", "-k", "test_sum or test_stop")
    assert ended.code == 2, ended.out
    run = records.read(project / "run.jsonl")
    assert len(run.measurements) == 1
    assert run.end is not None and (run.end.status, run.end.exit_code) == ("interrupted", 130)


def test_options_that_cannot_be_met_are_told_before_anything_runs(project: Path, session: Session) -> None:
    (project / "there.jsonl").touch()
    for arguments, words in (
        (["--bench-compare=absent.jsonl"], "--bench-compare: cannot read"),
        (["--bench-append"], "--bench-append: needs --bench-out FILE"),
        (["--bench-threshold=much"], "--bench-threshold: 'much' is not a change above 0 %"),
        (["--bench-out=."], "--bench-out: . is a folder"),
        (["--bench-out=there.jsonl"], "exists; --bench-append adds this session to it as another launch"),
    ):
        ended = session(*arguments)
        assert ended.code == 4, ended.out
        assert words in ended.out and "Traceback" not in ended.out
        assert "passed" not in ended.out


def test_a_name_that_the_store_does_not_know_is_no_baseline_yet(session: Session) -> None:
    ended = session("--bench-compare=main", "-k", "test_sum")
    assert ended.code == 0, ended.out
    assert "no baseline: 'main' is no run, baseline or commit" in ended.out


def test_a_wrong_argument_fails_the_test_with_one_line(project: Path, session: Session) -> None:
    (project / "test_kernels.py").write_text(
        "def test_wrong(device_benchmark):\n    device_benchmark(sum, [1], precision='fp17')\n"
        "def test_called(device_benchmark):\n    device_benchmark(sum([1]))\n"
        "def test_absent(device_benchmark):\n    device_benchmark(sum, [1], device='xpu:7')\n"
        "def test_raises(device_benchmark):\n    device_benchmark(sum, [None])\n"
        "def test_twice(device_benchmark):\n    device_benchmark(sum, [1], device='cpu')\n"
        "    device_benchmark(sum, [1], device='cpu')\n"
    )
    ended = session("--benchmark-json=out.json")
    assert ended.code == 1
    assert "device_benchmark: precision: unknown value 'fp17'; choose from" in ended.out
    assert "Did you mean 'fp16'?" in ended.out
    assert "device_benchmark: 1 is not callable: pass the function and its arguments" in ended.out
    assert "device_benchmark: --device: 'xpu:7' is absent" in ended.out
    assert "TypeError: unsupported operand" in ended.out, "what the function raises is the project's own"
    assert "FixtureAlreadyUsed" in ended.out
    assert "5 failed" in ended.out
