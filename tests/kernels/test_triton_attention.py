"""The Triton kernels of attention agree with their reference in the interpreter, and their blocks suit each case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from bench.kernel import SUITES, iterate_cases
from bench.precision import UNIT_ROUNDOFF
from kernels.attention import Attention
from kernels.attention.shapes import integers
from kernels.attention.tiles import CANDIDATES, SUMS_PER_THREAD, WARP, candidates, widths
from kernels.triton_tuning import SHARED_MEMORY_BYTES, family
from tests.kernels.checks import H100, MI250X, MI300X, reason, skip_without_interpreter

KERNEL = Attention()
SCRIPT = Path(__file__).parent / "triton_attention_interpreter.py"
TIMEOUT_S = 600.0
HEAD_DIMS = (1, 8, 16, 32, 40, 64, 80, 96, 128, 192, 256, 576)
PRECISIONS = ("fp32", "fp16", "bf16", "fp8", "int8")
KINDS = (*((precision, "triton") for precision in PRECISIONS), ("tf32", "triton"), ("int8", "triton-mixed"))
RAGGED = (
    # q_len, kv_len, causal: one key, fewer keys than queries, whole blocks, and one more and one fewer than a block.
    (1, 1, 1), (40, 7, 0), (32, 64, 0), (33, 65, 1), (31, 63, 1), (5, 97, 1), (64, 64, 1), (2, 33, 0),
)  # fmt: skip
SMALL_BLOCKS = {"block_rows": 16, "block_keys": 32, "splits": 1, "transpose": 0}


def tasks() -> list[dict[str, Any]]:
    """Everything that one interpreter is asked."""
    asked: list[dict[str, Any]] = []

    def ask(precision: str, label: str = "", implementation: str = "triton", **more: Any) -> None:
        case = {"heads": 2, "kv_heads": 1, **more.pop("case")}
        written = ",".join(f"{name}={value}" for name, value in case.items())
        name = " ".join(filter(None, (implementation, precision, label, written)))
        asked.append({"name": name, "case": case, "precision": precision, "implementation": implementation, **more})

    causal = cycle((0, 1))  # the precisions are odd in number: over two head sizes each has both
    for head_dim in HEAD_DIMS:
        for precision in PRECISIONS:
            case = {"q_len": 9, "kv_len": 45, "head_dim": head_dim, "causal": next(causal)}
            if head_dim > 512:
                case |= {"value_dim": 512, "kv_len": 33}
            ask(precision, case=case, config=SMALL_BLOCKS)
    for q_len, kv_len, is_causal in RAGGED:
        for precision in ("fp16", "fp8", "int8"):
            case = {"q_len": q_len, "kv_len": kv_len, "head_dim": 24, "causal": is_causal}
            ask(precision, "ragged", case=case | {"heads": 6, "kv_heads": 2})
    for precision, implementation in KINDS:
        ask(
            precision, "splits", implementation, config={**SMALL_BLOCKS, "splits": 3},
            case={"q_len": 3, "kv_len": 130, "head_dim": 32, "causal": 1, "batch": 2},
        )  # fmt: skip
        mla = {"q_len": 1, "kv_len": 70, "head_dim": 72, "value_dim": 64, "shared_kv": 1, "heads": 5, "causal": 1}
        ask(precision, "latent", implementation, case=mla)
        for is_causal in (0, 1):
            biased = {"q_len": 20, "kv_len": 50, "head_dim": 16, "bias": "heads", "causal": is_causal}
            ask(precision, "", implementation, case={**biased, "kv_heads": 2, "batch": 2})
    # More splits than blocks of keys: some have nothing to do.
    ask("fp16", "idle splits", case={"q_len": 1, "kv_len": 40, "head_dim": 32}, config={**SMALL_BLOCKS, "splits": 7})
    ask("bf16", "no view of keys", case={"q_len": 1, "kv_len": 40, "head_dim": 40, "value_dim": 24, "shared_kv": 1})
    ask("fp16", "twice", case={"q_len": 9, "kv_len": 45, "head_dim": 40}, twice=True)
    for precision in ("fp8", "int8"):
        turned = {"q_len": 17, "kv_len": 45, "head_dim": 40, "causal": 1}
        ask(precision, "transposed values", case=turned, config={**SMALL_BLOCKS, "transpose": 1}, twice=True)
    for data in ("uniform", "zeros", "ones"):
        for precision in ("bf16", "fp8", "int8"):
            ask(precision, data, case={"q_len": 9, "kv_len": 70, "head_dim": 32, "causal": 1}, data=data)
    plain = {"q_len": 17, "kv_len": 100, "head_dim": 32, "causal": 1}
    for change, precisions in {
        "scores × 30": ("fp32", "fp16", "bf16", "int8", "fp8"),
        "scores × 1000": ("int8", "fp8"),
        "one huge value": ("fp32", "fp16", "bf16"),
        "one huge key": ("fp32", "fp16", "bf16"),
        "far below zero": ("fp32", "fp16", "bf16"),
        "rising": ("fp32", "fp16", "bf16", "fp8"),
        "odd scales": ("int8", "fp8"),
        "extreme integers": ("int8",),
    }.items():
        for precision in precisions:
            ask(precision, change, case=plain, change=change)
    for change in ("scores × 1000", "odd scales", "extreme integers"):
        ask("int8", change, "triton-mixed", case=plain, change=change)
    for precision in ("fp32", "bf16", "int8", "fp8"):
        ask(precision, "hidden by the bias", case={**plain, "causal": 0, "bias": "heads"}, change="hidden by the bias")
    return asked


TASKS = {task["name"]: task for task in tasks()}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What the interpreter answers to all tasks. A process of its own: TRITON_INTERPRET counts at import only."""
    skip_without_interpreter()
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=json.dumps(list(TASKS.values())),
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", TASKS)
def test_attention_agrees_with_its_reference(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    assert "raised" not in answer, answer
    assert answer["finite"] and answer["shape"], answer
    if TASKS[name].get("data") != "zeros":  # nothing over nothing is no error
        assert answer["error"] <= answer["tolerance"], answer
    if TASKS[name]["precision"] in ("fp8", "int8"):
        assert answer["dtype"] == "torch.bfloat16"


def test_weights_that_are_rounded_still_add_up_to_one(answers: dict[str, dict[str, Any]]) -> None:
    same = [answer for name, answer in answers.items() if TASKS[name].get("data") == "ones"]
    assert len(same) == 3
    assert all(answer["error"] <= UNIT_ROUNDOFF["bf16"] for answer in same)  # what the output alone rounds away


def test_each_name_is_asked_once() -> None:
    assert len(TASKS) == len(tasks())


# --- block sizes ------------------------------------------------------------------------------------------------------

A100 = replace(H100, capability=(8, 0), architecture="sm_80", units=108)
L4 = replace(H100, capability=(8, 9), architecture="sm_89", units=58)
B200 = replace(H100, capability=(10, 0), architecture="sm_100", units=148)
GPUS = (A100, L4, replace(H100, units=132), B200, replace(MI300X, units=304), replace(MI250X, units=104))
MLA = KERNEL.parse_case("batch=32,heads=128,kv_heads=1,q_len=1,kv_len=4096,head_dim=576,value_dim=512,shared_kv=1")


@pytest.mark.parametrize(
    ("head_dim", "element_bytes", "expected"),
    [(128, 2, (128, 0)), (40, 2, (32, 16)), (40, 1, (64, 0)), (96, 2, (64, 32)), (80, 1, (64, 32)), (576, 2, (512, 64)),
     (1, 2, (16, 0)), (8, 1, (32, 0)), (72, 2, (64, 16)), (112, 2, (128, 0))],
)  # fmt: skip
def test_a_head_is_held_by_as_little_as_two_powers_of_two_allow(
    head_dim: int, element_bytes: int, expected: tuple[int, int]
) -> None:
    fit = widths({"head_dim": head_dim, "value_dim": 24, "shared_kv": 0}, element_bytes)
    assert (fit.main, fit.rest, fit.value) == (*expected, 32)


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.architecture)
@pytest.mark.parametrize("precision", ["fp8", "bf16", "fp32"])
def test_every_case_of_every_suite_has_blocks_that_fit(gpu: Any, precision: str) -> None:
    element_bytes = {"fp8": 1, "bf16": 2, "fp32": 4}[precision]
    for case in (*iterate_cases(KERNEL, SUITES, gpu), MLA):
        c = integers(case)
        fit = widths(c, element_bytes)
        found = candidates(family(gpu), c, element_bytes, gpu.units, matrix=precision != "fp32")
        assert len(set(found)) == len(found) <= CANDIDATES
        assert found or precision == "fp32"  # a latent of 576 FP32 numbers and 64 KiB
        for each in found:
            assert each["block_rows"] >= 16
            assert each["block_keys"] * element_bytes >= 32
            assert each["splits"] <= max(1, -(-c["kv_len"] // each["block_keys"]))
            assert each["block_rows"] * fit.value <= SUMS_PER_THREAD * each.warps * WARP
            of_keys = each.stages * each["block_keys"] * fit.total * element_bytes
            assert of_keys + each["block_rows"] * fit.total * element_bytes <= SHARED_MEMORY_BYTES[family(gpu)]


def test_a_case_without_blocks_that_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    small = replace(MI250X, units=104)
    assert reason(KERNEL, "triton", MLA, "fp32", small).startswith("no block of the Triton kernel fits")
    assert reason(KERNEL, "triton", MLA, "bf16", small) == ""


def test_a_latent_is_loaded_once_where_its_first_part_is_the_value() -> None:
    assert widths(integers(MLA), 2).reuse
    narrower = KERNEL.parse_case("heads=8,kv_heads=1,q_len=1,kv_len=64,head_dim=576,value_dim=500,shared_kv=1")
    assert not widths(integers(narrower), 2).reuse


def test_few_queries_over_many_keys_are_split_among_the_multiprocessors() -> None:
    case = integers(KERNEL.parse_case("heads=32,kv_heads=8,q_len=1,kv_len=131072,head_dim=128"))
    found = candidates("sm_90", case, 2, 132)
    assert all(8 * each["splits"] >= 132 for each in found)
    assert {each["block_rows"] for each in found} == {16}


def test_many_queries_are_not_split() -> None:
    case = integers(KERNEL.parse_case("batch=4,heads=32,kv_heads=8,q_len=4096,kv_len=4096,head_dim=128,causal=1"))
    for gpu in GPUS:
        found = candidates(family(gpu), case, 2, gpu.units)
        assert {each["splits"] for each in found} == {1}
        assert len(found) >= 4


def test_only_eight_bit_values_are_transposed() -> None:
    case = integers(KERNEL.parse_case("heads=32,kv_heads=8,q_len=4096,kv_len=4096,head_dim=128"))
    assert {each["transpose"] for each in candidates("sm_90", case, 1, 132)} == {0, 1}
    assert {each["transpose"] for each in candidates("sm_90", case, 2, 132)} == {0}
    shared = integers(KERNEL.parse_case("heads=8,kv_heads=1,q_len=512,kv_len=512,head_dim=72,value_dim=64,shared_kv=1"))
    assert {each["transpose"] for each in candidates("sm_90", shared, 1, 132)} == {0}
