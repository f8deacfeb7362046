"""Display and accelerator devices on the PCI bus, from Linux's sysfs: what is there even where torch sees nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.devices.files import read_int, read_text
from bench.records import PcieLink

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
GENERATIONS: Final[dict[int, float]] = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0, 7: 128.0}
"""PCI Express generation → 1e9 transfers a second and lane (PCI Express Base Specification)."""
WIDTH_UNKNOWN: Final = 255
"""What sysfs says of a width that the kernel can't tell (include/linux/pci.h, PCIE_LNK_WIDTH_UNKNOWN)."""


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


def link_at(address: str, root: Path = Path("/")) -> PcieLink | None:
    """The link of the device at "0000:3b:00.0" by its own capabilities; None where it has none or sysfs is not there.

    The slot's side is not read: a virtual machine shows ports that are not those of the board. Behind a switch of its
    own, as AMD's cards have it, a device tells of its link to that switch.
    """
    folder = root / "sys/bus/pci/devices" / address.lower()
    speed, lanes = _gt_per_s(read_text(folder / "max_link_speed")), read_int(folder / "max_link_width")
    if not speed or not lanes or lanes == WIDTH_UNKNOWN:
        return None
    here = read_int(folder / "current_link_width")
    in_use = here if here and here <= lanes else None
    return PcieLink(gt_per_s=speed, lanes=lanes, lanes_here=in_use, source="sysfs")


def _gt_per_s(text: str | None) -> float | None:
    """32.0 of "32.0 GT/s PCIe", as kernels write it since 5.1, or of "32 GT/s"; None of "Unknown"."""
    match = re.match(r"(\d+(?:\.\d+)?) GT/s", text or "")
    return float(match[1]) if match else None


def power_cap_w(address: str, root: Path = Path("/")) -> float | None:
    """The power limit that a driver such as amdgpu shows through hwmon (power1_cap, in microwatts), in watts."""
    files = (root / "sys/bus/pci/devices" / address.lower() / "hwmon").glob("hwmon*/power1_cap")
    found = [value for value in map(read_int, files) if value]
    return found[0] / 1e6 if found else None
