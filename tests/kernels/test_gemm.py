"""gemm: what it counts, what is right and what is not, and where each implementation applies."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UsageError
from bench.kernel import SUITES, DeviceView, iterate_cases
from bench.precision import PRECISIONS
from kernels.gemm import Gemm
from kernels.gemm.operands import offered
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
    MI250X,
    MI300X,
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

GEMM = Gemm()
ODD = [
    {"batch": batch, "m": 33, "n": 29, "k": 45, "trans_a": trans_a, "trans_b": trans_b}
    for batch, trans_a, trans_b in product((1, 3), (0, 1), (0, 1))
]
SQUARE = {"m": 64, "n": 64, "k": 64}
ELSEWHERE = (
    "compile",
    "scaled_mm-rowwise",
    "triton",
    "triton-accumulate-fp16",
    "upcast-prepacked",
    "fp32-exact-prepacked",
)
"""test_triton_gemm has those that hang on Triton or a compiler, and row-wise scales; test_cpu_packed the packed."""


def listed(case: dict, precision: str, device: DeviceView) -> list[str]:
    return [name for name in available(GEMM, case, precision, device) if name not in ELSEWHERE]


@pytest.mark.parametrize("case", ODD)
def test_operations_are_those_that_torch_counts(case: dict) -> None:
    inputs = made(GEMM, case, "fp32")
    with FlopCounterMode(display=False) as counter:
        GEMM.implementations()["torch"].build(GEMM, inputs)()
    assert counter.get_total_flops() == GEMM.work(inputs.case, "fp32").operations


def test_bytes_are_those_of_the_tensors() -> None:
    for precision in ("fp64", "fp32", "bf16", "fp16", "int8"):
        inputs = made(GEMM, ODD[5], precision)
        name = "fp32-exact" if precision == "int8" else "torch"
        work = GEMM.work(inputs.case, precision)
        assert work.bytes_read == inputs["a"].nbytes + inputs["b"].nbytes == GEMM.input_bytes(inputs.case, precision)
        assert work.bytes_written == output_of(GEMM, inputs, name).nbytes


def test_work_of_an_enormous_case_does_not_overflow() -> None:
    case = GEMM.parse_case("m=2147483647,n=2147483647,k=2147483647,batch=2147483647")
    assert GEMM.work(case, "fp64").operations == 2 * (2**31 - 1) ** 4


@pytest.mark.parametrize("case", ODD)
def test_every_implementation_that_applies_here_is_right(case: dict) -> None:
    ran = set()
    for precision in PRECISIONS:
        for name in listed(case, precision, HERE):
            assert_right(GEMM, made(GEMM, case, precision), name)
            ran.add(precision)
    assert {"fp64", "fp32", "bf16", "fp16", "int8"} <= ran


@pytest.mark.parametrize("case", ODD)
def test_what_is_declined_as_slow_would_be_right_all_the_same(case: dict) -> None:
    for precision in ("tf32", "bf16", "fp16"):
        assert_right(GEMM, made(GEMM, case, precision), "torch")
    for name in ("int_mm", "fp32-exact"):
        assert_right(GEMM, made(GEMM, case, "int8"), name)


@pytest.mark.parametrize("case", [{"m": 33, "n": 32, "k": 48}, {"batch": 2, "m": 5, "n": 16, "k": 16, "trans_a": 1}])
def test_scaled_fp8_products_are_right(case: dict) -> None:
    assert_right(GEMM, made(GEMM, case, "fp8"), "scaled_mm")


@pytest.mark.skipif(not X86, reason="oneDNN's quantised operators are torch's x86 path")
@pytest.mark.parametrize("case", [*ODD, {"m": 64, "n": 64, "k": 2000}])
def test_onednn_int8_is_exact_on_any_x86_where_pairs_do_not_saturate(case: dict) -> None:
    # oneDNN adds 128 to A; below 128 a pair of products stays within 16 bits, VNNI or not.
    inputs = made(GEMM, case, "int8")
    inputs["a"].random_(-128, 0, generator=torch.Generator().manual_seed(2))
    assert_right(GEMM, inputs, "onednn-int8")


@pytest.mark.parametrize("name", ["fp32-exact", "int_mm"])
def test_int8_is_exact_at_the_extremes_of_a_long_sum(name: str) -> None:
    inputs = made(GEMM, {"m": 17, "n": 8, "k": 5000}, "int8")
    for values in (-128, 127):
        inputs["a"].fill_(-128)
        inputs["b"].fill_(values)
        assert (output_of(GEMM, inputs, name) == -128 * values * 5000).all()
        assert_right(GEMM, inputs, name)


def wrong(precision: str, output: torch.Tensor, inputs) -> bool:
    error, allowed = error_and_tolerance(GEMM, inputs, output, PRECISIONS[precision].accumulate)
    return error > allowed


LONG = {"m": 64, "n": 64, "k": 1024}


def test_fp32_that_ran_as_tf32_or_bf16_fails() -> None:
    inputs = made(GEMM, LONG, "fp32")
    a, b = inputs["a"], inputs["b"]
    assert not wrong("fp32", a @ b, inputs)
    assert wrong("fp32", round_to_tf32(a) @ round_to_tf32(b), inputs)
    assert wrong("fp32", (a.bfloat16() @ b.bfloat16()).float(), inputs)
    assert wrong("fp32", (a @ b).half().float(), inputs)


def test_tf32_inputs_pass_in_tf32() -> None:
    inputs = made(GEMM, LONG, "tf32")
    assert not wrong("tf32", round_to_tf32(inputs["a"]) @ round_to_tf32(inputs["b"]), inputs)


def test_fp16_that_came_through_bf16_fails() -> None:
    inputs = made(GEMM, LONG, "fp16")
    a, b = inputs["a"].float(), inputs["b"].float()
    assert not wrong("fp16", (a @ b).half(), inputs)
    assert wrong("fp16", (a.bfloat16().float() @ b.bfloat16().float()).half(), inputs)


def test_fp16_that_accumulated_in_fp16_fails() -> None:
    inputs = made(GEMM, LONG, "fp16")
    total = torch.zeros(64, 64, dtype=torch.float16)
    for index in range(1024):
        total += inputs["a"][:, index : index + 1] * inputs["b"][index]
    assert wrong("fp16", total, inputs)


def test_int8_that_is_off_by_one_anywhere_fails() -> None:
    inputs = made(GEMM, LONG, "int8")
    output = output_of(GEMM, inputs, "fp32-exact").clone()
    assert not wrong("int8", output, inputs)
    output[3, 5] += 1
    assert wrong("int8", output, inputs)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("precision", ["fp64", "fp16", "int8"])
def test_chosen_rows_and_projections_are_those_of_the_whole_reference(case: dict, precision: str) -> None:
    inputs = made(GEMM, case, precision)
    whole = GEMM.reference(inputs)
    assert whole.shape == (GEMM.output_rows(inputs.case), 29)
    rows = torch.tensor([0, len(whole) - 1, 7, 31])
    torch.testing.assert_close(GEMM.reference(inputs, rows), whole[rows], rtol=1e-13, atol=1e-11)
    vector = torch.randn(29, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(GEMM.projection(inputs, vector), whole @ vector, rtol=1e-11, atol=1e-9)


def test_the_reference_in_blocks_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = made(GEMM, ODD[4], "fp32")
    whole, vector = GEMM.reference(inputs), torch.ones(29, dtype=torch.float64)
    for module in ("operands", "problem"):
        monkeypatch.setattr(f"kernels.gemm.{module}.REFERENCE_ELEMENTS", 100)
    torch.testing.assert_close(GEMM.reference(inputs), whole, rtol=1e-13, atol=1e-12)
    torch.testing.assert_close(GEMM.projection(inputs, vector), whole.sum(1), rtol=1e-11, atol=1e-11)


@given(
    st.fixed_dictionaries(
        {name: st.integers(1, 2**31 - 1) for name in ("batch", "m", "n", "k")},
        optional={name: st.integers(0, 1) for name in ("trans_a", "trans_b")},
    )
)
def test_a_written_case_reads_back(case: dict) -> None:
    text = ", ".join(f"{name}={value}" for name, value in case.items())
    assert GEMM.parse_case(text) == {"trans_a": 0, "trans_b": 0, **case}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m=4096,n=4096", "needs k="),
        ("m=0,n=1,k=1", "m=0 is outside 1"),
        ("m=-3,n=1,k=1", "m=-3 is outside"),
        ("m=1,n=1,k=99999999999999", "k=99999999999999 is outside"),
        ("m=1.5,n=1,k=1", "m='1.5' is not an integer"),
        ("m=1,n=1,k=1,trans_a=2", "trans_a=2 is outside 0 … 1"),
        ("m=1,n=1,k=1,transa=1", "Did you mean 'trans_a'"),
        ("m=1,m=2,n=1,k=1", "given twice"),
        ("4096", "is not FIELD=VALUE"),
    ],
)
def test_a_wrong_case_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GEMM.parse_case(text)


@pytest.mark.parametrize("device", DEVICES)
def test_each_suite_holds_the_one_before(device: DeviceView) -> None:
    quick, standard, full = (list(iterate_cases(GEMM, [suite], device)) for suite in SUITES)
    assert len(quick) == 2
    assert 6 <= len(standard) <= 10 < len(full)
    assert standard[:2] == quick
    assert full[: len(standard)] == standard


def test_quick_cases_suit_the_machine() -> None:
    def largest(device: DeviceView) -> int:
        return max(GEMM.work(case, "fp32").operations for case in GEMM.cases("quick", device))

    assert largest(AVX2) < 5e9  # 30 ms at 150 GFLOPS
    assert 1e11 < largest(SAPPHIRE_RAPIDS) < 1e12
    assert largest(H100) > 1e12


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        (AVX2, "fp32", ["torch", "linear-prepacked"]),
        (AVX2, "fp16", ["upcast"]),
        (AVX2, "bf16", ["upcast"]),
        (AVX2, "int8", ["fp32-exact"]),
        (AVX2, "tf32", []),
        (AVX2, "fp8", []),
        (ICE_LAKE, "fp16", ["upcast"]),
        (ICE_LAKE, "bf16", ["torch", "upcast", "linear-prepacked"]),
        (ICE_LAKE, "int8", ["int_mm", "onednn-int8"]),
        (SAPPHIRE_RAPIDS, "fp16", ["torch", "upcast", "linear-prepacked"]),
        (ALDER_LAKE, "int8", ["onednn-int8"]),
        (GRAVITON_3, "fp16", ["upcast"]),
        (GRAVITON_3, "int8", ["fp32-exact"]),
        (T4, "tf32", []),
        (T4, "fp8", []),
        (H100, "tf32", ["torch"]),
        (H100, "fp16", ["torch"]),
        (H100, "int8", ["int_mm"]),
        (H100, "fp8", ["scaled_mm"]),
        (MI300X, "fp8", ["scaled_mm"]),
        (MI250X, "fp8", []),
        (MI300X, "tf32", []),
        (APPLE, "fp64", []),
        (APPLE, "int8", ["fp32-exact"]),
    ],
)
def test_the_implementations_of_a_device(device: DeviceView, precision: str, expected: list[str]) -> None:
    assert listed(SQUARE, precision, device) == expected


@pytest.mark.parametrize("device", DEVICES)
def test_whatever_is_not_supported_has_a_reason(device: DeviceView) -> None:
    for precision, name in product(PRECISIONS, GEMM.implementations()):
        if name not in available(GEMM, SQUARE, precision, device):
            assert reason(GEMM, name, SQUARE, precision, device)


def test_shapes_that_do_not_fit_say_what_would() -> None:
    assert "m > 16" in reason(GEMM, "int_mm", {**SQUARE, "m": 16}, "int8", H100)
    assert "multiples of 16" in reason(GEMM, "scaled_mm", {**SQUARE, "n": 24}, "fp8", H100)
    assert "batch has to be 1" in reason(GEMM, "linear-prepacked", {**SQUARE, "batch": 2}, "fp32", AVX2)
    assert "at most 65536" in reason(GEMM, "onednn-int8", {**SQUARE, "k": 65537}, "int8", ICE_LAKE)


def test_what_runs_on_other_units_says_so() -> None:
    case = GEMM.complete_case(SQUARE)
    for name, precision in (("upcast", "fp16"), ("upcast", "bf16"), ("fp32-exact", "int8")):
        executed = GEMM.implementations()[name].executed(case, precision, AVX2)
        assert (executed.operations, executed.precision) == (GEMM.work(case, precision).operations, "fp32")
        assert precision in executed.note


def test_a_product_that_cublas_lacks_is_unsupported_and_another_error_is_its_own() -> None:
    def fails(message: str) -> torch.Tensor:
        raise RuntimeError(message)

    with pytest.raises(NotImplementedError, match="no such product"):
        offered(lambda: fails("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul(…)`"))
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED"):
        offered(lambda: fails("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasLtMatmul(…)`"))
    assert offered(lambda: torch.ones(2))().tolist() == [1.0, 1.0]
