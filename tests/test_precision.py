"""The precisions: what each means agrees with torch, and the tolerance follows its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.precision import PRECISIONS, UNIT_ROUNDOFF, tolerance

STORED = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@pytest.mark.parametrize("name", PRECISIONS)
def test_each_precision_names_a_type_of_torch_with_its_width(name: str) -> None:
    precision = PRECISIONS[name]
    dtype = getattr(torch, precision.torch_dtype)
    assert torch.empty(0, dtype=dtype).element_size() * 8 == precision.bits


@pytest.mark.parametrize(("name", "dtype"), [*STORED.items(), ("fp8", torch.float8_e4m3fn)])
def test_unit_roundoff_is_half_the_distance_from_one_to_the_next_number(name: str, dtype: torch.dtype) -> None:
    assert UNIT_ROUNDOFF[name] == torch.finfo(dtype).eps / 2


def test_tf32_rounds_as_fp16_does_and_is_stored_as_fp32() -> None:
    # TF32 keeps 10 explicit bits, as many as FP16 (NVIDIA A100 whitepaper).
    assert UNIT_ROUNDOFF["tf32"] == UNIT_ROUNDOFF["fp16"]
    assert PRECISIONS["tf32"].torch_dtype == PRECISIONS["fp32"].torch_dtype


def test_output_and_accumulation_have_a_known_rounding() -> None:
    for precision in PRECISIONS.values():
        assert precision.output in UNIT_ROUNDOFF
        assert precision.accumulate in UNIT_ROUNDOFF


def test_only_integers_are_counted_in_ops_and_have_to_be_exact() -> None:
    assert [p.name for p in PRECISIONS.values() if p.integer] == ["int8"]
    int8 = PRECISIONS["int8"]
    assert tolerance(int8.output, int8.accumulate, 2**20) == 0


def test_tolerance_is_the_designs_formula() -> None:
    assert tolerance("fp16", "fp32", 4096) == pytest.approx(4 * 2**-11 + 4 * math.sqrt(4096) * 2**-24)


@given(k=st.integers(min_value=1, max_value=2**30))
def test_tolerance_grows_with_the_reduction_and_shrinks_with_the_precision(k: int) -> None:
    ladder = [tolerance(PRECISIONS[p].output, PRECISIONS[p].accumulate, k) for p in ("fp64", "fp32", "fp16", "bf16")]
    assert ladder == sorted(ladder)
    assert tolerance("fp32", "fp32", k) <= tolerance("fp32", "fp32", 2 * k)


@pytest.mark.parametrize("name", ["fp64", "fp32", "fp16", "bf16"])
@pytest.mark.parametrize("k", [16, 4096])
def test_the_tolerance_passes_rounded_sums_and_catches_the_next_coarser_precision(name: str, k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn(32, k, generator=generator, dtype=torch.float64)
    precision = PRECISIONS[name]
    inputs = exact.to(STORED[name])
    reference = inputs.double().sum(1)
    accumulated = inputs.to(getattr(torch, PRECISIONS[precision.accumulate].torch_dtype)).sum(1)
    allowed = tolerance(precision.output, precision.accumulate, k)

    def error(output: torch.Tensor) -> float:
        return float((output.double() - reference).norm() / reference.norm())

    assert error(accumulated.to(STORED[name])) <= allowed
    coarser = {"fp64": torch.float32, "fp32": torch.float16, "fp16": torch.float8_e4m3fn, "bf16": torch.float8_e4m3fn}
    assert error(accumulated.to(coarser[name])) > allowed


@pytest.mark.parametrize("at_once", [8, 4])  # Hopper's tensor cores, Ampere's
@pytest.mark.parametrize("k", [384, 16384])
def test_the_tolerance_at_tf32_passes_sums_that_are_cut_off_and_catches_bf16(k: int, at_once: int) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(200, k, generator=generator).half().double() for _ in range(2))  # as many bits as TF32
    reference = (a * b).sum(1)
    total = torch.zeros(200, dtype=torch.float64)
    for part in (a * b).split(at_once, dim=1):
        exact = total + part.sum(1)
        rounded = exact.float()
        too_far = rounded.double().abs() > exact.abs()
        total = torch.where(too_far, torch.nextafter(rounded, torch.zeros(())), rounded).double()
    allowed = tolerance("fp32", "fp32", k, precision="tf32")
    assert float((total - reference).norm() / reference.norm()) <= allowed
    coarser = (a.bfloat16().double() * b.bfloat16().double()).sum(1)
    assert float((coarser - reference).norm() / reference.norm()) > allowed
