"""int8 attention: both products exact, the error within the design's 2e-2, however the work is cut into blocks."""

from __future__ import annotations

import pytest
import torch

from bench.kernel import DeviceView, Inputs
from bench.precision import TOLERANCE_INT8_ATTENTION
from kernels.attention import Attention, int8
from kernels.attention.int8 import plan
from kernels.attention.products import Fp32Products, IntMmProducts, OnednnProducts
from kernels.tensors import onednn_reason

KERNEL = Attention()
PRODUCTS = [Fp32Products(), IntMmProducts(), OnednnProducts()]


def this_cpu() -> DeviceView:
    """The view of the processor that the test runs on, for what depends on its units."""
    from pathlib import Path

    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return DeviceView(type="cpu", torch_device="cpu")
    return DeviceView(type="cpu", torch_device="cpu", isa=frozenset(flags.split(":", 1)[1].split()))


def case(
    q_len: int, kv_len: int, head_dim: int, causal: int, heads: int = 2, kv_heads: int = 1, batch: int = 1, **later
):
    return KERNEL.complete_case(
        {"batch": batch, "heads": heads, "kv_heads": kv_heads, "q_len": q_len, "kv_len": kv_len,
         "head_dim": head_dim, "causal": causal, **later}
    )  # fmt: skip


def made(shape, data: str = "normal", units: int = 2, seed: int = 1) -> Inputs:
    device = DeviceView(type="cpu", torch_device="cpu", units=units)
    return Inputs(
        shape, "int8", device, KERNEL.inputs(shape, "int8", device, data, torch.Generator().manual_seed(seed))
    )


def relative_error(output: torch.Tensor, inputs: Inputs) -> float:
    reference = KERNEL.reference(inputs)
    return float((KERNEL.rows(output, inputs.case).double() - reference).norm() / reference.norm())


@pytest.mark.parametrize(
    "shape",
    [
        case(33, 77, 40, 0),
        case(77, 77, 64, 1),
        case(130, 512, 64, 1, heads=4, kv_heads=2),
        case(64, 1024, 128, 0),
        case(300, 1024, 64, 1),
        case(48, 4096, 128, 0),
        case(48, 4096, 64, 1),
        case(1, 4096, 128, 1, heads=8, kv_heads=2, batch=2),
        case(40, 600, 64, 1, heads=4, kv_heads=2, batch=2, value_dim=24),
        case(1, 600, 72, 1, heads=8, value_dim=64, shared_kv=1, batch=2),
    ],
    ids=str,
)
def test_error_stays_within_the_design_for_short_and_long_contexts(shape):
    inputs = made(shape)
    output = int8.fp32_exact.build(KERNEL, inputs)()
    assert output.dtype == torch.bfloat16
    assert (
        relative_error(output, inputs) <= TOLERANCE_INT8_ATTENTION == KERNEL.tolerance(shape, "int8", "int32", "bf16")
    )


def test_weights_sum_to_one_so_that_constant_values_come_back():
    inputs = made(case(9, 600, 40, 1), data="ones")
    assert relative_error(int8.fp32_exact.build(KERNEL, inputs)(), inputs) < 2**-8  # what BF16 alone rounds away


def test_int_mm_gives_the_same_answer_as_the_fp32_units():
    inputs = made(case(40, 600, 40, 1, heads=4, kv_heads=2, batch=2))
    exact, int_mm = int8.fp32_exact.build(KERNEL, inputs)(), int8.int_mm.build(KERNEL, inputs)()
    assert torch.equal(exact, int_mm)


def test_onednn_gives_the_same_answer_as_the_fp32_units():
    reason = onednn_reason("int8", this_cpu())
    if reason:
        pytest.skip(reason)
    inputs = made(case(40, 600, 40, 1, heads=4, kv_heads=2, batch=2))
    exact, onednn = int8.fp32_exact.build(KERNEL, inputs)(), int8.onednn_int8.build(KERNEL, inputs)()
    assert torch.equal(exact, onednn)


@pytest.mark.parametrize("products", PRODUCTS, ids=lambda p: type(p).__name__)
def test_products_are_exact_integers(products):
    """Values so small that no 16-bit sum saturates: this holds on a processor without int8 units too."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randint(-3, 4, (2, n, 40), dtype=torch.int8, generator=generator) for n in (5, 77, 77))
    weights = torch.randint(0, 256, (2, 5, 77), generator=generator).float()
    scores = products.scores(products.queries(q), products.keys(k))
    assert torch.equal(scores.double(), q.double() @ k.double().transpose(1, 2))
    expected = weights.double() @ v.double()
    assert torch.equal(products.weighted(weights.clone(), products.values(v)).double(), expected)


@pytest.mark.parametrize("products", PRODUCTS[:2], ids=lambda p: type(p).__name__)
def test_products_are_exact_at_the_largest_values(products):
    keys = 512  # a whole block
    q, k = (torch.full((1, n, 128), -128, dtype=torch.int8) for n in (18, keys))
    v = torch.full((1, keys, 128), -128, dtype=torch.int8)
    scores = products.scores(products.queries(q), products.keys(k))
    assert scores.unique().tolist() == [128 * 128 * 128]
    weighted = products.weighted(torch.full((1, 18, keys), 255.0), products.values(v))
    assert weighted.unique().tolist() == [-128 * 255 * keys]


@pytest.mark.parametrize("q_len", [1, 2, 255, 257, 600])
@pytest.mark.parametrize("cores", [1, 64])
def test_a_causal_plan_covers_what_the_mask_leaves_and_nothing_else(q_len: int, cores: int):
    shape = case(q_len, 600, 8, 1, heads=4, kv_heads=1)
    cut = plan(shape, cores)
    seen = torch.zeros(q_len, 600, dtype=torch.bool)
    for block in cut.queries:
        for key in block.keys:
            start, stop = cut.spans[key.number]
            shown = torch.ones(block.stop - block.start, stop - start, dtype=torch.bool)
            seen[block.start : block.stop, start:stop] = shown if key.hidden is None else ~key.hidden
    assert torch.equal(seen, torch.ones(q_len, 600, dtype=torch.bool).tril(600 - q_len))


def test_the_number_of_cores_cuts_the_work_differently_and_changes_rounding_at_most():
    shape = case(600, 600, 16, 1, heads=4, kv_heads=2, batch=2)
    assert plan(shape, 1).kv_heads < plan(shape, 128).kv_heads
    one, many = (int8.fp32_exact.build(KERNEL, made(shape, units=units))().double() for units in (1, 128))
    assert float((one - many).norm() / many.norm()) < 2**-8
