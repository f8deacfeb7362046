"""Other work on this machine, watched for a moment: busy processes and time that a hypervisor gave to others."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.devices.files import read_text

OBSERVE_S: Final = 0.5
"""How long other load and steal time are watched: fifty scheduler ticks, so that 2 % can be told from nothing."""


@dataclass(frozen=True)
class Load:
    """Other work on the machine while it was watched."""

    processes: tuple[tuple[str, float], ...]
    """(name, CPUs used), the busiest first; this process is left out."""
    steal: float
    """Share of all CPU time that the hypervisor gave to others."""


def observe_load(root: Path = Path("/"), seconds: float = OBSERVE_S) -> Load:
    """Watch the other processes and the stolen time for `seconds`."""
    before, steal_before, started = _cpu_seconds(), read_text(root / "proc/stat") or "", time.monotonic()
    time.sleep(seconds)
    after, elapsed = _cpu_seconds(), time.monotonic() - started
    used = [
        (name, (spent - before[pid][1]) / elapsed)
        for pid, (name, spent) in after.items()
        if pid in before and pid != os.getpid()
    ]
    busiest = sorted(used, key=lambda entry: -entry[1])[:5]
    return Load(tuple(busiest), steal_share(steal_before, read_text(root / "proc/stat") or ""))


def steal_share(before: str, after: str) -> float:
    """Share of all CPU time between two readings of /proc/stat that was stolen (proc_stat(5), eighth column)."""
    first, second = _cpu_times(before), _cpu_times(after)
    if len(first) < 8 or len(second) < 8:
        return 0.0
    # Guest time is already in user time: the first eight columns are the whole.
    spent = [now - then for then, now in zip(first[:8], second[:8], strict=True)]
    return max(0.0, spent[7] / total) if (total := sum(spent)) > 0 else 0.0


def _cpu_times(stat: str) -> Sequence[int]:
    words = stat.split("\n", 1)[0].split()
    return [int(word) for word in words[1:] if word.isdecimal()] if words[:1] == ["cpu"] else []


def _cpu_seconds() -> dict[int, tuple[str, float]]:
    import psutil

    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None:
            found[process.pid] = (process.info["name"] or "?", times.user + times.system)
    return found
