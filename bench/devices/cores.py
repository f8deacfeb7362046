"""How many CPU cores this process may use: affinity mask, control-group quota and hyper-threads respected."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bench.devices.cgroup import Limits
from bench.devices.files import parse_cpu_list, read_text
from bench.records import Units


@dataclass(frozen=True)
class Topology:
    """The machine's logical CPUs and which of them share a physical core."""

    cores: frozenset[frozenset[int]]

    @property
    def logical(self) -> int:
        """Logical CPUs of the machine that are online."""
        return sum(len(core) for core in self.cores)

    @property
    def threads_per_core(self) -> int:
        """Hardware threads of the widest core."""
        return max((len(core) for core in self.cores), default=1)


def read_topology(root: Path = Path("/"), fallback: int | None = None) -> Topology:
    """The topology that sysfs presents; without sysfs each of `fallback` CPUs counts as a core of its own."""
    base = root / "sys/devices/system/cpu"
    online = parse_cpu_list(read_text(base / "online") or "")
    cores: set[frozenset[int]] = set()
    for cpu in sorted(online):
        folder = base / f"cpu{cpu}" / "topology"
        # core_cpus_list is the name since Linux 5.2, thread_siblings_list the one before it.
        text = read_text(folder / "core_cpus_list") or read_text(folder / "thread_siblings_list") or ""
        cores.add((parse_cpu_list(text) & online) | {cpu})
    if not cores:
        cores = {frozenset({cpu}) for cpu in range(fallback or os.cpu_count() or 1)}
    return Topology(frozenset(cores))


def affinity() -> frozenset[int] | None:
    """The CPUs that this process may run on; None where the system has no such mask (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    import psutil

    try:
        return frozenset(psutil.Process().cpu_affinity() or ())
    except (AttributeError, psutil.Error):
        return None


def units_in_use(topology: Topology, allowed: Collection[int] | None, limits: Limits) -> Units:
    """Physical cores in use of those that there are, and why they differ.

    Threads of one core add nothing: they share its arithmetic units. A quota of 1.5 CPUs counts as two cores, the
    next whole number, so that a share of the rated peak is never overstated.
    """
    total = len(topology.cores)
    reached = total if allowed is None else sum(1 for core in topology.cores if core & frozenset(allowed))
    in_use, why = max(1, reached), []
    if reached < total and allowed is not None:
        why.append(f"affinity mask: {len(allowed)} of {topology.logical} CPUs")
    if limits.cpus is not None and math.ceil(limits.cpus) < in_use:
        in_use = max(1, math.ceil(limits.cpus))
        why.append(f"cgroup quota {limits.cpus:g}")
    return Units(kind="core", in_use=in_use, total=total, why=", ".join(why))
