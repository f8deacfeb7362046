"""A device that torch presents as cuda becomes a record; the drivers' answers are given, so that no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from bench.devices import cuda, nvml
from bench.records import Device

Identify = Callable[..., Device]

H100 = SimpleNamespace(
    name="NVIDIA H100 80GB HBM3",
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=85_017_493_504,
    uuid="ffc79498-8ff3-c2dc-3b0d-fafd804516ae",
    L2_cache_size=52_428_800,
    gcnArchName="",
)
KNOWN = nvml.GpuFacts(
    found=True, driver="550.54.15", pci_id="10de:2330", power_limit_w=700.0, ecc=True, max_clock_hz=1.98e9
)


@pytest.fixture
def identify(monkeypatch: pytest.MonkeyPatch) -> Identify:
    def run(changes: dict[str, object], facts: nvml.GpuFacts, hip: str | None = None) -> Device:
        properties = SimpleNamespace(**(vars(H100) | changes))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(cuda, "nvml_facts", lambda index: facts)
        return cuda.identify(0)

    return run


def test_an_h100_is_known_by_what_torch_and_nvml_tell(identify: Identify) -> None:
    found = identify({}, KNOWN)
    assert (found.device, found.vendor, found.architecture, found.capability) == ("cuda:0", "nvidia", "sm_90", [9, 0])
    assert (found.units.in_use, found.units.total, found.units.kind) == (132, 132, "multiprocessor")
    assert (found.driver, found.pci_id, found.power_limit_w, found.ecc) == ("550.54.15", "10de:2330", 700.0, True)
    assert found.clock is not None
    assert found.clock.hz == 1.98e9
    assert found.caches == {"l2": 52_428_800, "llc": 52_428_800}


def test_without_nvml_the_record_says_why_and_nothing_is_guessed(identify: Identify) -> None:
    found = identify({}, nvml.GpuFacts(why="NVML Shared Library Not Found"))
    assert found.vendor == "nvidia"
    assert (found.driver, found.power_limit_w, found.ecc, found.pci_id) == (None, None, None, None)
    assert found.clock is not None
    assert (found.clock.hz, found.clock.source) == (None, "NVML Shared Library Not Found")
    assert found.details["nvml"] == "NVML Shared Library Not Found"


def test_a_mig_slice_does_not_claim_the_card(identify: Identify) -> None:
    found = identify({"name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "multi_processor_count": 16}, KNOWN)
    assert found.mig == "1g.10gb"
    assert (found.units.in_use, found.units.total, found.units.why) == (16, None, "MIG 1g.10gb")


def test_an_instinct_is_amds(identify: Identify) -> None:
    changes = {"name": "AMD Instinct MI300X", "gcnArchName": "gfx942:sramecc+:xnack-", "multi_processor_count": 304}
    found = identify(changes, nvml.GpuFacts(why="not an NVIDIA stack"), hip="6.4.43482")
    assert (found.vendor, found.architecture, found.capability) == ("amd", "gfx942", None)
    assert (found.units.kind, found.runtime) == ("compute unit", "HIP 6.4.43482")
    assert found.precisions["fp16"] == "matrix core"


def test_another_vendors_stack_is_not_taken_for_nvidias(identify: Identify) -> None:
    found = identify({"name": "MetaX C500"}, nvml.GpuFacts(why="NVML: not found"))
    assert (found.vendor, found.architecture, found.capability) == ("metax", "", None)
    assert set(found.precisions) == {"fp32", "fp16", "bf16"}
