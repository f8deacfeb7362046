"""Clock, power, energy, temperature, throttle reasons and contention: one interface, one module a source.

Sources are asked in the parent process while the worker measures; only the canary runs in the worker. Every library is
imported when its source is opened, and none is needed for a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.records import Device
from bench.telemetry.model import FIELDS, NotAvailableError, Sample, Source
from bench.telemetry.sampler import Sampler
from bench.telemetry.summary import summarize

__all__ = [
    "FIELDS",
    "NotAvailableError",
    "Opened",
    "Sample",
    "Sampler",
    "Source",
    "open_sources",
    "summarize",
]


@dataclass(frozen=True)
class Opened:
    """The sources that answer for a device, and why the others don't."""

    sources: list[Source] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Source → why it can't be opened here."""


def open_sources(device: Device) -> Opened:
    """Every source that answers for this device; the host's own stands beside an accelerator's. Never raises.

    This process and all that descend from it are "we": open the sources in the process that starts the workers.
    """
    opened = Opened()
    for name, opener in _openers(device):
        try:
            opened.sources.append(opener())
        except Exception as error:  # A stranger's library may raise anything, and telemetry is never the run's end.
            opened.absent[name] = str(error) or type(error).__name__
    return opened


def _openers(device: Device) -> Iterator[tuple[str, Callable[[], Source]]]:
    """The sources that a device of this kind could have, by name."""
    if device.kind == "cuda" and device.vendor == "nvidia":
        from bench.telemetry import nvidia

        yield "nvml", lambda: nvidia.open_source(device)
    elif device.kind == "cuda" and device.vendor == "amd":
        from bench.telemetry import amd

        yield "amdsmi", lambda: amd.open_source(device)
    elif device.kind == "xpu":
        from bench.telemetry import intel_gpu

        yield "intel-sysfs", lambda: intel_gpu.open_source(device)
    else:
        yield from _tool_openers(device)
    if device.kind == "cpu":
        from bench.telemetry import rapl

        yield "rapl", rapl.open_source
    from bench.telemetry import cpu

    yield "cpu", lambda: cpu.open_source(of_device=device.kind == "cpu")


def _tool_openers(device: Device) -> Iterator[tuple[str, Callable[[], Source]]]:
    import sys

    from bench.telemetry import apple, command, tools

    tool = tools.BY_DEVICE.get(device.kind) or tools.BY_VENDOR.get(device.vendor)
    if device.kind == "mps":
        tool = apple.GPU
    elif device.kind == "cpu" and sys.platform == "darwin":
        tool = apple.CPU
    if tool is not None:
        yield tool.name, lambda: command.open_source(tool, device)
