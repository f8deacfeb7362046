"""What a CPU has beside the plain calls: packed filters and weights, blocks as long as the weights allow, FP64 taps."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.conv import Conv
from kernels.conv.geometry import geometry
from kernels.conv.packed import _channel_blocks
from kernels.gemm import Gemm
from kernels.tensors import EXACT_INT8_TERMS, exact_blocks_of_weights, exact_int8_blocks
from tests.kernels.checks import (
    AVX2,
    GRAVITON_3,
    H100,
    HERE,
    ICE_LAKE,
    SAPPHIRE_RAPIDS,
    assert_right,
    available,
    made,
    output_of,
    reason,
)
from tests.kernels.test_conv import CASES, PLAIN
from tests.kernels.test_gemm import SQUARE

CONV, GEMM = Conv(), Gemm()
PRODUCTS = [
    {"m": m, "n": n, "k": k, "trans_a": trans_a, "trans_b": trans_b}
    for (m, n, k), trans_a, trans_b in product([(33, 29, 45), (1, 70, 130), (5, 1, 64)], (0, 1), (0, 1))
]
STRIDE_1 = [case for case in CASES if case.get("stride", 1) == 1 and case.get("groups", 1) == 1]
DEPTHWISE = [
    {"n": 2, "c": 5, "h": 8, "w": 9, "k": 5, "groups": 5, "r": r, "s": 3, "stride": stride, "padding": 1, "layout": lie}
    for r, stride, lie in product((1, 3), (1, 2), ("nchw", "nhwc"))
]

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


@needs_onednn
@pytest.mark.parametrize("case", CASES)
def test_packed_convolutions_are_right(case: dict) -> None:
    assert_right(CONV, made(CONV, case, "fp32"), "prepacked")
    for precision in ("bf16", "fp16"):
        assert_right(CONV, made(CONV, case, precision), "upcast-prepacked")
    assert_right(CONV, made(CONV, case, "int8"), "fp32-exact-prepacked")


@needs_onednn
@pytest.mark.parametrize("case", CASES[:6])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_native_packed_16_bit_convolutions_are_right_where_they_apply(case: dict, precision: str) -> None:
    said = reason(CONV, "prepacked", case, precision, HERE)
    if said:
        pytest.skip(said)
    assert_right(CONV, made(CONV, case, precision), "prepacked")


@needs_onednn
@pytest.mark.parametrize("case", PRODUCTS)
def test_packed_products_are_right(case: dict) -> None:
    for precision in ("bf16", "fp16"):
        assert_right(GEMM, made(GEMM, case, precision), "upcast-prepacked")
    assert_right(GEMM, made(GEMM, case, "int8"), "fp32-exact-prepacked")


@needs_onednn
@pytest.mark.parametrize("value", [-128, 127])
def test_packed_int8_is_exact_at_the_extremes_of_a_long_sum(value: int) -> None:
    inputs = made(GEMM, {"m": 17, "n": 8, "k": 5000}, "int8")
    inputs["a"].fill_(-128)
    inputs["b"].fill_(value)
    assert (output_of(GEMM, inputs, "fp32-exact-prepacked") == -128 * value * 5000).all()
    layer = made(CONV, {"n": 1, "c": 600, "h": 3, "w": 3, "k": 2}, "int8")
    layer["x"].fill_(-128)
    layer["w"].fill_(value)
    assert (output_of(CONV, layer, "fp32-exact-prepacked") == -128 * value * 600 * 9).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6000), st.integers(0, 128), st.integers(0, 2**16))
def test_no_block_of_weights_can_exceed_what_fp32_holds(outputs: int, terms: int, largest: int, seed: int) -> None:
    magnitudes = torch.randint(0, largest + 1, (outputs, terms), generator=torch.Generator().manual_seed(seed))
    blocks = exact_blocks_of_weights(magnitudes)
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
    assert blocks[-1][1] == terms
    for start, stop in blocks:
        assert stop > start
        assert 128 * int(magnitudes[:, start:stop].sum(1).max()) <= 2**24
    assert len(blocks) <= len(exact_int8_blocks(terms))


def test_random_weights_need_fewer_blocks_than_the_worst_do() -> None:
    weights = made(GEMM, {"m": 1, "n": 64, "k": 2048}, "int8")["b"]
    assert len(exact_blocks_of_weights(weights[:1900].t().int().abs())) == 1 < len(exact_int8_blocks(1900))
    assert exact_blocks_of_weights(torch.full((1, EXACT_INT8_TERMS), 128)) == [(0, EXACT_INT8_TERMS)]
    with pytest.raises(ValueError, match="one term"):
        exact_blocks_of_weights(torch.full((1, 1), 128 * EXACT_INT8_TERMS + 1))


def test_filters_of_several_groups_are_one_block() -> None:
    inputs = made(CONV, {"n": 1, "c": 300, "h": 6, "w": 5, "k": 6, "groups": 2}, "int8")
    assert _channel_blocks(inputs["w"], geometry(inputs.case)) == [(0, 150)]


@pytest.mark.parametrize("case", [*STRIDE_1, *DEPTHWISE])
def test_taps_are_right(case: dict) -> None:
    assert not reason(CONV, "taps", case, "fp64", HERE)
    assert_right(CONV, made(CONV, case, "fp64"), "taps")


@pytest.mark.parametrize("case", [STRIDE_1[0], STRIDE_1[1], *DEPTHWISE])
def test_taps_are_right_a_row_at_a_time(case: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.conv.taps.SLAB_BYTES", 1)
    assert_right(CONV, made(CONV, case, "fp64"), "taps")


def test_what_does_not_apply_says_why() -> None:
    assert "stride 1" in reason(CONV, "taps", {**PLAIN, "stride": 2}, "fp64", AVX2)
    assert "as many as there are channels" in reason(CONV, "taps", {**PLAIN, "groups": 2}, "fp64", AVX2)
    assert "runs on cpu" in reason(CONV, "taps", PLAIN, "fp64", H100)
    assert "r·s has to be at most" in reason(
        CONV, "fp32-exact-prepacked", {**PLAIN, "h": 40, "w": 40, "r": 33, "s": 33}, "int8", AVX2
    )
    grouped = {**PLAIN, "c": 512, "k": 4, "groups": 2}
    assert "with groups" in reason(CONV, "fp32-exact-prepacked", grouped, "int8", AVX2)
    assert "has int8 units" in reason(CONV, "fp32-exact-prepacked", PLAIN, "int8", ICE_LAKE)
    assert "has int8 units" in reason(GEMM, "fp32-exact-prepacked", SQUARE, "int8", ICE_LAKE)
    assert "oneDNN needs" in reason(CONV, "prepacked", PLAIN, "fp16", AVX2)
    for name, precision in (("upcast-prepacked", "fp16"), ("fp32-exact-prepacked", "int8")):
        assert "batch has to be 1" in reason(GEMM, name, {**SQUARE, "batch": 2}, precision, AVX2)


def test_where_packed_ones_apply() -> None:
    assert {"prepacked"} <= set(available(CONV, PLAIN, "fp32", AVX2))
    assert {"prepacked", "upcast-prepacked"} <= set(available(CONV, PLAIN, "fp16", SAPPHIRE_RAPIDS))
    assert {"upcast-prepacked"} <= set(available(GEMM, SQUARE, "bf16", GRAVITON_3))


def test_a_vector_at_16_bits_takes_the_plain_product_everywhere() -> None:
    row = {"m": 1, "n": 64, "k": 48, "trans_b": 1}
    for precision in ("fp16", "bf16"):
        for case in (row, {"m": 64, "n": 1, "k": 48}, {"m": 64, "n": 1, "k": 48, "trans_a": 1}):
            assert "torch" in available(GEMM, case, precision, AVX2)
            assert_right(GEMM, made(GEMM, case, precision), "torch")
        assert "torch" not in available(GEMM, {**row, "trans_b": 0}, precision, AVX2)
        assert "torch" not in available(GEMM, {**row, "batch": 2}, precision, AVX2)
        executed = GEMM.implementations()["torch"].executed(GEMM.complete_case(row), precision, AVX2)
        assert (executed.operations, executed.precision) == (2 * 64 * 48, "fp32")
    assert "torch" not in available(GEMM, row, "tf32", AVX2)


def test_what_is_carried_by_fp32_units_says_so() -> None:
    for kernel, case in ((CONV, PLAIN), (GEMM, SQUARE)):
        complete = kernel.complete_case(case)
        for name, precision in (("upcast-prepacked", "fp16"), ("fp32-exact-prepacked", "int8")):
            executed = kernel.implementations()[name].executed(complete, precision, AVX2)
            assert (executed.operations, executed.precision) == (kernel.work(complete, precision).operations, "fp32")


def test_onednn_that_torch_was_built_without_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(NotImplementedError, match="built without oneDNN"):
        output_of(CONV, made(CONV, PLAIN, "fp16"), "upcast-prepacked")
