"""A GPU is who it is: torch and the management library are asked about the same card."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.devices import nvml
from bench.devices.cuda import hashed_id, pci_address
from bench.records import Device


def test_the_record_holds_what_torch_tells_of_the_card(nvidia: Device) -> None:
    properties = torch.cuda.get_device_properties(0)
    assert nvidia.name == properties.name.strip()
    assert nvidia.units.in_use == properties.multi_processor_count
    assert nvidia.memory_bytes == properties.total_memory
    assert nvidia.capability == [properties.major, properties.minor]
    assert nvidia.runtime == f"CUDA {torch.version.cuda}"
    assert nvidia.caches["l2"] > 0


def test_the_card_has_an_id_that_names_no_card(nvidia: Device) -> None:
    uuid = str(torch.cuda.get_device_properties(0).uuid)
    assert nvidia.unique_id == hashed_id(uuid)
    assert re.fullmatch(r"[0-9a-f]{16}", nvidia.unique_id)
    assert nvidia.unique_id not in uuid.replace("-", "")


def test_nvml_finds_the_same_card_by_uuid_and_by_pci_address(nvidia: Device) -> None:
    properties = torch.cuda.get_device_properties(0)
    by_uuid = nvml.facts(str(properties.uuid), None)
    assert by_uuid.found, by_uuid.why
    assert by_uuid.pci_id == nvidia.pci_id
    assert (by_uuid.pci_id or "").startswith("10de:")
    address = pci_address(properties)
    if address is None:
        pytest.skip(f"torch {torch.__version__} does not tell PCI addresses: the UUID is what is left")
    by_address = nvml.facts(None, address)
    assert by_address.found, by_address.why
    assert by_address.pci_id == by_uuid.pci_id


def test_driver_clock_and_power_limit_are_known_or_their_refusal_is_recorded(nvidia: Device) -> None:
    assert nvidia.driver
    refused = nvidia.details.get("nvml_refused", {})
    assert nvidia.power_limit_w or "nvmlDeviceGetEnforcedPowerLimit" in refused
    assert nvidia.clock is not None
    assert nvidia.clock.hz or nvidia.clock.source


def test_the_gpu_is_the_device_that_auto_means(gpu: Device, cli: Callable[..., Any]) -> None:
    plan = cli("run", "--dry-run", "--kernel", "gemm", "--precision", "fp32")
    assert plan.code == 0, plan.err
    assert gpu.device in plan.out


def test_the_devices_command_lists_the_gpu_and_the_processor(gpu: Device, cli: Callable[..., Any]) -> None:
    listed = cli("devices")
    assert listed.code == 0, listed.err
    assert gpu.name in listed.out
    assert "cpu" in listed.out
