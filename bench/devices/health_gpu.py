"""What would make a measurement on a GPU bad: no telemetry, other processes, a lowered power limit, a wrong torch."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from importlib.util import find_spec

from bench.devices import nvml, pci
from bench.devices.health import Finding
from bench.records import Device

HOT_C = 80
"""°C before any load: most data-centre GPUs begin to slow down between 83 and 90 (ours: a note, not a verdict)."""


def examine(device: Device) -> list[Finding]:
    """Findings about one accelerator that torch presents."""
    found = [*sliced(device), *unknown_name(device), *narrow_link(device)]
    if device.vendor == "nvidia":
        from bench.devices.cuda import nvml_facts

        facts = nvml_facts(int(device.device.partition(":")[2] or 0))
        found += telemetry(device.device, facts, os.getpid())
    elif device.vendor == "amd" and find_spec("amdsmi") is None:
        found.append(_no_telemetry(device.device, "no package amdsmi", "install amdsmi, which ROCm ships"))
    return found


def telemetry(device: str, facts: nvml.GpuFacts, own_pid: int) -> list[Finding]:
    """What NVML tells about the state of one GPU."""
    if not facts.found:
        return [_no_telemetry(device, facts.why, "install the NVIDIA driver's libnvidia-ml into this environment")]
    found = [Finding("ok", "NVML sees this GPU", device=device)]
    others = [pid for pid in facts.processes if pid != own_pid]
    if others:
        what = f"{len(others)} other process{'es have' if len(others) > 1 else ' has'} a context on this GPU"
        why = "their kernels share the units and the memory bandwidth: rows come out contended"
        found.append(Finding("warning", what, why, f"stop them (process id {', '.join(map(str, others[:5]))})", device))
    limit, default = facts.power_limit_w, facts.power_default_w
    if limit and default and limit < 0.99 * default:
        what = f"the power limit is {limit:.0f} W, the card's default {default:.0f} W"
        mend = f"sudo nvidia-smi -pl {default:.0f}"
        found.append(Finding("warning", what, "dense kernels run into it and the clock falls", mend, device))
    if facts.ecc is False:
        what, why = (
            "ECC is off",
            "memory is a little faster than on cards as shipped: say so with the result",
        )
        found.append(Finding("note", what, why, "sudo nvidia-smi -e 1, and restart", device))
    if facts.persistence is False:
        why = "the driver unloads between runs: the first calls after it are slow"
        found.append(Finding("note", "persistence mode is off", why, "sudo nvidia-smi -pm 1", device))
    if facts.temperature_c is not None and facts.temperature_c >= HOT_C:
        what = f"the GPU is at {facts.temperature_c} °C before any load"
        found.append(Finding("note", what, "it will slow down early", "look at its cooling", device))
    return found


def sliced(device: Device) -> list[Finding]:
    """A slice is not the card."""
    part = f"MIG slice {device.mig}" if device.mig else device.virtualization or ""
    if not device.mig and "vGPU" not in part:
        return []
    why = "it has a share of the card's units and memory; neighbours share the power limit"
    return [Finding("note", f"this is a {part}, not a whole card", why, "rate it by its own share", device.device)]


def narrow_link(device: Device) -> list[Finding]:
    """A link to the host with fewer lanes than the device has, or at a lower speed."""
    link = device.pcie
    if link is None:
        return []
    found = []
    why = "copies between host and device, and all that waits for them, take longer"
    if link.lanes_here is not None and link.lanes_here < link.lanes:
        what = f"{link.lanes_here} of {link.lanes} PCI Express lanes are in use"
        found.append(Finding("warning", what, why, "reseat the card; see how many lanes its slot has", device.device))
    if link.gt_per_s_here is not None and link.gt_per_s_here < link.gt_per_s:
        what = f"its slot does {link.gt_per_s_here:g} GT/s a lane, the card {link.gt_per_s:g}"
        found.append(Finding("note", what, why, "look for the setting in the BIOS, or another slot", device.device))
    return found


def unknown_name(device: Device) -> list[Finding]:
    """A device whose maker nothing tells."""
    if device.vendor:
        return []
    what = f"nothing tells who made {device.name!r}"
    return [Finding("note", what, "no rating can be matched", "give one in a file for --ratings", device.device)]


def without_backend(present: Sequence[pci.PciDevice], kinds: Collection[str], torch_version: str) -> list[Finding]:
    """Accelerators on the PCI bus that torch doesn't serve; `kinds` are the device types that torch presents."""
    found = []
    for one in present:
        vendor, kind = pci.VENDORS.get(one.vendor_id, ("", ""))
        if not vendor or kind in kinds:
            continue
        what = f"{vendor} device {one.id} is on the PCI bus, and torch {torch_version} presents no {kind} device"
        mend = "install the driver, and a torch built for it: pytorch.org/get-started"
        # Intel's and AMD's processors bring a small display controller that nobody means to measure.
        integrated = vendor in ("intel", "amd") and one.class_code >> 8 == 0x0300
        found.append(Finding("note" if integrated else "warning", what, "it will not be measured", mend))
    return found


def _no_telemetry(device: str, why: str, mend: str) -> Finding:
    what = f"no telemetry of this GPU: {why}"
    return Finding("warning", what, "a throttled clock can't be told from a slow kernel", mend, device)
