"""Intel's GPUs from sysfs, its files laid out as the kernel documents them: no card has been asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.telemetry.intel_gpu import open_source
from bench.telemetry.model import NotAvailableError
from tests.factories import device

CARD = device(device="xpu:0", kind="xpu", vendor="intel", pci_id="8086:0bda")


def card(root: Path, address: str, files: dict[str, str], pci_device: str = "0x0bda") -> Path:
    folder = root / "sys/bus/pci/devices" / address
    for name, text in {"vendor": "0x8086", "device": pci_device, "class": "0x038000", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    return folder


XE = {
    "tile0/gt0/freq0/act_freq": "1550",
    "tile0/gt0/freq0/rp0_freq": "1600",
    "tile0/gt0/freq0/throttle/status": "1",
    "tile0/gt0/freq0/throttle/reason_pl1": "1",
    "tile0/gt0/freq0/throttle/reason_thermal": "0",
    "hwmon/hwmon3/energy1_input": "12345678",
    "hwmon/hwmon3/temp2_input": "64000",
    "hwmon/hwmon3/power1_max": "600000000",
}
I915 = {
    "drm/card1/gt/gt0/rps_act_freq_mhz": "1300",
    "drm/card1/gt/gt0/throttle_reason_status": "0",
    "drm/card1/gt/gt0/throttle_reason_pl1": "0",
    "drm/card1/gt/gt0/throttle_reason_prochot": "0",
    "hwmon/hwmon1/power1_max": "0",
}


def test_the_driver_xe(tmp_path: Path) -> None:
    card(tmp_path, "0000:4d:00.0", XE)
    source = open_source(CARD, tmp_path)
    sample = source.sample()
    assert (sample.clock_hz, sample.temperature_c) == (1.55e9, 64.0)
    assert sample.energy_j == pytest.approx(12.345678)
    assert sample.throttle_reasons == ("pl1",)
    assert sample.power_w is None
    assert "power_w" in source.refused
    assert source.static() == {"power_limit_w": 600, "clock_max_hz": 1.6e9}


def test_the_driver_i915_and_a_limit_that_is_switched_off(tmp_path: Path) -> None:
    card(tmp_path, "0000:4d:00.0", I915)
    source = open_source(CARD, tmp_path)
    sample = source.sample()
    assert sample.clock_hz == 1.3e9
    assert sample.throttle_reasons == ()
    assert "power_limit_w" not in source.static()
    assert source.fields == {"clock_hz", "throttle_reasons"}


def test_two_cards_of_a_kind_are_not_told_apart_by_guessing(tmp_path: Path) -> None:
    card(tmp_path, "0000:4d:00.0", XE)
    card(tmp_path, "0000:9a:00.0", I915)
    with pytest.raises(NotAvailableError, match="2 cards"):
        open_source(CARD, tmp_path)
    known = device(device="xpu:0", kind="xpu", details={"pci_address": "0000:9A:00.0"})
    assert open_source(known, tmp_path).sample().clock_hz == 1.3e9


def test_a_card_that_is_not_there_or_tells_nothing_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match="0 cards"):
        open_source(CARD, tmp_path)
    card(tmp_path, "0000:4d:00.0", {})
    with pytest.raises(NotAvailableError, match="every call is refused"):
        open_source(CARD, tmp_path)
