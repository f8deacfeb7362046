"""Which precisions a GPU executes natively and on which unit, from what the driver calls it. Pure tables."""

from __future__ import annotations

import re
from typing import Final

_MIG = re.compile(r"\bMIG (\d+c\.)?\d+g\.\d+gb\S*", re.IGNORECASE)
_VGPU = re.compile(r"-\d+(-\d+)?([ABCQ]|ME|CME)$", re.IGNORECASE)
"""NVIDIA's vGPU types end in frame-buffer size and series: "GRID A100-10C", "NVIDIA A40-48Q"."""


def mig_profile(name: str) -> str | None:
    """The slice in a name such as "NVIDIA A100-SXM4-40GB MIG 1g.5gb": "1g.5gb"; None for a whole card."""
    match = _MIG.search(name)
    return match.group(0)[4:] if match else None


def vgpu_profile(name: str) -> str | None:
    """The profile in a virtual GPU's name: "10C" of "GRID A100-10C"; None for a card's name."""
    match = _VGPU.search(name.strip())
    return match.group(0)[1:] if match else None


def nvidia_precisions(capability: tuple[int, int], name: str = "") -> dict[str, str]:
    """Native precisions of an NVIDIA GPU by compute capability (CUDA C++ Programming Guide, Compute Capabilities)."""
    # The GTX 16 cards (TU116, TU117) have capability 7.5 without tensor cores.
    tensor = capability >= (7, 0) and "GTX 16" not in name
    # Tables of the Ampere, Hopper and Blackwell white papers: only the data-centre parts have FP64 tensor cores.
    fp64_tensor = capability in ((8, 0), (9, 0), (10, 0))
    native = {"fp64": "FP64 tensor core" if fp64_tensor else "FP64 core", "fp32": "FP32 core"}
    if capability >= (8, 0):
        native["tf32"] = native["bf16"] = "tensor core"
    if tensor:
        native["fp16"] = "tensor core"
    elif capability in ((5, 3), (6, 0), (6, 2), (7, 5)):  # two-wide FP16 on the FP32 cores
        native["fp16"] = "FP16 core"
    if tensor and capability >= (7, 2):
        native["int8"] = "tensor core"
    elif capability >= (6, 1):
        native["int8"] = "DP4A"
    if capability >= (8, 9):
        native["fp8"] = "tensor core"
    return native


_CDNA: Final[dict[str, dict[str, str]]] = {
    # AMD CDNA white papers and instruction-set references: MFMA by generation.
    "gfx908": {"fp32": "matrix core", "fp16": "matrix core", "bf16": "matrix core", "int8": "matrix core"},
    "gfx90a": {
        "fp64": "matrix core",
        "fp32": "matrix core",
        "fp16": "matrix core",
        "bf16": "matrix core",
        "int8": "matrix core",
    },
    "gfx942": {
        "fp64": "matrix core",
        "fp32": "matrix core",
        "tf32": "matrix core",
        "fp16": "matrix core",
        "bf16": "matrix core",
        # This generation's FP8 has no Inf and no negative zero: torch.float8_e4m3fnuz, not float8_e4m3fn.
        "fp8": "matrix core (e4m3fnuz only)",
        "int8": "matrix core",
    },
    "gfx950": {
        "fp64": "matrix core",
        "fp32": "matrix core",
        "fp16": "matrix core",
        "bf16": "matrix core",
        "fp8": "matrix core",
        "int8": "matrix core",
    },
}


def amd_precisions(architecture: str) -> dict[str, str]:
    """Native precisions of an AMD GPU by its gfx name; of an unknown one only the vector units' FP64 and FP32."""
    native = {"fp64": "vector unit", "fp32": "vector unit"}
    if architecture in _CDNA:
        return native | _CDNA[architecture]
    if architecture.startswith("gfx12"):  # RDNA 4
        return native | dict.fromkeys(("fp16", "bf16", "fp8", "int8"), "WMMA")
    if architecture.startswith("gfx11"):  # RDNA 3 and 3.5
        return native | dict.fromkeys(("fp16", "bf16", "int8"), "WMMA")
    if architecture.startswith("gfx103") or architecture == "gfx906":  # RDNA 2, Vega 20
        return native | {"fp16": "packed FP16", "int8": "DOT4"}
    if architecture.startswith(("gfx900", "gfx101")):  # Vega 10, RDNA 1
        return native | {"fp16": "packed FP16"}
    return native


_CUDA_VENDORS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    # Other vendors' stacks also present themselves as cuda: the name decides, and the most telling word comes first.
    ("metax", ("metax", "mxc500", "mxn")),
    ("iluvatar", ("iluvatar", "bi-v100", "bi-v150", "mr-v")),
    ("hygon", ("hygon", "dcu", "bw1000", "k100_ai", "z100")),
    ("kunlunxin", ("kunlun",)),
    ("denglin", ("denglin",)),
    ("amd", ("amd", "radeon", "instinct")),
    ("nvidia", ("nvidia", "geforce", "tesla", "quadro", "titan", "grid", "jetson", "orin", "xavier")),
)
_PCI_VENDORS: Final[dict[str, str]] = {"10de": "nvidia", "1002": "amd", "8086": "intel"}


def cuda_vendor(name: str, pci_id: str | None, hip: bool, nvml_found: bool) -> str:
    """Who made a device that torch presents as cuda; "" where nothing tells. NVIDIA is never assumed.

    Order: a vendor's word in the name, the PCI vendor, whether NVML knows the GPU, whether torch is a HIP build.
    """
    words = name.lower()
    for vendor, signs in _CUDA_VENDORS:
        if any(sign in words for sign in signs):
            return vendor
    if pci_id and pci_id[:4] in _PCI_VENDORS:
        return _PCI_VENDORS[pci_id[:4]]
    if nvml_found:
        return "nvidia"
    return "amd" if hip else ""
