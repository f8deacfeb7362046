"""Rows set against ratings: which figure applies, and what is too fast to be true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.utilization import PLAUSIBLE, Denominators, rate_row
from bench.kernel import Role
from bench.ratings import DeviceRatings, load
from tests.factories import device, measurement

PEAK = 1e12


def _denominators(**peaks: float) -> Denominators:
    rated = {
        key.replace("_", "/"): records.Rated(
            kind="user",
            source="test",
            **({"bytes_per_s": value} if key == "bandwidth" else {"operations_per_s": value}),  # type: ignore[arg-type]
        )
        for key, value in peaks.items()
    }
    # A name that no table has: the peaks given are all that is known of it.
    somewhere = device(kind="cuda", device="cuda:0", name="Nothing 1", architecture="", clock=None)
    return Denominators(somewhere, DeviceRatings("Nothing 1", rated, "Nothing 1"), load())


def test_a_row_is_set_against_the_figure_of_its_precision_and_accumulation() -> None:
    row = measurement(precision="fp16", accumulate="fp16", operations=10**9, median_s=1e-2, rated=None)
    rated = rate_row(row, Role.COMPUTE, _denominators(fp16_fp32=PEAK, fp16_fp16=2 * PEAK))
    assert rated.rated is not None and rated.rated.operations_per_s == 2 * PEAK
    assert rated.utilization == pytest.approx(1e11 / (2 * PEAK))
    assert rated.utilization_of == "operations"


def test_bandwidth_is_told_by_the_role_not_by_the_kernels_name() -> None:
    row = measurement(kernel="anything", bytes_=10**9, median_s=1e-2, rated=None)
    rated = rate_row(row, Role.BANDWIDTH, _denominators(bandwidth=2e11, fp32_fp32=PEAK))
    assert rated.utilization == pytest.approx(0.5) and rated.utilization_of == "bytes"


def test_without_a_figure_the_share_is_unknown_and_says_how_to_add_one() -> None:
    row = rate_row(measurement(precision="bf16", rated=None), Role.COMPUTE, _denominators(fp32_fp32=PEAK))
    assert row.utilization is None
    assert row.utilization_reason and "--ratings" in row.utilization_reason


@given(st.floats(0.01, 3.0))
def test_invalid_begins_above_the_plausible_peak(share: float) -> None:
    operations = 10**9
    row = measurement(operations=operations, median_s=operations / (share * PEAK), rated=None)
    rated = rate_row(row, Role.COMPUTE, _denominators(fp32_fp32=PEAK))
    assert rated.utilization == pytest.approx(share), "an implausible rate is shown as it is, never clipped"
    if abs(share - PLAUSIBLE) > 1e-9:
        assert (rated.status == "invalid") == (share > PLAUSIBLE)


def test_plausibility_looks_at_the_unit_that_executes() -> None:
    carried = records.Executed(operations=10**9, precision="fp32")
    row = measurement(precision="int8", accumulate="int32", operations=10**9, median_s=1e-3, rated=None)
    row.executed = carried
    # 1 TOPS is a tenth of the INT8 rating but twice what the FP32 units that carry it can do.
    rated = rate_row(row, Role.COMPUTE, _denominators(int8_int32=10 * PEAK, fp32_fp32=PEAK / 2))
    assert rated.status == "invalid" and "fp32/fp32" in rated.reason


def test_a_noisy_row_that_is_invalid_keeps_both() -> None:
    row = measurement(status="noisy", reason="", operations=10**9, median_s=1e-4, rated=None)
    rated = rate_row(row, Role.COMPUTE, _denominators(fp32_fp32=PEAK))
    assert rated.status == "invalid" and rated.also == ["noisy"]


def test_a_row_that_was_not_timed_has_no_share() -> None:
    row = rate_row(measurement(status="crashed", timed=False), Role.COMPUTE, _denominators(fp32_fp32=PEAK))
    assert row.utilization is None and row.utilization_reason == "not measured: crashed"


def test_a_cpu_row_is_computed_from_cores_and_clock() -> None:
    from bench.ratings import ratings_for

    zen3 = device(isa=["avx2", "fma"], details={"cpu_vendor": "AuthenticAMD", "cpu_family": 25, "cpu_model": 1})
    tables = load()
    row = rate_row(
        measurement(rated=None, operations=10**9, median_s=1e-2),
        Role.COMPUTE,
        Denominators(zen3, ratings_for(zen3, tables), tables),
    )
    assert row.rated is not None and row.rated.kind == "computed"
    assert row.rated.operations_per_s == pytest.approx(2 * 32 * 3.0e9), "2 cores × 32 FP32 operations per cycle × 3 GHz"
