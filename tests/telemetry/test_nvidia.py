"""The logic over NVML: which card, which call, what is refused. The library is simulated: no card was asked.

What a real card answers is for traces recorded on one; these tests hold only what this code makes of an answer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bench.devices.cuda import hashed_id
from bench.telemetry.model import NotAvailableError
from bench.telemetry.nvidia import NvidiaSource, open_with
from tests.factories import device

UUID = "GPU-11111111-2222-3333-4444-555555555555"
OTHER = "GPU-99999999-8888-7777-6666-555555555555"
CARD = device(
    device="cuda:0",
    kind="cuda",
    vendor="nvidia",
    unique_id=hashed_id(UUID.removeprefix("GPU-")),
    details={"pci_address": "0000:3b:00.0"},
)


class NVMLError(Exception):
    pass


class Simulated:
    """As much of the module pynvml as is asked; `refuse` names calls that raise, `missing` those that aren't there."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2
    NVML_TEMPERATURE_GPU = NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = NVML_SUCCESS = 0
    NVML_FI_DEV_POWER_INSTANT = 186
    NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 0, 1, 0
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL = 0, 1

    def __init__(self, refuse: set[str] = frozenset(), missing: set[str] = frozenset(), **answers: Any) -> None:
        self._refuse, self._missing = set(refuse), set(missing)
        self.users = 0
        self._answers: dict[str, Callable[..., Any]] = {
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: (OTHER, UUID)[index],
            "nvmlDeviceGetUUID": lambda handle: handle,
            "nvmlDeviceGetHandleByPciBusId": lambda address: UUID,
            "nvmlSystemGetDriverVersion": lambda: b"570.86",
            "nvmlDeviceGetClockInfo": lambda handle, kind: {1: 1755, 2: 2619}[kind],
            "nvmlDeviceGetPowerUsage": lambda handle: 650_000,
            "nvmlDeviceGetFieldValues": lambda handle, ids: [field(ids[0], 651_500)],
            "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 12_345_678,
            "nvmlDeviceGetTemperatureV": lambda handle, sensor: 61,
            "nvmlDeviceGetTemperature": lambda handle, sensor: 62,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: 0x4,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 0x40,
            "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=99, memory=40),
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=5 << 30),
            "nvmlDeviceGetComputeRunningProcesses": lambda handle: [SimpleNamespace(pid=pid) for pid in (7, 8, 9)],
            "nvmlDeviceGetTotalEccErrors": lambda handle, kind, counter: (3, 1)[kind],
            "nvmlDeviceGetViolationStatus": lambda handle, policy: SimpleNamespace(violationTime=(2 + policy) * 10**9),
            "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
            "nvmlDeviceGetPowerManagementDefaultLimit": lambda handle: 700_000,
            "nvmlDeviceGetPowerManagementLimitConstraints": lambda handle: [200_000, 700_000],
            "nvmlDeviceGetPersistenceMode": lambda handle: 1,
            "nvmlDeviceGetEccMode": lambda handle: [1, 1],
            "nvmlDeviceGetMigMode": lambda handle: [0, 0],
            "nvmlDeviceGetComputeMode": lambda handle: 3,
            "nvmlDeviceGetMaxClockInfo": lambda handle, kind: {1: 1980, 2: 2619}[kind],
            "nvmlDeviceGetApplicationsClock": lambda handle, kind: 1980,
            "nvmlDeviceGetTemperatureThreshold": lambda handle, which: 92,
            **answers,
        }

    def nvmlInit(self) -> None:  # noqa: N802  # NVML's name
        if "nvmlInit" in self._refuse:
            raise NVMLError("Driver Not Loaded")
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802  # NVML's name
        self.users -= 1

    def __getattr__(self, name: str) -> Any:
        if name in self._missing or name not in self._answers:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            if name in self._refuse:
                raise NVMLError("Not Supported")
            return self._answers[name](*arguments)

        return call


def field(number: int, milliwatts: int, code: int = 0) -> Any:
    """As NVML fills it: a union, whose unsigned member holds milliwatts."""
    value = SimpleNamespace(uiVal=ctypes.c_uint(milliwatts).value)
    return SimpleNamespace(fieldId=number, nvmlReturn=code, value=value)


def opened(nvml: Simulated, **changes: Any) -> NvidiaSource:
    return open_with(nvml, device(**{**_fields(), **changes}), lambda: {7, 8})


def _fields() -> dict[str, Any]:
    return {name: getattr(CARD, name) for name in ("device", "kind", "vendor", "unique_id", "details")}


def test_a_sample_has_everything_in_base_units() -> None:
    source = opened(Simulated())
    sample = source.sample()
    assert (sample.clock_hz, sample.memory_clock_hz) == (1.755e9, 2.619e9)
    assert (sample.power_w, sample.energy_j, sample.temperature_c) == (651.5, 12345.678, 61.0)
    assert (sample.throttle_bits, sample.throttle_reasons) == (4, ("sw_power_cap",))
    assert (sample.utilization, sample.memory_used_bytes) == (0.99, 5 << 30)
    assert (sample.other_processes, sample.ecc_errors) == (1, 4)
    assert sample.violation_s == {"power": 2.0, "thermal": 3.0}
    assert source.version == "driver 570.86"
    assert source.refused == {}


def test_the_modes_and_limits_are_told_once() -> None:
    told = opened(Simulated()).static()
    assert told["power_limit_w"] == 700
    assert told["power_limits_w"] == [200, 700]
    assert (told["persistence"], told["ecc"], told["mig"]) == (True, True, False)
    assert told["compute_mode"] == "exclusive process"
    assert told["clock_max_hz"] == 1.98e9
    assert told["calls"]["power_w"] == "nvmlDeviceGetFieldValues(POWER_INSTANT)"
    assert "refused" not in told


@pytest.mark.parametrize(
    "call", [name for name in Simulated()._answers if name.startswith("nvmlDeviceGet") and "Handle" not in name]
)
def test_one_refusal_costs_one_field_and_keeps_its_reason(call: str) -> None:
    source = opened(Simulated(refuse={call}))
    told = {**source.refused, **source.static().get("refused", {})}
    assert all("Not Supported" in why for why in told.values())
    sample = source.sample()
    for name in source.refused:
        assert getattr(sample, name) is None
    assert len(source.refused) <= 2
    assert sample.power_w in (650.0, 651.5)


def test_older_libraries_are_asked_by_their_own_names() -> None:
    source = opened(Simulated(missing={"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetTemperatureV"}))
    sample = source.sample()
    assert sample.throttle_reasons == ("hw_thermal_slowdown",)
    assert sample.temperature_c == 62.0
    assert source.static()["calls"]["throttle_bits"] == "nvmlDeviceGetCurrentClocksThrottleReasons"


def test_power_that_may_be_averaged_stands_in_for_instant_power_that_is_refused() -> None:
    nvml = Simulated(nvmlDeviceGetFieldValues=lambda handle, ids: [field(ids[0], 0, code=3)])
    source = opened(nvml)
    assert source.sample().power_w == 650.0
    assert source.static()["calls"]["power_w"] == "nvmlDeviceGetPowerUsage"


def test_both_ways_refused_leave_power_unknown_and_name_both() -> None:
    source = opened(Simulated(refuse={"nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage"}))
    assert "power_w" not in source.fields
    assert source.sample().power_w is None
    assert "POWER_INSTANT" in source.refused["power_w"]
    assert "nvmlDeviceGetPowerUsage: Not Supported" in source.refused["power_w"]


def test_a_bit_of_a_newer_driver_is_kept() -> None:
    sample = opened(Simulated(nvmlDeviceGetCurrentClocksEventReasons=lambda handle: 0x8000_0020)).sample()
    assert sample.throttle_reasons == ("sw_thermal_slowdown", "unknown bit 0x80000000")


def test_dear_calls_are_asked_seldom() -> None:
    source = opened(Simulated())
    told = [source.sample().other_processes is not None for _ in range(51)]
    assert [index for index, known in enumerate(told) if known] == [0, 25, 50]


def test_a_call_that_fails_once_leaves_a_hole_and_not_a_zero() -> None:
    readings = iter([651_000, 652_000])

    def sometimes(handle: Any) -> int:
        try:
            return next(readings)
        except StopIteration:
            raise NVMLError("Unknown Error") from None

    source = opened(Simulated(refuse={"nvmlDeviceGetFieldValues"}, nvmlDeviceGetPowerUsage=sometimes))
    assert source.sample().power_w == 652.0
    broken = source.sample()
    assert broken.power_w is None
    assert broken.clock_hz == 1.755e9


def test_a_card_that_answers_nothing_any_more_ends_the_source() -> None:
    nvml = Simulated()
    source = opened(nvml)
    nvml._refuse = set(nvml._answers)
    with pytest.raises(NotAvailableError, match="no call answers any more"):
        source.sample()


def test_the_card_is_found_by_its_hashed_uuid_whatever_the_order() -> None:
    asked: list[Any] = []
    nvml = Simulated(nvmlDeviceGetPowerUsage=lambda handle: asked.append(handle) or 1000)
    nvml._refuse = {"nvmlDeviceGetFieldValues", "nvmlDeviceGetHandleByPciBusId"}
    opened(nvml)
    assert set(asked) == {UUID}


def test_without_a_known_uuid_the_address_decides_and_without_both_nothing_does() -> None:
    assert opened(Simulated(refuse={"nvmlDeviceGetUUID"})).sample().clock_hz == 1.755e9
    nvml = Simulated()
    with pytest.raises(NotAvailableError, match="knows no GPU"):
        opened(nvml, unique_id=None, details={})
    assert nvml.users == 0


def test_processes_that_cannot_be_told_apart_are_not_counted() -> None:
    def ours() -> set[int]:
        raise NotAvailableError("in a container")

    source = open_with(Simulated(), CARD, ours)
    assert "in a container" in source.refused["other_processes"]
    assert source.sample().other_processes is None


def test_a_slice_says_that_its_values_are_the_cards() -> None:
    assert "1g.10gb" in opened(Simulated(), mig="1g.10gb").static()["scope"]


def test_the_library_is_given_back_once() -> None:
    nvml = Simulated()
    source = opened(nvml)
    assert nvml.users == 1
    source.close()
    source.close()
    assert nvml.users == 0


def test_a_missing_driver_is_a_reason() -> None:
    with pytest.raises(NotAvailableError, match="Driver Not Loaded"):
        opened(Simulated(refuse={"nvmlInit"}))


def test_every_name_that_is_asked_is_in_nvidias_binding() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in (*Simulated()._answers, *(name for name in vars(Simulated) if name.startswith("NVML_"))):
        assert hasattr(pynvml, name), name
