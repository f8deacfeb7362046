"""What becomes of other tools' files: what they say is kept, what they don't is unknown."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.interop import registry
from tests.interop import seeds
from tests.interop.seeds import dumped, imported, rows_of

FORMATS = [one.name for one in registry.FORMATS.values() if one.imported]


@pytest.mark.parametrize("name", FORMATS)
def test_every_seed_becomes_a_run_file_that_reads_and_says_where_it_comes_from(name: str, tmp_path: Any) -> None:
    for number, data in enumerate(seeds.seeds()[name]):
        for place, one in enumerate(imported(name, data)):
            path = tmp_path / f"{number}-{place}.jsonl"
            path.write_bytes(one.data)
            run = records.read(path)
            assert run.measurements and run.end is not None and run.end.status == "complete"
            if name == "bench":
                continue  # it stays what it was
            assert run.run.host["imported"]["format"] == name
            assert run.run.method_version == 0, "never compared with what we measured"
            assert all(row.rated is None and row.utilization is None for row in run.measurements)
            assert {row.status for row in run.measurements} <= set(records.STATUSES)
            assert all((row.time is not None) == (row.status == "ok") for row in run.measurements)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_file_is_the_same_run_again(name: str) -> None:
    for data in seeds.seeds()[name]:
        assert [one.data for one in imported(name, data)] == [one.data for one in imported(name, data)]


def test_pytest_benchmark_keeps_statistics_parameters_machine_and_commit() -> None:
    (one,) = imported("pytest-benchmark", dumped(seeds.PYTEST_BENCHMARK))
    (row,) = one.run.measurements
    assert row.kernel == "tests/test_sort.py::test_sort"
    assert row.case == {"size": 10, "how": "fast", "ratio": "0.5"}
    assert row.time is not None and row.samples_s == [1e-05, 2e-05, 3e-05, 4e-05]
    assert (row.time.median_s, row.time.q1_s, row.time.mean_s, row.time.samples) == (2.5e-05, 1.5e-05, 2.5e-05, 4)
    assert row.time.calls_per_sample == 3
    assert row.time.ci95_low_s is None and row.work is None and row.precision == "unknown"
    assert one.run.run.started == "2021-01-02T03:04:05+00:00"
    assert one.run.run.git == {"commit": seeds.COMMIT, "branch": "main", "dirty": False}
    assert one.run.run.host["os"] == "Linux" and one.run.run.host["imported"]["version"] == "4.0.0"
    assert one.run.devices[0].name == "Some CPU @ 3.00GHz"


def test_a_pytest_benchmark_of_2015_has_neither_ops_data_params_nor_median() -> None:
    document = copy.deepcopy(seeds.PYTEST_BENCHMARK)
    benchmark = document["benchmarks"][0]
    for key in ("params", "param", "extra_info"):
        del benchmark[key]
    for key in ("ops", "data", "median"):
        del benchmark["stats"][key]
    document["version"] = "2.5.0"
    (row,) = rows_of("pytest-benchmark", dumped(document))
    assert row.kernel == "tests/test_sort.py::test_sort[10-fast]" and row.case == {}
    assert row.time is not None and row.time.median_s == 2.5e-05
    assert row.warnings == ["the file has no median: this is the mean"]


def test_unserialisable_parameters_are_text() -> None:
    document = copy.deepcopy(seeds.PYTEST_BENCHMARK)
    document["benchmarks"][0]["params"] = {"f": "UNSERIALIZABLE[<function>]", "deep": {"a": [1]}, "none": None}
    (row,) = rows_of("pytest-benchmark", dumped(document))
    assert row.case == {"f": "UNSERIALIZABLE[<function>]", "deep": "an object of 1", "none": "None"}


def test_a_custom_file_of_rates_and_times() -> None:
    rate, latency, size = rows_of("github-action-benchmark", dumped(seeds.GAB_CUSTOM))
    assert rate.time is not None and rate.time.median_s == 0.5
    assert rate.work == records.Work(operations=10**12, bytes=0)
    assert rate.rate is not None and rate.rate.operations_per_s == 2e12
    assert "a call stands for 1e+12 operations" in rate.warnings[0]
    assert latency.time is not None and latency.time.median_s == 0.0125 and latency.work is None
    assert size.status == "unsupported" and "'Megabytes' is neither a time nor a rate" in size.reason


@pytest.mark.parametrize("prefix", [b"window.BENCHMARK_DATA = ", b"", b"\xef\xbb\xbfwindow.BENCHMARK_DATA=\n"])
def test_a_history_is_a_run_for_each_entry(prefix: bytes) -> None:
    first, second = imported("github-action-benchmark", prefix + dumped(seeds.GAB_HISTORY) + b";\n")
    assert first.run.run.started == "2021-06-11T15:44:20+00:00"
    assert (first.run.run.git or {})["commit"] == seeds.COMMIT
    assert first.run.devices[0].name == "suite Benchmark", "suites are often machines, and are not mixed"
    (row,) = first.run.measurements
    assert row.time is not None
    assert (row.time.median_s, row.time.mean_s, row.time.stdev_s, row.time.samples) == (4.0, 4.0005, 0.05, 5)
    assert row.warnings == ["the file has the mean of the rounds, not their median"]
    (row,) = second.run.measurements
    assert row.time is not None and row.time.median_s == pytest.approx(149e-9) and row.time.stdev_s is None


def test_bmf_takes_latency_then_rates_and_names_what_it_does_not_know() -> None:
    latency, throughput, size = rows_of("bmf", dumped(seeds.BMF))
    assert latency.time is not None and latency.time.median_s == pytest.approx(88e-9)
    assert latency.time.ci95_low_s is None, "what the bounds are is not said"
    assert throughput.time is not None and throughput.time.median_s == 1 / 400
    assert size.status == "unsupported" and "binary-size" in size.reason
    given = rows_of("bmf", dumped({"a": {"duration": {"value": 3}}}), unit="ms")
    assert given[0].time is not None and given[0].time.median_s == 0.003


def test_asv_is_a_row_for_each_combination_of_parameters() -> None:
    (one,) = imported("asv", dumped(seeds.ASV))
    rows = {(row.kernel, *row.case.values()): row for row in one.run.measurements}
    first = rows["suite.time_sort", 10, "'a'"]
    assert first.time is not None and first.samples_s == [1e-3, 1.1e-3, 0.9e-3]
    assert (first.time.median_s, first.time.q1_s, first.time.calls_per_sample) == (1e-3, 0.95e-3, 10)
    second = rows["suite.time_sort", 10, "'b'"]
    assert second.time is not None and second.time.samples == 4 and second.samples_s is None
    for values in ((20, "'a'"), (20, "'b'")):
        assert rows["suite.time_sort", *values].reason == "asv: failed or skipped"
    assert rows["suite.time_broken",].status == "failed"
    assert rows["suite.peakmem_all",].status == "unsupported"
    assert rows["suite.track_error",].status == "unsupported"
    assert one.run.run.started == "2020-09-13T12:26:40+00:00" and one.run.run.host["name"] == "box"
    tracked = rows_of("asv", dumped(seeds.ASV), unit="s")
    assert next(row for row in tracked if row.kernel == "suite.track_error").time is not None


def test_asv_version_1_has_numbers_and_objects() -> None:
    document = seeds.ASV | {
        "version": 1,
        "results": {"a.time_x": 0.25, "b.time_y": {"params": [["1", "2"]], "result": [0.5, None]}, "c.time_z": None},
    }
    plain, first, second, failed = rows_of("asv", dumped(document))
    assert plain.time is not None and plain.time.median_s == 0.25
    assert first.time is not None and first.case == {"param1": 1}
    assert second.status == failed.status == "failed"


def test_google_repetitions_are_samples_of_one_launch() -> None:
    copy_, only, bad = rows_of("google-benchmark", dumped(seeds.GOOGLE))
    assert copy_.kernel == "BM_copy/64" and copy_.time is not None and copy_.launch == 0
    assert copy_.samples_s == pytest.approx([10e-6, 11e-6, 12e-6]) and copy_.time.calls_per_sample == 1000
    assert only.time is not None and only.time.median_s == pytest.approx(2e-3) and only.time.samples == 5
    assert only.warnings == ["the file has no median: this is the mean"]
    assert bad.status == "failed" and bad.reason == "google-benchmark: no memory"


def test_a_process_of_pyperf_is_a_launch_and_a_calibration_is_none() -> None:
    (one,) = imported("pyperf", dumped(seeds.PYPERF))
    first, second, memory = one.run.measurements
    assert (first.kernel, first.launch, second.launch) == ("telco", 0, 1)
    assert first.samples_s == [0.0226, 0.0225]
    assert first.time is not None and first.time.calls_per_sample == 8
    assert memory.status == "unsupported" and "'byte'" in memory.reason
    assert one.run.run.launches == 2 and one.run.run.host["os"] == "Linux"
    assert one.run.run.started == "2021-03-04T05:06:07+00:00"


def test_a_csv_needs_a_kernel_and_a_time_and_no_more() -> None:
    first, second = rows_of("csv", seeds.CSV)
    assert first.case == {"n": 10, "how": "fast"} and first.time is not None and first.time.median_s == 0.0025
    assert second.status == "failed" and second.reason == "the file has no finite time"


def test_a_line_of_otava_is_a_run_and_its_columns_have_units() -> None:
    first, second = imported("otava", seeds.OTAVA)
    rows = {row.kernel: row for row in first.run.measurements}
    assert set(rows) == {"latency", "throughput", "depth_us", "weight"}
    times = [rows[name].time for name in ("latency", "throughput", "depth_us")]
    assert [time.median_s for time in times if time] == pytest.approx([1.5e-3, 5e-3, 7e-6])
    assert rows["weight"].status == "unsupported"
    assert "latency" not in {row.kernel for row in second.run.measurements}, "nothing is filled in"
    assert second.run.run.started == "2021-01-02T00:00:00+00:00"
    assert (second.run.run.git or {})["commit"] == "bbbbbbb"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_seen(delimiter: str) -> None:
    data = f"kernel{delimiter}median_s\nsort{delimiter}0.5\n".encode()
    (row,) = rows_of("csv", data)
    assert row.time is not None and row.time.median_s == 0.5


@pytest.mark.parametrize("value", ["0", "-1e-3", "NaN", "Infinity", "1e-300", "1e300", "null", '"inf"', "1" * 400])
def test_what_is_no_time_is_a_failed_row(value: str) -> None:
    good, bad = rows_of(
        "bmf",
        f'{{"good": {{"latency": {{"value": 1}}}}, "bad": {{"latency": {{"value": {value}}}}}}}'.replace(
            "null", '""'
        ).encode(),
    )
    assert good.status == "ok"
    assert bad.time is None and bad.status in ("failed", "unsupported") and bad.reason


def test_a_file_without_any_time_is_refused() -> None:
    with pytest.raises(UnavailableError, match="no benchmark with a time or rate"):
        imported("bmf", dumped({"a": {"binary-size": {"value": 3}}}))


@pytest.mark.parametrize(
    ("name", "document", "words"),
    [
        ("pytest-benchmark", {}, "benchmarks: is missing"),
        ("pytest-benchmark", {"benchmarks": {"a": 1}}, "benchmarks: an array is expected, not an object of 1"),
        ("pytest-benchmark", {"benchmarks": [{"name": "a"}]}, "benchmarks[0].stats: is missing"),
        ("pytest-benchmark", {"benchmarks": [{"name": 3, "stats": {}}]}, "benchmarks[0].name: text is expected, not 3"),
        (
            "pytest-benchmark",
            {"benchmarks": [{"name": "a", "stats": {"median": "fast"}}]},
            "benchmarks[0].stats.median: a number is expected, not 'fast'",
        ),
        ("github-action-benchmark", 7, "the document: an object is expected, not 7"),
        ("github-action-benchmark", {"entries": {"S": [{"date": "soon"}]}}, "entries.S[0].date: a time is expected"),
        ("bmf", {"a": [1]}, "a: an object is expected"),
        ("asv", {"version": 3}, "version: 1 or 2"),
        ("asv", seeds.ASV | {"results": {"a.time_b": [[1, 2], [["1"]]]}}, "results.a.time_b[1]: spans 1 combinations"),
        ("google-benchmark", {"benchmarks": [{"name": "a", "real_time": 1, "time_unit": "h"}]}, "ns, us, ms or s"),
        ("pyperf", {"version": "2.0"}, "version:"),
    ],
)
def test_an_error_names_the_field(name: str, document: object, words: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        imported(name, dumped(document))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("csv", b"", "line 1: a header"),
        ("csv", b"a,b\n1,2\n", "no column kernel"),
        ("csv", b"kernel,median_s,kernel\n", "twice"),
        ("csv", b"kernel,median_s\nx,1,2\n", "line 2: has 3 cells"),
        ("csv", b"median_s,kernel\n1\n", "line 2, kernel: is missing"),
        ("csv", b"kernel,median_s\nx,often\n", "line 2, median_s: a number is expected, not 'often'"),
        ("csv", b'kernel,median_s\n"x,1\n', "is not CSV"),
        ("csv", b"kernel,median_s,case\nx,1,oops\n", "name=value"),
        ("csv", b"kernel,median_s,cache\nx,1,lukewarm\n", "cold or warm or not-applicable"),
        ("otava", b"when,a\n1,2\n", "no column of time"),
        ("otava", b"time,commit\n1,2\n", "no column of values"),
        ("otava", b"time,a (s)\nyesterday,2\n", "line 2, time: a time is expected, not 'yesterday'"),
        ("bench", b'{"type":"end"}\n', "line 1: is no run record"),
        ("bench", b"{}", "line 1: is no run record"),
    ],
)
def test_an_error_names_the_line(name: str, data: bytes, words: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        imported(name, data)
    assert words in str(caught.value)


def own(**changes: Any) -> bytes:
    lines = seeds.exported("bench", [seeds.a_run()])[""].splitlines(keepends=True)
    head = json.loads(lines[0]) | changes
    return json.dumps(head).encode() + b"\n" + b"".join(lines[1:])


def test_our_own_file_stays_as_it_is_with_keys_that_we_do_not_know() -> None:
    data = own(added_by_a_later_version=[1, 2])
    (one,) = imported("bench", data + b'{"type":"measurement","id":"unfini')
    assert one.data == data, "but for its unfinished last line"


def test_what_our_reader_would_refuse_in_it_is_written_anew(tmp_path: Any) -> None:
    data = (
        own()
        .replace(b'"median_s":0.001,', b'"median_s":null,"median_s":0.001,', 1)
        .replace(b'"q1_s":0.001', b'"q1_s":NaN', 1)
    )
    (one,) = imported("bench", data)
    (tmp_path / "run.jsonl").write_bytes(one.data)
    first = records.read(tmp_path / "run.jsonl").measurements[0]
    assert first.time is not None and first.time.median_s == 0.001 and first.time.q1_s is None


@pytest.mark.parametrize("identifier", ["../../etc/passwd", "a/b", "..", ".hidden", "a.b", "", "x" * 200, "a\nb", 7])
def test_a_run_id_of_a_stranger_never_becomes_a_path(identifier: object) -> None:
    with pytest.raises(UnavailableError, match=r"line 1: id: letters, digits"):
        imported("bench", own(id=identifier))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 99}, "this version reads up to 1"),
        ({"schema": "1"}, "this version reads up to 1"),
        ({"started": "yesterday"}, "started: a time is expected"),
        ({"seed": "many"}, "is no record of a run file"),
        ({"bench_version": "0\x1b[31m"}, "control characters"),
    ],
)
def test_our_own_format_is_checked_as_any_other(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        imported("bench", own(**changes))
    assert words in str(caught.value)
