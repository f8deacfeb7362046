"""Links as sysfs and NVML tell of them; where neither does, nothing is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.devices import cuda, health_gpu, nvml, pci
from bench.records import PcieLink
from tests.factories import device

ADDRESS = "0000:3B:00.0"


def tree(root: Path, **files: str) -> Path:
    folder = root / "sys/bus/pci/devices" / ADDRESS.lower()
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    return root


def link_of(root: Path, speed: str, lanes: str, lanes_here: str) -> PcieLink | None:
    files = {"max_link_speed": speed, "max_link_width": lanes, "current_link_width": lanes_here}
    return pci.link_at(ADDRESS, tree(root, **files))


def test_a_link_is_read_with_the_lanes_in_use(tmp_path: Path) -> None:
    assert link_of(tmp_path, "32.0 GT/s PCIe", "16", "8") == PcieLink(
        gt_per_s=32.0, lanes=16, lanes_here=8, source="sysfs"
    )


@pytest.mark.parametrize(("text", "speed"), [("2.5 GT/s PCIe", 2.5), ("8 GT/s", 8.0), ("64.0 GT/s PCIe", 64.0)])
def test_speeds_are_read_as_older_and_newer_kernels_write_them(tmp_path: Path, text: str, speed: float) -> None:
    found = link_of(tmp_path, text, "16", "16")
    assert found is not None and found.gt_per_s == speed


@pytest.mark.parametrize(
    ("speed", "lanes"), [("Unknown", "16"), ("32.0 GT/s PCIe", "0"), ("32.0 GT/s PCIe", "255"), ("", ""), ("x", "y")]
)
def test_what_the_kernel_does_not_know_is_no_link(tmp_path: Path, speed: str, lanes: str) -> None:
    assert link_of(tmp_path, speed, lanes, lanes) is None


def test_a_device_without_the_files_has_none(tmp_path: Path) -> None:
    assert pci.link_at(ADDRESS, tree(tmp_path, vendor="0x8086")) is None
    assert pci.link_at("0000:00:00.0", tmp_path) is None


@pytest.mark.parametrize("here", ["0", "255", "17", "none"])
def test_lanes_in_use_that_cannot_be_are_unknown(tmp_path: Path, here: str) -> None:
    found = link_of(tmp_path, "16.0 GT/s PCIe", "16", here)
    assert found is not None and found.lanes_here is None


SYSFS = PcieLink(gt_per_s=32.0, lanes=16, lanes_here=16, source="sysfs")


def test_nvml_adds_the_speed_that_the_slot_allows() -> None:
    facts = nvml.GpuFacts(found=True, pcie_generation=5, pcie_generation_here=4, pcie_lanes=16, pcie_lanes_here=16)
    assert cuda.pcie_link(SYSFS, facts) == PcieLink(
        gt_per_s=32.0, lanes=16, gt_per_s_here=16.0, lanes_here=16, source="sysfs and NVML"
    )
    assert cuda.pcie_link(None, facts) == PcieLink(
        gt_per_s=32.0, lanes=16, gt_per_s_here=16.0, lanes_here=16, source="NVML"
    )


def test_without_nvml_the_link_is_what_sysfs_tells() -> None:
    nothing = nvml.GpuFacts(why="NVML: not found")
    assert cuda.pcie_link(SYSFS, nothing) == SYSFS
    assert cuda.pcie_link(None, nothing) is None
    assert cuda.pcie_link(None, nvml.GpuFacts(found=True, pcie_generation=5)) is None


@pytest.mark.parametrize(
    ("told", "address"),
    [("00000000:3B:00.0", "0000:3b:00.0"), ("00010000:00:1E.0", "10000:00:1e.0"), ("", None), ("x:00:00.0", None)],
)
def test_nvmls_bus_id_is_read_as_sysfs_spells_it(told: str, address: str | None) -> None:
    assert nvml.parse_bus_id(told) == address


def narrow(link: PcieLink | None) -> list[tuple[str, str]]:
    found = health_gpu.narrow_link(device(device="cuda:0", kind="cuda", pcie=link))
    return [(one.level, one.what) for one in found]


def test_doctor_warns_of_lanes_that_are_missing_and_notes_a_slower_slot() -> None:
    assert narrow(None) == narrow(SYSFS) == []
    assert narrow(PcieLink(gt_per_s=32.0, lanes=16, lanes_here=8)) == [
        ("warning", "8 of 16 PCI Express lanes are in use")
    ]
    ((level, what),) = narrow(PcieLink(gt_per_s=32.0, lanes=16, gt_per_s_here=16.0, lanes_here=16))
    assert level == "note" and "16 GT/s a lane, the card 32" in what
