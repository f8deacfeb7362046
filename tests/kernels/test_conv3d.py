"""conv3d: what it counts, what is right, and where each implementation applies."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UsageError
from bench.kernel import SUITES
from kernels.conv3d import Conv3d
from tests.kernels.checks import AVX2, DEVICES, H100, HERE, assert_right, available, made, reason

CONV = Conv3d()
UNEVEN = {"n": 2, "c": 3, "d": 5, "h": 7, "w": 9, "k": 4, "t": 2, "r": 3, "s": 1, "stride_d": 2, "stride_w": 2}
LAYERS = [
    {**UNEVEN, "padding_h": 1, "padding_w": 1},
    {"n": 1, "c": 4, "d": 4, "h": 6, "w": 5, "k": 8, "padding_d": 1, "padding_h": 1, "padding_w": 1},
    # Patches that don't overlap; the last row and column are left over.
    {
        "n": 2,
        "c": 5,
        "d": 5,
        "h": 9,
        "w": 8,
        "k": 6,
        "t": 2,
        "r": 4,
        "s": 4,
        "stride_d": 2,
        "stride_h": 4,
        "stride_w": 4,
    },
]
CASES = [{**layer, "layout": layout} for layer, layout in product(LAYERS, ("ncdhw", "ndhwc"))]
PATCHES = LAYERS[2]


@pytest.mark.parametrize("case", CASES)
def test_operations_and_bytes_are_those_of_the_tensors(case: dict) -> None:
    inputs = made(CONV, case, "fp32")
    with FlopCounterMode(display=False) as counter:
        output = CONV.implementations()["torch"].build(CONV, inputs)()
    work = CONV.work(inputs.case, "fp32")
    assert counter.get_total_flops() == work.operations
    assert work.bytes_read == inputs["x"].nbytes + inputs["w"].nbytes
    assert work.bytes_written == output.nbytes


@pytest.mark.parametrize("case", CASES)
def test_every_implementation_that_applies_here_is_right(case: dict) -> None:
    for precision in CONV.precisions:
        for name in available(CONV, case, precision, HERE):
            assert_right(CONV, made(CONV, case, precision), name)
    assert "torch" in available(CONV, case, "fp32", HERE)


@pytest.mark.parametrize("layout", ["ncdhw", "ndhwc"])
def test_patches_are_right_at_every_precision(layout: str) -> None:
    for precision in CONV.precisions:
        assert_right(CONV, made(CONV, {**PATCHES, "layout": layout}, precision), "patches")


@pytest.mark.parametrize("case", CASES)
def test_sampled_rows_and_the_projection_are_those_of_the_whole_answer(case: dict) -> None:
    inputs = made(CONV, case, "fp64")
    whole = CONV.reference(inputs)
    rows = torch.arange(len(whole) - 1, -1, -2)
    assert torch.allclose(CONV.reference(inputs, rows), whole[rows])
    vector = torch.randn(whole.shape[1], dtype=torch.float64)
    assert torch.allclose(CONV.projection(inputs, vector), whole @ vector)


def test_where_each_implementation_applies() -> None:
    assert "no single product" in reason(CONV, "patches", LAYERS[0], "fp32", H100)
    assert available(CONV, PATCHES, "fp16", H100) == ["torch", "patches"]
    assert available(CONV, PATCHES, "fp16", AVX2) == ["upcast"]


def test_a_filter_larger_than_the_volume_is_refused() -> None:
    with pytest.raises(UsageError, match="filter of 3×3×3 is larger than the padded volume of 1×4×4"):
        CONV.parse_case("c=1,d=1,h=4,w=4,k=1")


@pytest.mark.parametrize("device", DEVICES)
def test_only_the_full_suite_has_cases(device) -> None:
    assert [bool(CONV.cases(suite, device)) for suite in SUITES] == [False, False, True]
    for case in CONV.cases("full", device):
        CONV.complete_case(case)
