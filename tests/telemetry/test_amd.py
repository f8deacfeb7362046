"""The logic over amdsmi, its library simulated: no AMD card has been asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.telemetry.amd import (
    AmdSource,
    active_violations,
    energy_j,
    open_source,
    open_with,
    reduced_status,
    temperature_c,
)
from bench.telemetry.model import NotAvailableError
from tests.factories import device

CARD = device(device="cuda:0", kind="cuda", vendor="amd", details={"pci_address": "0000:23:00.0"})


def simulated(**answers: Any) -> Any:
    """As much of the module amdsmi as is asked."""
    kinds = SimpleNamespace(HOTSPOT=1), SimpleNamespace(CURRENT=0)
    told = {
        "amdsmi_init": None,
        "amdsmi_shut_down": None,
        "amdsmi_get_processor_handle_from_bdf": "handle",
        "amdsmi_get_clock_info": {"clk": 2100, "max_clk": 2100},
        "amdsmi_get_power_info": {"current_socket_power": "N/A", "average_socket_power": 560},
        "amdsmi_get_energy_count": {"energy_accumulator": 2_000_000, "counter_resolution": 15.3},
        "amdsmi_get_temp_metric": 71,
        "amdsmi_get_gpu_activity": {"gfx_activity": 97},
        "amdsmi_get_gpu_metrics_info": {"indep_throttle_status": 1 | 1 << 36 | 1 << 60},
        "amdsmi_get_violation_status": {"active_ppt_pwr": True, "active_socket_thrm": False},
        "amdsmi_get_gpu_vram_usage": {"vram_used": 1024},
        "amdsmi_get_gpu_process_list": [{"pid": 7}, {"pid": 70}],
        "amdsmi_get_gpu_total_ecc_count": {"correctable_count": 2, "uncorrectable_count": 1},
        "amdsmi_get_power_cap_info": {"power_cap": 750_000_000, "default_power_cap": 750_000_000},
        **answers,
    }

    def answer(value: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return call

    library = SimpleNamespace(**{name: answer(value) for name, value in told.items()})
    library.AmdSmiTemperatureType, library.AmdSmiTemperatureMetric = kinds
    library.AmdSmiClkType = {"GFX": 0, "MEM": 1}
    library.__version__ = "26.0"
    return library


def opened(**answers: Any) -> AmdSource:
    return open_with(simulated(**answers), CARD, lambda: {7})


def test_a_sample_has_everything_in_base_units() -> None:
    source = opened()
    sample = source.sample()
    assert (sample.clock_hz, sample.power_w, sample.energy_j) == (2.1e9, 560, pytest.approx(30.6))
    assert (sample.temperature_c, sample.utilization) == (71, 0.97)
    assert sample.throttle_reasons == ("ppt0", "temp_hotspot", "unknown bit 0x1000000000000000")
    assert (sample.memory_used_bytes, sample.other_processes, sample.ecc_errors) == (1 << 30, 1, 3)
    assert source.static() == {"power_limit_w": 750, "power_default_w": 750, "clock_max_hz": 2.1e9}


def test_where_the_bits_are_not_told_the_violations_are() -> None:
    for untold in ({"indep_throttle_status": "N/A"}, {"indep_throttle_status": 2**64 - 1}, {}):
        source = opened(amdsmi_get_gpu_metrics_info=untold)
        sample = source.sample()
        assert (sample.throttle_bits, sample.throttle_reasons) == (None, ("ppt_pwr",))
        assert "throttle_bits" in source.refused
        assert "throttle_reasons" in source.fields


@pytest.mark.parametrize(("status", "reasons"), [(False, ()), (True, ("reason_not_told",))])
def test_a_library_that_made_yes_or_no_of_the_bits_names_no_reason(status: bool, reasons: tuple[str, ...]) -> None:
    untold = {"active_ppt_pwr": "N/A"}
    metrics = {"indep_throttle_status": status}
    sample = opened(amdsmi_get_gpu_metrics_info=metrics, amdsmi_get_violation_status=untold).sample()
    assert (sample.throttle_bits, sample.throttle_reasons) == (None, reasons)
    assert reduced_status({"indep_throttle_status": 5}) is None
    assert reduced_status({}) is None


def test_a_library_without_its_driver_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "amdsmi.py").write_text("print('Unable to find libamd_smi.so')\nraise KeyError('libamd_smi.so')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    with pytest.raises(NotAvailableError, match=r"libamd_smi\.so"):
        open_source(CARD)
    assert capsys.readouterr() == ("", "")


def test_neither_told_is_unknown() -> None:
    refusal = RuntimeError("AMDSMI_STATUS_NOT_SUPPORTED")
    source = opened(amdsmi_get_gpu_metrics_info=refusal, amdsmi_get_violation_status={"active_ppt_pwr": "N/A"})
    assert source.sample().throttle_reasons is None
    assert {"throttle_bits", "throttle_reasons"} <= source.refused.keys()


def test_keys_and_units_of_other_versions() -> None:
    assert energy_j({"power": 1_000_000, "counter_resolution": 15.3}) == pytest.approx(15.3)
    assert energy_j({"energy_accumulator": "N/A", "counter_resolution": 15.3}) is None
    assert temperature_c(71_000) == 71
    assert temperature_c(None) is None
    assert opened(amdsmi_get_power_info={"socket_power": 300}).sample().power_w == 300
    assert active_violations({"active_ppt_pwr": 0, "active_vr_thrm": 1}) == ("vr_thrm",)
    assert active_violations({}) is None


def test_without_an_address_no_card_is_taken_for_this_one() -> None:
    with pytest.raises(NotAvailableError, match="no PCI address"):
        open_with(simulated(), device(device="cuda:0", kind="cuda", vendor="amd"), set)


def test_a_card_that_refuses_every_call_is_no_source() -> None:
    refusal = RuntimeError("AMDSMI_STATUS_NO_PERM")
    asked = [name for name in vars(simulated()) if name.startswith("amdsmi_get") and not name.endswith("from_bdf")]
    with pytest.raises(NotAvailableError, match="NO_PERM"):
        opened(**dict.fromkeys(asked, refusal))
