"""Caches and virtualisation as sysfs and the firmware tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.devices.host import UNNAMED_HYPERVISOR, caches, name_hypervisor, virtualization


def cache_tree(root: Path, cpus: int, per_group: int) -> None:
    """An x86 machine: L1 and L2 a core, an L3 for each group of `per_group` cores."""
    for cpu in range(cpus):
        first = cpu // per_group * per_group
        levels = [
            ("1", "Data", "32K", f"{cpu}"),
            ("1", "Instruction", "32K", f"{cpu}"),
            ("2", "Unified", "512K", f"{cpu}"),
            ("3", "Unified", "32768K", f"{first}-{first + per_group - 1}"),
        ]
        for index, texts in enumerate(levels):
            folder = root / f"sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
            folder.mkdir(parents=True)
            for name, text in zip(("level", "type", "size", "shared_cpu_list"), texts, strict=True):
                (folder / name).write_text(text + "\n")


def test_the_last_level_caches_that_are_reached_add_up(tmp_path: Path) -> None:
    cache_tree(tmp_path, cpus=8, per_group=4)
    sizes, count = caches(range(8), tmp_path)
    assert sizes == {"l1d": 2**15, "l2": 2**19, "l3": 2**25, "llc": 2 * 2**25}
    assert count == 2
    assert caches({1, 2}, tmp_path) == ({"l1d": 2**15, "l2": 2**19, "l3": 2**25, "llc": 2**25}, 1)


def test_a_machine_that_hides_its_caches_has_none(tmp_path: Path) -> None:
    assert caches({0}, tmp_path) == ({}, 0)


@pytest.mark.parametrize(
    ("dmi", "named"),
    [
        (["Standard PC (Q35 + ICH9, 2009)", "QEMU"], "QEMU/KVM"),
        (["m7i.large", "Amazon EC2"], "Amazon EC2"),
        (["c6g.metal", "Amazon EC2"], None),
        (["Google Compute Engine", "Google"], "Google Compute Engine"),
        (["Virtual Machine", "Microsoft Corporation"], "Hyper-V"),
        (["PowerEdge R760", "Dell Inc."], None),
        ([], None),
    ],
)
def test_the_firmware_names_the_hypervisor(dmi: list[str], named: str | None) -> None:
    assert name_hypervisor(dmi) == named


def test_on_x86_the_flag_decides_and_the_firmware_only_names(tmp_path: Path) -> None:
    assert virtualization(frozenset({"fpu"}), tmp_path) is None
    assert virtualization(frozenset({"fpu", "hypervisor"}), tmp_path) == UNNAMED_HYPERVISOR
    assert virtualization(frozenset({"fpu", "hypervisor"}), tmp_path, lambda: "KVMKVMKVM") == "KVM"
    assert virtualization(frozenset({"fpu"}), tmp_path, lambda: "KVMKVMKVM") is None
    dmi = tmp_path / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "sys_vendor").write_text("QEMU\n")
    assert virtualization(frozenset({"fpu", "hypervisor"}), tmp_path) == "QEMU/KVM"
    assert virtualization(frozenset({"fpu"}), tmp_path) is None
    assert virtualization(frozenset({"asimd"}), tmp_path) == "QEMU/KVM"
