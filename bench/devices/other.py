"""Intel XPU, Apple MPS, and every other backend that torch presents, by what its own module tells."""

from __future__ import annotations

import platform
import re
from typing import Any, Final

from bench.devices.commands import output_of
from bench.devices.cuda import hashed_id
from bench.records import Clock, Device, Units

_VENDORS: Final[dict[str, str]] = {
    "gcu": "enflame",
    "hpu": "intel",
    "mlu": "cambricon",
    "mtia": "meta",
    "musa": "moore threads",
    "npu": "huawei",
    "sdaa": "tecorigin",
    "supa": "biren",
}


def identify_xpu(index: int) -> Device:
    """Device `index` of torch.xpu (SYCL device information) as a record."""
    import torch

    properties = torch.xpu.get_device_properties(index)
    cache = int(getattr(properties, "last_level_cache_size", 0) or 0)
    uuid = str(getattr(properties, "uuid", "") or "")
    count = int(getattr(properties, "gpu_subslice_count", 0) or 0)
    device_id = getattr(properties, "device_id", None)
    return Device(
        device=f"xpu:{index}",
        kind="xpu",
        name=str(properties.name).strip(),
        vendor="intel",
        architecture=str(getattr(properties, "version", "") or ""),
        units=Units(kind="Xe core", in_use=count or None, total=count or None),
        memory_bytes=int(properties.total_memory),
        caches={"llc": cache} if cache else {},
        driver=str(getattr(properties, "driver_version", "") or "") or None,
        runtime=f"SYCL {version}" if (version := getattr(torch.version, "xpu", None)) else None,
        unique_id=hashed_id(uuid) if uuid else None,
        pci_id=f"8086:{device_id:04x}" if isinstance(device_id, int) and device_id else None,
        clock=Clock(hz=None, source="torch.xpu does not tell"),
        precisions=xpu_precisions(properties),
        details={"vector_engines": int(getattr(properties, "gpu_eu_count", 0) or 0)},
    )


def xpu_precisions(properties: Any) -> dict[str, str]:
    """Native precisions by the aspects that SYCL reports; a torch that doesn't pass an aspect on leaves it out."""
    native = {"fp32": "vector engine"}
    if getattr(properties, "has_fp64", False):
        native["fp64"] = "vector engine"
    if getattr(properties, "has_fp16", False):
        native["fp16"] = "vector engine"
    if getattr(properties, "has_subgroup_matrix_multiply_accumulate", False):
        native |= dict.fromkeys(("fp16", "bf16", "int8"), "XMX")
    if getattr(properties, "has_subgroup_matrix_multiply_accumulate_tensor_float32", False):
        native["tf32"] = "XMX"
    return native


def parse_gpu_cores(ioreg: str) -> int | None:
    """The GPU core count in the output of macOS's `ioreg -rc AGXAccelerator`."""
    match = re.search(r'"gpu-core-count"\s*=\s*(\d+)', ioreg)
    return int(match.group(1)) if match else None


def identify_mps() -> Device:
    """Apple's GPU as a record: it has the chip's name, and shares the machine's memory."""
    import torch

    cores = parse_gpu_cores(output_of("ioreg", "-rc", "AGXAccelerator", "-d", "1") or "")
    name = output_of("sysctl", "-n", "machdep.cpu.brand_string") or "Apple GPU"
    recommended = getattr(torch.mps, "recommended_max_memory", None)
    return Device(
        device="mps:0",
        kind="mps",
        name=name,
        vendor="apple" if name.startswith("Apple") else "",
        architecture=name.lower().replace(" ", "-"),
        units=Units(kind="GPU core", in_use=cores, total=cores),
        memory_bytes=int(recommended()) if recommended else None,
        runtime=f"macOS {platform.mac_ver()[0]}",
        clock=Clock(hz=None, source="macOS does not tell"),
        # No FP64 on the device. torch also takes bfloat16, but from which chip on it is native is not documented.
        precisions={"fp32": "GPU ALU", "fp16": "GPU ALU"},
        details={"integrated": True},
    )


def identify_generic(kind: str, index: int) -> Device:
    """A device of any other type, by the conventions that backend modules share (torch.<type>.get_device_name …)."""
    import torch

    module = getattr(torch, kind, None)
    properties = _ask(module, "get_device_properties", index)
    free_total = _ask(module, "mem_get_info", index)
    memory = getattr(properties, "total_memory", None) or (free_total[1] if free_total else None)
    count = getattr(properties, "multi_processor_count", None)
    native = {"fp32": "unit not known", "fp16": "unit not known"}
    if _ask(module, "is_bf16_supported"):
        native["bf16"] = "unit not known"
    return Device(
        device=f"{kind}:{index}",
        kind=kind,
        name=str(_ask(module, "get_device_name", index) or getattr(properties, "name", None) or kind),
        vendor=_VENDORS.get(kind, ""),
        units=Units(kind="unit", in_use=int(count) if isinstance(count, int) else None),
        memory_bytes=int(memory) if isinstance(memory, int) else None,
        clock=Clock(hz=None, source=f"torch.{kind} does not tell"),
        precisions=native,
    )


def _ask(module: Any, name: str, *arguments: Any) -> Any:
    """What a backend's function returns; None where it has none or refuses. A stranger's code may raise anything."""
    function = getattr(module, name, None)
    if not callable(function):
        return None
    try:
        return function(*arguments)
    except Exception:
        return None
