"""The timers on a real stream: events and the host's clock agree, graphs replay, a flushed cache is cold."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch

from bench import plugins
from bench.devices import Backend, view
from bench.kernel import Call, Inputs
from bench.records import Device
from bench.timing import CachePlan, compare, measure, plan_cache, prepare
from bench.timing.cache import flusher
from bench.timing.timers import EventTimer, GraphTimer

BUDGET_S = 2.0


def gemm(device: Device, size: int) -> tuple[Inputs, Call]:
    """A square FP32 product."""
    kernel = plugins.load().kernel("gemm")
    case = kernel.parse_case(f"m={size},n={size},k={size}")
    generator = torch.Generator().manual_seed(3)
    inputs = Inputs(case, "fp32", view(device), kernel.inputs(case, "fp32", view(device), "normal", generator))
    return inputs, plugins.load().implementations("gemm")["torch"].build(kernel, inputs)


def test_events_and_the_hosts_clock_agree_on_a_long_block(gpu: Device, strict: Backend) -> None:
    if not strict.has_events:
        pytest.skip(f"{gpu.device} has no events")
    _, call = gemm(gpu, 4096)
    for _ in range(3):
        call()
    strict.synchronize()
    start, end = strict.event(), strict.event()
    began = time.perf_counter()
    start.record()
    for _ in range(50):
        call()
    end.record()
    strict.synchronize()
    host_s = time.perf_counter() - began
    device_s = strict.elapsed_s(start, end)
    assert 0.8 * host_s < device_s < 1.02 * host_s


def test_a_tiny_call_is_timed_in_a_graph_and_stays_right(gpu: Device, strict: Backend) -> None:
    if not strict.supports_graphs:
        pytest.skip(f"{gpu.device} has no graphs in this backend")
    with torch.inference_mode():
        inputs, call = gemm(gpu, 64)
        timing = measure([call], strict, plan=CachePlan("warm"), capturable=True, budget_s=BUDGET_S)
        strict.synchronize()
        check, why = compare(prepare(plugins.load().kernel("gemm"), inputs, 1), call(), "fp32")
    assert timing.timer == "graph", timing.warnings
    assert timing.calls_per_sample > 1
    assert min(timing.samples_s) > 0
    assert check.passed, why


def test_a_call_that_cannot_be_captured_is_timed_without_a_graph(gpu: Device, strict: Backend) -> None:
    _, call = gemm(gpu, 64)
    timing = measure([call], strict, plan=CachePlan("warm"), capturable=False, budget_s=BUDGET_S)
    assert timing.timer != "graph"
    assert min(timing.samples_s) > 0


def test_a_long_call_is_timed_by_plain_events(gpu: Device, strict: Backend) -> None:
    if not strict.has_events:
        pytest.skip(f"{gpu.device} has no events")
    _, call = gemm(gpu, 8192)
    timing = measure([call], strict, plan=CachePlan("warm"), capturable=True, budget_s=BUDGET_S)
    if timing.to_time().median_s < 1e-3:
        pytest.skip("this GPU does 8192³ in under a millisecond")
    assert timing.timer == "event"


def test_a_graph_and_events_agree_on_a_call_that_both_can_time(gpu: Device, strict: Backend) -> None:
    if not strict.supports_graphs:
        pytest.skip(f"{gpu.device} has no graphs in this backend")
    with torch.inference_mode():
        _, call = gemm(gpu, 2048)
        events = measure([call], strict, plan=CachePlan("warm"), capturable=False, budget_s=BUDGET_S)
        graph = GraphTimer([call], strict, events.to_time().median_s)
        seconds = median(graph.sample(20))
    assert 0.7 < seconds / events.to_time().median_s < 1.3


def test_a_busy_stream_keeps_the_host_ahead(gpu: Device, strict: Backend) -> None:
    if not strict.can_sleep:
        pytest.skip(f"{gpu.device} has no sleep in this backend")
    with torch.inference_mode():
        _, call = gemm(gpu, 2048)
        for prepare in (flush_of(gpu), lambda: strict.busy_sleep(2e-4)):
            EventTimer([call], strict, prepare).sample(10)
            timer = EventTimer([call], strict, prepare, busy=True)
            timer.sample(50)
            assert timer.behind_share <= 0.1


def flush_of(device: Device) -> Call:
    """The flush of a cold plan."""
    found = flusher(CachePlan("cold", flush_bytes=2**28), device.device)
    assert found is not None
    return found


def test_a_cold_cache_is_slower_than_a_warm_one(gpu: Device, strict: Backend) -> None:
    cache = gpu.caches.get("llc")
    if not cache or not strict.has_events:
        pytest.skip(f"{gpu.device} does not tell its cache size, or has no events")
    source = torch.ones(cache // 16, dtype=torch.float32, device=gpu.device)  # a quarter of the cache
    target = torch.empty_like(source)
    size = source.numel() * source.element_size()

    def copy() -> torch.Tensor:
        return target.copy_(source)

    cold_plan = plan_cache("cold", 2 * size, size, cache, strict.memory_free_bytes(), gpu.kind, vendor=gpu.vendor)
    assert cold_plan.label == "cold"
    cold = measure([copy] * cold_plan.copies, strict, plan=cold_plan, capturable=False, budget_s=BUDGET_S)
    # The same timer for both: a stream kept busy by a sleep that leaves the cache alone.
    warm = measure([copy], strict, plan=CachePlan("warm"), capturable=False, budget_s=BUDGET_S)
    assert cold.to_time().median_s > warm.to_time().median_s
