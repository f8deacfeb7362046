"""Attention by this package's own Triton kernels: what they take, why they refuse the rest, and their tuning.

The kernels are in `triton_flash` and launched by `triton_launch`; both are imported when a call is built, no earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.kernel import Call, Case, DeviceView, Inputs, implementation
from bench.precision import PRECISIONS
from kernels.attention.shapes import integers
from kernels.attention.tiles import candidates
from kernels.tensors import cuda_capability, tf32_reason
from kernels.triton_tuning import Config, best_config, family, triton_reason

WIDEST: Final = {"head_dim": 1024, "value_dim": 512}
"""Widest heads: two blocks of 512 for a key, and one of 512 for the sums of a value."""
_FP8_ARCHITECTURES: Final = ("gfx94", "gfx95", "gfx12")
"""AMD's with FP8 matrix instructions: CDNA 3 and 4, RDNA 4 (AMD's ISA guides)."""


def triton_supports(case: Case, precision: str, device: DeviceView) -> str:
    reason = triton_reason(device)
    if not reason and precision == "tf32":
        reason = tf32_reason(device)
    if not reason and precision == "fp8":
        reason = _fp8_reason(device)
    if reason:
        return reason
    c = integers(case)
    for name, widest in WIDEST.items():
        if c[name] > widest:
            return f"the Triton kernel takes {name} up to {widest}, not {c[name]}"
    if not _configs(c, precision, device):
        return f"no block of the Triton kernel fits this device's shared memory at {precision}"
    return ""


def _configs(case: Mapping[str, int], precision: str, device: DeviceView) -> list[Config]:
    return candidates(family(device), case, PRECISIONS[precision].bits // 8, device.units, matrix=precision != "fp32")


def _fp8_reason(device: DeviceView) -> str:
    if device.vendor == "amd":
        has_units = device.architecture.startswith(_FP8_ARCHITECTURES)
        return "" if has_units else f"{device.architecture or 'this GPU'} has no FP8 matrix instructions"
    needed = cuda_capability(device) >= (8, 9)
    return "" if needed else f"FP8 needs compute capability 8.9; {device.name or 'this GPU'} is older"


@implementation(
    "triton",
    precisions=("fp32", "tf32", "bf16", "fp16", "fp8", "int8"),
    devices=("cuda",),
    supports=triton_supports,
)
def triton(kernel: Any, inputs: Inputs) -> Call:
    """Own Triton kernel: online softmax, both products at the case's precision, keys split where queries are few."""
    return _tuned(inputs, mixed=False)


@implementation(
    "triton-mixed",
    precisions=("int8",),
    devices=("cuda",),
    accumulate={"int8": "mixed"},
    supports=triton_supports,
)
def triton_mixed(kernel: Any, inputs: Inputs) -> Call:
    """Own Triton kernel on int8 inputs: the first product in int8, the second in FP16."""
    return _tuned(inputs, mixed=True)


def _tuned(inputs: Inputs, *, mixed: bool) -> Call:
    from kernels.attention import triton_flash, triton_launch

    c = integers(inputs.case)
    configs = _configs(c, inputs.precision, inputs.device)
    fields = ",".join(f"{name}={value}" for name, value in c.items())
    key = f"attention {fields} {inputs.precision}{'/mixed' if mixed else ''}"
    chosen = best_config(
        key, configs, lambda each: triton_launch.launcher(inputs, each, mixed=mixed), inputs.device, triton_flash
    )
    return triton_launch.launcher(inputs, chosen, mixed=mixed)
