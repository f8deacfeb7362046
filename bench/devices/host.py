"""The machine around the processor: caches, memory, virtualisation, read from Linux's /proc and /sys."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from bench.devices.files import parse_cpu_list, parse_size, read_text

_HYPERVISORS: Final[tuple[tuple[str, str], ...]] = (
    # What the firmware of virtual machines calls itself; the strings that systemd-detect-virt looks for.
    ("KVM", "KVM"),
    ("QEMU", "QEMU/KVM"),
    ("OpenStack", "KVM (OpenStack)"),
    ("KubeVirt", "KVM (KubeVirt)"),
    ("Amazon EC2", "Amazon EC2"),
    ("Google Compute Engine", "Google Compute Engine"),
    ("Alibaba Cloud", "Alibaba Cloud"),
    ("Tencent Cloud", "Tencent Cloud"),
    ("Huawei Cloud", "Huawei Cloud"),
    ("VMware", "VMware"),
    ("VMW", "VMware"),
    ("innotek GmbH", "VirtualBox"),
    ("VirtualBox", "VirtualBox"),
    ("Virtual Machine", "Hyper-V"),
    ("Xen", "Xen"),
    ("Bochs", "Bochs"),
    ("Parallels", "Parallels"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "Apple Virtualization"),
)
_DMI_FILES: Final = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
_SIGNATURES: Final[dict[str, str]] = {
    # What CPUID leaf 0x40000000 answers, as lscpu reads it.
    "KVMKVMKVM": "KVM",
    "Linux KVM Hv": "KVM",
    "Microsoft Hv": "Hyper-V",
    "VMwareVMware": "VMware",
    "XenVMMXenVMM": "Xen",
    "TCGTCGTCGTCG": "QEMU without KVM",
    "bhyve bhyve": "bhyve",
    "ACRNACRNACRN": "ACRN",
}
UNNAMED_HYPERVISOR: Final = "unnamed hypervisor"


def name_hypervisor(dmi: Collection[str]) -> str | None:
    """The hypervisor that the firmware's strings name; None for a physical machine or strings that name none."""
    joined = "\n".join(dmi)
    if ".metal" in joined:  # Amazon's bare-metal instances carry the same vendor string as its virtual ones.
        return None
    return next((name for needle, name in _HYPERVISORS if needle.lower() in joined.lower()), None)


def virtualization(isa: frozenset[str], root: Path = Path("/"), signature: Callable[[], str] = str) -> str | None:
    """The hypervisor that this machine runs under, or None on bare metal as far as can be told.

    On x86 the hypervisor flag of CPUID decides, and the firmware or else CPUID's `signature` only names; elsewhere the
    firmware decides.
    """
    dmi = [read_text(root / "sys/class/dmi/id" / name) or "" for name in _DMI_FILES]
    named = read_text(root / "sys/hypervisor/type") or name_hypervisor(dmi)
    if named == "xen":
        named = "Xen"
    if "fpu" not in isa:  # An x86 flag that every one of them has.
        return named
    if "hypervisor" not in isa:
        return None
    return named or _SIGNATURES.get(signature(), UNNAMED_HYPERVISOR)


def caches(allowed: Collection[int], root: Path = Path("/")) -> tuple[dict[str, int], int]:
    """Data caches in bytes by level, as one core sees them ("l1d", "l2", …), and the number of last-level caches.

    "llc" is the sum of the last-level caches that the allowed CPUs reach: what a cold measurement has to get past.
    """
    sizes: dict[str, int] = {}
    deepest: dict[frozenset[int], int] = {}
    level_of_llc = 0
    for cpu in sorted(allowed):
        for index in sorted((root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*")):
            level, kind = read_text(index / "level") or "", read_text(index / "type")
            size = parse_size(read_text(index / "size") or "")
            if kind not in ("Data", "Unified") or not level.isdecimal() or not size:
                continue
            sizes.setdefault("l1d" if level == "1" else f"l{level}", size)
            if int(level) > level_of_llc:
                level_of_llc, deepest = int(level), {}
            if int(level) == level_of_llc:
                deepest[parse_cpu_list(read_text(index / "shared_cpu_list") or "") or frozenset({cpu})] = size
    if deepest:
        sizes["llc"] = sum(deepest.values())
    return sizes, len(deepest)


def memory_bytes(limit: int | None) -> int | None:
    """The machine's memory, or the control group's limit where that is less."""
    import psutil

    try:
        total = int(psutil.virtual_memory().total)
    except (OSError, RuntimeError):
        return limit
    return total if limit is None else min(total, limit)


def normalized_machine() -> str:
    """x86_64 or aarch64 where systems spell it amd64 or arm64; else what the system says."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
