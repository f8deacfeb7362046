"""The CPU quota and the memory limit of the control groups that this process lives in, version 1 and 2, nested.

A limit of any ancestor binds, so each group from the leaf up to its mount is read and the least wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.devices.files import read_int, read_text

_UNLIMITED_BYTES = 2**60
"""Version 1 says "no limit" by a number near 2**63, rounded to pages; no machine has an exbibyte."""


@dataclass(frozen=True)
class Mount:
    """One control-group file system: `root` is the group that is seen at `point`."""

    version: int
    root: str
    point: str
    controllers: frozenset[str]


@dataclass(frozen=True)
class Limits:
    """What binds this process. `cpus` counts logical CPUs and can be fractional; None is no limit."""

    cpus: float | None = None
    memory_bytes: int | None = None


def parse_mounts(mountinfo: str) -> list[Mount]:
    """The control-group mounts of a /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    mounts = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if not separator or len(fields) < 5 or not tail:
            continue
        if tail[0] in ("cgroup", "cgroup2"):
            version = 2 if tail[0] == "cgroup2" else 1
            controllers = frozenset(tail[2].split(",")) if version == 1 and len(tail) > 2 else frozenset()
            mounts.append(Mount(version, _unescape(fields[3]), _unescape(fields[4]), controllers))
    return mounts


def parse_membership(text: str) -> dict[str, str]:
    """A /proc/self/cgroup as controller → path; version 2's only line has the controller ""."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                paths[controller] = parts[2]
    return paths


def parse_cpu_max(text: str) -> float | None:
    """Version 2's cpu.max: "150000 100000" is 1.5 CPUs, "max 100000" none."""
    quota, _, period = text.partition(" ")
    if not quota.isdecimal() or not (period.strip() or "100000").isdecimal():
        return None
    length = int(period.strip() or "100000")
    return int(quota) / length if length else None


def limits(root: Path = Path("/")) -> Limits:
    """The limits that bind this process, from the /proc and the mounts under `root`."""
    mounts = parse_mounts(read_text(root / "proc/self/mountinfo") or "")
    paths = parse_membership(read_text(root / "proc/self/cgroup") or "")
    cpus, memory = math.inf, math.inf
    for mount in mounts:
        for controller in ("cpu", "memory"):
            if mount.version == 1 and controller not in mount.controllers:
                continue
            path = paths.get("" if mount.version == 2 else controller)
            if path is None:
                continue
            for folder in _chain(root, mount, path):
                if controller == "cpu":
                    cpus = min(cpus, _cpus(folder, mount.version))
                else:
                    memory = min(memory, _memory(folder, mount.version))
    return Limits(cpus=None if math.isinf(cpus) else cpus, memory_bytes=None if math.isinf(memory) else int(memory))


def _chain(root: Path, mount: Mount, path: str) -> list[Path]:
    """The group's folder and its ancestors up to the mount; what can't be placed is the mount itself."""
    top = root / mount.point.lstrip("/")
    pure = PurePosixPath(path)
    inside = pure.is_relative_to(mount.root) and ".." not in pure.parts
    relative = pure.relative_to(mount.root) if inside else PurePosixPath()
    leaf = top / relative
    if not leaf.is_dir():
        # A container sees its own group at the mount, whatever path the host knows it by.
        leaf = top
    return [leaf, *(parent for parent in leaf.parents if parent.is_relative_to(top))]


def _cpus(folder: Path, version: int) -> float:
    if version == 2:
        found = parse_cpu_max(read_text(folder / "cpu.max") or "")
        return math.inf if found is None else found
    quota, period = read_int(folder / "cpu.cfs_quota_us"), read_int(folder / "cpu.cfs_period_us")
    return quota / period if quota and quota > 0 and period else math.inf


def _memory(folder: Path, version: int) -> float:
    found = read_int(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
    return math.inf if found is None or found >= _UNLIMITED_BYTES else found


def _unescape(text: str) -> str:
    """Mount points have blanks written as octal escapes."""
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
