"""The multiply-add units of processors: which flags tell of each, and how its loop is built. Data, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

ARM: Final = "-march=armv8.2-a"
"""Every processor with one of the extensions below has Armv8.2; plain NEON is built for any 64-bit Arm."""


@dataclass(frozen=True)
class Unit:
    """One unit of one instruction set, and the loops of `loops.c` that keep it busy."""

    name: str
    """Of the implementation: instruction set and instruction."""
    loops: Mapping[str, str]
    """precision → what `-DUNIT_…` names."""
    flags: tuple[str, ...]
    """That a processor needs, as Linux spells them."""
    summary: str
    options: tuple[str, ...] = ()
    """For the compiler; x86's assemblers take every instruction without being told."""
    accumulate: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """precision → what it sums in, where that is not the precision's own."""


def _both(prefix: str) -> dict[str, str]:
    return {"fp64": f"{prefix}_FP64", "fp32": f"{prefix}_FP32"}


_FP16: Final = MappingProxyType({"fp16": "fp16"})

UNITS: Final = (
    # Wider first: of two that are equally fast the first is taken.
    Unit("avx512-fma", _both("AVX512"), ("avx512f",), "AVX-512 fused multiply-add, 512 bits"),
    Unit("avx2-fma", _both("AVX2"), ("avx2", "fma"), "AVX2 fused multiply-add, 256 bits"),
    Unit("amx-fp16", {"fp16": "AMX_FP16"}, ("amx_tile", "amx_fp16"), "AMX-FP16 tile product, sums in FP32"),
    Unit(
        "avx512-fp16",
        {"fp16": "AVX512_FP16"},
        ("avx512_fp16",),
        "AVX512-FP16 fused multiply-add, sums in FP16",
        accumulate=_FP16,
    ),
    Unit("amx-bf16", {"bf16": "AMX_BF16"}, ("amx_tile", "amx_bf16"), "AMX-BF16 tile product"),
    Unit("avx512-bf16", {"bf16": "AVX512_BF16"}, ("avx512_bf16",), "AVX512-BF16 dot product of pairs"),
    Unit("amx-int8", {"int8": "AMX_INT8"}, ("amx_tile", "amx_int8"), "AMX-INT8 tile product"),
    Unit("avx512-vnni", {"int8": "AVX512_VNNI"}, ("avx512_vnni",), "AVX512-VNNI dot product of four"),
    Unit("avx-vnni", {"int8": "AVX_VNNI"}, ("avx_vnni",), "AVX-VNNI dot product of four"),
    Unit(
        "avx512-maddubs",
        {"int8": "AVX512_MADDUBS"},
        ("avx512bw",),
        "vpmaddubsw, vpmaddwd and vpaddd of 512 bits: pairs saturate, exact for 7-bit values",
    ),
    Unit(
        "avx2-maddubs",
        {"int8": "AVX2_MADDUBS"},
        ("avx2",),
        "vpmaddubsw, vpmaddwd and vpaddd of 256 bits: pairs saturate, exact for 7-bit values",
    ),
    Unit(
        "avx2-maddwd",
        {"int8": "AVX2_MADDWD"},
        ("avx2",),
        "vpmaddwd and vpaddd of 256 bits on int8 widened beforehand: exact for every int8",
    ),
    Unit("sve-fma", _both("SVE"), ("sve",), "SVE fused multiply-add of the vector's own length", (f"{ARM}+sve",)),
    Unit("neon-fma", _both("NEON"), ("asimd",), "NEON fused multiply-add, 128 bits"),
    Unit(
        "neon-fp16",
        {"fp16": "NEON_FP16"},
        ("asimdhp",),
        "NEON FP16 fused multiply-add, sums in FP16",
        (f"{ARM}+fp16",),
        accumulate=_FP16,
    ),
    Unit("neon-fmlal", {"fp16": "NEON_FMLAL"}, ("asimdfhm",), "NEON FMLAL, FP16 into FP32", (f"{ARM}+fp16fml",)),
    Unit("neon-bfmmla", {"bf16": "NEON_BFMMLA"}, ("asimd", "bf16"), "NEON BFMMLA, 2×4 by 4×2", (f"{ARM}+bf16",)),
    Unit("neon-smmla", {"int8": "NEON_SMMLA"}, ("i8mm",), "NEON SMMLA, 2×8 by 8×2", (f"{ARM}+i8mm",)),
    Unit("neon-sdot", {"int8": "NEON_SDOT"}, ("asimddp",), "NEON SDOT, dot product of four", (f"{ARM}+dotprod",)),
)


def flags_for(precision: str) -> list[str]:
    """The flags of which a processor needs one to have a unit for the precision, in the order of `UNITS`."""
    return [unit.flags[-1] for unit in UNITS if precision in unit.loops]


def available(precision: str, isa: frozenset[str]) -> list[Unit]:
    """The units that a processor with these flags has for the precision."""
    return [unit for unit in UNITS if precision in unit.loops and isa.issuperset(unit.flags)]
