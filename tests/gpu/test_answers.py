"""Every implementation gives the right answer on a GPU, and FP32 that is not FP32 is caught."""

from __future__ import annotations

import pytest
import torch

from bench import plugins
from bench.devices import Backend, view
from bench.kernel import Inputs, Kernel
from bench.precision import PRECISIONS
from bench.records import Device
from bench.timing import compare, prepare
from kernels import triton_tuning

CASES = {
    # Small, with sizes that alignment rules like and some that they don't.
    "gemm": ["m=256,n=256,k=256", "m=1,n=512,k=512", "m=100,n=52,k=36", "batch=3,m=64,n=64,k=128"],
    "conv": ["n=2,c=32,h=28,w=28,k=64,r=3,s=3,padding=1", "n=1,c=64,h=14,w=14,k=64,r=1,s=1"],
    "attention": [
        "batch=1,heads=4,kv_heads=4,q_len=128,kv_len=128,head_dim=64,causal=1",
        "batch=2,heads=8,kv_heads=2,q_len=128,kv_len=128,head_dim=128,causal=0",
        "batch=2,heads=8,kv_heads=2,q_len=1,kv_len=256,head_dim=128,causal=0",
        # Several queries at the end of more keys: the mask is aligned at the bottom right.
        "batch=1,heads=4,kv_heads=4,q_len=48,kv_len=160,head_dim=64,causal=1",
        "batch=1,heads=8,kv_heads=2,q_len=77,kv_len=333,head_dim=128,causal=1",
        # Cross attention over ragged lengths, heads that are no power of two, a long decoding step.
        "batch=2,heads=4,kv_heads=4,q_len=300,kv_len=77,head_dim=40,causal=0",
        "batch=1,heads=2,kv_heads=2,q_len=130,kv_len=200,head_dim=96,causal=0",
        "batch=1,heads=32,kv_heads=8,q_len=1,kv_len=8191,head_dim=128,causal=1",
        # A bias, alone and under a mask; a latent that is key and value.
        "batch=3,heads=4,kv_heads=4,q_len=96,kv_len=96,head_dim=32,causal=0,bias=heads",
        "batch=1,heads=4,kv_heads=2,q_len=50,kv_len=70,head_dim=64,causal=1,bias=heads",
        "batch=2,heads=128,kv_heads=1,q_len=1,kv_len=500,head_dim=576,value_dim=512,shared_kv=1,causal=1",
    ],
    "memory": ["bytes=1048576"],
    "copy": ["bytes=1048576"],
    # The longer one has sums that FP8 units stop adding to; the suite's own length.
    "peak": ["chains=98304,length=2048", "chains=98304,length=131072"],
    "host_to_device": ["bytes=1000000", "bytes=1000000,memory=pageable"],
    "device_to_host": ["bytes=1000000", "bytes=1000000,memory=pageable"],
}

COMBINATIONS = [
    pytest.param(kernel, implementation, precision, id=f"{kernel} {implementation} {precision}")
    for kernel in sorted(plugins.kernels())
    if kernel in CASES
    for implementation, found in plugins.load().implementations(kernel).items()
    for precision in found.precisions
]


@pytest.fixture(autouse=True)
def first_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's kernels with the first tile sizes that work: to compile and race all of them is what a run is for, and
    here would take ten minutes. What is chosen in no time is not kept on disk."""
    monkeypatch.setattr(triton_tuning, "LIMIT_S", 0.0)
    monkeypatch.setattr(triton_tuning, "compile_ahead", lambda configs, build: None)
    monkeypatch.setattr(triton_tuning, "_race", lambda calls: dict.fromkeys(calls, 0.0))
    monkeypatch.setattr(triton_tuning, "_chosen", {})


def make_inputs(kernel: Kernel, text: str, precision: str, device: Device) -> Inputs:
    """Normal random inputs of one case."""
    case = kernel.parse_case(text)
    generator = torch.Generator().manual_seed(7)
    return Inputs(case, precision, view(device), kernel.inputs(case, precision, view(device), "normal", generator))


@pytest.mark.parametrize(("kernel_name", "implementation", "precision"), COMBINATIONS)
def test_every_implementation_is_right_on_every_case_that_it_takes(
    gpu: Device, strict: Backend, kernel_name: str, implementation: str, precision: str
) -> None:
    kernel = plugins.load().kernel(kernel_name)
    found = plugins.load().implementations(kernel_name)[implementation]
    reasons = []
    for text in CASES[kernel_name]:
        reason = found.reason_unsupported(kernel.parse_case(text), precision, view(gpu))
        if reason:
            reasons.append(reason)
            continue
        with torch.inference_mode(), strict.precision_mode(precision):
            inputs = make_inputs(kernel, text, precision, gpu)
            output = found.build(kernel, inputs)()
            strict.synchronize()
            check, why = compare(prepare(kernel, inputs, 1), output, found.accumulates(precision))
        assert check.passed, f"{text}: {why}"
    if len(reasons) == len(CASES[kernel_name]):
        pytest.skip(reasons[0])


def test_the_kernels_of_this_package_are_among_those_tested(gpu: Device) -> None:
    assert set(CASES) <= set(plugins.kernels())


def test_fp32_that_runs_as_tf32_fails_the_check(nvidia: Device, strict: Backend) -> None:
    if (nvidia.capability or [0]) < [8, 0]:
        pytest.skip(f"{nvidia.name} has no TF32")
    kernel = plugins.load().kernel("gemm")
    with torch.inference_mode():
        inputs = make_inputs(kernel, "m=1024,n=1024,k=1024", "fp32", nvidia)
        expected = prepare(kernel, inputs, 1)
        call = plugins.load().implementations("gemm")["torch"].build(kernel, inputs)
        honest, why = compare(expected, call().clone(), "fp32")
        strict.allow_tf32()
        shortened, _ = compare(expected, call(), "fp32")
    assert honest.passed, why
    assert not shortened.passed
    assert shortened.error is not None
    assert shortened.error > 10 * shortened.tolerance


def test_long_sums_at_tf32_pass_though_tensor_cores_cut_them_off(nvidia: Device, strict: Backend) -> None:
    if (nvidia.capability or [0]) < [8, 0]:
        pytest.skip(f"{nvidia.name} has no TF32")
    kernel = plugins.load().kernel("gemm")
    with torch.inference_mode(), strict.precision_mode("tf32"):
        # Tiles enough for every multiprocessor, so that no library splits the sums.
        inputs = make_inputs(kernel, "m=4096,n=4096,k=16384", "tf32", nvidia)
        output = plugins.load().implementations("gemm")["torch"].build(kernel, inputs)()
        check, why = compare(prepare(kernel, inputs, 1), output, "fp32")
    assert check.passed, why


def test_fp16_that_accumulates_in_fp16_fails_the_check(nvidia: Device, strict: Backend) -> None:
    kernel = plugins.load().kernel("gemm")
    with torch.inference_mode():
        inputs = make_inputs(kernel, "m=256,n=256,k=8192", "fp16", nvidia)
        partial = torch.zeros(256, 256, dtype=torch.float16, device=nvidia.device)
        for start in range(0, 8192, 8):
            part = slice(start, start + 8)
            partial += inputs["a"].reshape(256, 8192)[:, part] @ inputs["b"].reshape(8192, 256)[part]
        check, _ = compare(prepare(kernel, inputs, 1), partial, PRECISIONS["fp16"].accumulate)
    assert not check.passed
