"""Devices that are here are found, absent ones are named with the reason, and torch's FP32 can be made strict."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import torch

from bench.devices import backend, discover, is_out_of_memory, view
from bench.devices.discovery import accelerators
from bench.errors import UnavailableError, UsageError
from bench.records import Device, Units


@pytest.fixture(scope="module")
def cpu() -> Device:
    (device,) = discover("cpu")
    return device


def test_the_processor_is_always_there(cpu: Device) -> None:
    assert (cpu.device, cpu.kind) == ("cpu", "cpu")
    assert cpu.name
    assert cpu.units.in_use
    assert cpu.memory_bytes
    assert {"fp64", "fp32"} <= set(cpu.precisions)
    assert cpu.clock is not None
    assert cpu.clock.source
    assert [device.device for device in discover("cpu:0")] == ["cpu"]


def test_all_ends_with_the_processor_and_auto_is_the_first_of_all() -> None:
    names = [device.device for device in discover("all")]
    assert names[-1] == "cpu"
    assert [device.device for device in discover("auto")] == names[:1]
    assert names[:-1] == [f"{kind}:{index}" for kind, index in accelerators()]


@pytest.mark.parametrize("selection", ["cuda:4095", "xpu:4095", "mps:4095", "npu:4095", "cpu:1", "privateuseone:4095"])
def test_an_absent_device_is_unavailable_with_the_reason_and_what_is_present(selection: str) -> None:
    with pytest.raises(UnavailableError) as refusal:
        discover(selection)
    message = str(refusal.value)
    assert repr(selection) in message
    assert "cpu" in message
    assert "\n" not in message


@pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="this torch has CUDA")
def test_a_torch_without_cuda_says_so() -> None:
    with pytest.raises(UnavailableError, match="built without CUDA"):
        discover("cuda")


@pytest.mark.skipif(torch.version.hip is not None, reason="this torch is built for ROCm")
def test_rocm_on_another_torch_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="not built for ROCm"):
        discover("rocm")


def test_an_unknown_type_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        discover("quantum")


def test_a_record_survives_the_run_file(cpu: Device) -> None:
    assert msgspec.json.decode(msgspec.json.encode(cpu), type=Device) == cpu


def test_a_plugin_sees_the_device_through_its_view(cpu: Device) -> None:
    seen = view(cpu)
    assert (seen.type, seen.torch_device, seen.units) == ("cpu", "cpu", cpu.units.in_use)
    assert seen.isa == frozenset(cpu.isa)
    assert seen.cache_bytes == cpu.caches.get("llc")
    assert seen.torch_version == torch.__version__
    card = Device(
        device="cuda:1", kind="cuda", name="A card", capability=[9, 0], units=Units(kind="multiprocessor", in_use=132)
    )
    assert view(card).capability == (9, 0)
    assert view(card).units == 132


def test_the_processor_has_no_events_no_graphs_and_nothing_to_wait_for(cpu: Device) -> None:
    here = backend(cpu)
    here.synchronize()
    here.empty_cache()
    here.busy_sleep(1.0)
    assert not (here.has_events or here.supports_graphs or here.can_sleep)
    free = here.memory_free_bytes()
    assert free is not None
    assert 0 < free <= (cpu.memory_bytes or free)
    with pytest.raises(UnavailableError, match="no device events"):
        here.event()
    with pytest.raises(UnavailableError, match="no device graphs"):
        here.capture(lambda: None)


def fp32_settings() -> dict[str, object]:
    """What torch holds about FP32, old settings and new."""
    found: dict[str, object] = {
        "matmul": torch.get_float32_matmul_precision(),
        "cublas": torch.backends.cuda.matmul.allow_tf32,
        "cudnn": torch.backends.cudnn.allow_tf32,
    }
    for name, operation in (("mkldnn", "matmul"), ("mkldnn", "conv"), ("cudnn", "conv")):
        setting = getattr(getattr(torch.backends, name), operation, None)
        if hasattr(setting, "fp32_precision"):
            found[f"{name}.{operation}"] = setting.fp32_precision
    return found


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_fp32_is_strict_outside_tf32_rows_whatever_was_set_before(cpu: Device, before: str) -> None:
    here = backend(cpu)
    torch.set_float32_matmul_precision(before)
    strict = {"matmul": "highest", "cublas": False, "cudnn": False}
    with here.precision_mode("fp32"):
        found = fp32_settings()
    assert {key: found[key] for key in strict} == strict
    assert {value for key, value in found.items() if "." in key} <= {"ieee"}
    with here.precision_mode("tf32"):
        inside = fp32_settings()
    assert (inside["matmul"], inside["cublas"], inside["cudnn"]) == ("high", True, True)
    assert fp32_settings() == found


def test_strict_fp32_also_keeps_16_bit_sums_in_fp32(cpu: Device) -> None:
    matmul = torch.backends.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = True
    matmul.allow_bf16_reduced_precision_reduction = True
    backend(cpu).strict_fp32()
    assert not matmul.allow_fp16_reduced_precision_reduction
    assert not matmul.allow_bf16_reduced_precision_reduction


def test_a_product_too_large_for_memory_is_known_as_such() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(failure.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
        RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_every_allocators_words_mean_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")])
def test_other_errors_do_not(error: Exception) -> None:
    assert not is_out_of_memory(error)


REGISTER_A_BACKEND = """
import types, torch
module = types.ModuleType("torch.foo")
module.is_available = lambda: True
module.device_count = lambda: 2
module.get_device_name = lambda index: f"Foo accelerator {index}"
module.mem_get_info = lambda device: (3, 8)
torch.utils.rename_privateuse1_backend("foo")
torch._register_device_module("foo", module)
from bench.devices import backend, discover
found = [device for device in discover("all") if device.kind == "foo"]
print([device.device for device in found], found[0].name, found[0].memory_bytes)
print(discover("privateuseone:1")[0].device)
print(backend(found[1]).memory_free_bytes(), backend(found[1]).has_events)
"""


def test_a_backend_registered_as_privateuse1_takes_the_generic_path() -> None:
    done = subprocess.run([sys.executable, "-c", REGISTER_A_BACKEND], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed, chosen, asked = done.stdout.splitlines()
    assert listed == "['foo:0', 'foo:1'] Foo accelerator 0 8"
    assert chosen == "foo:1"
    assert asked == "3 False"
