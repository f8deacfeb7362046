"""What a run becomes in other tools' formats: stable names, finite numbers, usable rows only, each loss said."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from bench.errors import UnavailableError, UsageError
from bench.interop import registry
from bench.interop.model import ExportOptions, points
from tests.factories import device, measurement, run_file
from tests.interop import seeds
from tests.interop.seeds import a_run, exported

FORMATS = [one.name for one in registry.FORMATS.values() if one.exported]
FIRST = "gemm[m=1000,n=1000,k=1000] fp32 torch burst normal cold cpu"


def test_every_format_has_a_module_that_does_what_the_list_says() -> None:
    for one in registry.FORMATS.values():
        module = registry._module(one)
        assert hasattr(module, "export") == one.exported, one.name
        assert hasattr(module, "export_comparison") == one.compared, one.name
        assert hasattr(module, "read") == one.imported, one.name
        assert one.exported or one.imported


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_a_run_and_writes_neither_nan_nor_infinity(name: str) -> None:
    for data in exported(name, [a_run()]).values():
        assert data.endswith(b"\n")
        for word in (b"NaN", b"Infinity", b"inf,", b"nan,"):
            assert word not in data


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_run_gives_the_same_bytes(name: str) -> None:
    assert exported(name, [a_run()]) == exported(name, [a_run()])


def test_a_series_is_one_benchmark_over_its_launches() -> None:
    found, left_out = points(a_run())
    first = found[0]
    assert first.name == FIRST
    assert first.median_s == pytest.approx(1.01e-3) and len(first.launches_s) == 3
    assert first.interval_s == (1e-3, pytest.approx(1.02e-3))
    assert first.rate == 2_000_000_000 / first.median_s
    assert [point.unit for point in found] == ["FLOPS", "FLOPS", "OPS", "B/s"]
    assert len(left_out) == 5
    assert "conv[n=5] fp32 torch burst normal cold cpu: quarantined: steal of 7 %" in left_out


def test_two_products_of_one_kind_are_two_series() -> None:
    devices = [device(device="cuda:0", kind="cuda", name="A"), device(device="cuda:1", kind="cuda", name="B")]
    rows = [measurement(device="cuda:0", median_s=1e-3), measurement(device="cuda:1", median_s=5e-3)]
    found, _ = points(run_file(rows, devices=devices))
    assert [(point.name[-8:], point.median_s) for point in found] == [("cuda (A)", 1e-3), ("cuda (B)", 5e-3)]


def test_a_run_without_a_usable_row_is_refused_with_a_reason() -> None:
    run = run_file([measurement(timed=False, status="failed", reason="no memory")])
    for name in ("pytest-benchmark", "bmf", "asv", "google-benchmark", "otava", "conbench", "github-action-benchmark"):
        with pytest.raises(UnavailableError, match="no memory"):
            exported(name, [run])


def test_pytest_benchmark_ops_are_from_the_median_or_the_mean() -> None:
    run = run_file([measurement(samples_s=[1e-3, 1e-3, 4e-3])])
    (by_median,) = json.loads(exported("pytest-benchmark", [run])[""])["benchmarks"]
    (by_mean,) = json.loads(exported("pytest-benchmark", [run], ops_from="mean")[""])["benchmarks"]
    assert by_median["stats"]["ops"] == 1000.0
    assert by_mean["stats"]["ops"] == 500.0
    assert by_median["stats"]["median"] == 1e-3 and by_median["stats"]["data"] == [1e-3, 1e-3, 4e-3]
    assert by_median["extra_info"]["rounds_are"] == "samples"
    assert by_median["extra_info"]["rate"] == 2e12


def test_rounds_are_launches_where_there_are_several() -> None:
    first = json.loads(exported("pytest-benchmark", [a_run()])[""])["benchmarks"][0]
    assert first["stats"]["rounds"] == 3 and first["extra_info"]["rounds_are"] == "launches"


def test_github_action_benchmark_has_a_file_a_direction_and_one_unit_a_kind() -> None:
    files = {name: json.loads(data) for name, data in exported("github-action-benchmark", [a_run()]).items()}
    assert list(files) == ["bigger", "smaller"]
    assert [one["unit"] for one in files["bigger"]] == ["TFLOP/s", "TFLOP/s", "TOP/s", "GB/s"]
    assert {one["unit"] for one in files["smaller"]} == {"s"}
    assert files["smaller"][0]["name"] == files["bigger"][0]["name"] == FIRST
    assert files["smaller"][0]["value"] == pytest.approx(1.01e-3)
    assert files["smaller"][0]["range"] == "± 1e-05"


def test_bmf_has_latency_in_nanoseconds_within_its_bounds() -> None:
    document = json.loads(exported("bmf", [a_run()])[""])
    latency = document[FIRST]["latency"]
    assert latency["value"] == pytest.approx(1.01e6)
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]
    rate = document[FIRST]["flops-per-second"]
    assert rate["lower_value"] <= rate["value"] <= rate["upper_value"]


@pytest.mark.parametrize("name", ["asv", "prometheus", "openmetrics"])
def test_a_run_that_says_no_time_is_refused_where_one_is_needed(name: str) -> None:
    with pytest.raises(UnavailableError, match="started is no time: 'yesterday'"):
        exported(name, [a_run(started="yesterday")])


def test_asv_needs_a_commit_and_gets_a_tree() -> None:
    with pytest.raises(UnavailableError, match="no commit"):
        exported("asv", [a_run(git=None)])
    files = exported("asv", [a_run(host={"name": "../../evil host", "os": "Linux"})])
    assert set(files) == {
        "benchmarks.json",
        "_.._evil_host/machine.json",
        "_.._evil_host/01234567-suanli-bench-torch2.13.0_cpu.json",
    }, "nothing in a host's name leads elsewhere"


def test_csv_has_every_row_and_every_digit() -> None:
    value = 0.1 + 0.2
    run = run_file([measurement(median_s=value), measurement(timed=False, status="failed", reason='=1+1\r\n,"x"')])
    first, second = csv.DictReader(io.StringIO(exported("csv", [run])[""].decode()))
    assert float(first["median_s"]) == value and first["median_s"] == "0.30000000000000004"
    assert second["reason"] == '\'=1+1 \n,"x"', "no formula to a spreadsheet"
    assert second["median_s"] == ""


def test_otava_is_a_line_a_run_in_order_of_time_with_holes() -> None:
    later = a_run(started="2026-01-03T00:00:00+00:00")
    earlier = run_file([measurement(precision="fp64")])
    text = exported("otava", [later, earlier])[""].decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["time"][:10] for row in rows] == ["2026-01-01", "2026-01-03"]
    assert rows[0][f"{FIRST} (s)"] == "" and float(rows[1][f"{FIRST} (s)"]) == pytest.approx(1.01e-3)
    assert rows[1]["commit"] == seeds.COMMIT


@pytest.mark.parametrize("name", ["csv", "otava"])
def test_several_runs_go_into_a_table(name: str) -> None:
    assert len(exported(name, [a_run(), a_run(id="other")])[""]) > len(exported(name, [a_run()])[""])


def test_several_runs_go_into_nothing_else() -> None:
    with pytest.raises(UsageError, match="csv, otava"):
        exported("bmf", [a_run(), a_run()])


def test_conbench_sends_raw_data_and_text_for_machine_numbers() -> None:
    first = json.loads(exported("conbench", [a_run()])[""])[0]
    assert first["stats"]["data"] == pytest.approx([1e-3, 1.01e-3, 1.02e-3]) and "mean" not in first["stats"]
    assert first["github"] == {"commit": seeds.COMMIT, "branch": "main"}
    texts: dict[str, Any] = {key: value for key, value in first["machine_info"].items() if key != "gpu_product_names"}
    assert all(isinstance(value, str) for value in texts.values())


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'junit'"):
        registry.exported("junitt")
    with pytest.raises(UsageError, match="--from: unknown value 'junit'"):
        registry.imported("junit")


def test_options_default_to_the_median() -> None:
    assert ExportOptions().ops_from == "median"
