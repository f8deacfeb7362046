"""The host processor's identity, on Linux in full and elsewhere as far as the system tells."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from bench.devices import cgroup, clock, cores, host
from bench.devices.commands import output_of
from bench.devices.cpuinfo import Identity, native_precisions, parse_cpuinfo
from bench.devices.files import read_text
from bench.devices.machine_code import hypervisor_signature
from bench.records import Device


def identify(root: Path = Path("/")) -> Device:
    """The processor as a device record; `root` is where /proc and /sys are read from."""
    identity = _identity(root)
    isa = frozenset(identity.isa)
    limits = cgroup.limits(root)
    topology = cores.read_topology(root, fallback=os.cpu_count())
    allowed = cores.affinity()
    reached = {cpu for core in topology.cores for cpu in core if allowed is None or cpu in allowed}
    sizes, last_level = host.caches(reached, root)
    details: dict[str, Any] = {
        **identity.details,
        "logical_cpus": topology.logical,
        "logical_cpus_allowed": len(reached) or topology.logical,
        "threads_per_core": topology.threads_per_core,
        "cpu_quota": limits.cpus,
        "last_level_caches": last_level,
    }
    return Device(
        device="cpu",
        kind="cpu",
        name=identity.name or host.normalized_machine() or "cpu",
        vendor=identity.vendor,
        architecture=host.normalized_machine(),
        isa=list(identity.isa),
        units=cores.units_in_use(topology, allowed, limits),
        memory_bytes=host.memory_bytes(limits.memory_bytes),
        caches=sizes or identity.details.get("caches", {}),
        virtualization=host.virtualization(isa, root, _signature),
        clock=clock.cpu_clock(identity.details, root),
        precisions=native_precisions(isa),
        details={key: value for key, value in details.items() if key != "caches"},
    )


def _signature() -> str:
    on_x86_linux = sys.platform == "linux" and host.normalized_machine() == "x86_64"
    return hypervisor_signature() if on_x86_linux else ""


def _identity(root: Path) -> Identity:
    text = read_text(root / "proc/cpuinfo")
    if text:
        return parse_cpuinfo(text)
    if sys.platform == "darwin":
        return parse_sysctl(output_of("sysctl", "-a", "machdep.cpu", "hw") or "")
    return Identity(name=platform.processor(), vendor=_vendor_word(platform.processor()))


def parse_sysctl(text: str) -> Identity:
    """Identity from macOS's `sysctl -a`: Intel's flags and Arm's features in the words that Linux has for them."""
    values = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            values[key.strip()] = value.strip()
    name = values.get("machdep.cpu.brand_string", "")
    raw = values.get("machdep.cpu.vendor", "")
    details: dict[str, Any] = {"cpu_vendor": raw or ("apple" if name.startswith("Apple") else "")}
    for field in ("family", "model", "stepping"):
        if values.get(f"machdep.cpu.{field}", "").isdecimal():
            details[f"cpu_{field}"] = int(values[f"machdep.cpu.{field}"])
    flags = " ".join(values.get(f"machdep.cpu.{key}", "") for key in ("features", "leaf7_features", "extfeatures"))
    isa = {flag.lower().replace("avx1.0", "avx") for flag in flags.split()}
    isa |= {linux for apple, linux in _APPLE_FEATURES.items() if values.get(f"hw.optional.{apple}") == "1"}
    # The performance cores' caches where there are two kinds of core.
    named = {"l1d": "l1dcachesize", "l2": "l2cachesize", "l3": "l3cachesize"}
    sizes = {
        level: int(size)
        for level, key in named.items()
        if (size := values.get(f"hw.perflevel0.{key}") or values.get(f"hw.{key}") or "").isdecimal() and int(size)
    }
    if sizes:
        sizes["llc"] = sizes.get("l3") or sizes.get("l2") or sizes["l1d"]
        details["caches"] = sizes
    return Identity(_vendor_word(name), name, tuple(sorted(isa)), details)


_APPLE_FEATURES = {
    "arm64": "asimd",
    "arm.FEAT_FP16": "asimdhp",
    "arm.FEAT_DotProd": "asimddp",
    "arm.FEAT_I8MM": "i8mm",
    "arm.FEAT_BF16": "bf16",
    "arm.FEAT_SME": "sme",
}


def _vendor_word(name: str) -> str:
    words = name.lower()
    return next((vendor for vendor in ("apple", "intel", "amd", "arm", "qualcomm") if vendor in words), "")
