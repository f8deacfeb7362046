"""Display and accelerator devices on the PCI bus, from Linux's sysfs: what is there even where torch sees nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.devices.files import read_int

# Base classes of the PCI code and id assignment specification: 03 display controller, 12 processing accelerator.
_CLASSES: Final = (0x03, 0x12)
VENDORS: Final[dict[int, tuple[str, str]]] = {
    # PCI vendor id → (vendor, the torch device type that serves it); ids from the PCI ID repository.
    0x10DE: ("nvidia", "cuda"),
    0x1002: ("amd", "cuda"),
    0x8086: ("intel", "xpu"),
    0x19E5: ("huawei", "npu"),
    0xCABC: ("cambricon", "mlu"),
    0x1ED5: ("moore threads", "musa"),
    0x1DA3: ("habana", "hpu"),
}


@dataclass(frozen=True)
class PciDevice:
    """One device: its address, "vendor:device" and class code."""

    address: str
    vendor_id: int
    device_id: int
    class_code: int

    @property
    def id(self) -> str:
        """ "10de:2330"."""
        return f"{self.vendor_id:04x}:{self.device_id:04x}"


def scan(root: Path = Path("/")) -> list[PciDevice]:
    """Every display controller and processing accelerator, in order of address; empty where there is no sysfs."""
    found = []
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor, device, code = (read_int(folder / name) for name in ("vendor", "device", "class"))
        if vendor is not None and device is not None and code is not None and code >> 16 in _CLASSES:
            found.append(PciDevice(folder.name, vendor, device, code))
    return found


def id_at(address: str, root: Path = Path("/")) -> str | None:
    """ "10de:2330" of the device at "0000:3b:00.0", or None."""
    folder = root / "sys/bus/pci/devices" / address.lower()
    vendor, device = read_int(folder / "vendor"), read_int(folder / "device")
    return None if vendor is None or device is None else f"{vendor:04x}:{device:04x}"


def power_cap_w(address: str, root: Path = Path("/")) -> float | None:
    """The power limit that a driver such as amdgpu shows through hwmon (power1_cap, in microwatts), in watts."""
    files = (root / "sys/bus/pci/devices" / address.lower() / "hwmon").glob("hwmon*/power1_cap")
    found = [value for value in map(read_int, files) if value]
    return found[0] / 1e6 if found else None
