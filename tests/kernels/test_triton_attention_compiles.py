"""The Triton kernels of attention compile, without a GPU, to the matrix instructions that they are meant for.

The interpreter takes what the compiler refuses, and says nothing of which units execute a product.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.kernel import DeviceView, Inputs
from kernels.attention import Attention
from kernels.attention.shapes import integers
from kernels.triton_tuning import SHARED_MEMORY_BYTES, family, interpreted
from tests.kernels.checks import H100, HERE, MI300X

KERNEL = Attention()
A100 = replace(H100, capability=(8, 0), architecture="sm_80", units=108)
PREFILL = "heads=4,kv_heads=1,q_len=512,kv_len=512,head_dim=128,causal=1"
BIASED = "heads=2,kv_heads=2,q_len=512,kv_len=384,head_dim=40,bias=heads"
LATENT = "heads=128,kv_heads=1,q_len=1,kv_len=512,head_dim=576,value_dim=512,shared_kv=1"
TENSORS = {"part_sums": torch.float32, "part_totals": torch.float32, "part_highest": torch.float32}
OPTIONS = ("num_warps", "num_stages", "matrix_instr_nonkdim")
NAMES = {
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float32: "fp32",
    torch.int8: "i8",
    torch.float8_e4m3fn: "fp8e4nv",
    torch.float8_e4m3fnuz: "fp8e4b8",
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """Compiled here and now, and left nowhere."""
    pytest.importorskip("triton", reason="Triton is not installed: its compiler is what is asked here")
    if interpreted():
        pytest.skip("TRITON_INTERPRET is set: nothing is compiled")
    from triton import knobs

    with knobs.cache.scope():
        knobs.cache.dir = str(tmp_path)
        yield


def compiled(text: str, precision: str, device: DeviceView, *, mixed: bool = False, number: int = 0) -> Any:
    """The kernel for a case on a device, with the candidate `number` of its block sizes."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from kernels.attention import triton_attention, triton_flash, triton_launch

    case = KERNEL.parse_case(text)
    at = replace(HERE, architecture=device.architecture)  # FP8 is another type on gfx942
    inputs = Inputs(case, precision, at, KERNEL.inputs(case, precision, at, "zeros", torch.Generator()))
    config = triton_attention._configs(integers(case), precision, device)[number]
    constants = triton_launch.launch_of(inputs, config, mixed=mixed).constants
    options = {name: constants.pop(name) for name in OPTIONS if name in constants}
    element = inputs["q"].dtype
    wide = torch.bfloat16 if element.itemsize == 1 else element
    tensors = {**TENSORS, "q": element, "k": element, "v": element, "bias": wide, "out": wide}
    constants |= {"v_dim_stride": 1}  # as Triton itself has it where an argument is 1
    signature = {
        name: "constexpr" if name in constants
        else f"*{NAMES[tensors[name]]}" if name in tensors
        else "fp32" if name in ("scale", "v_scale")
        else "i32"
        for name in triton_flash.attend.arg_names
    }  # fmt: skip
    aligned = (*tensors, "kv_len", "v_head_stride", "v_key_stride")
    attributes = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(signature) if name in aligned}
    target = GPUTarget("hip", "gfx942", 64) if device.vendor == "amd" else GPUTarget("cuda", *_cuda(device))
    found = triton.compile(ASTSource(triton_flash.attend, signature, constants, attributes), target, options)
    assert found.metadata.shared <= SHARED_MEMORY_BYTES[family(device)]
    return found


def _cuda(device: DeviceView) -> tuple[int, int]:
    assert device.capability
    return 10 * device.capability[0] + device.capability[1], 32


def matrix_instructions(kernel: Any) -> set[str]:
    """What the matrix instructions of an NVIDIA kernel multiply."""
    types = "(s8|e4m3|bf16|f16|tf32)"
    return set(re.findall(rf"(?:wgmma\.mma_async|mma\.sync)\S*?\.{types}\.", kernel.asm["ptx"]))


@pytest.mark.parametrize(
    ("text", "precision", "device", "expected"),
    [
        pytest.param(PREFILL, "bf16", H100, {"bf16"}, id="prefill bf16 sm_90"),
        pytest.param(PREFILL, "fp8", H100, {"e4m3"}, id="prefill fp8 sm_90"),
        pytest.param(LATENT, "bf16", H100, {"bf16"}, id="latent bf16 sm_90"),
        pytest.param(BIASED, "fp16", A100, {"f16"}, id="biased fp16 sm_80"),
        pytest.param(PREFILL, "int8", A100, {"s8"}, id="prefill int8 sm_80"),
    ],
)
def test_products_are_executed_by_the_units_of_their_precision(
    text: str, precision: str, device: DeviceView, expected: set[str]
) -> None:
    kernel = compiled(text, precision, device)
    assert matrix_instructions(kernel) == expected
    assert ("wgmma" in kernel.asm["ptx"]) == (device is H100)


def test_a_mixed_kernel_has_products_of_both_kinds() -> None:
    assert matrix_instructions(compiled(PREFILL, "int8", A100, mixed=True)) == {"s8", "f16"}


@pytest.mark.parametrize(("text", "precision"), [(PREFILL, "fp16"), (BIASED, "int8")])
def test_cdna_3_multiplies_in_its_matrix_units(text: str, precision: str) -> None:
    kernel = compiled(text, precision, MI300X)
    assert "v_mfma_i32" in kernel.asm["amdgcn"] if precision == "int8" else "v_mfma_f32" in kernel.asm["amdgcn"]
