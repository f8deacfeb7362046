"""Peaks of processors: cores in use × operations per cycle of the best unit × clock, and how a core is recognised.

The operations per cycle are the tables'; nothing is measured here, and an unknown microarchitecture has no peak.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.ratings.tables import InstructionSet, Microarchitecture, Tables, load
from bench.records import Device, Rated

ACCELERATORS: Final[dict[str, tuple[str, ...]]] = {
    # Flags of units that raise a precision's rate, the fastest first. The tables have to know the rate of the first
    # that a processor has; else its peak is unknown, for a slower unit's rate would pass for the peak.
    "fp64": ("avx512f",),
    "fp32": ("avx512f",),
    "bf16": ("amx_bf16", "avx512_bf16", "bf16"),
    "fp16": ("amx_fp16",),
    "int8": ("amx_int8", "i8mm", "avx512_vnni", "asimddp", "avx_vnni"),
}

NO_UNIT: Final = {
    "tf32/fp32": "a processor has no TF32 unit",
    "fp8/fp32": "no processor of the tables has an FP8 unit",
    "fp8/fp16": "no processor of the tables has an FP8 unit",
    "bandwidth": "a processor's memory bandwidth depends on the memory fitted, which the tables don't know",
}

_MODEL_NOISE: Final = re.compile(
    r"\((r|tm)\)|®|™|\bcpu\b|@.*$|\b\d+-core processor\b|\bprocessor\b|^\s*(intel|amd|huawei)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class PerCycle:
    """Operations per cycle and core at one precision, and the instruction set that reaches them."""

    operations: int
    isa: InstructionSet
    note: str = ""


@dataclass(frozen=True)
class Computed:
    """A processor's computed peaks: the microarchitecture's name, peaks by key, and why others are missing."""

    name: str | None
    peaks: dict[str, Rated]
    why_none: str = ""
    why: Mapping[str, str] = field(default_factory=dict)


def cpu_microarchitecture(details: Mapping[str, Any]) -> str | None:
    """The microarchitecture's name, such as "Zen 3"; None where the tables don't know it.

    `details` holds cpu_vendor, cpu_family, cpu_model and cpu_stepping as CPUID gives them (x86), or cpu_implementer and
    cpu_part as MIDR does (Arm), numbers or texts such as "0xd40".
    """
    found = find_microarchitecture(details, load())
    return found.name if found else None


def find_microarchitecture(details: Mapping[str, Any], tables: Tables) -> Microarchitecture | None:
    """The microarchitecture that the numbers name; None where the tables don't know it."""
    return next((m for m in tables.microarchitectures if _is_x86(m, details) or _is_arm(m, details)), None)


def cpu_model_clock_hz(name: str, tables: Tables | None = None) -> tuple[float, str] | None:
    """(largest turbo clock, its source) of a processor by its full model name; None where no source prints it."""
    wanted = _model_name(name)
    for model in (tables or load()).models:
        if _model_name(model.model) == wanted and model.max_turbo_ghz is not None:
            return model.max_turbo_ghz * 1e9, f"model table: largest turbo of {model.model}, {model.source}"
    return None


def compute(device: Device, tables: Tables) -> Computed:
    """The peaks of a processor: `device.details`, `isa`, `units.in_use` and `clock` are what they are computed from."""
    core = find_microarchitecture(device.details, tables)
    if core is None:
        return Computed(None, {}, f"unlisted: no table knows the microarchitecture of {device.name!r}")
    clock = cpu_model_clock_hz(device.name, tables)
    if clock is None and device.clock is not None and device.clock.hz:
        clock = device.clock.hz, device.clock.source
    if clock is None or not device.units.in_use:
        missing = "clock" if clock is None else "number of cores in use"
        return Computed(None, {}, f"{core.name}: the {missing} is unknown")
    rates, why = per_cycle(core, device.isa)
    peaks = {key: _rated(core, rate, device.units.in_use, *clock) for key, rate in rates.items()}
    return Computed(core.name, peaks, why={**NO_UNIT, **why})


def per_cycle(core: Microarchitecture, flags: Collection[str]) -> tuple[dict[str, PerCycle], dict[str, str]]:
    """Key → operations per cycle and core on a core with these flags, and key → why there is none."""
    isas = [i for i in core.isa if i.per == "core" and set(i.flags) <= set(flags)]
    unknown = {p: reason for p in ACCELERATORS if (reason := _why_unknown(core, isas, p, flags))}
    rates: dict[str, PerCycle] = {}
    why: dict[str, str] = {}

    def keep(key: str, precision: str, *candidates: PerCycle | None) -> None:
        known = [c for c in candidates if c is not None]
        if precision in unknown:
            why[key] = unknown[precision]
        elif known:
            rates[key] = max(known, key=lambda c: c.operations)
        else:
            why[key] = f"no source gives the rate of {core.name} for {key} with its instruction sets"

    keep("fp64/fp64", "fp64", _best(isas, "fp64_flop_per_cycle"))
    keep("fp32/fp32", "fp32", _best(isas, "fp32_flop_per_cycle"))
    fma = rates.get("fp32/fp32")
    if fma is None:
        # Every narrower format may also run on the FP32 units, so without their rate no other peak is a peak.
        for precision in ("bf16", "fp16", "int8"):
            unknown.setdefault(precision, why["fp32/fp32"])
    carried = {p: _carried(fma, p) for p in ("bf16", "fp16", "int8")}
    keep("bf16/fp32", "bf16", _best(isas, "bf16_flop_per_cycle"), carried["bf16"])
    keep("fp16/fp32", "fp16", _best(isas, "fp16_flop_per_cycle"), carried["fp16"])
    half = _best(isas, "fp16_accumulate_fp16_flop_per_cycle")
    if half is not None:
        rates["fp16/fp16"] = half
    else:
        why["fp16/fp16"] = f"{core.name} has no FP16 arithmetic here"
    keep("int8/int32", "int8", _best(isas, "int8_ops_per_cycle"), carried["int8"])
    return rates, why


def _best(isas: list[InstructionSet], figure: str) -> PerCycle | None:
    rates = [PerCycle(operations, i) for i in isas if (operations := getattr(i, figure)) is not None]
    return max(rates, key=lambda r: r.operations, default=None)


def _carried(fma: PerCycle | None, precision: str) -> PerCycle | None:
    if fma is None:
        return None
    exact = ", which carries int8 products exactly" if precision == "int8" else ""
    return PerCycle(fma.operations, fma.isa, f"no faster {precision.upper()} unit: the FP32 FMA rate{exact}")


def _why_unknown(core: Microarchitecture, isas: list[InstructionSet], precision: str, flags: Collection[str]) -> str:
    """Why the tables can't know this core's peak at `precision`; "" when they can."""
    for isa in isas:
        if precision in isa.unknown:
            return f"no source gives the rate of {isa.isa} on {core.name}"
    fastest = next((flag for flag in ACCELERATORS[precision] if flag in flags), None)
    if fastest is not None and not any(fastest in isa.flags for isa in core.isa):
        return f"{core.name} has {fastest} here, at a rate that no source gives"
    return ""


def _rated(core: Microarchitecture, rate: PerCycle, cores: int, clock_hz: float, clock_source: str) -> Rated:
    note = f" ({rate.note})" if rate.note else ""
    basis = ", ".join(filter(None, (rate.isa.basis, rate.isa.confidence and f"confidence {rate.isa.confidence}")))
    return Rated(
        kind="computed",
        operations_per_s=cores * rate.operations * clock_hz,
        source=f"{core.name}, {rate.isa.isa}{note}: {cores} cores × {rate.operations} operations per cycle and core"
        f" × {clock_hz / 1e9:.3f} GHz; clock: {clock_source}; rate: {rate.isa.source} ({basis})",
        clock_hz=clock_hz,
    )


def _is_x86(core: Microarchitecture, details: Mapping[str, Any]) -> bool:
    return (
        core.cpu_vendor != ""
        and details.get("cpu_vendor") == core.cpu_vendor
        and _number(details.get("cpu_family")) == core.cpu_family
        and _number(details.get("cpu_model")) in core.cpu_models
        and (not core.cpu_steppings or _number(details.get("cpu_stepping")) in core.cpu_steppings)
    )


def _is_arm(core: Microarchitecture, details: Mapping[str, Any]) -> bool:
    part = _number(details.get("cpu_part"))
    return (
        core.cpu_implementer != ""
        and part is not None
        and _number(details.get("cpu_implementer")) == int(core.cpu_implementer, 16)
        and part in {int(p, 16) for p in core.cpu_parts}
    )


def _number(value: Any) -> int | None:
    """An integer from what a details field holds: 25, "25" or "0x19"."""
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except (TypeError, ValueError):
        return None


def _model_name(name: str) -> str:
    """ "Intel(R) Xeon(R) Platinum 8256 CPU @ 3.80GHz" and "Xeon Platinum 8256" alike."""
    return " ".join(_MODEL_NOISE.sub(" ", _MODEL_NOISE.sub(" ", name)).split()).casefold()
