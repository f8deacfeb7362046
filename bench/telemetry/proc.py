"""Linux's accounts of CPU time, pressure and processes, read from the text of /proc.."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.devices.files import read_text

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class CpuTime:
    """CPU seconds since boot, summed over some CPUs. `steal_s` None: the system does not count it."""

    busy_s: float
    steal_s: float | None
    total_s: float


def parse_stat(text: str, cpus: Collection[int], ticks_per_s: int = _TICKS_PER_S) -> CpuTime | None:
    """The time of these CPUs in a /proc/stat (proc_stat(5)); None where none of them is in it.

    Columns: user, nice, system, idle, iowait, irq, softirq, steal. Guest time is already in user time. Stolen time is
    no busy time: the CPU did nothing for this machine.
    """
    busy = steal = total = 0
    seen = False
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break  # The CPUs stand first; the interrupts after them are a long read.
        name, *columns = line.split()
        if not name[3:].isdecimal() or int(name[3:]) not in cpus:
            continue
        ticks = [int(column) for column in columns[:8] if column.isdecimal()]
        if len(ticks) < 8:
            continue
        seen = True
        user, nice, system, idle, iowait, irq, softirq, stolen = ticks
        busy += user + nice + system + irq + softirq
        steal += stolen
        total += user + nice + system + idle + iowait + irq + softirq + stolen
    return CpuTime(busy / ticks_per_s, steal / ticks_per_s, total / ticks_per_s) if seen else None


def parse_pressure(text: str) -> float | None:
    """Seconds for which some task waited for a CPU, since boot: "some … total=<microseconds>" of /proc/pressure/cpu.

    The total and not avg10, which still holds the ten seconds before the measurement.
    """
    match = re.search(r"^some .*\btotal=(\d+)", text, re.M)
    return int(match.group(1)) / 1e6 if match else None


def parse_process(text: str, ticks_per_s: int = _TICKS_PER_S) -> tuple[int, float] | None:
    """(parent's id, CPU seconds in user and system mode) of a /proc/<pid>/stat; None where it is not one.

    The command stands in parentheses and may hold any character, a parenthesis too: the last one ends it.
    """
    columns = text.rpartition(")")[2].split()
    if len(columns) < 13 or not (columns[1] + columns[11] + columns[12]).isdecimal():
        return None
    return int(columns[1]), (int(columns[11]) + int(columns[12])) / ticks_per_s


def parse_involuntary_switches(text: str) -> int | None:
    """nonvoluntary_ctxt_switches of a /proc/<pid>/task/<tid>/status."""
    match = re.search(r"^nonvoluntary_ctxt_switches:\s*(\d+)", text, re.M)
    return int(match.group(1)) if match else None


class ProcessTree:
    """The CPU time of some processes and all that descend from them, for as long as each lived.

    Children are looked for seldom (`refresh`), their time read often (`read`).
    """

    def __init__(self, roots: Iterable[int], proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._roots = tuple(roots)
        self._seen: dict[int, float] = {}
        self._spent_s = 0.0
        self._started = False
        self.refresh()

    @property
    def pids(self) -> frozenset[int]:
        """Those alive when last looked."""
        return frozenset(self._seen)

    def refresh(self) -> None:
        """Look for new children and forget the dead. A process found later counts with all that it spent."""
        alive: set[int] = set()
        queue = list(self._roots)
        while queue:
            pid = queue.pop()
            if pid not in alive and (self._proc / str(pid)).exists():
                alive.add(pid)
                queue += self._children(pid)
        for pid in alive - self._seen.keys():
            # What was spent before the first look was spent before the measurement.
            self._seen[pid] = 0.0 if self._started else (self._cpu_s(pid) or 0.0)
        self._seen = {pid: spent for pid, spent in self._seen.items() if pid in alive}
        self._started = True

    def read(self) -> float:
        """CPU seconds spent since this was made."""
        for pid, before in self._seen.items():
            now = self._cpu_s(pid)
            if now is not None:
                self._spent_s += max(0.0, now - before)
                self._seen[pid] = now
        return self._spent_s

    def threads(self) -> int:
        """Threads of all processes."""
        return sum(1 for pid in self._seen for _ in self._tasks(pid))

    def involuntary_switches(self) -> int | None:
        """How often a thread of theirs was taken off its CPU; of the threads alive now."""
        told = [
            parse_involuntary_switches(read_text(task / "status") or "")
            for pid in self._seen
            for task in self._tasks(pid)
        ]
        known = [count for count in told if count is not None]
        return sum(known) if known else None

    def _cpu_s(self, pid: int) -> float | None:
        found = parse_process(read_text(self._proc / str(pid) / "stat") or "")
        return found[1] if found else None

    def _tasks(self, pid: int) -> list[Path]:
        try:
            return list((self._proc / str(pid) / "task").iterdir())
        except OSError:
            return []

    def _children(self, pid: int) -> list[int]:
        """From task/<tid>/children, which every distribution's kernel has (CONFIG_PROC_CHILDREN)."""
        lists = (read_text(task / "children") or "" for task in self._tasks(pid))
        return [int(word) for words in lists for word in words.split() if word.isdecimal()]
