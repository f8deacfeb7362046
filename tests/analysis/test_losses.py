"""The loss breakdown: the factors multiply to the utilisation whatever is known, and each says why."""

from __future__ import annotations

from math import isclose, prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.losses import explain, largest
from bench.analysis.utilization import Denominators
from bench.kernel import Role
from bench.ratings import DeviceRatings, load
from tests.factories import device, measurement

ORDER = ["units", "clock", "memory", "launch", "kernel"]
TABLES = load()

positive = st.floats(1e-3, 1e3)


def gpu(in_use: int | None = 132, total: int | None = 132, **changes: Any) -> records.Device:
    units = records.Units(kind="multiprocessor", in_use=in_use, total=total, why=changes.pop("why", ""))
    return device(kind="cuda", device="cuda:0", name="Nothing 1", units=units, clock=None, **changes)


def against(where: records.Device, name: str | None = "Nothing 1") -> Denominators:
    return Denominators(where, DeviceRatings(name, {}, where.name), TABLES)


def row(
    share: float = 0.5,
    *,
    intensity: float = 1000.0,
    rated_clock_hz: float | None = 1.83e9,
    kind: str = "datasheet",
    **changes: Any,
) -> records.Measurement:
    """A row at `share` of a rating of 1e12 operations per second, with `intensity` operations per byte."""
    operations = 10**12
    made = measurement(
        operations=operations, bytes_=round(operations / intensity), median_s=1 / share, rated=1e12, device="cuda:0"
    )
    made.rated = records.Rated(kind=kind, operations_per_s=1e12, clock_hz=rated_clock_hz, source="test")  # type: ignore[arg-type]  # one of its words
    made.utilization = share
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def clocked(hz: float, share: dict[str, float] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"clock_hz": {"median": hz, "min": hz, "max": hz, "samples": 30, "source": "nvml"}}
    return found if share is None else found | {"throttle": {"share": share, "bits_seen": 4, "source": "nvml"}}


def factors(found: list[records.Loss] | None) -> dict[str, records.Loss]:
    assert found is not None
    return {loss.factor: loss for loss in found}


def explained(one: records.Measurement, where: records.Device | None = None, **known: Any) -> dict[str, records.Loss]:
    known = {"role": Role.COMPUTE, "bandwidth_bytes_per_s": None} | known
    return factors(explain(one, denominators=against(where or gpu()), **known))


@given(
    share=st.floats(1e-6, 3.0),
    intensity=st.floats(1e-2, 1e4),
    role=st.sampled_from([Role.COMPUTE, Role.BANDWIDTH, Role.CEILING]),
    units=st.tuples(st.none() | st.integers(1, 200), st.none() | st.integers(1, 200)),
    rated_clock_hz=st.none() | st.floats(1e8, 6e9),
    seen_hz=st.none() | st.floats(1e8, 6e9),
    measured_before=st.booleans(),
    bandwidth=st.none() | st.floats(1e6, 1e13),
    from_memory=st.none() | st.floats(1e6, 1e13),
    launch=st.none() | st.floats(0, 0.99),
    kind=st.sampled_from(["datasheet", "computed", "user"]),
)
def test_the_factors_multiply_to_the_utilisation_whatever_is_known(
    share: float,
    intensity: float,
    role: Role,
    units: tuple[int | None, int | None],
    rated_clock_hz: float | None,
    seen_hz: float | None,
    measured_before: bool,
    bandwidth: float | None,
    from_memory: float | None,
    launch: float | None,
    kind: str,
) -> None:
    where = gpu(*units)
    if measured_before:
        where.kind, where.clock = "cpu", records.Clock(hz=rated_clock_hz, source="measured (a chain)")
    one = row(share, intensity=intensity, rated_clock_hz=rated_clock_hz, kind=kind)
    one.telemetry = clocked(seen_hz) if seen_hz else None
    found = explain(
        one,
        role=role,
        denominators=against(where),
        bandwidth_bytes_per_s=bandwidth,
        memory_bytes_per_s=from_memory,
        launch_share=launch,
    )
    assert found is not None
    assert isclose(prod(loss.ratio for loss in found), share, rel_tol=1e-9)
    names = [loss.factor for loss in found]
    assert names == sorted(names, key=ORDER.index) and len(set(names)) == len(names) and names[-1] == "kernel"
    assert all(loss.ratio > 0 and loss.why for loss in found)
    for name in ORDER[:-1] if role is not Role.BANDWIDTH else ["launch"]:
        assert name in names or f"{name} unknown" in found[-1].why or "merged" in found[-1].why
    memory = next((loss.ratio for loss in found if loss.factor == "memory"), None)
    assert memory is None or memory <= 1
    if memory is not None and memory < 1:
        assert found[-1].ratio <= 1 + 1e-6, "a memory bound that was exceeded is merged"


def test_a_power_capped_card_says_by_how_much_and_how_often() -> None:
    one = row(640 / 989, telemetry=clocked(1.41e9, {"sw_power_cap": 0.83}))
    found = explained(one, bandwidth_bytes_per_s=3e12, launch_share=0.0)
    assert list(found) == ORDER
    assert found["clock"].ratio == pytest.approx(1410 / 1830)
    assert found["clock"].why == "1,830 → 1,410 MHz: power cap in 83 % of samples"
    assert found["units"].why == "all 132 multiprocessors"
    assert found["kernel"].ratio == pytest.approx(640 / 989 / (1410 / 1830))
    assert found["kernel"].why == "84 % of what units, clock, memory and launch leave"


def test_a_lower_clock_without_a_reason_says_that_none_was_set_or_that_none_is_told() -> None:
    assert explained(row(telemetry=clocked(1e9, {})))["clock"].why.endswith("no throttle reason was set")
    assert explained(row(telemetry=clocked(1e9)))["clock"].why.endswith("the source does not say why")


def test_a_clock_above_the_rated_one_is_a_gain() -> None:
    found = explained(row(0.9, telemetry=clocked(1.98e9, {"sw_power_cap": 0.1})))
    assert found["clock"].ratio > 1 and found["clock"].why == "1,830 → 1,980 MHz: no slower than rated"


def test_a_slice_has_its_share_of_the_units() -> None:
    found = explained(row(0.01), gpu(2, 132, why="MIG 1g.10gb"))
    assert found["units"].ratio == pytest.approx(2 / 132)
    assert found["units"].why == "2 of 132 multiprocessors: MIG 1g.10gb"


def test_units_that_the_device_does_not_total_are_those_of_its_rating() -> None:
    entry = next(e for e in TABLES.entries if e.units and e.devices_per_row == (1,) and not e.target.startswith("gfx"))
    assert entry.units
    whole = factors(
        explain(
            row(),
            role=Role.COMPUTE,
            denominators=against(gpu(entry.units, None), entry.name),
            bandwidth_bytes_per_s=None,
        )
    )
    half = factors(
        explain(
            row(),
            role=Role.COMPUTE,
            denominators=against(gpu(entry.units // 2, None), entry.name),
            bandwidth_bytes_per_s=None,
        )
    )
    assert whole["units"].ratio == 1
    assert half["units"].ratio == pytest.approx(0.5, abs=0.01)


def test_compute_units_that_hip_counts_in_pairs_are_all_there() -> None:
    entry = next(e for e in TABLES.entries if e.target.startswith("gfx11") and e.units and e.devices_per_row == (1,))
    assert entry.units
    found = explain(
        row(),
        role=Role.COMPUTE,
        denominators=against(gpu(entry.units // 2, None), entry.name),
        bandwidth_bytes_per_s=None,
    )
    assert factors(found)["units"].ratio == 1


def test_a_computed_rating_is_that_of_the_cores_in_use() -> None:
    cores = records.Units(kind="core", in_use=1, total=2, why="affinity mask")
    where = device(units=cores, clock=records.Clock(hz=3e9, source="measured (a chain)"))
    found = explained(row(kind="computed", rated_clock_hz=3e9), where)
    assert found["units"].ratio == 1
    assert found["units"].why == "rated for the 1 of 2 cores in use: affinity mask"


def test_a_rating_from_a_measured_clock_has_no_clock_loss_until_one_is_observed() -> None:
    where = device(clock=records.Clock(hz=3e9, source="measured (dependent multiply chain)"))
    one = row(kind="computed", rated_clock_hz=3e9)
    assert explained(one, where)["clock"].ratio == 1
    one.telemetry = clocked(2.7e9)
    assert explained(one, where)["clock"].ratio == pytest.approx(0.9)
    one.telemetry = None
    for clock in (records.Clock(hz=3e9, source="cpufreq"), records.Clock(hz=2.5e9, source="measured (a chain)")):
        where.clock = clock  # the rating is of another clock: a model table's
        assert "clock unknown" in explained(one, where)["kernel"].why


def test_where_no_driver_tells_the_clock_the_canary_does() -> None:
    where = device(clock=records.Clock(hz=3e9, source="measured (dependent multiply chain)"))
    one = row(kind="computed", rated_clock_hz=3e9, telemetry={"canary": [{"clock_hz": 2.4e9}, {"clock_hz": 2.6e9}]})
    assert explained(one, where)["clock"].ratio == pytest.approx(2.6 / 3)
    one.telemetry = {"canary": [{"clock_hz": 2.4e9}], **clocked(2.9e9)}
    assert explained(one, where)["clock"].ratio == pytest.approx(2.9 / 3)


def test_a_row_bound_by_memory_says_how_many_operations_per_byte_it_would_need() -> None:
    # 24 operations per byte at 1e12 operations/s need 41.7 GB/s; half the operations per byte are half the rate.
    found = explained(row(0.25, intensity=12, telemetry=clocked(1.83e9)), bandwidth_bytes_per_s=1e12 / 24)
    assert found["memory"].ratio == pytest.approx(0.5)
    assert found["kernel"].ratio == pytest.approx(0.5)
    assert found["memory"].why == (
        "12 operations per byte, needs at least 24 to be bound by compute at the measured 41.7 GB/s"
    )


def test_a_row_just_above_the_ridge_point_loses_nothing_to_memory() -> None:
    found = explained(row(0.9, intensity=25, telemetry=clocked(1.83e9)), bandwidth_bytes_per_s=1e12 / 24)
    assert found["memory"].ratio == 1
    assert found["memory"].why == "bound by compute: 25 operations per byte, 24 are enough at the measured 41.7 GB/s"


def test_a_slower_clock_leaves_less_for_the_memory_to_bound() -> None:
    slow = explained(row(0.25, intensity=12, telemetry=clocked(1.83e9 / 2)), bandwidth_bytes_per_s=1e12 / 24)
    assert slow["clock"].ratio == pytest.approx(0.5) and slow["memory"].ratio == pytest.approx(1.0)


def test_a_memory_bound_that_was_exceeded_was_none() -> None:
    found = explained(row(0.75, intensity=12, telemetry=clocked(1.83e9)), bandwidth_bytes_per_s=1e12 / 24)
    assert "memory" not in found
    assert found["kernel"].ratio == pytest.approx(0.75)
    assert "the memory bound of 50 % was exceeded 1.5 times" in found["kernel"].why


def test_what_memory_would_not_bind_no_cache_binds() -> None:
    one = row(0.5, intensity=100, cache="warm", telemetry=clocked(1.83e9))
    found = explained(one, memory_bytes_per_s=1e12 / 24)
    assert found["memory"].ratio == 1 and found["memory"].why.endswith("of the memory, and a cache is no slower")
    one = row(0.25, intensity=12, cache="warm", telemetry=clocked(1.83e9))
    found = explained(one, memory_bytes_per_s=1e12 / 24)
    assert "memory unknown (the bandwidth of a warm cache was not measured here)" in found["kernel"].why


def test_an_unknown_clock_is_part_of_the_kernel_and_so_is_what_needs_it() -> None:
    found = explained(row(0.5), bandwidth_bytes_per_s=1e12)
    assert list(found) == ["units", "kernel"]
    unknown = "clock unknown (not observed during the row), memory unknown (its peak needs the clock)"
    assert unknown in found["kernel"].why and found["kernel"].why.endswith(": part of this factor")


def test_a_row_of_bandwidth_has_no_factor_that_memory_chips_do_not_know() -> None:
    one = row(0.8, utilization_of="bytes", telemetry=clocked(1e9))
    found = explained(one, role=Role.BANDWIDTH, bandwidth_bytes_per_s=1e9, launch_share=0.1)
    assert list(found) == ["launch", "kernel"]
    assert found["launch"].why == "the device waited for the host in 10 % of the time"


def test_work_carried_by_another_unit_says_so() -> None:
    carried = records.Executed(operations=10**12, precision="fp32", note="carried by the FP32 units")
    assert "carried by the FP32 units" in explained(row(executed=carried))["kernel"].why


def test_without_a_utilisation_there_is_nothing_to_explain() -> None:
    one = row(utilization=None)
    assert explain(one, role=Role.COMPUTE, denominators=against(gpu()), bandwidth_bytes_per_s=None) is None


def test_a_processor_waits_for_no_host() -> None:
    assert explained(row(kind="computed"), device())["launch"].ratio == 1
    assert "launch unknown" in explained(row(), gpu())["kernel"].why


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_an_impossible_launch_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="launch_share"):
        explained(row(), launch_share=share)


@given(st.lists(positive, min_size=1, max_size=5))
def test_the_largest_loss_is_the_smallest_ratio_below_one(ratios: list[float]) -> None:
    found = [records.Loss(factor="kernel", ratio=ratio, why=str(i)) for i, ratio in enumerate(ratios)]
    worst = largest(found)
    if min(ratios) >= 1:
        assert worst is None
    else:
        assert worst is not None and worst.ratio == min(ratios)
