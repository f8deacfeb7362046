"""Telemetry as it is read back: what is missing or malformed is unknown, and nothing is raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis import observed
from bench.telemetry.reasons import NVIDIA, kind_of

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
KEYS = ("clock_hz", "steal_share", "throttle", "canary", "canary_reference")


@given(st.none() | st.dictionaries(st.sampled_from(KEYS), anything | st.fixed_dictionaries({"share": anything})))
def test_no_telemetry_is_too_strange_to_be_read(telemetry: dict[str, Any] | None) -> None:
    for figure in observed.CANARY_FIGURES:
        observed.canary(telemetry, figure)
        observed.canary_best(telemetry, figure)
    observed.clock_hz(telemetry)
    observed.share(telemetry, "steal_share")
    observed.throttle_words(telemetry)


@pytest.mark.parametrize("value", [None, True, "3", float("nan"), float("inf"), -1.0, [1.0], {}])
def test_what_is_no_figure_is_unknown(value: Any) -> None:
    assert observed.quantity({"clock_hz": {"median": value}}, "clock_hz") is None
    assert observed.quantity({"clock_hz": value}, "clock_hz") is None


def test_a_share_is_the_mean_by_counters_where_there_is_one() -> None:
    assert observed.share({"steal_share": {"median": 0.0, "mean": 0.07}}, "steal_share") == 0.07
    assert observed.share({"steal_share": {"median": 0.05}}, "steal_share") == 0.05


def test_no_reason_and_no_knowledge_are_two_things() -> None:
    assert observed.throttle_shares({"throttle": {"share": {}, "samples": 9}}) == {}
    assert observed.throttle_shares({}) is None and observed.throttle_shares(None) is None


def test_reasons_that_read_alike_count_once_by_the_most_frequent() -> None:
    shares = {"sw_thermal_slowdown": 0.2, "hw_thermal_slowdown": 0.5, "sw_power_cap": 0.3}
    words = observed.throttle_words({"throttle": {"share": shares}})
    assert words == ["thermal slowdown in 50 % of samples", "power cap in 30 % of samples"]


def test_the_words_are_those_of_names_that_telemetry_decodes() -> None:
    unknown = {name for name in observed.REASON_WORDS if kind_of(name) == "unknown"}
    assert not unknown
    assert observed.reason_words("sync_boost") == "sync boost" and "sync_boost" in NVIDIA.values()


def test_the_reference_is_the_best_of_each_figure() -> None:
    readings = [{"clock_hz": 3e9, "fma_flops_all": 1e11}, {"clock_hz": 2e9, "fma_flops_all": 2e11, "why": "x"}, {}]
    assert observed.canary_reference(readings) == {"clock_hz": 3e9, "fma_flops_all": 2e11}
    assert observed.canary_reference([]) == {}
