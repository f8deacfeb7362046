"""Energy of processor packages and their memory from Linux's powercap files (RAPL). Intel's, and AMD's under that name.

What is counted is the whole package: neighbours on it and idle cores too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.devices.files import read_int, read_text
from bench.telemetry.model import NotAvailableError, Sample

PERIOD_S: Final = 0.1
"""The register itself moves every millisecond; a tenth of a second is seldom enough to cost nothing."""


@dataclass(frozen=True)
class Zone:
    """One powercap zone: its label ("package-0", "dram"), its counter's file and where that wraps."""

    label: str
    path: Path
    range_uj: int


@dataclass
class Accumulator:
    """A wrapping counter made one that only grows. Asked at least once a turn, which takes minutes at the least."""

    range_uj: int
    last_uj: int
    total_uj: int = 0

    def add(self, now_uj: int) -> None:
        """Count from the last reading to this one; a smaller number is a counter that began anew at its range."""
        step = now_uj - self.last_uj
        self.total_uj += step if step >= 0 else step + self.range_uj
        self.last_uj = now_uj


def zones(root: Path = Path("/")) -> list[Zone]:
    """The zones to be added: every package, and the memory beside it.

    Left out, because they would be counted twice: "core" and "uncore", which are parts of a package; "psys", the whole
    platform; and the intel-rapl-mmio tree, the same package by another way.
    """
    found = []
    for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        label = read_text(folder / "name") or ""
        if label.startswith("package") or label == "dram":
            found.append(Zone(label, folder / "energy_uj", read_int(folder / "max_energy_range_uj") or 0))
    return found


def open_source(root: Path = Path("/")) -> RaplSource:
    """The energy of this machine's packages. Raises NotAvailableError where there is none or it can't be read."""
    found = zones(root)
    if not any(zone.label.startswith("package") for zone in found):
        raise NotAvailableError("no RAPL package in /sys/class/powercap (usual in a virtual machine)")
    unreadable = [zone.path for zone in found if zone.label.startswith("package") and read_int(zone.path) is None]
    if unreadable:
        raise NotAvailableError(f"{unreadable[0]} can't be read: since 2020 Linux lets only root read it")
    return RaplSource([zone for zone in found if read_int(zone.path) is not None])


class RaplSource:
    """Samples of the energy of all packages and their memory, added up."""

    name = "rapl"
    version = ""
    period_s = PERIOD_S
    fields = frozenset({"energy_j"})

    def __init__(self, found: Sequence[Zone]) -> None:
        self.refused: dict[str, str] = {}
        self._zones = [(zone, Accumulator(zone.range_uj, read_int(zone.path) or 0)) for zone in found]

    def static(self) -> dict[str, Any]:
        """The zones that are added up."""
        return {"zones": [zone.label for zone, _ in self._zones], "scope": "whole packages, neighbours included"}

    def sample(self) -> Sample:
        """The energy since this source was opened. NotAvailableError where a counter can't be read any more."""
        time_s = time.monotonic()
        for zone, accumulator in self._zones:
            now_uj = read_int(zone.path)
            if now_uj is None:
                raise NotAvailableError(f"{zone.path} can't be read any more")
            accumulator.add(now_uj)
        return Sample(time_s, energy_j=sum(accumulator.total_uj for _, accumulator in self._zones) / 1e6)

    def close(self) -> None:
        """Nothing is held open."""
