"""conv: what it counts, what is right and what is not, and where each implementation applies."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn.functional import conv2d
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UsageError
from bench.kernel import SUITES, DeviceView, Executed, iterate_cases
from bench.precision import PRECISIONS
from kernels.conv import Conv
from kernels.conv.geometry import geometry
from kernels.tensors import round_to_tf32
from tests.kernels.checks import (
    ALDER_LAKE,
    APPLE,
    AVX2,
    DEVICES,
    GRAVITON_3,
    H100,
    HERE,
    ICE_LAKE,
    SAPPHIRE_RAPIDS,
    T4,
    X86,
    assert_right,
    available,
    error_and_tolerance,
    made,
    output_of,
    reason,
)

CONV = Conv()
LAYERS = [
    {"n": 2, "c": 6, "h": 9, "w": 11, "k": 4, "padding": 1},
    {"n": 2, "c": 6, "h": 9, "w": 11, "k": 4, "padding": 2, "stride": 2, "groups": 2},
    {"n": 2, "c": 8, "h": 7, "w": 7, "k": 16, "r": 1, "s": 1},
    {"n": 1, "c": 8, "h": 8, "w": 8, "k": 16, "r": 1, "s": 1, "stride": 2},
    {"n": 2, "c": 5, "h": 8, "w": 8, "k": 10, "groups": 5, "padding": 1},
    {"n": 1, "c": 3, "h": 16, "w": 15, "k": 8, "r": 7, "s": 7, "stride": 2, "padding": 3},
    {"n": 1, "c": 130, "h": 6, "w": 5, "k": 3, "s": 4},
    {"n": 1, "c": 300, "h": 6, "w": 5, "k": 6, "groups": 2},
    {"n": 1, "c": 1, "h": 20, "w": 40, "k": 8, "r": 5, "s": 20, "stride": 2},
]
CASES = [{**layer, "layout": layout} for layer, layout in product(LAYERS, ("nchw", "nhwc"))]
ELSEWHERE = ("triton", "prepacked", "upcast-prepacked", "fp32-exact-prepacked", "taps")
"""test_triton_conv has the first, test_cpu_packed the others."""
PLAIN = {"n": 2, "c": 16, "h": 8, "w": 8, "k": 16, "padding": 1}


@pytest.mark.parametrize("case", CASES)
def test_operations_are_those_that_torch_counts(case: dict) -> None:
    inputs = made(CONV, case, "fp32")
    with FlopCounterMode(display=False) as counter:
        CONV.implementations()["torch"].build(CONV, inputs)()
    assert counter.get_total_flops() == CONV.work(inputs.case, "fp32").operations


@pytest.mark.parametrize("precision", ["fp64", "fp32", "bf16", "fp16", "int8"])
def test_bytes_are_those_of_the_tensors(precision: str) -> None:
    inputs = made(CONV, CASES[2], precision)
    output = output_of(CONV, inputs, "fp32-exact" if precision == "int8" else "torch")
    work = CONV.work(inputs.case, precision)
    assert work.bytes_read == inputs["x"].nbytes + inputs["w"].nbytes
    assert work.bytes_written == output.nbytes


@pytest.mark.parametrize("case", CASES)
def test_every_implementation_that_applies_here_is_right(case: dict) -> None:
    ran = set()
    for precision in CONV.precisions:
        for name in available(CONV, case, precision, HERE):
            assert_right(CONV, made(CONV, case, precision), name)
            ran.add(precision)
    assert {"fp64", "fp32", "bf16", "fp16", "int8"} <= ran


@pytest.mark.parametrize("case", CASES)
def test_what_is_declined_as_slow_would_be_right_all_the_same(case: dict) -> None:
    for precision in ("bf16", "fp16"):
        assert_right(CONV, made(CONV, case, precision), "torch")
    assert_right(CONV, made(CONV, case, "int8"), "fp32-exact")
    if case.get("groups", 1) == 1:
        assert_right(CONV, made(CONV, case, "int8"), "im2col")


@pytest.mark.skipif(not X86, reason="oneDNN's quantised operators are torch's x86 path")
@pytest.mark.parametrize("case", CASES)
def test_onednn_int8_is_exact_on_any_x86_where_pairs_do_not_saturate(case: dict) -> None:
    # The call adds 128 to the activations; below 128 a pair of products stays within 16 bits, VNNI or not.
    inputs = made(CONV, case, "int8")
    inputs["x"].random_(-128, 0, generator=torch.Generator().manual_seed(2))
    assert_right(CONV, inputs, "onednn-int8")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("values", [-128, 127])
def test_int8_on_fp32_is_exact_at_the_extremes_of_a_long_sum(groups: int, values: int) -> None:
    inputs = made(CONV, {"n": 1, "c": 600 * groups, "h": 3, "w": 3, "k": 2 * groups, "groups": groups}, "int8")
    inputs["x"].fill_(-128)
    inputs["w"].fill_(values)
    assert (output_of(CONV, inputs, "fp32-exact") == -128 * values * 600 * 9).all()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_outputs_lie_in_the_layout_of_the_case(layout: str) -> None:
    case = {**PLAIN, "layout": layout}
    for precision in ("fp32", "fp16", "int8"):
        for name, implementation in CONV.implementations().items():
            if name == "prepacked" and reason(CONV, name, case, precision, HERE):
                continue  # oneDNN refuses it, where the others would be right if slow
            if precision in implementation.precisions and implementation.devices in ((), ("cpu",)):
                output = output_of(CONV, made(CONV, case, precision), name)
                assert output.is_contiguous(memory_format=geometry(CONV.complete_case(case)).memory_format), name


def wrong(precision: str, output: torch.Tensor, inputs) -> bool:
    error, allowed = error_and_tolerance(CONV, inputs, output, PRECISIONS[precision].accumulate)
    return error > allowed


def test_fp32_that_ran_as_tf32_or_bf16_fails() -> None:
    inputs = made(CONV, {**PLAIN, "c": 64}, "fp32")
    x, w = inputs["x"], inputs["w"]
    assert not wrong("fp32", conv2d(x, w, padding=1), inputs)
    assert wrong("fp32", conv2d(round_to_tf32(x), round_to_tf32(w), padding=1), inputs)
    assert wrong("fp32", conv2d(x.bfloat16(), w.bfloat16(), padding=1).float(), inputs)


def test_fp16_that_came_through_bf16_fails() -> None:
    inputs = made(CONV, {**PLAIN, "c": 64}, "fp16")
    x, w = inputs["x"].float(), inputs["w"].float()
    assert not wrong("fp16", conv2d(x, w, padding=1).half(), inputs)
    assert wrong("fp16", conv2d(x.bfloat16().float(), w.bfloat16().float(), padding=1).half(), inputs)


def test_int8_that_is_off_by_one_anywhere_fails() -> None:
    inputs = made(CONV, PLAIN, "int8")
    output = output_of(CONV, inputs, "fp32-exact").clone()
    assert not wrong("int8", output, inputs)
    output[0, 0, 0, 0] += 1
    assert wrong("int8", output, inputs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("precision", ["fp64", "fp16", "int8"])
def test_chosen_rows_and_projections_are_those_of_the_whole_reference(case: dict, precision: str) -> None:
    inputs = made(CONV, case, precision)
    whole = CONV.reference(inputs)
    assert whole.shape == (CONV.output_rows(inputs.case), case["k"])
    rows = torch.tensor([0, len(whole) - 1, len(whole) // 2, 1])
    torch.testing.assert_close(CONV.reference(inputs, rows), whole[rows], rtol=1e-12, atol=1e-10)
    vector = torch.randn(case["k"], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(CONV.projection(inputs, vector), whole @ vector, rtol=1e-10, atol=1e-8)


SMALL = st.integers(1, 6)


@given(st.tuples(SMALL, SMALL, SMALL, SMALL, st.integers(1, 3), st.integers(0, 3)))
def test_the_output_has_the_size_that_torch_gives_it(sizes: tuple[int, ...]) -> None:
    h, w, r, s, stride, padding = sizes
    assume(r <= h + 2 * padding and s <= w + 2 * padding)
    case = {"c": 1, "h": h, "w": w, "k": 1, "r": r, "s": s, "stride": stride, "padding": padding}
    shape = geometry(CONV.complete_case(case))
    y = conv2d(torch.zeros(1, 1, h, w), torch.zeros(1, 1, r, s), stride=stride, padding=padding)
    assert shape.output_shape == tuple(y.shape)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c=64,h=56,w=56", "needs k="),
        ("c=0,h=56,w=56,k=64", "c=0 is outside 1"),
        ("c=64,h=56,w=56,k=64,stride=0", "stride=0 is outside"),
        ("c=64,h=56,w=56,k=64,padding=-1", "padding=-1 is outside"),
        ("c=64,h=56,w=56,k=64,layout=nhcw", "Did you mean 'nhwc'"),
        ("c=64,h=56,w=56,k=64,groups=3", "groups=3 does not divide c=64"),
        ("c=64,h=56,w=56,k=63,groups=2", "groups=2 does not divide k=63"),
        ("c=64,h=2,w=56,k=64", "a filter of 3×3 is larger than the padded image"),
        ("c=64,h=56,w=56,k=64,kernel=3", "no such field"),
    ],
)
def test_a_wrong_case_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CONV.parse_case(text)


@pytest.mark.parametrize("device", DEVICES)
def test_each_suite_holds_the_one_before(device: DeviceView) -> None:
    quick, standard, full = (list(iterate_cases(CONV, [suite], device)) for suite in SUITES)
    assert len(quick) == 2
    assert 6 <= len(standard) <= 10 < len(full)
    assert standard[:2] == quick
    assert full[: len(standard)] == standard


def test_quick_cases_suit_the_machine() -> None:
    def largest(device: DeviceView) -> int:
        return max(CONV.work(case, "fp32").operations for case in CONV.cases("quick", device))

    assert largest(AVX2) < 5e9  # 30 ms at 150 GFLOPS
    assert largest(SAPPHIRE_RAPIDS) > 1e10
    assert largest(H100) > 1e10


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        (AVX2, "fp32", ["torch"]),
        (AVX2, "fp16", ["upcast"]),
        (AVX2, "bf16", ["upcast"]),
        (AVX2, "int8", ["fp32-exact"]),
        (AVX2, "fp8", []),
        (ICE_LAKE, "fp16", ["upcast"]),
        (ICE_LAKE, "bf16", ["torch", "upcast"]),
        (ICE_LAKE, "int8", ["onednn-int8", "im2col"]),
        (SAPPHIRE_RAPIDS, "fp16", ["torch", "upcast"]),
        (ALDER_LAKE, "int8", ["onednn-int8"]),
        (GRAVITON_3, "int8", ["fp32-exact"]),
        (T4, "tf32", []),
        (H100, "tf32", ["torch"]),
        (H100, "int8", ["im2col"]),
        (APPLE, "int8", ["fp32-exact"]),
    ],
)
def test_the_implementations_of_a_device(device: DeviceView, precision: str, expected: list[str]) -> None:
    found = available(CONV, PLAIN, precision, device)
    assert [name for name in found if name not in ELSEWHERE] == expected


@pytest.mark.parametrize("device", DEVICES)
def test_whatever_is_not_supported_has_a_reason(device: DeviceView) -> None:
    for precision, name in product(PRECISIONS, CONV.implementations()):
        if name not in available(CONV, PLAIN, precision, device):
            assert reason(CONV, name, PLAIN, precision, device)


def test_shapes_that_do_not_fit_say_what_would() -> None:
    assert "groups has to be 1" in reason(CONV, "im2col", {**PLAIN, "groups": 2}, "int8", H100)
    assert "multiples of 8 (m = n·p·q" in reason(CONV, "im2col", {**PLAIN, "c": 3}, "int8", H100)
    assert "r·s has to be at most" in reason(
        CONV, "fp32-exact", {**PLAIN, "h": 40, "w": 40, "r": 33, "s": 33}, "int8", AVX2
    )
    assert "at most 65536" in reason(CONV, "onednn-int8", {**PLAIN, "c": 65536}, "int8", ICE_LAKE)


def test_what_runs_otherwise_than_nominally_says_so() -> None:
    case = CONV.complete_case(PLAIN)
    operations = CONV.work(case, "fp32").operations
    found = CONV.implementations()
    for name, precision in (("upcast", "fp16"), ("fp32-exact", "int8")):
        executed = found[name].executed(case, precision, AVX2)
        assert (executed.operations, executed.precision) == (operations, "fp32")
    winograd = found["torch"].executed(case, "fp32", H100)
    assert isinstance(winograd, Executed)
    assert winograd.operations == operations // 4
    assert found["torch"].executed(case, "fp32", AVX2) is None
    assert found["torch"].executed(case, "fp16", H100) is None
    assert found["torch"].executed({**case, "stride": 2}, "fp32", H100) is None
