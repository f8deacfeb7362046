"""The Triton kernels of attention on a real GPU: every block size that may be chosen gives the right answer."""

from __future__ import annotations

import pytest
import torch

from bench.devices import Backend, view
from bench.kernel import Inputs
from bench.precision import PRECISIONS
from bench.records import Device
from bench.timing import compare, prepare
from kernels.attention import Attention
from kernels.attention.shapes import integers
from kernels.attention.tiles import candidates
from kernels.triton_tuning import family

KERNEL = Attention()
CASES = (
    "batch=2,heads=8,kv_heads=2,q_len=333,kv_len=517,head_dim=128,causal=1",
    "batch=2,heads=4,kv_heads=4,q_len=400,kv_len=77,head_dim=40",
    "batch=2,heads=32,kv_heads=8,q_len=1,kv_len=4095,head_dim=128,causal=1",
    "batch=2,heads=128,kv_heads=1,q_len=1,kv_len=1000,head_dim=576,value_dim=512,shared_kv=1",
    "batch=2,heads=4,kv_heads=4,q_len=200,kv_len=200,head_dim=32,bias=heads",
)
NAMES = [
    pytest.param(name, precision, id=f"{name} {precision}")
    for name in ("triton", "triton-mixed")
    for precision in KERNEL.implementations()[name].precisions
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), NAMES)
@pytest.mark.parametrize("text", CASES)
def test_every_block_size_that_compiles_is_right(
    gpu: Device, strict: Backend, text: str, name: str, precision: str
) -> None:
    case, device = KERNEL.parse_case(text), view(gpu)
    implementation = KERNEL.implementations()[name]
    reason = implementation.reason_unsupported(case, precision, device)
    if reason:
        pytest.skip(reason)
    from triton.runtime.errors import OutOfResources

    from kernels.attention.triton_launch import launcher

    generator = torch.Generator().manual_seed(11)
    inputs = Inputs(case, precision, device, KERNEL.inputs(case, precision, device, "normal", generator))
    expected = prepare(KERNEL, inputs, 1)
    element_bytes = PRECISIONS[precision].bits // 8
    matrix = precision != "fp32"
    configs = candidates(family(device), integers(case), element_bytes, device.units, matrix=matrix)
    right = 0
    with torch.inference_mode(), strict.precision_mode(precision):
        for config in configs:
            try:
                output = launcher(inputs, config, mixed=name == "triton-mixed")()
            except OutOfResources:
                continue  # what the tuner passes over
            strict.synchronize()
            check, why = compare(expected, output, implementation.accumulates(precision))
            assert check.passed, f"{config}: {why}"
            right += 1
    assert right, "no block size fits the device"
