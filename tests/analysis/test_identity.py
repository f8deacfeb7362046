"""What is compared with what."""

from __future__ import annotations

import msgspec
import pytest

from bench.analysis.identity import by_series, comparison_class, differences, key_of, launch_medians
from bench.records import Units
from tests.factories import device, measurement, run_file


def test_two_runs_that_chose_another_implementation_measured_the_same_series() -> None:
    run = run_file([]).run
    assert key_of(measurement(implementation="a"), run) == key_of(measurement(implementation="b"), run)
    named = msgspec.structs.replace(run, implementation="all")
    assert key_of(measurement(implementation="a"), named) != key_of(measurement(implementation="b"), named)


@pytest.mark.parametrize(
    "axis",
    [
        {"case": {"m": 1000, "n": 1000, "k": 2000}},
        {"precision": "bf16"},
        {"accumulate": "fp16"},
        {"data": "zeros"},
        {"cache": "warm"},
        {"mode": "sustained"},
        {"kernel": "conv"},
        {"device": "cuda:0"},
    ],
)
def test_each_axis_makes_another_series_with_another_name(axis: dict[str, object]) -> None:
    run = run_file([]).run
    one, other = key_of(measurement(), run), key_of(measurement(**axis), run)
    assert one != other
    assert one.text != other.text


def test_cards_of_one_kind_are_one_series() -> None:
    run = run_file([]).run
    assert key_of(measurement(device="cuda:0"), run) == key_of(measurement(device="cuda:1"), run)


def test_a_row_that_failed_stands_with_the_timed_rows_of_its_series() -> None:
    failed = measurement(launch=1, timed=False, status="crashed", reason="SIGSEGV", cache="not-applicable")
    grouped = by_series(run_file([measurement(cache="warm"), failed]))
    assert [len(rows) for rows in grouped.values()] == [2]


def test_only_usable_launches_are_evidence() -> None:
    rows = [
        measurement(launch=0, median_s=1.0),
        measurement(launch=1, median_s=2.0, status="noisy"),
        measurement(launch=2, median_s=3.0, status="contended"),
        measurement(launch=3, median_s=4.0, quarantine=["clock"]),
        measurement(launch=4, timed=False, status="timeout"),
    ]
    assert launch_medians(rows) == {0: 1.0, 1: 2.0}


def test_several_devices_of_a_class_give_a_launch_their_median() -> None:
    rows = [measurement(device=f"cuda:{i}", median_s=t) for i, t in enumerate((1.0, 2.0, 9.0))]
    assert launch_medians(rows) == {0: 2.0}


def test_the_class_names_what_differs_and_knows_nothing_of_clocks_and_hosts() -> None:
    file = run_file([])
    base = comparison_class(file, device(host="a"))
    assert differences(base, comparison_class(file, device(host="b", clock=None))) == []
    other = comparison_class(file, device(units=Units(kind="core", in_use=1, total=2)))
    assert differences(base, other) == [("cores in use", "2", "1")]


def test_a_gpu_is_not_compared_with_another_driver_or_slice() -> None:
    file = run_file([])
    card = {"kind": "cuda", "device": "cuda:0", "name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85_000_000_000}
    base = comparison_class(file, device(driver="570.1", **card))
    assert differences(base, comparison_class(file, device(driver="570.86", **card))) == []
    assert [d[0] for d in differences(base, comparison_class(file, device(driver="580.1", **card)))] == ["driver major"]
    sliced = comparison_class(file, device(driver="570.1", mig="1g.10gb", **card))
    assert [d[0] for d in differences(base, sliced)] == ["MIG profile"]
