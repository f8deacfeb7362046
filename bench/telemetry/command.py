"""Samples through a vendor's command-line tool: run with a time limit, in the C locale, and its text parsed.

A parser is here only where the tool's output is documented or recorded in public; docs/telemetry.md lists where. None
has run on real hardware yet. A tool whose output nobody could show is not offered: a guessed column is worse than none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.devices.commands import output_of
from bench.records import Device
from bench.telemetry.model import NotAvailableError, Sample

PERIOD_S: Final = 1.0
"""Starting a process takes milliseconds to seconds of a core."""
_MISSES: Final = 3
"""In a row; a tool may be slow once."""


@dataclass(frozen=True)
class Reading:
    """What a tool printed of one device: `address` is its PCI address in lower case, "" where it printed none."""

    address: str = ""
    values: dict[str, Any] = field(default_factory=dict)


Parser = Callable[[str], list[Reading]]


@dataclass(frozen=True)
class Tool:
    """A vendor's tool and how its output is read."""

    name: str
    command: tuple[str, ...]
    parse: Parser
    period_s: float = PERIOD_S


def pick(readings: Sequence[Reading], address: str | None) -> Reading | None:
    """The reading at this PCI address, else the only one there is. Never by index: the orders differ."""
    if address:
        found = [reading for reading in readings if _same_address(reading.address, address)]
        if len(found) == 1:
            return found[0]
    return readings[0] if len(readings) == 1 else None


def _same_address(left: str, right: str) -> bool:
    """PCI addresses, with or without the domain, which tools print in 4 or 8 digits."""
    shortened = (re.sub(r"^0*([0-9a-f]{4}:)(?=[0-9a-f]{2}:)", r"\1", text.lower()) for text in (left, right))
    one, other = (text if text.count(":") == 2 else f"0000:{text}" for text in shortened)
    return bool(left) and one == other


def open_source(tool: Tool, device: Device) -> CommandSource:
    """The device as its tool sees it. Raises NotAvailableError with the reason."""
    return CommandSource(tool, device.details.get("pci_address"))


class CommandSource:
    """One device's samples through a tool."""

    def __init__(self, tool: Tool, address: str | None, run: Callable[..., str | None] = output_of) -> None:
        self.name = tool.name
        self.version = ""
        self.period_s = tool.period_s
        self.refused: dict[str, str] = {}
        self._tool = tool
        self._address = address
        self._run = run
        self._misses = 0
        output = run(*tool.command)
        if output is None:
            raise NotAvailableError(f"{' '.join(tool.command)} is not here, fails, or takes too long")
        readings = tool.parse(output)
        found = pick(readings, address)
        if found is None:
            known = f"{len(readings)} devices" if readings else "no device in a form that is known here"
            raise NotAvailableError(f"{tool.command[0]} shows {known}: which one this is can't be told")
        self.fields = frozenset(found.values)
        if not self.fields:
            raise NotAvailableError(f"{tool.command[0]} prints no value for this device")

    def static(self) -> dict[str, Any]:
        """The command that is asked."""
        return {"command": " ".join(self._tool.command)}

    def sample(self) -> Sample:
        """The state at the middle of the tool's run. NotAvailableError when it did not answer three times in a row."""
        start_s = time.monotonic()
        output = self._run(*self._tool.command)
        time_s = (start_s + time.monotonic()) / 2
        found = None if output is None else pick(self._tool.parse(output), self._address)
        if found is None:
            self._misses += 1
            if self._misses >= _MISSES:
                raise NotAvailableError(f"{self._tool.command[0]} did not answer {_MISSES} times in a row")
            return Sample(time_s)
        self._misses = 0
        return Sample(time_s, **found.values)

    def close(self) -> None:
        """Nothing is held open."""
