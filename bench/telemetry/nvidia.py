"""Samples of an NVIDIA GPU through NVML (nvidia-ml-py): clocks, power, energy, heat, clock event reasons, neighbours.

Identity of a GPU is bench.devices.nvml's. Never run on a real card yet: docs/telemetry.md says what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from bench.devices.cuda import hashed_id
from bench.devices.nvml import text
from bench.records import Device
from bench.telemetry.model import NotAvailableError
from bench.telemetry.probing import ProbedSource, answers, quietly
from bench.telemetry.proc import own_pids
from bench.telemetry.reasons import NVIDIA

PERIOD_S: Final = 0.02
"""NVML allows 10–20 ms; its own power and clock values are no fresher than that."""
_SLOW_EVERY: Final = 25
"""Calls that walk lists or lock the driver for long are asked every half second."""
_SPELLINGS: Final = ("gpu-", "mig-")
_COMPUTE_MODES: Final = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
"""nvml.h, nvmlComputeMode_t."""
_POLICIES: Final = ("POWER", "THERMAL", "SYNC_BOOST", "BOARD_LIMIT", "LOW_UTILIZATION", "RELIABILITY")
"""nvml.h, nvmlPerfPolicyType_t: what can hold a clock down for a time that NVML counts."""


def open_source(device: Device) -> NvidiaSource:
    """The GPU of this record, found by UUID or PCI address. Raises NotAvailableError with the reason."""
    try:
        import pynvml
    except ImportError as error:
        raise NotAvailableError(f"nvidia-ml-py is not installed ({error})") from error
    return open_with(pynvml, device, own_pids)


def open_with(pynvml: Any, device: Device, ours: Callable[[], Collection[int]]) -> NvidiaSource:
    """As `open_source`, over a given pynvml module; `ours` are the processes that are not others'."""
    try:
        pynvml.nvmlInit()
    except Exception as error:
        raise NotAvailableError(f"NVML: {error}") from error
    try:
        handle = find_handle(pynvml, device)
        if handle is None:
            raise NotAvailableError("NVML knows no GPU with the UUID or PCI address of this device")
        return NvidiaSource(pynvml, handle, device, ours)
    except Exception:
        quietly(pynvml.nvmlShutdown)
        raise


def find_handle(pynvml: Any, device: Device) -> Any:
    """NVML's handle of the GPU whose hashed UUID, else whose PCI address, the record has; None where there is none.

    Never by index: torch's order and NVML's differ. A record holds no UUID, only its hash, so each card's is hashed.
    """
    for handle in _handles(pynvml):
        uuid = quietly(pynvml.nvmlDeviceGetUUID, handle)
        if uuid is not None and device.unique_id in _hashes(text(uuid)):
            return handle
    address = device.details.get("pci_address")
    # The address of a slice is its card's: power and clocks are the whole card's too.
    return quietly(pynvml.nvmlDeviceGetHandleByPciBusId, address) if address else None


def _handles(pynvml: Any) -> Iterator[Any]:
    for index in range(quietly(pynvml.nvmlDeviceGetCount) or 0):
        handle = quietly(pynvml.nvmlDeviceGetHandleByIndex, index)
        if handle is not None:
            yield handle


def _hashes(uuid: str) -> tuple[str, str]:
    """Of the UUID as NVML spells it and as torch does, without the prefix."""
    bare = uuid.strip().lower()
    for prefix in _SPELLINGS:
        bare = bare.removeprefix(prefix)
    return hashed_id(uuid), hashed_id(bare)


class NvidiaSource(ProbedSource):
    """One GPU's samples; each call was asked once before the first."""

    name = "nvml"
    period_s = PERIOD_S
    slow_every = _SLOW_EVERY
    bit_names = NVIDIA

    def __init__(self, pynvml: Any, handle: Any, device: Device, ours: Callable[[], Collection[int]]) -> None:
        driver = quietly(pynvml.nvmlSystemGetDriverVersion)
        super().__init__("" if driver is None else f"driver {text(driver)}")
        self._nvml = pynvml
        self._handle = handle
        self._mig = device.mig
        self._ours = ours
        self._open = True
        self._calls = {field: call for field, call in self._probe_fast().items() if call}
        self._probe_slow()
        self.require_some()

    def close(self) -> None:
        if self._open:
            self._open = False
            quietly(self._nvml.nvmlShutdown)

    def static(self) -> dict[str, Any]:
        """Limits and modes; `calls` says which of two ways a value came, `scope` that a slice has its card's values."""
        nvml, handle = self._nvml, self._handle
        ask = [
            ("power_limit_w", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
            ("power_default_w", lambda: nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1e3),
            ("power_limits_w", lambda: [v / 1e3 for v in nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)]),
            ("persistence", lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle))),
            ("ecc", lambda: bool(nvml.nvmlDeviceGetEccMode(handle)[0])),  # [current, pending]
            ("mig", lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0])),
            ("compute_mode", lambda: _COMPUTE_MODES.get(nvml.nvmlDeviceGetComputeMode(handle), "unknown")),
            ("clock_max_hz", lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
            ("memory_clock_max_hz", lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6),
            ("applications_clock_hz", lambda: nvml.nvmlDeviceGetApplicationsClock(handle, nvml.NVML_CLOCK_SM) * 1e6),
            (
                "slowdown_temperature_c",
                lambda: nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
            ),
        ]
        found = {**answers(ask), "calls": self._calls}
        if self._mig:
            found["scope"] = f"the whole card, of which this device is the slice {self._mig}"
        return found

    def _probe_fast(self) -> dict[str, str]:
        """The call that answered, of the fields that more than one could."""
        nvml, gpu = self._nvml, self._handle
        sm, memory, die = nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM, nvml.NVML_TEMPERATURE_GPU
        # Some are in one version of the library alone: each is looked up when asked, so that the look-up may fail.
        self.probe("clock_hz", ("nvmlDeviceGetClockInfo", lambda: nvml.nvmlDeviceGetClockInfo(gpu, sm) * 1e6))
        self.probe(
            "memory_clock_hz", ("nvmlDeviceGetClockInfo", lambda: nvml.nvmlDeviceGetClockInfo(gpu, memory) * 1e6)
        )
        # Millijoules since the driver was loaded; Volta or newer.
        energy = ("nvmlDeviceGetTotalEnergyConsumption", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3)
        self.probe("energy_j", energy)
        activity = ("nvmlDeviceGetUtilizationRates", lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100)
        self.probe("utilization", activity)
        return {
            "power_w": self.probe(
                "power_w",
                ("nvmlDeviceGetFieldValues(POWER_INSTANT)", self._instant_power_w),
                # On Ampere (but GA100) and later this is an average over a second (nvml.h).
                ("nvmlDeviceGetPowerUsage", lambda: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3),
            ),
            "throttle_bits": self.probe(
                "throttle_bits",
                ("nvmlDeviceGetCurrentClocksEventReasons", lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)),
                # The name until driver 535.
                (
                    "nvmlDeviceGetCurrentClocksThrottleReasons",
                    lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
                ),
            ),
            "temperature_c": self.probe(
                "temperature_c",
                ("nvmlDeviceGetTemperatureV", lambda: float(nvml.nvmlDeviceGetTemperatureV(gpu, die))),
                ("nvmlDeviceGetTemperature", lambda: float(nvml.nvmlDeviceGetTemperature(gpu, die))),
            ),
        }

    def _probe_slow(self) -> None:
        memory = ("nvmlDeviceGetMemoryInfo", lambda: int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used))
        self.probe("memory_used_bytes", memory, slow=True)
        self.probe("other_processes", ("nvmlDeviceGetComputeRunningProcesses", self._other_processes), slow=True)
        self.probe("ecc_errors", ("nvmlDeviceGetTotalEccErrors", self._ecc_errors), slow=True)
        self.probe("violation_s", ("nvmlDeviceGetViolationStatus", self._violation_s), slow=True)

    def _instant_power_w(self) -> float | None:
        value = self._nvml.nvmlDeviceGetFieldValues(self._handle, [self._nvml.NVML_FI_DEV_POWER_INSTANT])[0]
        if value.nvmlReturn != self._nvml.NVML_SUCCESS:
            raise NotAvailableError(f"NVML return code {value.nvmlReturn}")
        return float(value.value.uiVal) / 1e3  # milliwatts

    def _other_processes(self) -> int:
        own = set(self._ours())
        return sum(process.pid not in own for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))

    def _ecc_errors(self) -> int:
        kinds = (self._nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, self._nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        volatile = self._nvml.NVML_VOLATILE_ECC
        return sum(self._nvml.nvmlDeviceGetTotalEccErrors(self._handle, kind, volatile) for kind in kinds)

    def _violation_s(self) -> dict[str, float]:
        """Of the policies that the card counts; the first refusal where it counts none."""
        found: dict[str, float] = {}
        refusals: list[Exception] = []
        for policy in _POLICIES:
            try:
                number = getattr(self._nvml, f"NVML_PERF_POLICY_{policy}")
                found[policy.lower()] = (
                    self._nvml.nvmlDeviceGetViolationStatus(self._handle, number).violationTime / 1e9
                )
            except Exception as error:
                refusals.append(error)
        if not found:
            raise refusals[0]
        return found
