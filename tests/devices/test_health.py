"""The doctor's checks: each thing that spoils a measurement is found, with why it matters and how to mend it."""

from __future__ import annotations

import pytest

from bench.devices import health, health_gpu, pci
from bench.devices.load import Load, steal_share
from bench.devices.nvml import GpuFacts
from bench.records import Clock, Device, Units


def processor(**changes: object) -> Device:
    fields: dict[str, object] = {
        "device": "cpu",
        "kind": "cpu",
        "name": "a processor",
        "units": Units(kind="core", in_use=4, total=4),
        "clock": Clock(hz=3e9, source="cpufreq"),
        "precisions": {"fp32": "AVX2 FMA"},
        "details": {"threads_per_core": 1},
    }
    return Device(**(fields | changes))  # type: ignore[arg-type]  # keyword arguments of mixed types


def levels(findings: list[health.Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_a_governor_other_than_performance_is_warned_of() -> None:
    found = health.governor({"performance", "powersave"}, virtual=False)
    assert found is not None
    assert (found.level, "cpupower" in found.mend) == ("warning", True)
    fine = health.governor({"performance"}, virtual=False)
    assert fine is not None
    assert fine.level == "ok"
    assert health.governor(set(), virtual=True) is None


def test_a_hidden_clock_is_a_note_and_an_unknown_one_a_warning() -> None:
    assert health.clock(processor()).level == "ok"
    assert health.clock(processor(clock=Clock(hz=3e9, source="measured (…)"))).level == "note"
    assert health.clock(processor(clock=Clock(hz=None, source="refused"))).level == "warning"


def test_a_quota_is_warned_of_and_a_mask_noted() -> None:
    quota = processor(units=Units(kind="core", in_use=2, total=4, why="cgroup quota 1.5"), details={"cpu_quota": 1.5})
    (found,) = health.units(quota)
    assert (found.level, "1.5 CPUs" in found.what) == ("warning", True)
    mask = processor(units=Units(kind="core", in_use=2, total=4, why="affinity mask: 2 of 4 CPUs"))
    assert levels(health.units(mask)) == ["note"]
    assert health.units(processor()) == []


def test_hyper_threads_and_virtual_cores_are_noted() -> None:
    (found,) = health.units(processor(details={"threads_per_core": 2}))
    assert "--threads 4" in found.mend
    assert levels(health.units(processor(virtualization="KVM"))) == ["note"]


def test_busy_neighbours_and_stolen_time_are_found() -> None:
    assert levels(health.load(Load((("idle", 0.01),), 0.0))) == ["ok"]
    busy = health.load(Load((("compiler", 1.5),), 0.2))
    assert levels(busy) == ["warning", "warning"]
    assert "compiler (1.5 CPUs)" in busy[0].what
    assert levels(health.load(Load((), 0.02))) == ["ok", "note"]


def test_stolen_time_is_a_share_of_all_time() -> None:
    assert steal_share("cpu 0 0 0 0 0 0 0 0 0 0", "cpu 60 0 10 20 0 0 0 10 60 0") == pytest.approx(0.1)
    assert steal_share("", "nonsense") == 0.0
    assert steal_share("cpu 1 1 1 1 1 1 1 1", "cpu 1 1 1 1 1 1 1 1") == 0.0


def test_missing_units_are_named() -> None:
    assert "int8" in health.vector_units(processor()).what
    full = processor(precisions={"fp32": "", "bf16": "AMX-BF16", "fp16": "AVX512-FP16", "int8": "AMX-INT8"})
    assert health.vector_units(full).level == "ok"


@pytest.mark.parametrize(
    "variables",
    [
        {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"},
        {"CUDA_LAUNCH_BLOCKING": "1"},
        {"NVIDIA_TF32_OVERRIDE": "0"},
        {"OMP_NUM_THREADS": "2"},
    ],
)
def test_a_variable_that_changes_the_measurement_is_warned_of(variables: dict[str, str]) -> None:
    (found,) = health.environment(variables, cores=4)
    assert found.level == "warning"
    assert next(iter(variables)) in found.what


def test_variables_that_change_nothing_are_left_alone() -> None:
    assert health.environment({"CUDA_LAUNCH_BLOCKING": "0", "OMP_NUM_THREADS": "4", "HOME": "/"}, cores=4) == []


def test_the_deprecated_nvml_package_beside_the_new_one_is_a_clash() -> None:
    assert health.packages({"pynvml", "nvidia-ml-py"}).level == "warning"
    assert health.packages({"nvidia-ml-py", "kernels"}).level == "ok"


def test_huge_pages_that_are_off_are_noted() -> None:
    found = health.huge_pages("always madvise [never]")
    assert found is not None
    assert found.level == "note"
    assert health.huge_pages(None) is None


def test_a_gpu_without_telemetry_is_warned_of_with_the_reason() -> None:
    (found,) = health_gpu.telemetry("cuda:0", GpuFacts(why="NVML Shared Library Not Found"), own_pid=1)
    assert found.level == "warning"
    assert "Not Found" in found.what


def test_a_shared_and_limited_gpu_is_found_out() -> None:
    facts = GpuFacts(
        found=True, processes=(1, 77), power_limit_w=300.0, power_default_w=700.0, ecc=False, persistence=False
    )
    found = health_gpu.telemetry("cuda:0", facts, own_pid=1)
    assert levels(found) == ["ok", "warning", "warning", "note", "note"]
    assert "77" in found[1].mend
    assert "700" in found[2].mend
    assert levels(health_gpu.telemetry("cuda:0", GpuFacts(found=True, processes=(1,)), own_pid=1)) == ["ok"]


def test_a_card_that_torch_does_not_serve_is_pointed_out() -> None:
    h100 = pci.PciDevice("0000:3b:00.0", 0x10DE, 0x2330, 0x030200)
    integrated = pci.PciDevice("0000:00:02.0", 0x8086, 0xA780, 0x030000)
    virtual = pci.PciDevice("0000:00:01.0", 0x1234, 0x1111, 0x030000)
    found = health_gpu.without_backend([h100, integrated, virtual], {"cpu"}, "2.13.0+cpu")
    assert levels(found) == ["warning", "note"]
    assert "2.13.0+cpu" in found[0].what
    assert health_gpu.without_backend([h100], {"cuda", "cpu"}, "2.13.0+cu130") == []


def test_a_slice_is_not_the_card() -> None:
    slice_ = processor(device="cuda:0", kind="cuda", mig="1g.10gb", vendor="nvidia")
    assert levels(health_gpu.sliced(slice_)) == ["note"]
    assert health_gpu.sliced(processor(virtualization="KVM")) == []


def test_whatever_is_not_fine_says_why_and_how_to_mend_it() -> None:
    from bench.devices import discover

    for finding in health.examine(discover("cpu")[0]):
        assert finding.level == "ok" or (finding.why and (finding.mend or finding.level == "note"))
