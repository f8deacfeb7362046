"""Devices that torch presents as cuda: NVIDIA's, AMD's through HIP, and other vendors' compatible stacks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.devices import nvml, pci
from bench.devices.files import read_text
from bench.devices.gpu_units import amd_precisions, cuda_vendor, mig_profile, nvidia_precisions, vgpu_profile
from bench.records import Clock, Device, PcieLink, Units

_ID_SALT: Final = b"suanli-bench/device/"
"""Fixed, so that a card has the same id in every run file; salted, so that no published list of UUIDs resolves it."""


def hashed_id(uuid: str) -> str:
    """16 hexadecimal digits that tell two cards apart and name neither."""
    return hashlib.sha256(_ID_SALT + uuid.strip().lower().encode()).hexdigest()[:16]


def pci_address(properties: Any) -> str | None:
    """ "0000:3b:00.0" from torch's device properties, where this torch has them."""
    bus, device = getattr(properties, "pci_bus_id", None), getattr(properties, "pci_device_id", None)
    if not isinstance(bus, int) or not isinstance(device, int):
        return None
    return f"{getattr(properties, 'pci_domain_id', 0):04x}:{bus:02x}:{device:02x}.0"


def nvml_facts(index: int) -> nvml.GpuFacts:
    """What NVML tells of torch.cuda's device `index`, found by UUID or PCI id.

    On another vendor's stack NVML may exist and answer for other cards: a matching id is what counts.
    """
    import torch

    if getattr(torch.version, "hip", None):
        return nvml.GpuFacts(why="not an NVIDIA stack")
    properties = torch.cuda.get_device_properties(index)
    return nvml.facts(str(getattr(properties, "uuid", "") or "") or None, pci_address(properties))


def pcie_link(told: PcieLink | None, facts: nvml.GpuFacts) -> PcieLink | None:
    """The link to the host, by sysfs where it tells (`told`), with what only NVML knows; None where neither does.

    NVML alone knows the speed that card and slot have in common, and no more lanes than that.
    """
    speed, here = (pci.GENERATIONS.get(n or 0) for n in (facts.pcie_generation, facts.pcie_generation_here))
    if told is not None:
        sources = [told.source, *(["NVML"] if here else [])]
        lanes_here = told.lanes_here or facts.pcie_lanes_here or None
        return msgspec.structs.replace(told, gt_per_s_here=here, lanes_here=lanes_here, source=" and ".join(sources))
    if not speed or not facts.pcie_lanes:
        return None
    return PcieLink(
        gt_per_s=speed,
        lanes=facts.pcie_lanes,
        gt_per_s_here=here,
        lanes_here=facts.pcie_lanes_here or None,
        source="NVML",
    )


def identify(index: int) -> Device:
    """Device `index` of torch.cuda as a record."""
    import torch

    properties = torch.cuda.get_device_properties(index)
    hip = getattr(torch.version, "hip", None)
    uuid = str(getattr(properties, "uuid", "") or "") or None
    facts = nvml_facts(index)
    address = pci_address(properties) or facts.pci_address
    pci_id = facts.pci_id or (pci.id_at(address) if address else None)
    vendor = cuda_vendor(properties.name, pci_id, bool(hip), facts.found)
    slice_, profile = mig_profile(properties.name), vgpu_profile(properties.name) if vendor == "nvidia" else None
    details = _details(properties, facts, address, profile)
    return Device(
        device=f"cuda:{index}",
        kind="cuda",
        name=properties.name.strip(),
        vendor=vendor,
        architecture=_architecture(properties, vendor),
        capability=[properties.major, properties.minor] if vendor == "nvidia" else None,
        units=_units(properties, vendor, slice_, profile),
        memory_bytes=int(properties.total_memory),
        caches={"l2": size, "llc": size} if (size := int(getattr(properties, "L2_cache_size", 0) or 0)) else {},
        driver=facts.driver or (read_text(Path("/sys/module/amdgpu/version")) if hip else None),
        runtime=f"HIP {hip}" if hip else f"CUDA {torch.version.cuda}",
        unique_id=hashed_id(uuid) if uuid else None,
        pci_id=pci_id,
        pcie=pcie_link(pci.link_at(address) if address else None, facts),
        virtualization=f"vGPU {profile}" if profile else facts.virtualization,
        mig=slice_,
        power_limit_w=facts.power_limit_w or (pci.power_cap_w(address) if address else None),
        ecc=facts.ecc,
        clock=_clock(properties, facts),
        precisions=_precisions(properties, vendor),
        details=details,
    )


def _architecture(properties: Any, vendor: str) -> str:
    """sm_90 of NVIDIA's; gfx942 of a HIP stack's; nothing of a compatible stack whose numbers are its own."""
    if vendor == "nvidia":
        return f"sm_{properties.major}{properties.minor}"
    return _gfx_name(properties)


def _gfx_name(properties: Any) -> str:
    """ "gfx942" of "gfx942:sramecc+:xnack-"; other stacks fill the field with the device's name."""
    name = str(getattr(properties, "gcnArchName", "")).partition(":")[0]
    return name if name.startswith("gfx") else ""


def _units(properties: Any, vendor: str, slice_: str | None, profile: str | None) -> Units:
    """A slice presents its own multiprocessors; how many the whole card has is the rating's to know."""
    count = int(properties.multi_processor_count)
    kind = "multiprocessor" if vendor == "nvidia" else "compute unit"
    why = f"MIG {slice_}" if slice_ else f"vGPU {profile}" if profile else ""
    return Units(kind=kind, in_use=count, total=None if why else count, why=why)


def _clock(properties: Any, facts: nvml.GpuFacts) -> Clock:
    if facts.max_clock_hz:
        return Clock(hz=facts.max_clock_hz, source="nvml (maximum SM clock)")
    kilohertz = getattr(properties, "clock_rate", None)
    if isinstance(kilohertz, int) and kilohertz > 0:
        return Clock(hz=kilohertz * 1e3, source="torch device properties")
    return Clock(hz=None, source=facts.why or "the driver does not tell")


def _precisions(properties: Any, vendor: str) -> dict[str, str]:
    if vendor == "nvidia":
        return nvidia_precisions((properties.major, properties.minor), properties.name)
    if vendor == "amd":
        return amd_precisions(_gfx_name(properties))
    import torch

    native = {"fp32": "unit not known", "fp16": "unit not known"}
    if torch.cuda.is_bf16_supported():
        native["bf16"] = "unit not known"
    return native


def _details(properties: Any, facts: nvml.GpuFacts, address: str | None, profile: str | None) -> dict[str, Any]:
    import torch

    cudnn: Any = torch.backends.cudnn
    details: dict[str, Any] = {
        "pci_address": address,
        "pci_subsystem_id": facts.pci_subsystem_id,
        "power_default_w": facts.power_default_w,
        "persistence": facts.persistence,
        "mig_enabled": facts.mig_enabled,
        "vgpu": profile,
        "cudnn": cudnn.version() if cudnn.is_available() else None,
        "max_memory_clock_hz": facts.max_memory_clock_hz,
        "integrated": bool(getattr(properties, "is_integrated", False)),
        "nvml": facts.why or "ok",
    }
    if facts.refused:
        details["nvml_refused"] = facts.refused
    return {key: value for key, value in details.items() if value is not None}
