"""Samples of an AMD GPU through amdsmi, which ROCm ships. Never run on a real card yet: see docs/telemetry.md.

Keys of amdsmi's answers changed over its versions; each is asked for under every name it is documented to have had.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from bench.records import Device
from bench.telemetry.model import NotAvailableError
from bench.telemetry.probing import ProbedSource, answers, number, quietly
from bench.telemetry.proc import own_pids
from bench.telemetry.reasons import AMD

PERIOD_S: Final = 0.1
"""amdgpu's metrics table is filled from the firmware, and one question reads all of it."""
_SLOW_EVERY: Final = 10
_VIOLATIONS: Final = ("prochot_thrm", "ppt_pwr", "socket_thrm", "vr_thrm", "hbm_thrm")
"""active_<name> of amdsmi_get_violation_status (MI300 and later)."""
REASON_NOT_TOLD: Final = "reason_not_told"
_HOTTEST_PLAUSIBLE_C: Final = 200
"""Some versions give temperatures in thousandths of a degree."""


def open_source(device: Device) -> AmdSource:
    """The GPU at the record's PCI address. Raises NotAvailableError with the reason."""
    try:
        # Without its shared library amdsmi prints, and then fails in one of several ways (7.0.2: KeyError).
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            import amdsmi
    except (ImportError, KeyError, OSError) as error:
        raise NotAvailableError(f"amdsmi can't be imported ({error}); ROCm ships it") from error
    return open_with(amdsmi, device, own_pids)


def open_with(amdsmi: Any, device: Device, ours: Callable[[], Collection[int]]) -> AmdSource:
    """As `open_source`, over a given amdsmi module; `ours` are the processes that are not others'."""
    address = device.details.get("pci_address")
    if not address:
        raise NotAvailableError("this torch tells no PCI address, and nothing else says which card this is")
    try:
        amdsmi.amdsmi_init()
    except Exception as error:
        raise NotAvailableError(f"amdsmi_init: {error}") from error
    try:
        return AmdSource(amdsmi, amdsmi.amdsmi_get_processor_handle_from_bdf(address), ours)
    except Exception as error:
        quietly(amdsmi.amdsmi_shut_down)
        raise NotAvailableError(f"amdsmi and {address}: {error}") from error


def temperature_c(value: float | None) -> float | None:
    """Degrees, from degrees or thousandths of them."""
    if value is None:
        return None
    return value / 1e3 if value > _HOTTEST_PLAUSIBLE_C else value


def energy_j(count: Mapping[str, Any]) -> float | None:
    """amdsmi_get_energy_count: accumulator (named "power" before 6.2.1) × counter_resolution, in microjoules."""
    ticks, resolution = number(count, "energy_accumulator", "power"), number(count, "counter_resolution")
    return None if ticks is None or not resolution else ticks * resolution / 1e6


def reduced_status(metrics: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Where amdsmi (7.0 does) has made yes or no of the throttle bits: whether there is a reason, not which."""
    status = metrics.get("indep_throttle_status")
    if not isinstance(status, bool):
        return None
    return (REASON_NOT_TOLD,) if status else ()


def active_violations(status: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The violations that hold now; None where the card reports none of them ("N/A")."""
    known = {name: status.get(f"active_{name}") for name in _VIOLATIONS}
    told = {name: bool(value) for name, value in known.items() if isinstance(value, bool) or value in (0, 1)}
    return tuple(name for name, active in told.items() if active) if told else None


class AmdSource(ProbedSource):
    """One GPU's samples; each call was asked once before the first."""

    name = "amdsmi"
    period_s = PERIOD_S
    slow_every = _SLOW_EVERY
    bit_names = AMD

    def __init__(self, amdsmi: Any, handle: Any, ours: Callable[[], Collection[int]]) -> None:
        super().__init__(str(getattr(amdsmi, "__version__", "")))
        self._smi = amdsmi
        self._handle = handle
        self._ours = ours
        self._open = True
        self._probe()
        self.require_some()

    def close(self) -> None:
        if self._open:
            self._open = False
            quietly(self._smi.amdsmi_shut_down)

    def static(self) -> dict[str, Any]:
        """Power caps and the clock's range."""
        asked = answers(
            [
                ("caps", lambda: self._smi.amdsmi_get_power_cap_info(self._handle)),
                ("clock", lambda: self._clock("GFX")),
            ]
        )
        caps, clock = asked.get("caps", {}), asked.get("clock", {})
        microwatts = {
            "power_limit_w": number(caps, "power_cap"),
            "power_default_w": number(caps, "default_power_cap"),
            "power_max_w": number(caps, "max_power_cap"),
        }
        found: dict[str, Any] = {key: value / 1e6 for key, value in microwatts.items() if value is not None}
        if (maximum := number(clock, "max_clk")) is not None:
            found["clock_max_hz"] = maximum * 1e6
        return {**found, "refused": asked["refused"]} if "refused" in asked else found

    def _probe(self) -> None:
        smi, handle, probe = self._smi, self._handle, self.probe
        probe(
            "clock_hz",
            ("amdsmi_get_clock_info(GFX)", lambda: _mhz(self._clock("GFX"))),
            # A virtual machine's guest is refused the first.
            ("amdsmi_get_gpu_metrics_info", lambda: _mhz(smi.amdsmi_get_gpu_metrics_info(handle))),
        )
        probe("memory_clock_hz", ("amdsmi_get_clock_info(MEM)", lambda: _mhz(self._clock("MEM"))))
        probe("power_w", ("amdsmi_get_power_info", self._power_w))
        probe("energy_j", ("amdsmi_get_energy_count", lambda: energy_j(smi.amdsmi_get_energy_count(handle))))
        probe("temperature_c", ("amdsmi_get_temp_metric(HOTSPOT)", self._hotspot_c))
        probe("utilization", ("amdsmi_get_gpu_activity", self._activity))
        if not probe("throttle_bits", ("amdsmi_get_gpu_metrics_info", self._throttle_bits)):
            # Slow: this call has a time-out of its own (AmdSmiTimeoutException), so it can take long.
            violations = ("amdsmi_get_violation_status", self._violations)
            probe("throttle_reasons", violations, ("amdsmi_get_gpu_metrics_info", self._throttled), slow=True)
        probe("memory_used_bytes", ("amdsmi_get_gpu_vram_usage", self._memory_used_bytes), slow=True)
        probe("other_processes", ("amdsmi_get_gpu_process_list", self._other_processes), slow=True)
        probe("ecc_errors", ("amdsmi_get_gpu_total_ecc_count", self._ecc_errors), slow=True)

    def _clock(self, kind: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._smi.amdsmi_get_clock_info(self._handle, self._smi.AmdSmiClkType[kind])
        return found

    def _power_w(self) -> float | None:
        info = self._smi.amdsmi_get_power_info(self._handle)
        return number(info, "socket_power", "current_socket_power", "average_socket_power")

    def _hotspot_c(self) -> float | None:
        kind, metric = self._smi.AmdSmiTemperatureType.HOTSPOT, self._smi.AmdSmiTemperatureMetric.CURRENT
        return temperature_c(number({"value": self._smi.amdsmi_get_temp_metric(self._handle, kind, metric)}, "value"))

    def _activity(self) -> float | None:
        percent = number(self._smi.amdsmi_get_gpu_activity(self._handle), "gfx_activity")
        return None if percent is None else percent / 100

    def _throttle_bits(self) -> int | None:
        bits = number(self._smi.amdsmi_get_gpu_metrics_info(self._handle), "indep_throttle_status")
        return None if bits is None else int(bits)

    def _throttled(self) -> tuple[str, ...] | None:
        return reduced_status(self._smi.amdsmi_get_gpu_metrics_info(self._handle))

    def _violations(self) -> tuple[str, ...] | None:
        return active_violations(self._smi.amdsmi_get_violation_status(self._handle))

    def _memory_used_bytes(self) -> int | None:
        mebibytes = number(self._smi.amdsmi_get_gpu_vram_usage(self._handle), "vram_used")
        return None if mebibytes is None else int(mebibytes) << 20

    def _other_processes(self) -> int:
        own = set(self._ours())
        return sum(process["pid"] not in own for process in self._smi.amdsmi_get_gpu_process_list(self._handle))

    def _ecc_errors(self) -> int | None:
        counts = self._smi.amdsmi_get_gpu_total_ecc_count(self._handle)
        told = [number(counts, key) for key in ("correctable_count", "uncorrectable_count")]
        return None if None in told else int(sum(value or 0 for value in told))


def _mhz(clock: Mapping[str, Any]) -> float | None:
    value = number(clock, "clk", "cur_clk", "current_gfxclk")
    return None if value is None else value * 1e6
