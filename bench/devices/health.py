"""What about this machine would make a measurement bad, why that matters and how to mend it: the processor's side.

Each check is a pure function of what was read; `examine` does the reading. GPUs are `health_gpu`'s.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bench.devices.files import read_text
from bench.devices.load import Load, observe_load
from bench.records import Device

Level = Literal["ok", "note", "warning"]

BUSY_CPUS: Final = 0.1
"""Of one CPU: less than that is what any idle system does (ours)."""
STEAL_WARNING, STEAL_NOTE = 0.05, 0.01
"""Share of the time stolen by the hypervisor; a row measured above the first is quarantined (method, quarantine)."""


@dataclass(frozen=True)
class Finding:
    """One answer of the doctor; `mend` is "" for what is fine."""

    level: Level
    what: str
    why: str = ""
    mend: str = ""
    device: str = ""


def examine(device: Device, root: Path = Path("/")) -> list[Finding]:
    """Findings about the processor and the machine; `device` is the processor's record. Takes about half a second."""
    found = [
        governor(_governors(root), device.virtualization is not None),
        clock(device),
        *units(device),
        *load(observe_load(root)),
        vector_units(device),
        huge_pages(read_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        *environment(os.environ, device.units.in_use),
        packages(_distributions()),
        *power_and_heat(),
    ]
    return [finding for finding in found if finding is not None]


def governor(governors: Collection[str], virtual: bool) -> Finding | None:
    """The frequency governors of the cores; None where cpufreq is hidden and there is nothing to say."""
    if not governors:
        return None if virtual else Finding("note", "no cpufreq: the clock's policy is unknown", "it may change unseen")
    if set(governors) == {"performance"}:
        return Finding("ok", "CPU governor is performance")
    return Finding(
        "warning",
        f"CPU governor is {', '.join(sorted(set(governors)))}",
        "the clock starts low and climbs during the measurement, so short rows come out slow and unsteady",
        "sudo cpupower frequency-set -g performance",
    )


def clock(device: Device) -> Finding:
    """Whether the processor's clock is known, and from where."""
    known = device.clock
    if known is None or known.hz is None:
        return Finding(
            "warning",
            f"the CPU clock is unknown: {known.source if known else 'not read'}",
            "a computed peak needs it: utilisation will be n/a",
            "give the peak in a file for --ratings",
            device.device,
        )
    if known.source == "cpufreq":
        return Finding("ok", f"CPU clock up to {known.hz / 1e9:.2f} GHz (cpufreq)", device=device.device)
    return Finding(
        "note",
        f"the CPU clock is hidden; {known.source}: {known.hz / 1e9:.2f} GHz",
        "the rated peak is computed from a measured clock, which a busy host can lower",
        "nothing to mend in a virtual machine; on the host itself load a cpufreq driver",
        device.device,
    )


def units(device: Device) -> list[Finding]:
    """Quota, affinity, hyper-threads and what virtualisation hides about them."""
    found = []
    if "quota" in device.units.why:
        quota = f"the control group limits this process to {device.details.get('cpu_quota', 0):g} CPUs"
        why = "threads beyond it are stopped for the rest of every period (usually 100 ms): rates come out unsteady"
        found.append(
            Finding("warning", quota, why, "raise the quota (docker --cpus, Kubernetes limits)", device.device)
        )
    if "affinity" in device.units.why:
        mask = f"{device.units.why}: {device.units.in_use} of {device.units.total} cores in use"
        why = "the rated peak counts only the cores in use"
        found.append(
            Finding("note", mask, why, "change it with taskset -c, numactl or the job's CPU request", device.device)
        )
    threads = int(device.details.get("threads_per_core", 1))
    if threads > 1:
        cores = device.units.in_use
        what = f"{threads} hardware threads share each core"
        why = "two threads on one core share its arithmetic units: more threads than cores make dense kernels slower"
        found.append(Finding("note", what, why, f"one thread a core: --threads {cores}", device.device))
    elif device.virtualization and (device.units.in_use or 1) > 1:
        what = f"virtual machine ({device.virtualization}): CPUs that it calls cores may be threads of one core"
        why = "the peak of two cores is then out of reach"
        found.append(Finding("note", what, why, "ask the provider, or compare one thread with all", device.device))
    return found


def load(seen: Load) -> list[Finding]:
    """Other processes and stolen time."""
    found = []
    busy = [(name, cpus) for name, cpus in seen.processes if cpus >= BUSY_CPUS]
    if busy:
        names = ", ".join(f"{name} ({cpus:.1f} CPUs)" for name, cpus in busy[:3])
        why = "they take cores, caches and memory bandwidth from the measurement: rows come out contended"
        found.append(Finding("warning", f"other processes are busy: {names}", why, "stop them, or measure later"))
    else:
        found.append(Finding("ok", "no other process is busy"))
    if seen.steal >= STEAL_NOTE:
        what = f"the hypervisor gave {100 * seen.steal:.0f} % of the CPU time to others"
        why = "stolen time counts as the kernel's own"
        mend = "measure later, or on a dedicated instance"
        found.append(Finding("warning" if seen.steal >= STEAL_WARNING else "note", what, why, mend))
    return found


def vector_units(device: Device) -> Finding:
    """Units for INT8 and the 16-bit formats."""
    missing = [name for name in ("bf16", "fp16", "int8") if name not in device.precisions]
    if not missing:
        return Finding("ok", "bf16, fp16 and int8 have units of their own", device=device.device)
    return Finding(
        "note",
        f"this processor has no unit of its own for {', '.join(missing)}",
        "these precisions run on the FP32 or general integer units, and may well be slower than FP32",
        "nothing to mend: read those rows as what the software makes of the FP32 units",
        device.device,
    )


def huge_pages(enabled: str | None) -> Finding | None:
    """The kernel's policy on transparent huge pages: "always [madvise] never"."""
    if enabled is None:
        return None
    if "[never]" in enabled:
        return Finding(
            "note",
            "transparent huge pages are off",
            "large matrices cost more address translation",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        )
    return Finding("ok", f"transparent huge pages: {enabled}")


_SHORT_FP32: Final = "oneDNN may compute FP32 in less than FP32: rows at fp32 would fail their check"
_OLD_UNITS: Final = "the processor's newer units may be left out"
_VARIABLES: Final[tuple[tuple[str, str], ...]] = (
    ("ONEDNN_DEFAULT_FPMATH_MODE", _SHORT_FP32),
    ("DNNL_DEFAULT_FPMATH_MODE", _SHORT_FP32),
    ("ONEDNN_MAX_CPU_ISA", _OLD_UNITS),
    ("DNNL_MAX_CPU_ISA", _OLD_UNITS),
    ("ATEN_CPU_CAPABILITY", _OLD_UNITS),
    ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "torch starts with TF32 on"),
    ("CUDA_LAUNCH_BLOCKING", "every launch waits for its kernel: launch-bound rows come out slow"),
    ("PYTORCH_NO_CUDA_MEMORY_CACHING", "every tensor is allocated anew by the driver, which stops the stream"),
)
"""Environment variables that change what is measured, and how."""


def environment(variables: Mapping[str, str], cores: int | None) -> list[Finding]:
    """Variables that change what is measured."""
    found = [
        Finding("warning", f"{name}={variables[name]} is set", why, f"unset {name}")
        for name, why in _VARIABLES
        if variables.get(name, "") not in ("", "0")
    ]
    if variables.get("NVIDIA_TF32_OVERRIDE") == "0":
        why = "the CUDA libraries compute without TF32 whatever torch says: rows at tf32 come out slow"
        found.append(Finding("warning", "NVIDIA_TF32_OVERRIDE=0 is set", why, "unset NVIDIA_TF32_OVERRIDE"))
    threads = variables.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and cores and 0 < int(threads) < cores:
        why = f"torch uses {threads} of {cores} cores; the rated peak counts all"
        found.append(Finding("warning", f"OMP_NUM_THREADS={threads} is set", why, "unset it, or give --threads"))
    return found


def packages(distributions: Collection[str]) -> Finding:
    """Distributions that get into each other's way."""
    if {"pynvml", "nvidia-ml-py"} <= set(distributions):
        return Finding(
            "warning",
            "the deprecated package pynvml is installed beside nvidia-ml-py",
            "both bring a module pynvml: which one is imported depends on the order of installation",
            "python -m pip uninstall -y pynvml && python -m pip install --force-reinstall --no-deps nvidia-ml-py",
        )
    return Finding("ok", "no clash of packages")


def power_and_heat() -> list[Finding]:
    """A laptop on its battery; sensors at or above what their driver calls high."""
    found = []
    battery = _sensor("sensors_battery")
    if battery is not None and battery.power_plugged is False:
        why = "on battery the clock and the power limit are lower"
        found.append(Finding("warning", "this machine runs on its battery", why, "plug it in"))
    for name, readings in (_sensor("sensors_temperatures") or {}).items():
        hot = [entry for entry in readings if entry.high and entry.current >= entry.high]
        if hot:
            what = f"{name} is at {hot[0].current:.0f} °C, at or above its limit of {hot[0].high:.0f} °C"
            why = "the processor lowers its clock to cool down"
            found.append(Finding("warning", what, why, "let it cool; look at fans and air flow"))
    return found


def _sensor(name: str) -> Any:
    """What one of psutil's sensor functions tells; None where this system has none or its files are odd."""
    import psutil

    read = getattr(psutil, name, None)
    try:
        return read() if read is not None else None
    except (OSError, RuntimeError, ValueError):
        return None


def _governors(root: Path) -> set[str]:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return {text for text in map(read_text, files) if text}


def _distributions() -> set[str]:
    from importlib.metadata import distributions

    return {str(found.metadata["Name"]).lower() for found in distributions() if found.metadata["Name"]}
