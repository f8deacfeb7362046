"""The Triton products agree with their reference in the interpreter, and say where they can't run."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.kernel import DeviceView
from kernels.gemm import Gemm, libraries
from kernels.gemm.tiles import CANDIDATES, LARGE, Product, candidates
from kernels.triton_tuning import SHARED_MEMORY_BYTES, family
from tests.kernels.checks import (
    AVX2,
    H100,
    HERE,
    MI250X,
    MI300X,
    T4,
    assert_right,
    made,
    reason,
    skip_without_interpreter,
)
from tests.kernels.triton_interpreter import in_interpreter

GEMM = Gemm()
SQUARE = {"m": 64, "n": 64, "k": 64}
PRECISIONS = ("fp16", "bf16", "fp8", "int8")
RAGGED = [
    {"batch": batch, "m": 33, "n": 29, "k": 45, "trans_a": trans_a, "trans_b": trans_b}
    for batch, trans_a, trans_b in product((1, 2), (0, 1), (0, 1))
]
ALIGNED = [
    {"m": 80, "n": 48, "k": 112, "trans_a": trans_a, "trans_b": trans_b} for trans_a, trans_b in product((0, 1), (0, 1))
]
"""Multiples of 16, which tensor descriptors can hold; not of the tiles."""
LONG_INT8 = {"m": 17, "n": 16, "k": 70_000}
"""70 000·128² is more than 2³⁰: beyond what FP32 holds exactly, within int32."""
MOVED = {"block_m": 32, "block_n": 32, "block_k": 32, "group_m": 2, "specialize": 0}


def named(case: dict[str, int]) -> str:
    return ",".join(f"{key}={value}" for key, value in case.items())


def tasks() -> list[dict[str, Any]]:
    """Everything that one interpreter is asked."""
    made: list[dict[str, Any]] = []

    def ask(case: dict[str, int], precision: str, label: str = "", **more: Any) -> None:
        name = " ".join(filter(None, (precision, named(case), label)))
        made.append({"name": name, "kernel": "gemm", "case": case, "precision": precision, **more})

    for case, precision in product([*RAGGED, *ALIGNED], PRECISIONS):
        ask(case, precision)
    ask({"m": 1, "n": 1, "k": 1}, "int8")
    ask({"m": 1, "n": 100, "k": 33, "trans_b": 1}, "bf16")
    ask(SQUARE, "fp16", "sums in fp16", implementation="triton-accumulate-fp16")
    ask(LONG_INT8, "int8", "lowest", fill="lowest")
    ask({**LONG_INT8, "k": 9000}, "int8", "lowest and highest", fill="lowest and highest")
    for trans_b in (0, 1):
        ask({"m": 16, "n": 16, "k": 2000, "trans_b": trans_b}, "fp16", "near overflow", fill="near overflow")
    for scales, shape in product(("tensor", "row"), (RAGGED[1], RAGGED[6], ALIGNED[1])):
        ask(shape, "fp8", f"scales by {scales}", scales=scales)
    for halves, scales in product((1, 2), ("tensor", "row")):
        moved = {**MOVED, "halves": halves}
        ask(ALIGNED[1], "fp8", f"descriptors, halves={halves}, scales by {scales}", scales=scales, config=moved)
    for halves, (case, precision) in product((1, 2), product(ALIGNED, ("fp16", "int8"))):
        if precision == "fp16" or not case["trans_a"]:
            ask(case, precision, f"descriptors, halves={halves}", config={**MOVED, "halves": halves})
    ask(SQUARE, "bf16", "no masks", config={"block_m": 32, "block_n": 64, "block_k": 16, "group_m": 8})
    return made


TASKS = {task["name"]: task for task in tasks()}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What the interpreter answers to all tasks."""
    skip_without_interpreter()
    return in_interpreter(list(TASKS.values()))


@pytest.mark.parametrize("name", TASKS)
def test_products_agree_with_their_reference(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    assert "raised" not in answer, answer
    assert answer["finite"] and answer["shape"]
    assert answer["error"] <= answer["tolerance"], answer
    if TASKS[name]["precision"] == "int8":
        assert (answer["error"], answer["dtype"]) == (0.0, "torch.int32")


def test_each_name_is_asked_once() -> None:
    assert len(TASKS) == len(tasks())


# --- where they run -----------------------------------------------------------------------------------------------

A100 = replace(H100, capability=(8, 0), architecture="sm_80", units=108)
L4 = replace(H100, capability=(8, 9), architecture="sm_89", units=58)
B200 = replace(H100, capability=(10, 0), architecture="sm_100", units=148)
RTX_5090 = replace(H100, capability=(12, 0), architecture="sm_120", units=170)
RX_7900 = replace(MI300X, architecture="gfx1100", units=96)
RX_9070 = replace(MI300X, architecture="gfx1201", units=56)
GPUS = (A100, L4, replace(H100, units=132), B200, RTX_5090, replace(MI300X, units=304), MI250X, RX_7900, RX_9070)


@pytest.fixture
def with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Triton is installed, and not told to interpret."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: object() if name == "triton" else found(name, package)
    )
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (A100, "sm_80"),
        (L4, "sm_89"),
        (H100, "sm_90"),
        (B200, "sm_100"),
        (RTX_5090, "sm_120"),
        (T4, ""),
        (MI300X, "gfx9"),
        (MI250X, "gfx9"),
        (replace(MI300X, architecture="gfx906"), ""),
        (replace(MI300X, architecture="gfx1030"), ""),
        (RX_7900, "gfx11"),
        (RX_9070, "gfx12"),
    ],
)
def test_a_device_belongs_to_a_family_of_tile_sizes(device: DeviceView, expected: str) -> None:
    assert family(device) == expected


@pytest.mark.usefixtures("with_triton")
def test_what_triton_takes_it_takes_on_every_family() -> None:
    for device in GPUS:
        for precision in ("fp16", "bf16", "int8"):
            assert reason(GEMM, "triton", SQUARE, precision, device) == ""
    assert reason(GEMM, "triton", SQUARE, "fp8", L4) == ""
    assert reason(GEMM, "triton", SQUARE, "fp8", MI300X) == ""


@pytest.mark.usefixtures("with_triton")
@pytest.mark.parametrize(
    ("device", "precision", "case", "words"),
    [
        (T4, "fp16", SQUARE, "compute capability 8.0"),
        (A100, "fp8", SQUARE, "compute capability 8.9"),
        (MI250X, "fp8", SQUARE, "gfx942"),
        (AVX2, "fp16", SQUARE, "runs on cuda"),
        (H100, "fp16", {**SQUARE, "n": 1 << 23}, "at most 4194304"),
        (H100, "fp32", SQUARE, "has no fp32"),
    ],
)
def test_what_triton_does_not_take_has_a_reason(
    device: DeviceView, precision: str, case: dict[str, int], words: str
) -> None:
    assert words in reason(GEMM, "triton", case, precision, device)


@pytest.mark.usefixtures("with_triton")
def test_sums_in_fp16_are_another_accumulation_and_nvidias_alone() -> None:
    found = GEMM.implementations()["triton-accumulate-fp16"]
    assert found.accumulates("fp16") == "fp16"
    assert reason(GEMM, found.name, SQUARE, "fp16", H100) == ""
    assert "AMD" in reason(GEMM, found.name, SQUARE, "fp16", MI300X)


def test_without_triton_or_in_its_interpreter_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    assert reason(GEMM, "triton", SQUARE, "fp16", H100) == "Triton is not installed"
    assert "not installed" in reason(GEMM, "compile", SQUARE, "fp16", H100)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert "nothing to measure" in reason(GEMM, "triton", SQUARE, "fp16", H100)


# --- tile sizes ---------------------------------------------------------------------------------------------------

SHAPES = [(1, 8192, 8192, 8192), (1, 1, 28672, 4096), (1, 8192, 16, 8192), (128, 384, 384, 384), (1, 1, 1, 1)]


@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize(("element_bytes", "output_bytes"), [(2, 2), (1, 4), (1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_candidates_fit_the_device_and_the_shape(
    device: DeviceView, element_bytes: int, output_bytes: int, shape: tuple[int, int, int, int]
) -> None:
    kind = family(device)
    wanted = Product(*shape, element_bytes, output_bytes, device.units)
    for descriptors in (False, True):
        found = candidates(kind, wanted, descriptors=descriptors)
        assert 1 <= len(found) == len(set(found)) <= CANDIDATES
        for each in found:
            rows, columns, terms = each["block_m"], each["block_n"], each["block_k"]
            assert min(rows, columns, terms) >= 16
            assert terms * element_bytes >= 32
            stages = 1 if kind.startswith("gfx") else each.stages
            assert stages * (rows + columns) * terms * element_bytes <= SHARED_MEMORY_BYTES[kind]


def test_a_large_product_gets_large_tiles_and_a_decoding_step_flat_ones() -> None:
    h100 = replace(H100, units=132)
    large = candidates(family(h100), Product(1, 8192, 8192, 8192, 2, 2, h100.units))
    flat = candidates(family(h100), Product(1, 1, 28672, 4096, 2, 2, h100.units))
    assert max(each["block_m"] * each["block_n"] for each in large) >= 128 * 256
    assert {each["block_m"] for each in flat} == {16}


def test_every_family_has_tiles_and_a_size_of_shared_memory() -> None:
    assert set(LARGE) == set(SHARED_MEMORY_BYTES)


# --- torch.compile and row-wise scales ----------------------------------------------------------------------------


def test_compiling_on_a_cpu_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no no-such-compiler" in reason(GEMM, "compile", SQUARE, "fp32", AVX2)
    monkeypatch.setattr(libraries.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert reason(GEMM, "compile", SQUARE, "fp32", AVX2) == ""
    assert "oneDNN needs" in reason(GEMM, "compile", SQUARE, "fp16", AVX2)


@pytest.mark.usefixtures("with_triton")
def test_compiling_on_a_gpu_needs_what_the_product_needs() -> None:
    assert reason(GEMM, "compile", SQUARE, "int8", H100) == ""
    assert "no batch" in reason(GEMM, "compile", {**SQUARE, "batch": 2}, "int8", H100)
    assert "m > 16" in reason(GEMM, "compile", {**SQUARE, "m": 16}, "int8", H100)
    assert "TF32" in reason(GEMM, "compile", SQUARE, "tf32", T4)


def test_row_wise_scales_need_fp8_units_and_multiples_of_16() -> None:
    assert reason(GEMM, "scaled_mm-rowwise", SQUARE, "fp8", H100) == ""
    assert "8.9" in reason(GEMM, "scaled_mm-rowwise", SQUARE, "fp8", A100)
    assert "multiples of 16" in reason(GEMM, "scaled_mm-rowwise", {**SQUARE, "k": 24}, "fp8", H100)
    assert "GPU" in reason(GEMM, "scaled_mm-rowwise", SQUARE, "fp8", AVX2)


@pytest.mark.slow
def test_what_is_compiled_is_right_for_one_shape_after_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if reason(GEMM, "compile", SQUARE, "fp32", HERE):
        pytest.skip(reason(GEMM, "compile", SQUARE, "fp32", HERE))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for case in (RAGGED[0], RAGGED[7]):
        assert_right(GEMM, made(GEMM, case, "fp32"), "compile")


@pytest.mark.parametrize("case", [{"m": 33, "n": 32, "k": 48}, {"batch": 2, "m": 5, "n": 16, "k": 16, "trans_a": 1}])
def test_products_with_row_wise_scales_are_right(case: dict[str, int]) -> None:
    assert_right(GEMM, made(GEMM, case, "fp8"), "scaled_mm-rowwise")


def test_a_compiler_is_asked_for_by_name_and_not_raced() -> None:
    assert "by name" in GEMM.implementations()["compile"].reason_not_best("fp32")
    assert "by name" in GEMM.implementations()["triton-accumulate-fp16"].reason_not_best("fp16")
    assert GEMM.implementations()["triton"].reason_not_best("fp16") == ""
