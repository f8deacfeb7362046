"""How a quantity went: inside the time alone, from the first source that tells, thinned and never made up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.telemetry import Sample
from bench.telemetry.over_time import KEPT, over_time


def test_readings_count_from_the_start_and_those_before_and_after_are_left_out() -> None:
    samples = [Sample(time_s, clock_hz=1e9 + time_s, power_w=None) for time_s in (9.0, 10.0, 12.5, 15.0, 15.1)]
    found = over_time({"proc": [], "nvml": samples}, 10.0, 15.0)
    assert found == {
        "clock_hz": {"at_s": [0.0, 2.5, 5.0], "values": [1e9 + 10.0, 1e9 + 12.5, 1e9 + 15.0], "source": "nvml"}
    }


def test_the_first_source_that_tells_a_quantity_counts() -> None:
    told = {"a": [Sample(1.0, power_w=5.0)], "b": [Sample(1.0, power_w=7.0, temperature_c=40.0)]}
    found = over_time(told, 0.0, 2.0)
    assert (found["power_w"]["source"], found["temperature_c"]["source"]) == ("a", "b")


@given(st.lists(st.floats(0, 100), max_size=2 * KEPT).map(sorted))
def test_what_is_kept_is_in_order_and_within_the_limit(times: list[float]) -> None:
    found = over_time({"nvml": [Sample(time_s, clock_hz=2e9) for time_s in times]}, 0.0, 100.0)
    at_s = found["clock_hz"]["at_s"] if times else []
    assert at_s == sorted(at_s) and len(at_s) == min(len(times), KEPT)
