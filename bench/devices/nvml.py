"""NVIDIA's management library: identity of one GPU, found by UUID or PCI id and never by index.

Every call is probed on its own: a driver, a slice or a virtual machine may refuse any of them. What was refused is
recorded, and nothing here raises. Sampling under load is telemetry's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class GpuFacts:
    """What NVML tells of one GPU; None is what it didn't."""

    found: bool = False
    why: str = ""
    """Why there is nothing, or nothing of this GPU."""
    driver: str | None = None
    pci_id: str | None = None
    pci_subsystem_id: str | None = None
    pci_address: str | None = None
    """As sysfs spells it: "0000:3b:00.0"."""
    power_limit_w: float | None = None
    power_default_w: float | None = None
    ecc: bool | None = None
    persistence: bool | None = None
    max_clock_hz: float | None = None
    max_memory_clock_hz: float | None = None
    temperature_c: int | None = None
    virtualization: str | None = None
    mig_enabled: bool | None = None
    pcie_generation: int | None = None
    """The highest that the GPU is made for."""
    pcie_generation_here: int | None = None
    """The highest that GPU and slot have in common."""
    pcie_lanes: int | None = None
    """The most that GPU and slot have in common."""
    pcie_lanes_here: int | None = None
    """Those in use."""
    processes: tuple[int, ...] = ()
    """Process ids with a compute context on the GPU, this process's own included."""
    refused: dict[str, str] = field(default_factory=dict)
    """Call → NVML's reason."""


def parse_pci_device_id(value: int) -> str:
    """NVML packs device << 16 | vendor: 0x233010DE is "10de:2330"."""
    return f"{value & 0xFFFF:04x}:{value >> 16 & 0xFFFF:04x}"


def parse_bus_id(bus_id: str) -> str | None:
    """NVML's "00000000:3B:00.0" as sysfs spells it: "0000:3b:00.0"; None where it is none."""
    domain, _, rest = bus_id.strip().lower().partition(":")
    try:
        return f"{int(domain, 16):04x}:{rest}" if rest else None
    except ValueError:
        return None


def text(value: str | bytes) -> str:
    """NVML's strings are bytes in older bindings."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def uuid_candidates(uuid: str) -> list[str]:
    """The spellings under which NVML may know torch's UUID: torch leaves the prefix out, a MIG slice has its own."""
    bare = uuid.strip().lower()
    for prefix in ("gpu-", "mig-"):
        bare = bare.removeprefix(prefix)
    return [f"GPU-{bare}", f"MIG-{bare}"] if bare else []


def facts(uuid: str | None, pci_bus_id: str | None) -> GpuFacts:
    """What NVML knows of the GPU with this UUID, else of the one at this PCI bus id ("0000:3b:00.0").

    `why` says so where the library, the driver or the GPU is missing.
    """
    try:
        import pynvml
    except ImportError as error:
        return GpuFacts(why=f"nvidia-ml-py is not installed ({error})")
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError) as error:
        return GpuFacts(why=f"NVML: {error}")
    try:
        return _facts(pynvml, uuid, pci_bus_id)
    finally:
        _quietly(pynvml, pynvml.nvmlShutdown)


def _facts(pynvml: Any, uuid: str | None, pci_bus_id: str | None) -> GpuFacts:
    handle = _handle(pynvml, uuid, pci_bus_id)
    if handle is None:
        return GpuFacts(why="NVML knows no GPU with the UUID or PCI id that torch reports")
    refused: dict[str, str] = {}

    def probe(call: str, *arguments: Any) -> Any:
        function = getattr(pynvml, call, None)
        if function is None:
            refused[call] = "not in this nvidia-ml-py"
            return None
        try:
            return function(handle, *arguments)
        except (pynvml.NVMLError, OSError, TypeError, ValueError) as error:
            refused[call] = str(error)
            return None

    driver = _quietly(pynvml, pynvml.nvmlSystemGetDriverVersion)
    pci = probe("nvmlDeviceGetPciInfo")
    ecc = probe("nvmlDeviceGetEccMode")
    persistence = probe("nvmlDeviceGetPersistenceMode")
    mig = probe("nvmlDeviceGetMigMode")
    limit = probe("nvmlDeviceGetEnforcedPowerLimit")
    default = probe("nvmlDeviceGetPowerManagementDefaultLimit")
    clock = probe("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM)
    memory_clock = probe("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_MEM)
    return GpuFacts(
        found=True,
        driver=None if driver is None else text(driver),
        pci_id=None if pci is None else parse_pci_device_id(pci.pciDeviceId),
        pci_subsystem_id=None if pci is None else parse_pci_device_id(pci.pciSubSystemId),
        pci_address=None if pci is None else parse_bus_id(text(pci.busId)),
        power_limit_w=None if limit is None else limit / 1e3,  # milliwatts
        power_default_w=None if default is None else default / 1e3,
        ecc=None if ecc is None else bool(ecc[0]),  # [current, pending]
        persistence=None if persistence is None else bool(persistence),
        max_clock_hz=None if not clock else clock * 1e6,  # MHz
        max_memory_clock_hz=None if not memory_clock else memory_clock * 1e6,
        temperature_c=probe("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        virtualization=virtualization_mode(probe("nvmlDeviceGetVirtualizationMode")),
        mig_enabled=None if mig is None else bool(mig[0]),  # [current, pending]
        pcie_generation=probe("nvmlDeviceGetGpuMaxPcieLinkGeneration"),
        pcie_generation_here=probe("nvmlDeviceGetMaxPcieLinkGeneration"),
        pcie_lanes=probe("nvmlDeviceGetMaxPcieLinkWidth"),
        pcie_lanes_here=probe("nvmlDeviceGetCurrPcieLinkWidth"),
        processes=tuple(process.pid for process in probe("nvmlDeviceGetComputeRunningProcesses") or ()),
        refused=refused,
    )


def virtualization_mode(value: int | None) -> str | None:
    """nvml.h, nvmlGpuVirtualizationMode_t, in words; None for none."""
    return {1: "passthrough", 2: "vGPU", 3: "vGPU host", 4: "vSGA host"}.get(value or 0)


def _handle(pynvml: Any, uuid: str | None, pci_bus_id: str | None) -> Any:
    for candidate in uuid_candidates(uuid or ""):
        handle = _quietly(pynvml, pynvml.nvmlDeviceGetHandleByUUID, candidate)
        if handle is not None:
            parent = None
            if candidate.startswith("MIG-"):
                # Power, clocks and PCI are the whole card's: a slice has none of its own.
                parent = _quietly(pynvml, pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
            return parent or handle
    if pci_bus_id:
        return _quietly(pynvml, pynvml.nvmlDeviceGetHandleByPciBusId, pci_bus_id)
    return None


def _quietly(pynvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (pynvml.NVMLError, OSError, TypeError, ValueError, AttributeError):
        return None
