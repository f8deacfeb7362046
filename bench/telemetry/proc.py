"""Linux's accounts of CPU time, pressure and processes as /proc prints them, and the processes that are ours."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.telemetry.model import NotAvailableError

_LONGEST_READ: Final = 1 << 17
"""/proc/stat of a thousand CPUs begins with 100 kB of them; its interrupts are not wanted."""
_HOSTS_PID_NAMESPACE: Final = "pid:[4026531836]"
"""Fixed: PROC_PID_INIT_INO in Linux's include/linux/proc_ns.h."""
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
    """The CPU time of some processes and all that descend from them, from the moment each was first seen.

    Descendants are looked for seldom (`refresh`), time is read often (`read`). What a process spent before it was seen
    is not made good later: it would fall into a window to which it does not belong.
    """

    def __init__(self, roots: Iterable[int], proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._roots = tuple(roots)
        self._seen: dict[int, float] = {}
        self._stats: dict[int, Reread] = {}
        self._spent_s = 0.0
        self.refresh()

    @property
    def pids(self) -> frozenset[int]:
        """Those alive when last looked."""
        return frozenset(self._seen)

    def refresh(self) -> None:
        """Look for new descendants and forget the dead."""
        listed = self._children_listed()
        parents = {} if listed else self._parents()
        found: dict[int, float] = {}
        queue = list(self._roots)
        while queue:
            pid = queue.pop()
            now = self._cpu_s(pid)
            if now is None or pid in found:
                continue
            found[pid] = self._seen.get(pid, now)
            if pid not in self._stats:
                self._stats[pid] = Reread(f"{self._proc}/{pid}/stat")
            queue += self._children(pid) if listed else [child for child, parent in parents.items() if parent == pid]
        self._seen = found
        for pid in self._stats.keys() - found.keys():
            self._stats.pop(pid).close()

    def close(self) -> None:
        """Let go of the files that are held open."""
        for stat in self._stats.values():
            stat.close()

    def read(self) -> float:
        """CPU seconds that they spent, each since it was first seen."""
        for pid, before in self._seen.items():
            found = parse_process(self._stats[pid].read())
            now = found[1] if found else None
            if now is not None:
                self._spent_s += max(0.0, now - before)
                self._seen[pid] = now
        return self._spent_s

    def involuntary_switches(self, most_threads: int) -> int | None:
        """How often a thread of theirs was taken off its CPU, of the threads alive now; None of too many threads."""
        tasks = [f"{pid}/task/{task}" for pid in self._seen for task in self._tasks(pid)]
        if len(tasks) > most_threads:
            return None
        told = [parse_involuntary_switches(read_now(f"{self._proc}/{task}/status")) for task in tasks]
        known = [count for count in told if count is not None]
        return sum(known) if known else None

    def _cpu_s(self, pid: int) -> float | None:
        found = parse_process(read_now(f"{self._proc}/{pid}/stat"))
        return found[1] if found else None

    def _tasks(self, pid: int) -> list[str]:
        try:
            return os.listdir(f"{self._proc}/{pid}/task")  # noqa: PTH208  # asked so often that objects cost
        except OSError:
            return []

    def _children_listed(self) -> bool:
        """Whether the kernel lists children (CONFIG_PROC_CHILDREN): distributions' do, those of small guests don't."""
        return any(os.path.exists(f"{self._proc}/{pid}/task/{pid}/children") for pid in self._roots)  # noqa: PTH110  # as below

    def _children(self, pid: int) -> list[int]:
        lists = (read_now(f"{self._proc}/{pid}/task/{task}/children") for task in self._tasks(pid))
        return [int(word) for words in lists for word in words.split() if word.isdecimal()]

    def _parents(self) -> dict[int, int]:
        """Every process's parent."""
        try:
            pids = [int(name) for name in os.listdir(self._proc) if name.isdecimal()]  # noqa: PTH208  # as above
        except OSError:
            return {}
        found = ((pid, parse_process(read_now(f"{self._proc}/{pid}/stat"))) for pid in pids)
        return {pid: told[0] for pid, told in found if told}


def own_pids(proc: Path = Path("/proc")) -> frozenset[int]:
    """This process and all that descend from it, for telling the processes on a device apart.

    NotAvailableError in a container: drivers give the host's process ids, which are not those that we see.
    """
    if not (proc / "self/ns").exists():
        import psutil

        process = psutil.Process()
        return frozenset({process.pid, *(child.pid for child in process.children(recursive=True))})
    if str((proc / "self/ns/pid").readlink()) != _HOSTS_PID_NAMESPACE:
        raise NotAvailableError("in a container the driver's process ids are the host's and can't be told from ours")
    return ProcessTree([os.getpid()], proc).pids


class Reread:
    """A file of /proc that is read again and again: held open, so that a sample costs one call into the system."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._descriptor: int | None = None
        self._closed = False

    def read(self) -> str:
        """Its text now; "" where it can't be read (the process ended, the file is not there) or was closed."""
        if self._closed:
            return ""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY)
            return os.pread(self._descriptor, _LONGEST_READ, 0).decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Let go of it. Harmless when repeated."""
        self._closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_now(path: str | Path) -> str:
    """The text of a small file of /proc, "" where it can't be read. A third of the time that a text file takes."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _LONGEST_READ).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
