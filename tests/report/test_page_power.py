"""What lasts, on the page: sustained rates, clock and power, operations per joule; only where the record has them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis import observed
from bench.analysis.report_view import build
from bench.report.page import render
from tests.factories import device, measurement, run_file
from tests.page_reading import Section, agrees

TELEMETRY = {
    "clock_hz": {"median": 1.41e9, "min": 1.305e9, "max": 1.98e9},
    "power_w": {"median": 350.4, "min": 290.0, "max": 361.0},
    "energy": {"operations_per_j": 5.432e9},
}


def lasting(**changes: Any) -> records.Measurement:
    """A row kept running for ten seconds, at half of its burst."""
    sustained = records.Sustained(
        wall_s=10.0, calls=9, ends_s=[5.0, 10.0], per_call_s=[1e-3, 2e-3], burst_median_s=1e-3, droop_ratio=0.5
    )
    fields: dict[str, Any] = {"mode": "sustained", "sustained": sustained, "telemetry": TELEMETRY, "median_s": 2e-3}
    return measurement(**(fields | changes))


def section(name: str, *rows: records.Measurement) -> Section:
    return Section(render(build([("a", run_file(list(rows)))])), name)


def test_a_sustained_row_tells_its_share_of_the_burst_and_clock_and_power_over_the_window() -> None:
    found = section("sustained", lasting())
    assert "1,410 MHz (1,305 … 1,980)" in found.text and "350 W (290 … 361)" in found.text
    assert "sustained rate, of the burst's50 %" in found.text and "final rate, of the initial50 %" in found.text
    assert len(found.alternatives) == 1 and "10 s" in found.alternatives[0]


def test_clock_and_power_are_drawn_over_time_with_their_range_in_words() -> None:
    went = {
        "clock_hz": {"at_s": [0.0, 5.0, 10.0], "values": [1.98e9, 1.5e9, 1.305e9], "source": "nvml"},
        "power_w": {"at_s": [0.0, 10.0], "values": [290.0, 361.0], "source": "nvml"},
        "temperature_c": {"at_s": [5.0], "values": [60.0], "source": "nvml"},
    }
    _, *found = section("sustained", lasting(telemetry=TELEMETRY | {"over_time": went})).alternatives
    name = "gemm m=n=k=1000, torch"
    assert found == [
        f"clock while {name} was sustained on Some CPU: from 1.3 GHz to 1.98 GHz.",
        f"power while {name} was sustained on Some CPU: from 290 W to 361 W.",
    ], "one reading of the temperature is no line"


@given(went=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists))
def test_what_is_no_series_is_not_drawn(went: object) -> None:
    telemetry = {"over_time": {"clock_hz": {"at_s": went, "values": went}, "power_w": went}}
    assert observed.over_time(telemetry, "power_w") == observed.over_time({"over_time": went}, "power_w") == []
    assert all(at_s >= 0 for at_s, _ in observed.over_time(telemetry, "clock_hz"))


def test_what_the_record_lacks_is_left_out() -> None:
    found = section("sustained", lasting(telemetry=None))
    assert found.text and "MHz" not in found.text and " W" not in found.text
    assert section("energy", lasting(telemetry=None)).text == ""
    assert section("sustained", measurement()).text == ""


def test_energy_is_the_records_and_the_highest_stands_first() -> None:
    more = {**TELEMETRY, "energy": {"operations_per_j": 7.77e9}}
    found = section("energy", lasting(), lasting(case={"m": 2}, telemetry=more))
    assert [value for value, _ in found.values] == ["7770000000.0", "5432000000.0"]
    assert all(agrees(*pair) for pair in found.values)


def test_a_row_that_is_not_usable_has_no_place_in_either() -> None:
    for status in ("invalid", "throttled"):
        row = lasting(status=status, reason="why")
        assert section("energy", row).text == "" and section("sustained", row).text == ""


def test_several_devices_are_drawn_side_by_side_with_words_for_it() -> None:
    other = run_file([lasting(telemetry={"energy": {"operations_per_j": 9e9}})], devices=[device(name="Other")])
    found = Section(render(build([("a", run_file([lasting()])), ("b", other)])), "energy")
    assert found.alternatives == ["FP32, operations per joule. Other: 9 GFLOP/J. Some CPU: 5.43 GFLOP/J."]
    assert section("energy", lasting()).alternatives == []
