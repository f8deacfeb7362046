"""Timers and the measurement around them, on a simulated device with a clock of its own, and at the end on this one."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from importlib import import_module

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.stats.stopping import Rules
from bench.timing.cache import CachePlan
from bench.timing.measure import Timing, garbage_collection_off, measure, screen
from bench.timing.timers import GRAPH_S, EventTimer, HostTimer, graph_calls
from tests.timing.simulated import Simulated

WARM = CachePlan("warm")
FLUSHED = CachePlan("cold", flush_bytes=1 << 20)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Simulated:
    simulated = Simulated()

    def flusher(plan: CachePlan, torch_device: str) -> Callable[[], None] | None:
        return (lambda: simulated.enqueue(100e-6, 3e-6, "flush")) if plan.flush_bytes else None

    # By name: the package's `measure` is the function of the module.
    monkeypatch.setattr(import_module("bench.timing.measure"), "flusher", flusher)
    return simulated


def timed(device: Simulated, seconds: float, plan: CachePlan = WARM, **options: object) -> Timing:
    """Measure a call of that many seconds on the simulated device."""
    calls = [device.call(seconds, what=f"call {i}") for i in range(plan.copies)]
    settings = {"capturable": True, "budget_s": 30.0} | options
    return measure(calls, device, plan=plan, clock=device.clock, **settings)  # type: ignore[arg-type]  # options of measure


@pytest.mark.parametrize("plan", [WARM, FLUSHED])
@pytest.mark.parametrize(
    ("seconds", "timer"),
    [(20e-3, "event"), (1e-3, "event"), (0.9e-3, "event-busy"), (60e-6, "event-busy")],
)
def test_the_length_of_a_call_picks_its_timer(device: Simulated, seconds: float, timer: str, plan: CachePlan) -> None:
    timing = timed(device, seconds, plan)
    assert timing.timer == timer
    assert timing.cache == plan.label
    assert timing.calls_per_sample == 1
    # On an idle stream the launch (5 µs) and an event (1 µs) are in the time.
    assert timing.to_time().median_s == pytest.approx(seconds, abs=6.1e-6)
    assert timing.warnings == []
    assert timing.stop == "interval"


def test_short_calls_go_into_a_graph(device: Simulated) -> None:
    timing = timed(device, 10e-6)
    assert timing.timer == "graph"
    assert 400 <= timing.calls_per_sample <= 501
    assert timing.to_time().median_s == pytest.approx(10e-6, rel=1e-2)


def test_a_graph_turns_through_all_copies_in_order(device: Simulated) -> None:
    timing = timed(device, 10e-6, CachePlan("cold", copies=300, rotation_cold=True))
    assert (timing.timer, timing.cache) == ("graph", "cold")
    assert timing.calls_per_sample == 600
    captured = [entry for entry in device.log if entry.startswith("capture")]
    assert captured == [f"capture call {i % 300}" for i in range(600)]


@given(st.floats(min_value=0.0, max_value=50e-6), st.integers(min_value=1, max_value=512))
def test_a_graph_holds_whole_turns_and_never_less_than_one(call_s: float, copies: int) -> None:
    count = graph_calls(call_s, copies)
    assert count % copies == 0
    assert count >= copies
    assert count * call_s >= GRAPH_S or count >= 1000


def test_an_estimate_of_zero_counts_as_a_thousand_calls() -> None:
    assert graph_calls(0.0, 1) == 1000


def test_cold_calls_that_cannot_be_rotated_are_flushed_and_not_put_into_a_graph(device: Simulated) -> None:
    timing = timed(device, 10e-6, FLUSHED)
    assert (timing.timer, timing.cache) == ("event-busy", "cold")
    assert any("no graph" in warning for warning in timing.warnings)
    assert timing.to_time().median_s == pytest.approx(10e-6, abs=2.1e-6)


def test_what_cannot_be_captured_says_so(device: Simulated) -> None:
    assert timed(device, 10e-6, capturable=False).timer == "event-busy"
    device.capture_error = RuntimeError("operation not permitted when stream is capturing")
    timing = timed(device, 10e-6)
    assert timing.timer == "event-busy"
    assert any("not permitted" in warning for warning in timing.warnings)


def test_out_of_memory_in_a_capture_is_passed_on(device: Simulated) -> None:
    device.capture_error = MemoryError("64 MiB")
    with pytest.raises(MemoryError):
        timed(device, 10e-6)


def test_where_the_host_cannot_keep_ahead_a_graph_is_used_or_the_reader_told(device: Simulated) -> None:
    def slow_to_launch() -> list[Callable[[], None]]:
        return [device.call(60e-6, launch_s=400e-6)]

    options = {"plan": FLUSHED, "budget_s": 30.0, "clock": device.clock}
    told = measure(slow_to_launch(), device, capturable=False, **options)  # type: ignore[arg-type]  # options of measure
    assert told.timer == "event-busy"
    assert any("waited for the host" in warning for warning in told.warnings)
    warm = measure(slow_to_launch(), device, capturable=True, **(options | {"plan": WARM}))  # type: ignore[arg-type]  # as above
    assert warm.timer in ("event-busy", "graph")
    assert warm.to_time().median_s == pytest.approx(60e-6, rel=0.05)


def test_without_sleep_or_flush_a_graph_fills_the_stream(device: Simulated) -> None:
    device.can_sleep = False
    assert timed(device, 0.5e-3).timer == "graph"
    device.supports_graphs = False
    timing = timed(device, 0.5e-3)
    assert timing.timer == "event"
    assert any("launch gaps" in warning for warning in timing.warnings)


@pytest.mark.parametrize("seconds", [5e-3, 0.2e-3])
def test_each_call_is_flushed_in_warm_up_too(device: Simulated, seconds: float) -> None:
    timed(device, seconds, FLUSHED)
    # The first call and the five of the estimate are not flushed; every later one is.
    log = [entry for entry in device.log if entry != "sleep"]
    assert log[:6] == ["call 0"] * 6
    assert log[6:] == ["flush", "call 0"] * ((len(log) - 6) // 2)
    assert len(log) > 100


def test_the_block_of_the_host_timer_hides_the_clock(device: Simulated) -> None:
    device.has_events = False
    timing = timed(device, 2e-6)
    assert timing.timer == "host"
    # Reading the clock takes 50 ns: 1e-4 of a block of 7 µs calls from 72 calls on, and blocks grow tenfold.
    assert timing.calls_per_sample == 100
    assert timing.to_time().median_s == pytest.approx(7e-6, rel=1e-3)


def test_a_call_of_a_millisecond_needs_no_block(device: Simulated) -> None:
    device.has_events, device.read_s = False, 1e-6
    assert timed(device, 1.1e-3).calls_per_sample == 1
    assert timed(device, 0.2e-3).calls_per_sample == 100


def test_the_host_timer_goes_through_the_copies_across_blocks(device: Simulated) -> None:
    device.has_events = False
    calls = [device.call(1e-3, what=str(i)) for i in range(4)]
    timer = HostTimer(calls, device, 1e-3, device.clock)
    timer.calls_per_sample = 3
    timer.sample(3)
    assert device.log == ["0", "1", "2", "3", "0", "1", "2", "3", "0"]


def test_a_flush_is_never_inside_the_time(device: Simulated) -> None:
    device.has_events = False
    timer = HostTimer([device.call(1e-4)], device, 1e-4, device.clock, lambda: device.enqueue(1.0, 0.0, "flush"))
    assert timer.calls_per_sample == 1
    assert timer.sample(2) == pytest.approx([1e-4, 1e-4], rel=0.1)
    events = EventTimer([device.call(1e-4)], device, lambda: device.enqueue(1.0, 0.0, "flush"))
    assert events.sample(2) == pytest.approx([1e-4, 1e-4], rel=0.1)


@pytest.mark.parametrize("has_events", [True, False])
@pytest.mark.parametrize("seconds", [1e-5, 1e-3, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("budget_s", [0.1, 1.0, 10.0])
def test_the_budget_is_kept_to_a_call_or_a_block(
    device: Simulated, seconds: float, budget_s: float, has_events: bool
) -> None:
    device.has_events = has_events
    generator = random.Random(5)

    def noisy() -> None:
        device.call(seconds * generator.uniform(0.5, 1.0))()

    before = device.host_s
    timing = measure(
        [noisy],
        device,
        plan=WARM,
        capturable=False,
        budget_s=budget_s,
        clock=device.clock,
        rules=Rules(noise_variation=0),
    )
    assert device.host_s - before <= budget_s + max(1.01 * seconds * timing.calls_per_sample, 0.01)
    assert timing.samples_s
    assert (timing.stop, timing.reached_target) == ("budget", False) or timing.reached_target


def test_a_single_call_that_takes_the_budget_is_the_only_sample(device: Simulated) -> None:
    timing = timed(device, 5.0, budget_s=2.0)
    assert timing.samples_s == [pytest.approx(5.0, rel=1e-3)]
    assert (timing.stop, timing.timer, timing.reached_target) == ("budget", "host", False)
    assert timing.noise_reason == "the time budget is spent after 1 sample: fewer than 10"
    assert device.log == ["call 0"]
    assert timing.to_time().ci95_low_s is None


def test_a_noisy_call_says_how_noisy(device: Simulated) -> None:
    generator = random.Random(5)

    def noisy() -> None:
        device.call(generator.uniform(1e-3, 3e-3))()

    timing = measure(
        [noisy],
        device,
        plan=WARM,
        capturable=False,
        budget_s=60.0,
        clock=device.clock,
    )
    assert timing.stop == "noise-stable"
    assert not timing.reached_target
    assert "the noise is steady" in timing.noise_reason
    assert "%, not ±0.5 %" in timing.noise_reason


def test_the_phases_add_up_to_the_wall_time(device: Simulated) -> None:
    before = device.host_s
    timing = timed(device, 0.3e-3, FLUSHED)
    assert sum(timing.spent_s.values()) == pytest.approx(device.host_s - before, rel=1e-3)
    assert timing.timed_s == pytest.approx(sum(timing.samples_s), rel=1e-9)
    assert timing.timed_s >= 0.5


def test_calls_and_copies_have_to_agree(device: Simulated) -> None:
    with pytest.raises(ValueError, match="2 copies"):
        measure([device.call(1.0)], device, plan=CachePlan("cold", copies=2), capturable=True, budget_s=1.0)


def test_progress_is_told_of_every_sample(device: Simulated) -> None:
    seen: list[float] = []
    timing = timed(device, 2e-3, on_sample=seen.extend)
    assert seen == timing.samples_s


def test_the_record_is_what_the_schema_holds(device: Simulated) -> None:
    time = timed(device, 2e-3).to_time()
    assert msgspec.convert(msgspec.to_builtins(time), records.Time) == time
    assert time.ci95_low_s is not None
    assert time.ci95_low_s <= time.median_s


def test_screening_takes_one_call_whatever_the_plan(device: Simulated) -> None:
    plan = CachePlan("cold", copies=9, flush_bytes=1 << 20, rotation_cold=True)
    before = device.host_s
    assert screen([device.call(2e-3)], device, plan, 0.1, clock=device.clock) == pytest.approx(2e-3, rel=1e-2)
    assert device.host_s - before < 0.15


@pytest.mark.parametrize("was_on", [True, False])
def test_the_garbage_collector_is_held_off_and_put_back(device: Simulated, was_on: bool) -> None:
    (gc.enable if was_on else gc.disable)()
    seen: list[bool] = []

    def call() -> None:
        seen.append(gc.isenabled())
        device.call(1e-3)()
        if len(seen) == 20:
            raise RuntimeError("the twentieth call fails")

    try:
        with pytest.raises(RuntimeError, match="twentieth"):
            measure([call], device, plan=WARM, capturable=False, budget_s=1.0, clock=device.clock)
        assert gc.isenabled() == was_on
        assert not any(seen)
        with garbage_collection_off():
            assert not gc.isenabled()
        assert gc.isenabled() == was_on
    finally:
        gc.enable()


def test_a_real_product_on_this_processor_is_timed() -> None:
    import torch

    host = Simulated(has_events=False)
    a = torch.randn(64, 64)
    timing = measure([lambda: a @ a], host, plan=WARM, capturable=True, budget_s=0.3)
    assert timing.timer == "host"
    assert all(sample > 0.0 for sample in timing.samples_s)
    assert timing.to_time().min_s <= timing.to_time().median_s
