"""The Triton kernels compile for GPUs that are not here, fit into their shared memory and use their matrix units."""

from __future__ import annotations

from typing import Any

import pytest

from kernels.triton_tuning import SHARED_MEMORY_BYTES
from tests.kernels.triton_compiler import FP16_SUMS, compiled

pytestmark = pytest.mark.slow

A100 = {"vendor": "nvidia", "architecture": "sm_80", "capability": [8, 0], "units": 108}
L40S = {"vendor": "nvidia", "architecture": "sm_89", "capability": [8, 9], "units": 142}
H100 = {"vendor": "nvidia", "architecture": "sm_90", "capability": [9, 0], "units": 132}
B200 = {"vendor": "nvidia", "architecture": "sm_100", "capability": [10, 0], "units": 148}
RTX_5090 = {"vendor": "nvidia", "architecture": "sm_120", "capability": [12, 0], "units": 170}
MI300X = {"vendor": "amd", "architecture": "gfx942", "units": 304}
RX_7900 = {"vendor": "amd", "architecture": "gfx1100", "units": 96}

SQUARE = {"m": 1024, "n": 1024, "k": 1024}
LINEAR = {**SQUARE, "trans_b": 1}
RAGGED = {"m": 1000, "n": 1001, "k": 1002}
LAYER = {"n": 8, "c": 128, "h": 14, "w": 14, "k": 128, "padding": 1, "layout": "nhwc"}
STEM = {"n": 8, "c": 3, "h": 56, "w": 56, "k": 64, "r": 7, "s": 7, "stride": 2, "padding": 3}

WANTED: dict[str, tuple[dict[str, Any], str, dict[str, Any], str, str, set[str]]] = {
    # name: (device, kernel, case, precision, family, instructions)
    "A100 fp16": (A100, "gemm", SQUARE, "fp16", "sm_80", {"mma.sync"}),
    "A100 int8, ragged": (A100, "gemm", RAGGED, "int8", "sm_80", {"mma.sync"}),
    "A100 int8 convolution": (A100, "conv", LAYER, "int8", "sm_80", {"mma.sync"}),
    "L40S fp8": (L40S, "gemm", SQUARE, "fp8", "sm_89", {"mma.sync"}),
    "L40S fp16, sums in fp16": (L40S, "gemm", SQUARE, "fp16", "sm_89", {"mma.sync", FP16_SUMS}),
    "H100 fp16, sums in fp16": (H100, "gemm", SQUARE, "fp16", "sm_90", {"wgmma.mma_async", FP16_SUMS}),
    "H100 fp16": (H100, "gemm", SQUARE, "fp16", "sm_90", {"wgmma.mma_async"}),
    "H100 bf16": (H100, "gemm", LINEAR, "bf16", "sm_90", {"wgmma.mma_async", "cp.async.bulk.tensor"}),
    "H100 int8": (H100, "gemm", SQUARE, "int8", "sm_90", {"wgmma.mma_async", "cp.async.bulk.tensor"}),
    "H100 fp8": (H100, "gemm", SQUARE, "fp8", "sm_90", {"wgmma.mma_async", "cp.async.bulk.tensor"}),
    "H100 int8 batch": (H100, "gemm", {**SQUARE, "batch": 2}, "int8", "sm_90", {"wgmma.mma_async"}),
    "H100 int8 convolution": (H100, "conv", LAYER, "int8", "sm_90", {"wgmma.mma_async"}),
    "H100 fp16 stem": (H100, "conv", STEM, "fp16", "sm_90", {"wgmma.mma_async"}),
    "B200 bf16": (B200, "gemm", SQUARE, "bf16", "sm_100", {"tcgen05.mma", "cp.async.bulk.tensor"}),
    "RTX 5090 fp16": (RTX_5090, "gemm", SQUARE, "fp16", "sm_120", {"mma.sync", "cp.async.bulk.tensor"}),
    "MI300X fp8": (MI300X, "gemm", SQUARE, "fp8", "gfx9", {"v_mfma"}),
    "MI300X int8 convolution": (MI300X, "conv", LAYER, "int8", "gfx9", {"v_mfma"}),
    "RX 7900 fp16": (RX_7900, "gemm", SQUARE, "fp16", "gfx11", {"v_wmma"}),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the compiler makes of the first candidate of each."""
    pytest.importorskip("triton", reason="Triton is not installed: its compiler is what is asked here")
    tasks = [
        {"name": name, "device": device, "kernel": kernel, "case": case, "precision": precision}
        | {"implementation": "triton-accumulate-fp16" if "sums" in name else "triton", "most": 1}
        for name, (device, kernel, case, precision, _, _) in WANTED.items()
    ]
    return compiled(tasks, tmp_path_factory.mktemp("triton"))


@pytest.mark.parametrize("name", WANTED)
def test_a_kernel_compiles_fits_and_uses_the_matrix_units(answers: dict[str, Any], name: str) -> None:
    answer, (*_, family, instructions) = answers[name], WANTED[name]
    assert "raised" not in answer, answer
    (made,) = answer
    assert 0 < made["shared"] <= SHARED_MEMORY_BYTES[family]
    assert instructions <= set(made["found"]), made
    assert (FP16_SUMS in made["found"]) == ("sums in fp16" in name)
