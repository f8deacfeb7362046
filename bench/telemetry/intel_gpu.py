"""Samples of an Intel GPU from sysfs (drivers xe and i915): clock, energy, heat, throttle reasons.

Never run on a real card yet: see docs/telemetry.md. Files as in the kernel's sysfs-driver-intel-xe-hwmon,
sysfs-driver-intel-i915-hwmon, xe_gt_freq.c, xe_gt_throttle.c and i915's intel_gt_sysfs_pm.c.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.devices import pci
from bench.devices.files import read_int, read_text
from bench.records import Device
from bench.telemetry.model import NotAvailableError
from bench.telemetry.probing import ProbedSource, answers

PERIOD_S: Final = 0.05
"""Reading a few files costs little; the driver's energy register moves every millisecond or so."""
_ACTUAL_CLOCKS: Final = ("tile0/gt0/freq0/act_freq", "drm/card*/gt/gt0/rps_act_freq_mhz", "drm/card*/gt_act_freq_mhz")
_HIGHEST_CLOCKS: Final = ("tile0/gt0/freq0/rp0_freq", "drm/card*/gt/gt0/rps_RP0_freq_mhz", "drm/card*/gt_RP0_freq_mhz")
"""xe; i915; i915 before its per-GT files. In MHz."""
_THROTTLE_FOLDERS: Final = ("tile0/gt0/freq0/throttle", "drm/card*/gt/gt0")


def open_source(device: Device, root: Path = Path("/")) -> IntelGpuSource:
    """The one GPU with the record's PCI id. Raises NotAvailableError where there is none, or more than one."""
    address = device.details.get("pci_address") or _only_address(device.pci_id, root)
    return IntelGpuSource(root / "sys/bus/pci/devices" / address.lower())


def _only_address(pci_id: str | None, root: Path) -> str:
    if pci_id is None:
        raise NotAvailableError("torch.xpu tells no PCI id, so nothing says which card this is")
    found = [card.address for card in pci.scan(root) if card.id == pci_id]
    if len(found) != 1:
        raise NotAvailableError(f"{len(found)} cards have the PCI id {pci_id}: which one this is can't be told")
    return found[0]


class IntelGpuSource(ProbedSource):
    """One GPU's samples from the files of its PCI device."""

    name = "intel-sysfs"
    period_s = PERIOD_S

    def __init__(self, folder: Path) -> None:
        driver = folder / "driver"
        super().__init__(driver.resolve().name if driver.exists() else "")
        self._folder = folder
        self._probe()
        self.require_some()

    def static(self) -> dict[str, Any]:
        """Power limits and the highest clock. A limit of 0 is one that is switched off, and is left out."""
        return answers(
            [
                ("power_limit_w", lambda: self._scaled("hwmon/hwmon*/power1_max", 1e-6) or None),
                ("power_default_w", lambda: self._scaled("hwmon/hwmon*/power1_rated_max", 1e-6) or None),
                ("clock_max_hz", lambda: self._first(_HIGHEST_CLOCKS, 1e6)),
            ]
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _probe(self) -> None:
        self.probe("clock_hz", ("actual frequency", lambda: self._first(_ACTUAL_CLOCKS, 1e6)))
        self.probe("energy_j", self._file("hwmon/hwmon*/energy1_input", 1e-6))
        self.probe("power_w", self._file("hwmon/hwmon*/power1_input", 1e-6))
        self.probe("temperature_c", *(self._file(f"hwmon/hwmon*/temp{number}_input", 1e-3) for number in (1, 2)))
        self.probe("throttle_reasons", ("throttle reasons", self._reasons))

    def _file(self, pattern: str, factor: float) -> tuple[str, Callable[[], float | None]]:
        return pattern, lambda: self._scaled(pattern, factor)

    def _scaled(self, pattern: str, factor: float) -> float | None:
        """The number in the first file that matches; resolved each time, for a driver may be loaded anew."""
        found = (read_int(path) for path in sorted(self._folder.glob(pattern)))
        value = next((value for value in found if value is not None), None)
        return None if value is None else value * factor

    def _first(self, patterns: tuple[str, ...], factor: float) -> float | None:
        found = (self._scaled(pattern, factor) for pattern in patterns)
        return next((value for value in found if value is not None), None)

    def _reasons(self) -> tuple[str, ...] | None:
        """xe: throttle/reason_<name>; i915: throttle_reason_<name>. Each file holds 0 or 1."""
        for pattern in _THROTTLE_FOLDERS:
            for folder in self._folder.glob(pattern):
                files = sorted(folder.glob("*reason_*"))
                if files:
                    return tuple(path.name.rpartition("reason_")[2] for path in files if read_text(path) == "1")
        return None
