"""What a processor says about itself: /proc/cpuinfo read into identity, ISA flags into precisions. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

VENDORS: Final[dict[str, str]] = {
    "GenuineIntel": "intel",
    "AuthenticAMD": "amd",
    "HygonGenuine": "hygon",
    "CentaurHauls": "zhaoxin",
    "Shanghai": "zhaoxin",
    # Arm implementers, from Linux, arch/arm64/include/asm/cputype.h.
    "0x41": "arm",
    "0x42": "broadcom",
    "0x43": "cavium",
    "0x46": "fujitsu",
    "0x48": "huawei",
    "0x4e": "nvidia",
    "0x51": "qualcomm",
    "0x61": "apple",
    "0x6d": "microsoft",
    "0x70": "phytium",
    "0xc0": "ampere",
}

ARM_PARTS: Final[dict[tuple[str, str], str]] = {
    # From Linux, arch/arm64/include/asm/cputype.h: Arm's /proc/cpuinfo has numbers only.
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse N2",
    ("0x41", "0xd4f"): "Neoverse V2",
    ("0x41", "0xd83"): "Neoverse V3AE",
    ("0x41", "0xd84"): "Neoverse V3",
    ("0x41", "0xd8e"): "Neoverse N3",
    ("0x46", "0x001"): "A64FX",
    ("0x48", "0xd01"): "TaiShan V110",
    ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1A",
}


@dataclass(frozen=True)
class Identity:
    """Who made the processor and what it can do. `details` has the keys that ratings match by."""

    vendor: str = ""
    name: str = ""
    isa: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


def parse_cpuinfo(text: str) -> Identity:
    """Read /proc/cpuinfo. On a machine of mixed cores the last block speaks: Linux numbers the big cores last."""
    block: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            block[key.strip()] = value.strip()
    if "CPU implementer" in block:
        return _arm(block)
    raw = block.get("vendor_id", "")
    details: dict[str, Any] = {"cpu_vendor": raw} if raw else {}
    for key, source in (("cpu_family", "cpu family"), ("cpu_model", "model"), ("cpu_stepping", "stepping")):
        if block.get(source, "").isdecimal():
            details[key] = int(block[source])
    if block.get("microcode"):
        details["cpu_microcode"] = block["microcode"]
    flags = block.get("flags") or block.get("isa") or ""
    return Identity(
        vendor=VENDORS.get(raw, raw.lower()),
        name=" ".join(block.get("model name", "").split()),
        isa=tuple(sorted(set(flags.split()))),
        details=details,
    )


def _arm(block: dict[str, str]) -> Identity:
    implementer, part = block["CPU implementer"].lower(), block.get("CPU part", "").lower()
    vendor = VENDORS.get(implementer, "")
    known = ARM_PARTS.get((implementer, part), "")
    name = block.get("model name") or " ".join(filter(None, (vendor.capitalize() or implementer, known or part)))
    details: dict[str, Any] = {"cpu_vendor": vendor or implementer, "cpu_implementer": implementer, "cpu_part": part}
    for key, source in (("cpu_variant", "CPU variant"), ("cpu_revision", "CPU revision")):
        if source in block:
            details[key] = block[source]
    return Identity(vendor, name, tuple(sorted(set(block.get("Features", "").split()))), details)


# For each precision the best unit comes first: (precision, flag, what executes it). Flags as Linux spells them.
_UNITS: Final[tuple[tuple[str, str, str], ...]] = (
    ("fp16", "amx_fp16", "AMX-FP16"),
    ("fp16", "avx512_fp16", "AVX512-FP16"),
    ("fp16", "asimdhp", "NEON FP16"),
    ("bf16", "amx_bf16", "AMX-BF16"),
    ("bf16", "avx512_bf16", "AVX512-BF16"),
    ("bf16", "bf16", "BF16 MMLA"),
    ("int8", "amx_int8", "AMX-INT8"),
    ("int8", "avx512_vnni", "AVX512-VNNI"),
    ("int8", "avx_vnni", "AVX-VNNI"),
    ("int8", "i8mm", "I8MM"),
    ("int8", "asimddp", "NEON dot product"),
)


def native_precisions(isa: frozenset[str]) -> dict[str, str]:
    """Precision → the best unit that executes it natively; a precision without a unit of its own is absent."""
    if "avx512f" in isa:
        vector = "AVX-512 FMA"
    elif "avx2" in isa and "fma" in isa:
        vector = "AVX2 FMA"
    elif "asimd" in isa:
        vector = "NEON FMA"
    else:
        vector = "vector unit"
    native = {"fp64": vector, "fp32": vector}
    for precision, flag, unit in _UNITS:
        if flag in isa:
            native.setdefault(precision, unit)
    return native
