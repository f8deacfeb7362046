"""Samples of the processor's side: time stolen and time taken by others, pressure, clock, heat, context switches.

On Linux from /proc and /sys, on other systems as much of it as psutil tells.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from bench.devices.files import read_int, read_text
from bench.telemetry.model import NotAvailableError, Sample
from bench.telemetry.proc import CpuTime, ProcessTree, Reread, parse_pressure, parse_stat

PERIOD_S: Final = 0.2
"""Twenty clock ticks a CPU: shares over less are mostly rounding, and each sample takes 0.3 ms from some core."""
_SLOW_EVERY: Final = 5
_MOST_THREADS: Final = 32
"""Reading the switches costs some 20 µs a thread, on the cores that are measured."""
_MOST_CLOCKS: Final = 8
"""Reading a core's clock wakes that core: of more, these many evenly spread ones stand for all."""
_HEAT_SENSORS: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""hwmon names of processors: Intel, AMD (two drivers), Arm boards."""


def open_source(*, of_device: bool, own_pids: Collection[int] = (), root: Path = Path("/")) -> CpuSource | PsutilSource:
    """The CPUs that this process may use. `own_pids` and all that descend from them are "we"; empty: this process.

    `of_device`: whether the processor is what is measured. Beside an accelerator only its load is told: its clock and
    its heat must not pass for the accelerator's.
    """
    own = own_pids or (os.getpid(),)
    if (root / "proc/stat").exists():
        return CpuSource(own, root, of_device=of_device)
    return PsutilSource(own)


class Shares:
    """Counters of two moments made shares of the time between them."""

    def __init__(self) -> None:
        self._before: tuple[float, float | None, float] | None = None

    def add(self, total_s: float, steal_s: float | None, other_s: float) -> tuple[float | None, float | None]:
        """(steal share, others' share) since the call before, within 0–1; None at the first."""
        before, self._before = self._before, (other_s, steal_s, total_s)
        if before is None or total_s <= before[2]:
            return None, None
        elapsed = total_s - before[2]
        stolen = None if steal_s is None or before[1] is None else _share(steal_s - before[1], elapsed)
        return stolen, _share(other_s - before[0], elapsed)


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole))


class CpuSource:
    """Linux's processors, those in the affinity mask."""

    name = "proc"
    period_s = PERIOD_S

    def __init__(self, own_pids: Collection[int], root: Path = Path("/"), *, of_device: bool = True) -> None:
        self._of_device = of_device
        self._root = root
        self._stat, self._pressure_file = Reread(root / "proc/stat"), Reread(root / "proc/pressure/cpu")
        self._cpus = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset[int]()
        self._tree = ProcessTree(own_pids, root / "proc")
        self._shares = Shares()
        self._pressure: tuple[float, float] | None = None
        self._throttled: int | None = None
        self._count = 0
        self.version = os.uname().release
        self.refused: dict[str, str] = {}
        self._clocks = self._clock_files()
        first = self.sample()
        if first.cpu_total_s is None:
            self.close()
            raise NotAvailableError("/proc/stat does not list the CPUs of this process")
        self.fields = self._probed(first)

    def static(self) -> dict[str, Any]:
        """The CPUs that are watched, and the governor of the first."""
        governor = read_text(self._root / f"sys/devices/system/cpu/cpu{min(self._cpus)}/cpufreq/scaling_governor")
        return {"cpus": sorted(self._cpus), **({"governor": governor} if governor else {})}

    def sample(self) -> Sample:
        """The state now. Shares, pressure and throttling are those since the sample before."""
        slow = self._count % _SLOW_EVERY == 0
        self._count += 1
        if slow:
            self._tree.refresh()
        time_s = time.monotonic()
        used = parse_stat(self._stat.read(), self._cpus)
        own_s = self._tree.read()
        if used is None:
            return Sample(time_s)
        other_s = used.busy_s - own_s
        stolen, taken = self._shares.add(used.total_s, used.steal_s, other_s)
        return Sample(
            time_s,
            clock_hz=self._clock_hz() if self._of_device else None,
            temperature_c=self._hottest_c() if slow and self._of_device else None,
            throttle_reasons=self._throttling() if slow and self._of_device else None,
            steal_share=stolen,
            busy_share_other=taken,
            steal_s=used.steal_s,
            busy_other_s=other_s,
            cpu_total_s=used.total_s,
            pressure_cpu=self._pressed(time_s),
            involuntary_switches=self._tree.involuntary_switches(_MOST_THREADS) if slow else None,
        )

    def close(self) -> None:
        """Let go of the files of /proc."""
        for held in (self._stat, self._pressure_file, self._tree):
            held.close()

    def _probed(self, first: Sample) -> frozenset[str]:
        """The fields that the first sample, and the counts begun with it, show to be there; the others are refused."""
        own = {
            "clock_hz": (first.clock_hz, "no cpufreq here (usual in a virtual machine)"),
            "temperature_c": (first.temperature_c, "no processor among the hwmon sensors"),
            "throttle_reasons": (self._throttled, "no thermal_throttle counts here (x86 on bare metal has them)"),
        }
        told: dict[str, tuple[object, str]] = {
            "pressure_cpu": (self._pressure, "no /proc/pressure/cpu: a kernel before 4.20, or PSI is switched off"),
            "involuntary_switches": (first.involuntary_switches, f"not read of more than {_MOST_THREADS} threads"),
            **(own if self._of_device else {}),
        }
        self.refused = {name: why for name, (value, why) in told.items() if value is None}
        return frozenset({*told, "steal_share", "busy_share_other", "steal_s", "busy_other_s", "cpu_total_s"}) - set(
            self.refused
        )

    def _pressed(self, time_s: float) -> float | None:
        waited_s = parse_pressure(self._pressure_file.read())
        before, self._pressure = self._pressure, None if waited_s is None else (time_s, waited_s)
        if before is None or waited_s is None or time_s <= before[0]:
            return None
        return _share(waited_s - before[1], time_s - before[0])

    def _clock_files(self) -> list[Path]:
        cpus = sorted(self._cpus)
        chosen = cpus[:: max(1, -(-len(cpus) // _MOST_CLOCKS))]
        files = (self._root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in chosen)
        return [file for file in files if file.exists()]

    def _clock_hz(self) -> float | None:
        kilohertz = [value for value in map(read_int, self._clocks) if value]
        return statistics.median(kilohertz) * 1e3 if kilohertz else None

    def _hottest_c(self) -> float | None:
        found = []
        for sensor in (self._root / "sys/class/hwmon").glob("hwmon*"):
            if read_text(sensor / "name") in _HEAT_SENSORS:
                found += [value for value in map(read_int, sensor.glob("temp*_input")) if value is not None]
        return max(found) / 1e3 if found else None

    def _throttling(self) -> tuple[str, ...] | None:
        """Whether a core's thermal throttle count rose since last asked."""
        files = (
            self._root / f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/{kind}_throttle_count"
            for cpu in self._cpus
            for kind in ("core", "package")
        )
        counts = [value for value in map(read_int, files) if value is not None]
        before, self._throttled = self._throttled, sum(counts) if counts else None
        if before is None or self._throttled is None:
            return None
        return ("thermal_throttle_count",) if self._throttled > before else ()


class PsutilSource:
    """What psutil tells of the CPUs on systems without /proc: macOS, Windows, the BSDs."""

    name = "psutil"
    period_s = PERIOD_S * 2.5  # Walking the processes is dearer there.

    def __init__(self, own_pids: Collection[int]) -> None:
        import psutil

        self._own = [psutil.Process(pid) for pid in own_pids if psutil.pid_exists(pid)]
        self._shares = Shares()
        self._cpus = psutil.cpu_count() or 1
        self.version = str(psutil.__version__)
        self.fields = frozenset({"busy_share_other", "busy_other_s", "cpu_total_s"})
        reason = "this system does not tell it through psutil"
        self.refused = dict.fromkeys(("steal_share", "steal_s", "pressure_cpu", "involuntary_switches"), reason)

    def static(self) -> dict[str, Any]:
        """The number of CPUs that are watched: all."""
        return {"cpus": self._cpus}

    def sample(self) -> Sample:
        """The state now."""
        time_s, used = time.monotonic(), self._used()
        other_s = used.busy_s - self._own_s()
        _, taken = self._shares.add(used.total_s, None, other_s)
        return Sample(time_s, busy_share_other=taken, busy_other_s=other_s, cpu_total_s=used.total_s)

    def close(self) -> None:
        """Nothing is held open."""

    def _used(self) -> CpuTime:
        import psutil

        times = psutil.cpu_times()._asdict()
        # Linux counts guest time inside user time; the others have no such field.
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        idle = times.get("idle", 0.0) + times.get("iowait", 0.0) + times.get("steal", 0.0)
        return CpuTime(busy_s=total - idle, steal_s=None, total_s=total)

    def _own_s(self) -> float:
        import psutil

        spent = 0.0
        for root in self._own:
            try:
                family = [root, *root.children(recursive=True)]
                spent += sum(process.cpu_times().user + process.cpu_times().system for process in family)
            except psutil.Error:
                continue
        return spent
