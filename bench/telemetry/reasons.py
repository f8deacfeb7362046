"""Why a clock is held down: the drivers' bits by name, and the few kinds that statuses are made of.

Bits are tested one by one: several can be set at once, and a newer driver may set some that are not in these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["thermal", "hardware", "power_brake", "power_cap", "current", "setting", "idle", "unknown"]
"""thermal, hardware, power_brake: the device is in trouble. power_cap, current: a limit that it is meant to run at.
setting: somebody asked for this clock. idle: nothing to do."""

NVIDIA: Final[Mapping[int, str]] = {
    # nvml.h, nvmlClocksEventReason* (until driver 535 nvmlClocksThrottleReason*, the same bits).
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}

_AMD_BITS: Final[Mapping[int, str]] = {
    # Linux, drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h, SMU_THROTTLER_*_BIT: the ASIC-independent numbering.
    0: "ppt0",
    1: "ppt1",
    2: "ppt2",
    3: "ppt3",
    4: "spl",
    5: "fppt",
    6: "sppt",
    7: "sppt_apu",
    16: "tdc_gfx",
    17: "tdc_soc",
    18: "tdc_mem",
    19: "tdc_vdd",
    20: "tdc_cvip",
    21: "edc_cpu",
    22: "edc_gfx",
    23: "apcc",
    32: "temp_gpu",
    33: "temp_core",
    34: "temp_mem",
    35: "temp_edge",
    36: "temp_hotspot",
    37: "temp_soc",
    38: "temp_vr_gfx",
    39: "temp_vr_soc",
    40: "temp_vr_mem0",
    41: "temp_vr_mem1",
    42: "temp_liquid0",
    43: "temp_liquid1",
    44: "vrhot0",
    45: "vrhot1",
    46: "prochot_cpu",
    47: "prochot_gfx",
}
AMD: Final[Mapping[int, str]] = {1 << bit: name for bit, name in _AMD_BITS.items()}
"""gpu_metrics' indep_throttle_status."""

_KINDS: Final[Mapping[str, Kind]] = {
    "gpu_idle": "idle",
    "applications_clocks_setting": "setting",
    "display_clock_setting": "setting",
    "sync_boost": "setting",
    "sw_power_cap": "power_cap",
    "board_limit": "power_cap",
    "hw_slowdown": "hardware",
    "reliability": "hardware",
    "sw_thermal_slowdown": "thermal",
    "hw_thermal_slowdown": "thermal",
    "hw_power_brake_slowdown": "power_brake",
    # AMD's violations (amdsmi_get_violation_status).
    "prochot_thrm": "thermal",
    "socket_thrm": "thermal",
    "vr_thrm": "thermal",
    "hbm_thrm": "thermal",
    "ppt_pwr": "power_cap",
    # Intel's GPUs (Linux, xe_gt_throttle.c and i915's throttle_reason_*).
    "pl1": "power_cap",
    "pl2": "power_cap",
    "pl4": "current",
    "thermal": "thermal",
    "prochot": "thermal",
    "ratl": "thermal",  # running average thermal limit
    "vr_thermalert": "thermal",
    "vr_tdc": "current",
    # x86 processors (Linux, thermal_throttle/*_throttle_count).
    "thermal_throttle_count": "thermal",
}
_AMD_KINDS: Final[tuple[tuple[range, Kind], ...]] = (
    (range(8), "power_cap"),
    (range(16, 24), "current"),
    (range(32, 48), "thermal"),
)


def decode(bits: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """The names of the bits that are set, lowest first; a bit without a name is kept as "unknown bit 0x…"."""
    found = []
    while bits:
        bit = bits & -bits
        found.append(names.get(bit, f"unknown bit {bit:#x}"))
        bits ^= bit
    return tuple(found)


def kind_of(reason: str) -> Kind:
    """What kind of reason a decoded name is; "unknown" for a name of no table."""
    if reason in _KINDS:
        return _KINDS[reason]
    bit = next((bit for bit, name in _AMD_BITS.items() if name == reason), None)
    return next((kind for bits, kind in _AMD_KINDS if bit in bits), "unknown")
