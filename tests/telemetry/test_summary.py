"""A window's summary: energy against closed forms, shares, counters, and unknown that stays unknown."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.telemetry import FIELDS, Sample, summarize
from bench.telemetry.canary import Canary
from bench.telemetry.summary import counter_rise, energy, gauge, integral, throttle

TIMES = st.lists(st.floats(0.01, 2.9), min_size=1, max_size=30).map(lambda gaps: list(accumulate(gaps, initial=1.0)))
LEVELS = st.floats(0, 1000)
EDGES = st.tuples(st.floats(-0.3, 0.6), st.floats(0.1, 0.6))
"""A window by its beginning and length, both as shares of the time that the samples span."""


def window_of(times: list[float], edges: tuple[float, float]) -> tuple[tuple[float, float], float, float]:
    """The window, and the part of it that the samples cover."""
    span = times[-1] - times[0]
    begin = times[0] + edges[0] * span
    window = (begin, begin + edges[1] * span)
    return window, max(times[0], window[0]), min(times[-1], window[1])


def powers(times: list[float], intercept: float, slope: float) -> list[Sample]:
    return [Sample(time_s, power_w=intercept + slope * time_s) for time_s in times]


@given(TIMES, LEVELS, st.floats(0, 50), EDGES)
def test_power_on_a_straight_line_gives_the_area_under_it(
    times: list[float], intercept: float, slope: float, edges: tuple[float, float]
) -> None:
    window, start, end = window_of(times, edges)
    assume(end - start > 1e-6)
    told = energy(powers(times, intercept, slope), window)
    assert told is not None
    exact = intercept * (end - start) + slope * (end**2 - start**2) / 2
    assert told["energy_j"] == pytest.approx(exact, rel=1e-6, abs=1e-6)
    assert told["method"] == "sampled"
    assert told["coverage"] == pytest.approx((end - start) / (window[1] - window[0]), rel=1e-6)


def test_a_sine_is_integrated_as_finely_as_it_is_sampled() -> None:
    times = [index * 0.02 for index in range(501)]
    samples = [Sample(time_s, power_w=300 + 100 * math.sin(time_s)) for time_s in times]
    told = energy(samples, (0.0, 10.0))
    assert told is not None
    assert told["energy_j"] == pytest.approx(3000 + 100 * (1 - math.cos(10)), rel=1e-5)


def test_a_gap_longer_than_three_seconds_is_left_out_and_lowers_the_coverage() -> None:
    told = energy(powers([0, 1, 2, 5.5, 6, 7], 100, 0), (0.0, 7.0))
    assert told is not None
    assert told["energy_j"] == pytest.approx(350)
    assert told["coverage"] == pytest.approx(3.5 / 7)
    assert told["mean_power_w"] == pytest.approx(100)
    assert integral([(0, 100), (3.5, 100)], (0, 3.5)) is None
    assert integral([(0, 100), (3.0, 100)], (0, 3)) == (300, 3)


@given(TIMES, st.floats(0, 1e6), LEVELS, EDGES)
def test_a_counter_is_cut_at_the_edges_of_the_window(
    times: list[float], start_j: float, power_w: float, edges: tuple[float, float]
) -> None:
    window, start, end = window_of(times, edges)
    assume(end - start > 1e-3)
    told = counter_rise([(time_s, start_j + power_w * time_s) for time_s in times], window)
    assert told is not None
    assert told[0] == pytest.approx(power_w * (end - start), rel=1e-6, abs=1e-5)
    assert told[1] == pytest.approx(end - start)


def test_a_counter_is_believed_before_samples_of_power() -> None:
    samples = [Sample(t, power_w=999.0, energy_j=1e6 + 100.0 * t) for t in (0.0, 1.0, 2.0)]
    told = energy(samples, (0.0, 2.0))
    assert told is not None
    assert (told["energy_j"], told["method"], told["coverage"]) == (pytest.approx(200), "counter", 1.0)


def test_a_counter_that_fell_is_no_counter_over_this_window() -> None:
    reset = [Sample(0, energy_j=50), Sample(1, energy_j=10), Sample(2, energy_j=60)]
    assert energy(reset, (0, 2)) is None
    told = energy([replace(sample, power_w=5.0) for sample in reset], (0, 2))
    assert told is not None
    assert told["method"] == "sampled"


@given(st.lists(st.floats(1e8, 3e9), min_size=1, max_size=50))
def test_a_gauge_counts_what_lies_within_the_window_alone(clocks: list[float]) -> None:
    inside = [Sample(1 + index, clock_hz=clock) for index, clock in enumerate(clocks)]
    samples = [Sample(0, clock_hz=1.0), *inside, Sample(len(clocks) + 1, clock_hz=9e12)]
    told = gauge(samples, "clock_hz", (0.5, len(clocks) + 0.5))
    assert told is not None
    assert told["samples"] == len(clocks)
    assert told["min"] == min(clocks) <= told["median"] <= max(clocks) == told["max"]


def test_the_share_of_each_reason_is_that_of_the_samples_that_were_told() -> None:
    samples = [
        Sample(0, throttle_bits=0x4, throttle_reasons=("sw_power_cap",)),
        Sample(1, throttle_bits=0x24, throttle_reasons=("sw_power_cap", "sw_thermal_slowdown")),
        Sample(2),
        Sample(3, throttle_bits=0, throttle_reasons=()),
        Sample(4, throttle_bits=0, throttle_reasons=()),
    ]
    assert throttle(samples, (0, 4)) == {
        "share": {"sw_power_cap": 0.5, "sw_thermal_slowdown": 0.25},
        "samples": 4,
        "bits_seen": 0x24,
    }


def test_a_free_clock_and_an_unknown_one_are_two_things() -> None:
    assert throttle([Sample(0, throttle_reasons=())], (0, 1)) == {"share": {}, "samples": 1}
    assert throttle([Sample(0)], (0, 1)) is None
    assert "throttle" not in summarize({"a": [Sample(0)]}, (0, 1))


def test_the_mean_share_follows_from_the_counters_and_not_from_rounded_samples() -> None:
    # Two CPUs, one taken for half of the four seconds; the single shares were rounded up by a tick each.
    samples = [
        Sample(t, busy_share_other=0.3, steal_share=0.0, busy_other_s=0.5 * t, steal_s=0.0, cpu_total_s=2.0 * t)
        for t in (0.0, 1.0, 2.0, 3.0, 4.0)
    ]
    told = summarize({"proc": samples}, (0.5, 3.5))
    assert told["busy_share_other"]["mean"] == pytest.approx(0.25)
    assert told["steal_share"]["mean"] == 0.0


def test_others_that_took_a_tick_less_than_nothing_took_nothing() -> None:
    samples = [Sample(t, busy_share_other=0.0, busy_other_s=10.0 - 0.01 * t, cpu_total_s=2.0 * t) for t in (0.0, 1.0)]
    assert summarize({"proc": samples}, (0, 1))["busy_share_other"]["mean"] == 0.0


@given(st.sets(st.sampled_from(sorted(FIELDS - {"violation_s", "throttle_reasons", "throttle_bits"}))))
def test_what_no_sample_tells_is_absent_and_the_rest_is_json(told_fields: set[str]) -> None:
    samples = [Sample(float(t), **dict.fromkeys(told_fields, t)) for t in range(4)]
    found = summarize({"source": samples}, (0, 3))
    assert found == json.loads(json.dumps(found))
    gauges = {"clock_hz", "memory_clock_hz", "power_w", "temperature_c", "utilization", "memory_used_bytes"}
    assert found.keys() & gauges == told_fields & gauges
    assert ("energy" in found) == bool(told_fields & {"energy_j", "power_w"})


def test_without_a_sample_nothing_is_claimed() -> None:
    assert summarize({"nvml": []}, (0.0, 2.0)) == {"window_s": 2.0}
    assert summarize({}, (0.0, 0.0)) == {"window_s": 0.0}


def test_each_value_names_its_source_and_the_first_source_that_knows_it_counts() -> None:
    first = [Sample(0, power_w=300.0), Sample(1, power_w=300.0)]
    second = [Sample(0, power_w=1.0, temperature_c=50.0)]
    found = summarize({"nvml": first, "proc": second}, (0, 1))
    assert (found["power_w"]["median"], found["power_w"]["source"]) == (300.0, "nvml")
    assert found["temperature_c"] == {"median": 50.0, "min": 50.0, "max": 50.0, "samples": 1, "source": "proc"}
    assert found["energy"]["source"] == "nvml"


def test_violations_errors_and_switches_are_told_by_their_rise() -> None:
    samples = [
        Sample(0, violation_s={"power": 10.0, "thermal": 1.0}, ecc_errors=3, involuntary_switches=100),
        Sample(2, violation_s={"power": 10.5, "thermal": 1.0}, ecc_errors=5, involuntary_switches=104),
    ]
    found = summarize({"nvml": samples}, (0, 2))
    assert found["violation_s"]["rise"] == {"power": pytest.approx(0.5), "thermal": 0.0}
    assert found["ecc_errors"] == {"rise": 2, "source": "nvml"}
    assert found["involuntary_switches"]["rise"] == 4


def test_the_canaries_stand_in_the_record_and_count_the_switches_between_them() -> None:
    before = Canary(0.0, 0.01, 2, "AVX2 FMA", 3e9, 96e9, 180e9, involuntary_switches=5)
    after = Canary(9.0, 0.01, 2, "AVX2 FMA", 3e9, 48e9, 96e9, involuntary_switches=25)
    found = summarize({}, (0, 9), canaries=(before, after))
    assert found == json.loads(json.dumps(found))
    assert found["canary"][0]["siblings_ratio"] == pytest.approx(1.875)
    assert found["canary"][1]["flops_per_cycle"] == pytest.approx(16)
    assert found["involuntary_switches"] == {"rise": 20, "source": "getrusage"}
