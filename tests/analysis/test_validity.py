"""What telemetry makes of a row's status: precedence, worse is never better, and unknown is never a verdict."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.observed import canary_reference
from bench.analysis.utilization import Denominators
from bench.analysis.validity import WHO_TAKES, above_ceiling, findings, judge, unknown
from bench.kernel import Role
from bench.ratings import DeviceRatings, load, ratings_for
from bench.telemetry import Sample, summarize
from bench.telemetry.canary import Canary
from bench.telemetry.reasons import kind_of
from tests.factories import device, measurement

TABLES = load()
CPU = device()
GPU = device(
    device="cuda:0",
    kind="cuda",
    name="Nothing 1",
    units=records.Units(kind="multiprocessor", in_use=108, total=108),
    clock=None,
)
BOOST_HZ = 1.41e9

shares = st.floats(0, 1)
trouble = st.sampled_from(["sw_thermal_slowdown", "hw_thermal_slowdown", "hw_slowdown", "hw_power_brake_slowdown"])


def against(where: records.Device) -> Denominators:
    return Denominators(where, DeviceRatings(None, {}, where.name), TABLES)


def judged(telemetry: dict[str, Any] | None, where: records.Device = GPU, **changes: Any) -> records.Measurement:
    row = measurement(telemetry=telemetry, device=where.device, **changes)
    assert row.rated is not None
    row.rated.clock_hz = BOOST_HZ
    return judge(row, denominators=against(where), kind_of=kind_of)


def gauge(value: float, **more: Any) -> dict[str, Any]:
    return {"median": value, "min": value, "max": value, "samples": 30, "source": "nvml", **more}


def throttle(**share: float) -> dict[str, Any]:
    return {"share": share, "samples": 30, "source": "nvml"}


def canary(*, clock: float = 1.0, flops: float = 1.0, passing: bool = False) -> dict[str, Any]:
    """Readings before and after, at these shares of the launch's best; `passing`: only the one after."""
    best = {"clock_hz": 3e9, "fma_flops_one": 1e11, "fma_flops_all": 2e11}
    after = {"clock_hz": 3e9 * clock, "fma_flops_one": 1e11 * clock, "fma_flops_all": 2e11 * flops}
    return {"canary": [best if passing else after, after], "canary_reference": best}


def rank(status: records.Status) -> int:
    return records.STATUSES.index(status)


# --- single rules -----------------------------------------------------------------------------------------------------


def test_a_hot_card_is_throttled_and_says_how_far_it_fell() -> None:
    row = judged({"clock_hz": gauge(0.62 * BOOST_HZ), "throttle": throttle(sw_thermal_slowdown=1.0)})
    assert row.status == "throttled"
    assert row.reason == "clock fell to 62 % of boost: thermal slowdown in 100 % of samples"
    assert row.quarantine == [row.reason]


@pytest.mark.parametrize("reason", ["hw_slowdown", "hw_power_brake_slowdown", "hw_thermal_slowdown", "temp_hotspot"])
def test_a_device_in_trouble_is_throttled_whatever_its_clock(reason: str) -> None:
    assert judged({"clock_hz": gauge(BOOST_HZ), "throttle": throttle(**{reason: 0.01})}).status == "throttled"


@pytest.mark.parametrize("reason", ["sw_power_cap", "ppt_pwr", "applications_clocks_setting"])
def test_a_limit_that_the_device_is_meant_to_run_at_is_explained(reason: str) -> None:
    row = judged({"clock_hz": gauge(0.5 * BOOST_HZ), "throttle": throttle(**{reason: 0.9, "gpu_idle": 0.1})})
    assert row.status == "ok" and not row.quarantine


def test_a_power_cap_in_few_samples_does_not_explain_the_clock_of_all() -> None:
    assert judged({"clock_hz": gauge(0.5 * BOOST_HZ), "throttle": throttle(sw_power_cap=0.1)}).status == "throttled"


def test_a_reason_of_no_table_explains_nothing_and_convicts_nobody() -> None:
    strange = {"unknown bit 0x800": 1.0}
    assert judged({"clock_hz": gauge(BOOST_HZ), "throttle": throttle(**strange)}).status == "ok"
    assert judged({"clock_hz": gauge(0.5 * BOOST_HZ), "throttle": throttle(**strange)}).status == "throttled"


def test_a_low_clock_is_throttled_from_below_three_quarters_on() -> None:
    assert judged({"clock_hz": gauge(0.76 * BOOST_HZ)}).status == "ok"
    row = judged({"clock_hz": gauge(0.74 * BOOST_HZ)})
    assert row.status == "throttled" and row.reason.endswith("the source does not say why")


def test_other_processes_on_the_device_contend() -> None:
    row = judged({"other_processes": gauge(2)})
    assert (row.status, row.reason) == ("contended", "2 other processes on the device")
    assert judged({"other_processes": gauge(0)}).status == "ok"


def test_stolen_time_contends_above_five_percent() -> None:
    assert judged({"steal_share": gauge(0.0, mean=0.049)}, CPU).status == "ok"
    row = judged({"steal_share": gauge(0.0, mean=0.12)}, CPU)
    assert (row.status, row.reason) == ("contended", "the hypervisor gave 12 % of the CPU time to others")


def test_others_are_counted_in_cpus_for_one_busy_core_of_many_holds_up_all() -> None:
    many = device(units=records.Units(kind="core", in_use=64, total=64))
    assert judged({"busy_share_other": gauge(1 / 64)}, many).status == "contended"
    assert judged({"busy_share_other": gauge(1 / 64)}, CPU).status == "ok"
    row = judged({"busy_share_other": gauge(0.5)}, CPU)
    assert (row.status, row.reason) == ("contended", "other processes took 50 % of the 2 cores")


def test_other_processes_on_the_host_are_no_contention_of_a_gpu() -> None:
    assert judged({"busy_share_other": gauge(0.9)}, GPU).status == "ok"


def test_a_neighbour_on_the_units_is_told_from_a_slow_clock() -> None:
    busy = judged(canary(flops=0.69), CPU)
    assert (busy.status, busy.reason) == ("contended", f"31 % of the FMA units were taken {WHO_TAKES}")
    slow = judged(canary(clock=0.86, flops=0.84), CPU)
    assert slow.status == "ok"
    assert slow.quarantine == ["the canary was 16 % below the best of this launch (with the clock)"]
    both = judged(canary(clock=0.96, flops=0.5), CPU)
    assert both.status == "contended" and "48 %" in both.reason


def test_one_look_of_milliseconds_accuses_nobody() -> None:
    row = judged(canary(flops=0.5, passing=True), CPU)
    assert row.status == "ok" and not row.quarantine


def test_without_a_clock_the_canary_quarantines_but_does_not_accuse() -> None:
    readings = {"canary": [{"fma_flops_all": 1e11}], "canary_reference": {"fma_flops_all": 2e11}}
    row = judged(readings, CPU)
    assert row.status == "ok"
    assert row.quarantine == ["the canary was 50 % below the best of this launch (the clock is unknown)"]


def test_a_canary_within_its_scatter_is_silent() -> None:
    row = judged(canary(clock=0.9, flops=0.88), CPU)
    assert row.status == "ok" and not row.quarantine


def test_the_hosts_canary_says_nothing_of_a_gpu() -> None:
    row = judged(canary(clock=0.9, flops=0.2), GPU)
    assert row.status == "ok" and not row.quarantine


def test_a_clock_that_changed_during_the_row_quarantines_it() -> None:
    row = judged(canary(clock=0.8, flops=0.8, passing=True), CPU)
    assert row.status == "ok"
    assert row.quarantine == ["the clock changed during the row: 3,000 → 2,400 MHz"]
    slow = judged(canary(clock=0.8, flops=0.8), CPU)
    assert "the clock was 20 % below the best of this launch" in slow.quarantine


def test_a_neighbour_who_disturbs_the_clocks_reading_too_is_a_neighbour_still() -> None:
    assert judged(canary(clock=0.9, flops=0.5), CPU).status == "contended"


def test_a_processor_far_below_its_own_best_is_throttled_too() -> None:
    slow = {"clock_hz": 2e9, "fma_flops_all": 1.33e11}
    row = judged({"canary": [slow, slow], "canary_reference": {"clock_hz": 3e9, "fma_flops_all": 2e11}}, CPU)
    assert row.status == "throttled" and row.reason.startswith("clock fell to 67 % of boost")


def test_memory_errors_quarantine() -> None:
    row = judged({"ecc_errors": {"rise": 3, "source": "nvml"}})
    assert row.status == "ok" and row.quarantine == ["memory errors (ECC) during the row: 3"]
    assert not judged({"ecc_errors": {"rise": 0, "source": "nvml"}}).quarantine


def test_a_rate_above_the_peak_at_the_observed_clock_is_invalid() -> None:
    card = device(
        device="cuda:0",
        kind="cuda",
        name="NVIDIA A100-SXM4-80GB",
        vendor="nvidia",
        capability=[8, 0],
        units=records.Units(kind="multiprocessor", in_use=108, total=108),
        memory_bytes=80 * 2**30,
        clock=None,
    )
    denominators = Denominators(card, ratings_for(card, TABLES), TABLES)
    half = 108 * 2048 * BOOST_HZ / 2  # FP16 with FP32 accumulation at half of the boost clock
    operations = 10**12

    def at(share: float, samples: int = 30) -> records.Measurement:
        row = measurement(precision="fp16", operations=operations, median_s=operations / (half * share), rated=312e12)
        row.telemetry = {
            "clock_hz": gauge(BOOST_HZ / 2) | {"samples": samples},
            "throttle": throttle(sw_power_cap=1.0),
        }
        return judge(row, denominators=denominators, kind_of=kind_of)

    assert at(0.99).status == "ok"
    assert at(1.5).status == "invalid" and "705 MHz observed" in at(1.5).reason
    twice = judge(msgspec.structs.replace(at(1.5), reason="by the rating"), denominators=denominators, kind_of=kind_of)
    assert twice.reason == "by the rating", "what is invalid by its rating already is not told so twice"
    assert at(1.5, samples=3).status == "ok", "of three samples none need be the highest clock"


def test_what_telemetry_summarizes_is_what_is_judged() -> None:
    samples = [
        Sample(i / 50, clock_hz=0.62 * BOOST_HZ, throttle_reasons=("sw_thermal_slowdown",), other_processes=1)
        for i in range(50)
    ]
    hot = judged(summarize({"nvml": samples}, (0.0, 1.0)))
    assert (hot.status, hot.also) == ("contended", ["throttled"])
    assert "throttled: clock fell to 62 % of boost: thermal slowdown in 100 % of samples" in hot.warnings

    stolen = [
        Sample(float(i), steal_s=0.2 * i, busy_other_s=0.0, cpu_total_s=2.0 * i, steal_share=0.1) for i in range(9)
    ]
    best = Canary(time_s=0.0, seconds=0.02, threads=2, clock_hz=3e9, fma_flops_one=1e11, fma_flops_all=2e11)
    worst = Canary(time_s=8.0, seconds=0.02, threads=2, clock_hz=3e9, fma_flops_one=1e11, fma_flops_all=1e11)
    told = summarize({"proc": stolen}, (0.0, 8.0), canaries=[worst, worst])
    told["canary_reference"] = canary_reference([best.to_record()])
    row = judged(told, CPU)
    assert row.status == "contended"
    assert row.reason == (
        f"50 % of the FMA units were taken {WHO_TAKES}; the hypervisor gave 10 % of the CPU time to others"
    )


# --- how they go together ---------------------------------------------------------------------------------------------


def test_a_row_that_was_not_timed_is_not_judged() -> None:
    row = measurement(status="crashed", reason="SIGSEGV", timed=False, telemetry={"other_processes": gauge(3)})
    assert judge(row, denominators=against(GPU), kind_of=kind_of) is row


def test_the_first_by_precedence_wins_and_the_others_stand_beside_it() -> None:
    hot = {"other_processes": gauge(1), "throttle": throttle(hw_slowdown=0.5)}
    row = judged(hot, status="noisy", reason="± 2 %")
    assert (row.status, row.also) == ("contended", ["throttled", "noisy"])
    assert row.reason == "1 other process on the device"
    assert row.warnings == ["throttled: hardware slowdown in 50 % of samples", "noisy: ± 2 %"]
    assert len(row.quarantine) == 2


def test_a_status_that_a_row_has_already_keeps_its_reason() -> None:
    row = judged({"other_processes": gauge(1)}, status="invalid", reason="2.00 × the peak", also=["noisy"])
    assert (row.status, row.reason, row.also) == ("invalid", "2.00 × the peak", ["contended", "noisy"])


def test_what_was_not_told_is_listed_and_gives_no_verdict() -> None:
    row = judged({})
    assert row.status == "ok" and not row.quarantine
    assert row.telemetry == {"unknown": ["throttle", "steal_share", "clock_hz", "other_processes"]}
    assert unknown(measurement(telemetry=canary()), CPU) == ["throttle", "steal_share", "busy_share_other"]
    assert judged(None).telemetry is None


telemetries = st.fixed_dictionaries(
    {},
    optional={
        "clock_hz": st.floats(0.3, 1.1).map(lambda ratio: gauge(ratio * BOOST_HZ)),
        "steal_share": shares.map(gauge),
        "busy_share_other": shares.map(gauge),
        "other_processes": st.integers(0, 3).map(gauge),
        "throttle": st.dictionaries(trouble | st.just("sw_power_cap"), shares).map(lambda found: throttle(**found)),
        "ecc_errors": st.integers(0, 3).map(lambda rise: {"rise": rise}),
    },
).flatmap(
    lambda known: (
        st.just(known)
        | st.tuples(st.floats(0.9, 1.0), st.floats(0.2, 1.0)).map(lambda c: known | canary(clock=c[0], flops=c[1]))
    )
)
devices = st.sampled_from([CPU, GPU])
statuses = st.sampled_from(records.MEASURED)


@given(telemetries, devices, statuses)
def test_the_status_is_the_worst_that_holds_and_judging_twice_changes_nothing(
    telemetry: dict[str, Any], where: records.Device, status: records.Status
) -> None:
    once = judged(telemetry, where, status=status, reason="" if status == "ok" else "its own reason")
    said = {f.status for f in findings(once, against(where), kind_of) if f.status} | ({status} - {"ok"})
    assert {once.status, *once.also} - {"ok"} == said
    ranks = [rank(one) for one in (once.status, *once.also)]  # type: ignore[arg-type]  # statuses in a list of words
    assert ranks == sorted(set(ranks))
    assert bool(once.reason) == (once.status != "ok") and "ok" not in once.also
    assert judge(once, denominators=against(where), kind_of=kind_of) == once


@given(telemetries, devices, st.data())
def test_worse_telemetry_never_gives_a_better_status(
    telemetry: dict[str, Any], where: records.Device, data: st.DataObject
) -> None:
    worse = deepcopy(telemetry)
    for name in ("steal_share", "busy_share_other", "other_processes"):
        if name in worse:
            worse[name] = gauge(worse[name]["median"] + data.draw(st.floats(0, 1)))
    if "throttle" in worse:
        worse["throttle"]["share"][data.draw(trouble)] = data.draw(st.floats(0.01, 1))
    if "clock_hz" in worse:
        worse["clock_hz"] = gauge(worse["clock_hz"]["median"] * data.draw(st.floats(0.3, 1)))
    if "canary" in worse:
        worse["canary"][1]["fma_flops_all"] *= data.draw(st.floats(0.3, 1))
    before, after = judged(telemetry, where), judged(worse, where)
    assert rank(after.status) <= rank(before.status)
    assert len(after.quarantine) >= len(before.quarantine)


@given(telemetries, devices, st.data())
def test_knowing_less_never_convicts(telemetry: dict[str, Any], where: records.Device, data: st.DataObject) -> None:
    # The throttle reasons stay: a limit that explains a low clock is no longer known to when it is forgotten.
    forgotten = data.draw(st.sets(st.sampled_from(sorted(telemetry)))) - {"throttle"} if telemetry else set()
    less = {name: value for name, value in telemetry.items() if name not in forgotten}
    assert rank(judged(less, where).status) >= rank(judged(telemetry, where).status)
    assert rank(judged({}, where).status) == rank("ok")


# --- against a measured ceiling -----------------------------------------------------------------------------------


def roof(median_s: float, **changes: Any) -> records.Measurement:
    """A row that measures the ceiling, of as many operations as the factory's product."""
    return measurement(kernel="peak", role=Role.CEILING, median_s=median_s, **changes)


def test_a_kernel_above_the_measured_ceiling_is_warned_of_with_its_figures() -> None:
    fast = measurement(median_s=1e-3, low_s=0.99e-3, high_s=1.01e-3)
    warning = above_ceiling(fast, [roof(1.25e-3)])
    assert warning.startswith("1.25 × the measured fp32 ceiling of 1.6 T/s")


def test_within_its_interval_a_kernel_is_not_above_the_ceiling() -> None:
    assert above_ceiling(measurement(median_s=1e-3, low_s=0.99e-3, high_s=1.01e-3), [roof(1.005e-3)]) == ""
    assert above_ceiling(measurement(median_s=1e-3, low_s=None, high_s=None), [roof(1e-3)]) == ""


def test_a_kernel_is_set_against_the_unit_that_executed_it() -> None:
    carried = records.Executed(operations=2 * 10**9, precision="fp32")
    row = measurement(precision="int8", accumulate="int32", executed=carried, median_s=1e-3)
    assert above_ceiling(row, [roof(0.5e-3, precision="int8", accumulate="int32")]) == ""
    assert "fp32 ceiling" in above_ceiling(row, [roof(2e-3)])


def test_operations_that_were_spared_do_not_count_against_the_ceiling() -> None:
    winograd = records.Executed(operations=10**9, precision="fp32")
    assert above_ceiling(measurement(executed=winograd, median_s=1e-3), [roof(1.5e-3)]) == ""


def test_nothing_is_warned_of_where_there_is_no_ceiling_to_believe_or_none_applies() -> None:
    fast = measurement(median_s=1e-3)
    assert above_ceiling(fast, []) == ""
    assert above_ceiling(fast, [roof(9e-3, status="contended")]) == ""
    assert above_ceiling(fast, [roof(9e-3, precision="fp64", accumulate="fp64")]) == ""
    assert above_ceiling(roof(1e-3), [roof(9e-3)]) == ""
    assert above_ceiling(measurement(utilization_of="bytes"), [roof(9e-3)]) == ""
    assert above_ceiling(measurement(timed=False, status="failed"), [roof(9e-3)]) == ""
