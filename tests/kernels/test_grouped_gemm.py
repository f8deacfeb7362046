"""grouped_gemm: how tokens are routed, what is counted, what is right, and where each implementation applies."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.kernel import SUITES
from kernels.grouped_gemm import GroupedGemm
from kernels.grouped_gemm.routing import routing
from tests.kernels.checks import AVX2, DEVICES, H100, HERE, MI300X, T4, assert_right, available, made, reason

GROUPED = GroupedGemm()
CASES = [
    {"experts": 5, "top_k": 2, "tokens": 13, "n": 16, "k": 32},
    {"experts": 40, "top_k": 1, "tokens": 7, "n": 48, "k": 2000},  # most experts idle, a long sum
    {"experts": 3, "top_k": 3, "tokens": 20, "n": 17, "k": 19},  # every token to every expert, ragged
]
ALIGNED = {"experts": 4, "top_k": 2, "tokens": 64, "n": 32, "k": 64}


@given(experts=st.integers(1, 40), share=st.floats(0, 1), tokens=st.integers(1, 200))
def test_every_token_goes_to_top_k_different_experts(experts: int, share: float, tokens: int) -> None:
    top_k = max(1, round(share * experts))
    plan = routing({"experts": experts, "top_k": top_k, "tokens": tokens})
    assert len(plan.counts) == experts
    assert sum(plan.counts) == plan.rows == tokens * top_k == plan.ends[-1]
    assert max(plan.counts) <= tokens, "no expert sees a token twice"
    assert sum(stop - start for _, start, stop in plan.busy) == plan.rows


def test_the_routing_is_the_same_in_every_run_and_near_even() -> None:
    counts = routing({"experts": 256, "top_k": 8, "tokens": 8192}).counts
    assert counts == routing({"experts": 256, "top_k": 8, "tokens": 8192}).counts
    # A binomial of mean 256: every count within six standard deviations of it.
    assert all(256 - 6 * 16 < count < 256 + 6 * 16 for count in counts)


@pytest.mark.parametrize("case", CASES)
def test_operations_are_those_of_the_experts_products(case: dict) -> None:
    inputs = made(GROUPED, case, "fp32")
    plan = routing(inputs.case)
    products = sum(2 * (stop - start) * case["n"] * case["k"] for _, start, stop in plan.busy)
    work = GROUPED.work(inputs.case, "fp32")
    assert work.operations == products
    idle = len(plan.counts) - len(plan.busy)
    assert work.bytes_read == inputs["a"].nbytes + inputs["b"].nbytes - idle * case["n"] * case["k"] * 4
    assert GROUPED.input_bytes(inputs.case, "fp32") == inputs["a"].nbytes + inputs["b"].nbytes
    assert work.bytes_written == plan.rows * case["n"] * 4


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "precisions"),
    [
        ("loop", ("fp64", "fp32", "bf16", "fp16")),
        ("upcast", ("bf16", "fp16")),
        ("fp32-exact", ("int8",)),
        ("int_mm", ("int8",)),
    ],
)
def test_every_loop_over_experts_is_right(case: dict, name: str, precisions: tuple[str, ...]) -> None:
    for precision in precisions:
        assert_right(GROUPED, made(GROUPED, case, precision), name)


def test_the_products_made_for_a_gpu_are_right_where_torch_has_them_here_too() -> None:
    assert_right(GROUPED, made(GROUPED, ALIGNED, "bf16"), "grouped_mm")
    assert_right(GROUPED, made(GROUPED, ALIGNED, "fp8"), "scaled_mm")


def test_sampled_rows_and_the_projection_are_those_of_the_whole_answer() -> None:
    inputs = made(GROUPED, CASES[1], "fp64")
    whole = GROUPED.reference(inputs)
    rows = torch.tensor([6, 0, 3])
    assert torch.equal(GROUPED.reference(inputs, rows), whole[rows])
    vector = torch.randn(whole.shape[1], dtype=torch.float64)
    projection = GROUPED.projection(inputs, vector)
    assert projection is not None and torch.allclose(projection, whole @ vector)


def test_where_each_implementation_applies() -> None:
    assert {"loop", "grouped_mm"} <= set(available(GROUPED, ALIGNED, "bf16", H100))
    assert {"scaled_grouped_mm", "scaled_mm"} <= set(available(GROUPED, ALIGNED, "fp8", H100))
    assert "grouped_mm" in available(GROUPED, ALIGNED, "bf16", MI300X)
    assert "loops elsewhere" in reason(GROUPED, "grouped_mm", ALIGNED, "bf16", T4)
    assert "multiples of 8" in reason(GROUPED, "grouped_mm", {**ALIGNED, "k": 60}, "bf16", H100)
    assert "multiples of 16" in reason(GROUPED, "scaled_grouped_mm", {**ALIGNED, "k": 72}, "fp8", H100)
    assert "least busy expert" in reason(GROUPED, "int_mm", {**ALIGNED, "tokens": 4}, "int8", H100)
    assert available(GROUPED, ALIGNED, "int8", AVX2) == ["fp32-exact"]
    assert available(GROUPED, ALIGNED, "fp32", HERE) == ["loop"]


def test_more_experts_a_token_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="top_k=9 is more than experts=8"):
        GROUPED.parse_case("experts=8,top_k=9,tokens=1,n=1,k=1")


@pytest.mark.parametrize("device", DEVICES)
def test_only_the_full_suite_has_cases(device) -> None:
    assert [bool(GROUPED.cases(suite, device)) for suite in SUITES] == [False, False, True]
    for case in GROUPED.cases("full", device):
        GROUPED.complete_case(case)
