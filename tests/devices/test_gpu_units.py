"""What a GPU computes natively and who made it, from what its driver calls it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.devices import nvml, pci
from bench.devices.cuda import hashed_id, pci_address
from bench.devices.gpu_units import (
    amd_precisions,
    cuda_vendor,
    mig_profile,
    nvidia_precisions,
    vgpu_profile,
)
from bench.devices.other import parse_gpu_cores, xpu_precisions


@pytest.mark.parametrize(
    ("capability", "name", "native"),
    [
        ((6, 1), "NVIDIA GeForce GTX 1080", {"fp64", "fp32", "int8"}),
        ((7, 0), "Tesla V100-SXM2-16GB", {"fp64", "fp32", "fp16", "int8"}),
        ((7, 5), "Tesla T4", {"fp64", "fp32", "fp16", "int8"}),
        ((8, 0), "NVIDIA A100-SXM4-80GB", {"fp64", "fp32", "tf32", "bf16", "fp16", "int8"}),
        ((8, 9), "NVIDIA L4", {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8"}),
        ((9, 0), "NVIDIA H100 80GB HBM3", {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8"}),
    ],
)
def test_nvidias_precisions_follow_the_compute_capability(
    capability: tuple[int, int], name: str, native: set[str]
) -> None:
    assert set(nvidia_precisions(capability, name)) == native


def test_units_are_told_apart() -> None:
    assert nvidia_precisions((9, 0))["fp64"] == "FP64 tensor core"
    assert nvidia_precisions((8, 6))["fp64"] == "FP64 core"
    assert nvidia_precisions((7, 0))["int8"] == "DP4A"
    assert nvidia_precisions((7, 5), "Tesla T4")["int8"] == "tensor core"
    sixteen = nvidia_precisions((7, 5), "NVIDIA GeForce GTX 1660")
    assert (sixteen["fp16"], sixteen["int8"]) == ("FP16 core", "DP4A")


def test_amds_precisions_follow_the_gfx_name() -> None:
    assert "fnuz" in amd_precisions("gfx942")["fp8"]
    assert amd_precisions("gfx942")["tf32"] == "matrix core"
    assert "tf32" not in amd_precisions("gfx950")
    assert "fp8" not in amd_precisions("gfx90a")
    assert amd_precisions("gfx1100")["fp16"] == "WMMA"
    assert amd_precisions("gfx1201")["fp8"] == "WMMA"
    assert set(amd_precisions("gfx9999")) == {"fp64", "fp32"}


def test_intels_precisions_follow_what_the_runtime_reports() -> None:
    arc = SimpleNamespace(has_fp64=False, has_fp16=True, has_subgroup_matrix_multiply_accumulate=True)
    assert xpu_precisions(arc) == {"fp32": "vector engine", "fp16": "XMX", "bf16": "XMX", "int8": "XMX"}
    assert "fp64" in xpu_precisions(SimpleNamespace(has_fp64=True))


@pytest.mark.parametrize(
    ("name", "pci_id", "hip", "nvml_found", "vendor"),
    [
        ("NVIDIA H100 80GB HBM3", "10de:2330", False, True, "nvidia"),
        ("Tesla V100-SXM2-16GB", None, False, False, "nvidia"),
        ("A100-SXM4-40GB", "10de:20b0", False, False, "nvidia"),
        ("A100-SXM4-40GB", None, False, True, "nvidia"),
        ("AMD Instinct MI300X", None, True, False, "amd"),
        ("Device 74a1", None, True, False, "amd"),
        ("MetaX C500", None, False, False, "metax"),
        ("Iluvatar BI-V150", None, False, False, "iluvatar"),
        ("K100_AI", None, True, False, "hygon"),
        ("Something Else", None, False, False, ""),
    ],
)
def test_the_maker_is_told_by_the_name_or_an_id_and_never_assumed(
    name: str, pci_id: str | None, hip: bool, nvml_found: bool, vendor: str
) -> None:
    assert cuda_vendor(name, pci_id, hip, nvml_found) == vendor


def test_slices_and_virtual_gpus_are_known_by_their_names() -> None:
    assert mig_profile("NVIDIA A100-SXM4-40GB MIG 1g.5gb") == "1g.5gb"
    assert mig_profile("NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb") == "1c.3g.40gb"
    assert mig_profile("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me") == "1g.5gb+me"
    assert vgpu_profile("GRID A100-10C") == "10C"
    assert vgpu_profile("NVIDIA A100-1-5CME") == "1-5CME"
    for whole in ("NVIDIA A100-SXM4-40GB", "NVIDIA L40S", "NVIDIA A100-PCIE-40GB", "NVIDIA H100 NVL"):
        assert mig_profile(whole) is None
        assert vgpu_profile(whole) is None


def test_nvmls_packed_pci_id_is_vendor_and_device() -> None:
    assert nvml.parse_pci_device_id(0x233010DE) == "10de:2330"


def test_nvml_is_asked_for_the_gpu_and_for_the_slice_of_a_uuid() -> None:
    uuid = "ffc79498-8ff3-c2dc-3b0d-fafd804516ae"
    assert nvml.uuid_candidates(uuid) == [f"GPU-{uuid}", f"MIG-{uuid}"]
    assert nvml.uuid_candidates(f"GPU-{uuid}") == [f"GPU-{uuid}", f"MIG-{uuid}"]
    assert nvml.uuid_candidates("") == []


def test_a_gpu_that_nvml_does_not_know_gives_a_reason_and_no_failure() -> None:
    found = nvml.facts("00000000-0000-0000-0000-000000000000", None)
    assert not found.found
    assert found.why


def test_a_hashed_id_tells_two_cards_apart_and_is_stable() -> None:
    one, other = hashed_id("ffc79498-8ff3-c2dc-3b0d-fafd804516ae"), hashed_id("ffc79498-8ff3-c2dc-3b0d-fafd804516af")
    assert one != other
    assert one == hashed_id("FFC79498-8FF3-C2DC-3B0D-FAFD804516AE ")
    assert len(one) == 16


def test_torchs_pci_numbers_make_an_address_where_there_are_any() -> None:
    assert pci_address(SimpleNamespace(pci_bus_id=0x3B, pci_device_id=0, pci_domain_id=0)) == "0000:3b:00.0"
    assert pci_address(SimpleNamespace(name="older torch")) is None


def test_apples_core_count_is_read_from_the_registry() -> None:
    assert parse_gpu_cores('    | |   "gpu-core-count" = 38\n') == 38
    assert parse_gpu_cores("") is None


def test_the_pci_scan_keeps_displays_and_accelerators(tmp_path: Path) -> None:
    cards = {"0000:3b:00.0": ("0x10de", "0x2330", "0x030200"), "0000:00:1f.0": ("0x8086", "0x1234", "0x060100")}
    for address, texts in cards.items():
        folder = tmp_path / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        for name, text in zip(("vendor", "device", "class"), texts, strict=True):
            (folder / name).write_text(text + "\n")
    (found,) = pci.scan(tmp_path)
    assert (found.address, found.id, found.class_code) == ("0000:3b:00.0", "10de:2330", 0x030200)
    assert pci.id_at("0000:3B:00.0", tmp_path) == "10de:2330"
    assert pci.id_at("0000:ff:00.0", tmp_path) is None


def test_a_power_cap_is_read_in_watts(tmp_path: Path) -> None:
    folder = tmp_path / "sys/bus/pci/devices/0000:3b:00.0/hwmon/hwmon3"
    folder.mkdir(parents=True)
    (folder / "power1_cap").write_text("750000000\n")
    assert pci.power_cap_w("0000:3B:00.0", tmp_path) == 750.0
    assert pci.power_cap_w("0000:ff:00.0", tmp_path) is None
