"""What the kernels' tests share: device views, made inputs, and the design's check in its plainest form."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from bench.kernel import Case, DeviceView, Inputs, Kernel

OUTPUT_NAMES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.int32: "int32",
}


X86 = platform.machine().lower() in ("x86_64", "amd64")


def cpu_flags() -> frozenset[str]:
    """This processor's flags as Linux spells them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = [line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))]
    return frozenset(found[0]) if found else frozenset()


HERE = DeviceView(type="cpu", torch_device="cpu", isa=cpu_flags(), units=2)
AVX2 = DeviceView(type="cpu", torch_device="cpu", isa=frozenset({"avx2", "fma"}), units=2, cache_bytes=32 << 20)
ICE_LAKE = DeviceView(
    type="cpu", torch_device="cpu", isa=frozenset({"avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}), units=8
)
SAPPHIRE_RAPIDS = DeviceView(
    type="cpu",
    torch_device="cpu",
    isa=ICE_LAKE.isa | {"amx_int8", "amx_bf16", "avx512_bf16", "avx512_fp16"},
    units=64,
    cache_bytes=300 << 20,
    memory_bytes=256 << 30,
)
ALDER_LAKE = DeviceView(type="cpu", torch_device="cpu", isa=frozenset({"avx2", "avx_vnni"}), units=8)
GRAVITON_3 = DeviceView(type="cpu", torch_device="cpu", isa=frozenset({"asimddp", "asimdhp", "i8mm", "bf16"}), units=16)
T4 = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", capability=(7, 5), architecture="sm_75")
H100 = DeviceView(
    type="cuda",
    torch_device="cuda:0",
    vendor="nvidia",
    capability=(9, 0),
    architecture="sm_90",
    cache_bytes=50 << 20,
    memory_bytes=80 << 30,
)
# torch gives AMD's architectures a capability too; it is not CUDA's.
MI300X = DeviceView(
    type="cuda", torch_device="cuda:0", vendor="amd", architecture="gfx942:sramecc+:xnack-", capability=(9, 4)
)
MI250X = DeviceView(
    type="cuda", torch_device="cuda:0", vendor="amd", architecture="gfx90a:sramecc+:xnack-", capability=(9, 0)
)
APPLE = DeviceView(type="mps", torch_device="mps", vendor="apple")
DEVICES = (AVX2, ICE_LAKE, SAPPHIRE_RAPIDS, ALDER_LAKE, GRAVITON_3, T4, H100, MI300X, MI250X, APPLE)


def made(kernel: Kernel, case: Case, precision: str, data: str = "normal", seed: int = 1) -> Inputs:
    """Inputs on the CPU for a case that may leave fields to their defaults."""
    complete = kernel.complete_case(case)
    generator = torch.Generator().manual_seed(seed)
    return Inputs(complete, precision, HERE, kernel.inputs(complete, precision, HERE, data, generator))


def output_of(kernel: Kernel, inputs: Inputs, name: str) -> torch.Tensor:
    """What the named implementation returns, whether or not it would support the case: most compute right anywhere."""
    with torch.inference_mode():
        return kernel.implementations()[name].build(kernel, inputs)()


def error_and_tolerance(kernel: Kernel, inputs: Inputs, output: torch.Tensor, accumulate: str) -> tuple[float, float]:
    """‖y − ref‖ / ‖ref‖ (Frobenius) in float64, and the most that the design allows."""
    expected = kernel.reference(inputs)
    rows = kernel.rows(output, inputs.case).double()
    assert rows.shape == expected.shape
    assert torch.isfinite(rows).all()
    name = OUTPUT_NAMES[output.dtype]
    allowed = kernel.tolerance(inputs.case, inputs.precision, accumulate, name)
    return float((rows - expected).norm() / expected.norm()), allowed


def assert_right(kernel: Kernel, inputs: Inputs, name: str) -> None:
    """The implementation's output is right, and right again after it has been overwritten."""
    implementation = kernel.implementations()[name]
    accumulate = implementation.accumulates(inputs.precision)
    with torch.inference_mode():
        call = implementation.build(kernel, inputs)
        for attempt in ("first", "second"):
            output = call()
            error, allowed = error_and_tolerance(kernel, inputs, output, accumulate)
            assert error <= allowed, (
                f"{name} {inputs.precision} {dict(inputs.case)}: {attempt} call {error} > {allowed}"
            )
            output.fill_(7)


def available(kernel: Kernel, case: Case, precision: str, device: DeviceView) -> list[str]:
    """Names of the implementations that support the case at the precision on the device."""
    complete = kernel.complete_case(case)
    found = kernel.implementations()
    return [name for name, one in found.items() if not one.reason_unsupported(complete, precision, device)]


def reason(kernel: Kernel, name: str, case: Case, precision: str, device: DeviceView) -> str:
    """Why the implementation does not support it; "" when it does."""
    return kernel.implementations()[name].reason_unsupported(kernel.complete_case(case), precision, device)


def skip_without_interpreter() -> None:
    """Skip where Triton is not installed, or this numpy stops its interpreter: before 3.7 that makes numbers of arrays
    of one element, which numpy refuses from 2.4 on."""
    import pytest

    pytest.importorskip("triton", reason="Triton is not installed: its interpreter is what is asked here")
    triton, numpy = (tuple(map(int, version(name).split(".")[:2])) for name in ("triton", "numpy"))
    if triton < (3, 7) and numpy >= (2, 4):
        pytest.skip(f"the interpreter of Triton {version('triton')} does not run with numpy {version('numpy')}")
