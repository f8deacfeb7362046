"""Threads that sample: they begin, end, keep what was said, and never spoil a run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bench.telemetry import Sample, Sampler, open_sources
from tests.factories import device


class Scripted:
    """A source for these tests: `say` is called for each sample."""

    version = "1"
    fields = frozenset({"power_w"})
    period_s = 0.002

    def __init__(self, name: str, say: Callable[[int], Sample]) -> None:
        self.name = name
        self.refused: dict[str, str] = {}
        self.said = 0
        self.closed = 0
        self._say = say

    def static(self) -> dict[str, Any]:
        return {}

    def sample(self) -> Sample:
        self.said += 1
        return self._say(self.said)

    def close(self) -> None:
        self.closed += 1


def now(power_w: float = 1.0) -> Sample:
    return Sample(time.monotonic(), power_w=power_w)


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.001)


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("telemetry-")}


def test_samples_are_taken_between_start_and_stop_and_stay_after() -> None:
    source = Scripted("steady", lambda count: now(float(count)))
    sampler = Sampler([source])
    assert source.said == 0
    with sampler:
        assert "telemetry-steady" in names()
        until(lambda: source.said >= 5)
    assert "telemetry-steady" not in names()
    assert source.closed == 1
    told = source.said
    time.sleep(0.01)
    assert source.said == told
    kept = sampler.window(0.0, time.monotonic())["steady"]
    assert [sample.power_w for sample in kept] == [float(count) for count in range(1, told + 1)]
    assert sampler.retired == {}


def test_a_window_has_its_samples_and_one_on_either_side() -> None:
    sampler = Sampler([Scripted("counted", lambda count: Sample(float(count)))])
    with sampler:
        until(lambda: len(sampler.window(0, 1e9)["counted"]) >= 8)
    times = [sample.time_s for sample in sampler.window(3.0, 5.0)["counted"]]
    assert times == [2, 3, 4, 5, 6]
    assert [sample.time_s for sample in sampler.window(3.2, 3.8)["counted"]] == [3, 4]
    assert sampler.window(-2.0, -1.0)["counted"][0].time_s == 1


def test_a_source_that_raises_is_retired_with_its_reason_and_the_others_go_on() -> None:
    def fail(count: int) -> Sample:
        if count == 3:
            raise RuntimeError("the card fell off the bus")
        return now()

    broken, steady = Scripted("broken", fail), Scripted("steady", lambda count: now())
    with Sampler([broken, steady]) as sampler:
        until(lambda: bool(sampler.retired))
        before = steady.said
        until(lambda: steady.said > before)
        assert sampler.retired == {"broken": "the card fell off the bus"}
        assert len(sampler.window(0, time.monotonic())["broken"]) == 2
    assert broken.said == 3
    assert (broken.closed, steady.closed) == (1, 1)


def test_a_source_that_fails_to_close_says_so_and_nothing_more() -> None:
    class Clinging(Scripted):
        def close(self) -> None:
            raise OSError("busy")

    with Sampler([Clinging("clinging", lambda count: now())]) as sampler:
        until(lambda: sampler.window(0, 1e12)["clinging"] != [])
    assert sampler.retired == {"clinging": "closing it: busy"}


def test_a_source_that_hangs_is_left_behind_and_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.telemetry.sampler._JOIN_S", 0.05)
    free = threading.Event()

    def hang(count: int) -> Sample:
        free.wait(30)
        return now()

    source = Scripted("hanging", hang)
    sampler = Sampler([source])
    with sampler:
        until(lambda: source.said == 1)
    assert source.closed == 0
    assert sampler.retired == {"hanging": "did not answer any more"}
    free.set()


def test_starting_and_stopping_twice_or_never_does_no_harm() -> None:
    source = Scripted("steady", lambda count: now())
    Sampler([Scripted("unused", lambda count: now())]).stop()
    sampler = Sampler([source])
    sampler.start()
    sampler.start()
    sampler.stop()
    sampler.stop()
    assert "telemetry-steady" not in names()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.telemetry.sampler._KEPT", 4)
    source = Scripted("steady", lambda count: Sample(float(count)))
    with Sampler([source]) as sampler:
        until(lambda: source.said >= 12)
    kept = sampler.window(0, 1e9)["steady"]
    assert len(kept) == 4
    assert kept[-1].time_s == source.said


@pytest.mark.parametrize(
    ("kind", "vendor", "name"),
    [
        ("cuda", "nvidia", "nvml"),
        ("cuda", "amd", "amdsmi"),
        ("xpu", "intel", "intel-sysfs"),
        ("npu", "huawei", "npu-smi"),
        ("musa", "moore threads", "mthreads-gmi"),
        ("cuda", "metax", "mx-smi"),
        ("hpu", "intel", "hl-smi"),
        ("mps", "apple", "macmon"),
        ("cpu", "amd", "rapl"),
    ],
)
def test_each_kind_of_device_has_its_source_or_the_reason_why_not(kind: str, vendor: str, name: str) -> None:
    # No such card has this id: where the library is there, it must not answer for another card.
    absent = device(device=f"{kind}:0", kind=kind, vendor=vendor, unique_id="0" * 16, pci_id="ffff:ffff")
    opened = open_sources(absent)
    try:
        found = {source.name for source in opened.sources}
        assert (name in found) != bool(opened.absent.get(name))
    finally:
        Sampler(opened.sources).stop()


def test_a_device_of_an_unknown_kind_still_has_its_host() -> None:
    opened = open_sources(device(device="sdaa:0", kind="sdaa", vendor="tecorigin"))
    assert [source.name for source in opened.sources] in (["proc"], ["psutil"])
    assert not opened.sources[0].fields & {"clock_hz", "temperature_c", "throttle_reasons"}


def test_the_parent_samples_without_torch_and_without_any_vendors_library() -> None:
    script = (
        "import sys; from bench.records import Device, Units; from bench.telemetry import Sampler, open_sources;"
        "cpu = Device(device='cpu', kind='cpu', name='', units=Units(kind='core', in_use=1));"
        "Sampler(open_sources(cpu).sources).stop();"
        "print(sorted({'torch', 'numpy', 'pynvml', 'amdsmi'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
