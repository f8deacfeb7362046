"""What the card's management library tells of it, in the units that the records promise, idle and under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import records
from bench.devices import Backend
from bench.records import Device
from bench.telemetry import Opened, Sampler, Source, open_sources, summarize

LOAD_S = 2.0

PLAUSIBLE = {
    # Wide enough for any card, narrow enough for a wrong unit: milliwatts, megahertz, percent.
    "clock_hz": (1e8, 5e9),
    "memory_clock_hz": (1e8, 2e10),
    "power_w": (3.0, 2_000.0),
    "temperature_c": (5.0, 110.0),
    "utilization": (0.0, 1.0),
    "memory_used_bytes": (1e6, 1e12),
}


@pytest.fixture
def opened(nvidia: Device) -> Iterator[Opened]:
    found = open_sources(nvidia)
    yield found
    for source in found.sources:
        source.close()


@pytest.fixture
def nvml(opened: Opened) -> Source:
    found = next((source for source in opened.sources if source.name == "nvml"), None)
    if found is None:
        pytest.skip(f"no NVML here: {opened.absent.get('nvml')}")
    return found


def keep_busy(device: Device, backend: Backend, seconds: float) -> None:
    """Products of FP16 matrices, back to back."""
    a = torch.randn(4096, 4096, device=device.device, dtype=torch.float16)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(50):
            a @ a
        backend.synchronize()


def test_every_field_is_told_in_its_unit_or_its_refusal_is_recorded(nvml: Source) -> None:
    told = nvml.sample()
    for name, (low, high) in PLAUSIBLE.items():
        value = getattr(told, name)
        if value is None:
            assert nvml.refused[name], name
        else:
            assert low <= value <= high, (name, value)
    assert "clock_hz" in nvml.fields, nvml.refused
    limit_w = nvml.static().get("power_limit_w")
    assert limit_w is None or 10 <= limit_w <= 2_000


def test_the_reasons_that_hold_the_clock_have_names(nvml: Source) -> None:
    told = nvml.sample()
    if told.throttle_reasons is None:
        pytest.skip(f"not told: {nvml.refused.get('throttle_bits')}")
    assert not [reason for reason in told.throttle_reasons if reason.startswith("unknown")]


def test_this_process_is_no_neighbour_of_its_own(nvidia: Device, strict: Backend, nvml: Source) -> None:
    torch.ones(8, device=nvidia.device).sum()
    strict.synchronize()
    told = nvml.sample()
    if told.other_processes is None:
        pytest.skip(f"not told: {nvml.refused.get('other_processes')}")
    assert told.other_processes == 0, "or somebody else is on this card"


def test_under_load_the_clock_is_high_and_the_energy_counter_agrees_with_the_power(
    nvidia: Device, strict: Backend, opened: Opened, nvml: Source
) -> None:
    keep_busy(nvidia, strict, 0.5)
    with Sampler(opened.sources) as sampler:
        start_s = time.monotonic()
        keep_busy(nvidia, strict, LOAD_S)
        window = (start_s, time.monotonic())
        time.sleep(2 * nvml.period_s)
        samples = sampler.window(*window)
    assert not sampler.retired
    found = summarize(samples, window, sources=opened.sources)
    assert found["clock_hz"]["samples"] >= LOAD_S / nvml.period_s / 10, "ten times slower than it was asked for"
    assert nvidia.clock is not None and nvidia.clock.hz is not None
    assert 0.3 * nvidia.clock.hz < found["clock_hz"]["median"] <= 1.01 * nvidia.clock.hz
    if {"energy_j", "power_w"} <= nvml.fields:
        assert found["energy"]["method"] == "counter"
        assert 0.5 < found["energy"]["mean_power_w"] / found["power_w"]["median"] < 2.0


def test_a_row_has_the_telemetry_of_its_window(nvidia: Device, cli: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "row.jsonl"
    what = ["--kernel", "gemm", "--case", "m=4096,n=4096,k=4096", "--precision", "fp16", "--implementation", "torch"]
    done = cli("run", "--device", nvidia.device, *what, "--budget", "60", "--out", str(out))
    (row,) = records.read(out).measurements
    assert row.telemetry is not None, done.err
    if "clock_hz" in row.telemetry.get("unknown", []):
        pytest.skip(f"the clock is not told: {records.read(out).devices[0].details['telemetry']}")
    assert row.telemetry["clock_hz"]["samples"] >= 3
    assert row.losses is None or any(loss.factor == "clock" for loss in row.losses)
