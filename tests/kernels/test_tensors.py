"""Seeded inputs, exact int8 on FP32 units, and what a CPU's flags mean."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.kernel import DATA
from bench.precision import PRECISIONS
from kernels import tensors
from kernels.tensors import (
    EXACT_INT8_TERMS,
    bf16_units,
    exact_int8_blocks,
    exact_on_fp32_reason,
    fill,
    fp16_units,
    int8_matmul_on_fp32,
    int8_units,
    int_mm_reason,
    native_reason,
    onednn_reason,
    poisoned,
    round_to_tf32,
    torch_dtype,
)
from tests.kernels.checks import ALDER_LAKE, APPLE, AVX2, GRAVITON_3, H100, HERE, ICE_LAKE, MI300X, SAPPHIRE_RAPIDS, T4


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(precision: str, data: str = "normal", seed: int = 3, shape: tuple[int, ...] = (61, 53)) -> torch.Tensor:
    return fill(shape, precision, data, HERE, seeded(seed))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_seed_gives_the_same_values_and_another_seed_others(precision: str) -> None:
    first, again, other = filled(precision), filled(precision), filled(precision, seed=4)
    assert torch.equal(first.double(), again.double())
    assert not torch.equal(first.double(), other.double())
    assert first.dtype == torch_dtype(precision, HERE)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_and_ones_are_what_they_say(precision: str) -> None:
    assert (filled(precision, "zeros").double() == 0).all()
    assert (filled(precision, "ones").double() == 1).all()


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "int8"])
def test_normal_data_is_normal_and_uniform_data_lies_within_one(precision: str) -> None:
    normal = filled(precision, shape=(300, 300)).double()
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1) < 0.02
    uniform = filled(precision, "uniform", shape=(300, 300)).double()
    assert float(uniform.abs().max()) <= 1
    assert abs(float(uniform.std()) - 3**-0.5) < 0.02


@pytest.mark.parametrize("data", ["normal", "uniform"])
def test_int8_takes_every_value(data: str) -> None:
    assert filled("int8", data, shape=(300, 300)).unique().tolist() == list(range(-128, 128))


def test_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="'gaussian' is none of " + ", ".join(DATA)):
        filled("fp32", "gaussian")


def test_tf32_inputs_survive_rounding_to_tf32_and_fp32_inputs_do_not() -> None:
    tf32, fp32 = filled("tf32"), filled("fp32")
    assert torch.equal(round_to_tf32(tf32), tf32)
    changed = round_to_tf32(fp32) != fp32
    assert float(changed.float().mean()) > 0.99
    assert torch.equal(round_to_tf32(fp32), tf32)


@given(st.floats(min_value=-(2.0**99), max_value=2.0**99, width=32, allow_subnormal=False))
def test_rounding_to_tf32_errs_by_at_most_its_unit_roundoff(value: float) -> None:
    rounded = float(round_to_tf32(torch.tensor([value], dtype=torch.float32)))
    assert abs(rounded - value) <= 2.0**-11 * abs(value)


def test_memory_format_is_kept_and_does_not_change_the_values() -> None:
    plain = fill((2, 3, 5, 7), "fp16", "normal", HERE, seeded())
    last = fill((2, 3, 5, 7), "fp16", "normal", HERE, seeded(), memory_format=torch.channels_last)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, last)


def test_a_large_tensor_repeats_a_pool_so_that_no_two_rows_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "POOL_ELEMENTS", 251)
    flat = filled("fp32", shape=(64, 32)).flatten()
    assert torch.equal(flat[:251], flat[251:502])
    assert len(filled("fp32", shape=(64, 32)).unique(dim=0)) == 64
    assert torch.equal(flat[:251], filled("fp32", shape=(251,)))


def test_fp8_takes_the_encoding_of_the_device() -> None:
    assert torch_dtype("fp8", H100) == torch.float8_e4m3fn
    assert torch_dtype("fp8", MI300X) == torch.float8_e4m3fnuz


@given(st.integers(1, 40_000), st.integers(1, EXACT_INT8_TERMS))
def test_blocks_cover_every_term_once_and_each_is_exact(terms: int, products: int) -> None:
    blocks = exact_int8_blocks(terms, products)
    assert [index for start, stop in blocks for index in (start, stop)][1:-1:2] == [start for start, _ in blocks[1:]]
    assert (blocks[0][0], blocks[-1][1]) == (0, terms)
    sizes = [stop - start for start, stop in blocks]
    assert min(sizes) >= 1
    assert max(sizes) * products <= EXACT_INT8_TERMS
    assert max(sizes) - min(sizes) <= 1


def test_a_term_of_too_many_products_is_refused() -> None:
    with pytest.raises(ValueError, match="1025 int8 products a term"):
        exact_int8_blocks(3, 1025)


@pytest.mark.parametrize("k", [1, 1023, 1024, 1025, 5000])
def test_int8_on_fp32_is_exact_at_the_extremes(k: int) -> None:
    lowest = torch.full((3, k), -128, dtype=torch.int8)
    highest = torch.full((k, 2), 127, dtype=torch.int8)
    assert (int8_matmul_on_fp32(lowest, lowest.t()) == 16384 * k).all()
    assert (int8_matmul_on_fp32(lowest, highest) == -16256 * k).all()


def test_int8_on_fp32_is_exact_for_batches_of_random_data() -> None:
    a, b = filled("int8", shape=(4, 9, 2500)), filled("int8", shape=(4, 2500, 11), seed=5)
    product = int8_matmul_on_fp32(a, b)
    assert product.dtype == torch.int32
    assert torch.equal(product.double(), a.double() @ b.double())


def test_units_follow_the_flags() -> None:
    assert [int8_units(d) for d in (AVX2, ICE_LAKE, ALDER_LAKE, GRAVITON_3)] == [False, True, True, True]
    assert [fp16_units(d) for d in (AVX2, ICE_LAKE, SAPPHIRE_RAPIDS, GRAVITON_3)] == [False, False, True, True]
    assert [bf16_units(d) for d in (AVX2, ICE_LAKE, SAPPHIRE_RAPIDS, GRAVITON_3)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("precision", "with_path", "without_path"),
    [
        ("fp16", [SAPPHIRE_RAPIDS], [AVX2, ICE_LAKE, ALDER_LAKE, GRAVITON_3]),
        ("bf16", [SAPPHIRE_RAPIDS, ICE_LAKE, GRAVITON_3], [AVX2, ALDER_LAKE]),
        ("int8", [SAPPHIRE_RAPIDS, ICE_LAKE, ALDER_LAKE], [AVX2, GRAVITON_3]),
        ("fp32", [AVX2, GRAVITON_3], []),
    ],
)
def test_onednn_has_a_path_where_torch_says_so(precision: str, with_path: list, without_path: list) -> None:
    assert [onednn_reason(precision, device) for device in with_path] == [""] * len(with_path)
    assert all("oneDNN" in onednn_reason(precision, device) for device in without_path)


def test_our_reading_of_the_flags_agrees_with_torch_itself() -> None:
    if not HERE.isa or sys.platform != "linux":
        pytest.skip("no /proc/cpuinfo to read flags from")
    assert (not onednn_reason("bf16", HERE)) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert (not onednn_reason("fp16", HERE)) == torch.ops.mkldnn._is_mkldnn_fp16_supported()


def test_precisions_that_a_device_lacks_are_named() -> None:
    assert "8.0" in native_reason({}, "tf32", T4)
    assert "8.0" in native_reason({}, "tf32", AVX2)
    assert native_reason({}, "tf32", H100) == ""
    assert "FP64" in native_reason({}, "fp64", APPLE)
    assert native_reason({}, "fp16", H100) == ""
    assert "AVX512-FP16" in native_reason({}, "fp16", ICE_LAKE)


def test_int_mm_is_taken_where_it_has_units_and_the_shape_fits() -> None:
    assert int_mm_reason(17, 8, 8, H100) == ""
    for m, n, k in ((16, 8, 8), (17, 9, 8), (17, 8, 9)):
        assert "m > 16" in int_mm_reason(m, n, k, H100)
    assert int_mm_reason(1, 1, 1, ICE_LAKE) == ""
    assert "scalar loop" in int_mm_reason(64, 64, 64, ALDER_LAKE)
    assert "mps" in int_mm_reason(64, 64, 64, APPLE)


def test_fp32_stands_in_for_int8_only_where_there_are_no_int8_units() -> None:
    assert [bool(exact_on_fp32_reason(d)) for d in (AVX2, GRAVITON_3, APPLE)] == [False] * 3
    assert [bool(exact_on_fp32_reason(d)) for d in (ICE_LAKE, ALDER_LAKE, H100, MI300X)] == [True] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int32])
def test_a_poisoned_buffer_is_no_answer(dtype: torch.dtype) -> None:
    buffer = poisoned((2, 3), dtype, HERE)
    assert buffer.isnan().all() if dtype.is_floating_point else (buffer == torch.iinfo(dtype).min).all()


def test_the_kernels_plan_without_torch() -> None:
    code = (
        "import sys\n"
        "from bench.kernel import SUITES, DeviceView, iterate_cases\n"
        "from kernels import tensors\n"
        "from kernels.gemm import Gemm\n"
        "from kernels.conv import Conv\n"
        "from kernels.memory import Copy, Memory\n"
        "for kernel in (Gemm(), Conv(), Memory(), Copy()):\n"
        "    for case in iterate_cases(kernel, SUITES, DeviceView('cpu', 'cpu')):\n"
        "        assert kernel.work(case, 'fp32').bytes > 0\n"
        "        for one in kernel.implementations().values():\n"
        "            one.reason_unsupported(case, 'fp32', DeviceView('cpu', 'cpu'))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
