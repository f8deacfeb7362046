"""The Triton convolution agrees with its reference in the interpreter, over every field of a case."""

from __future__ import annotations

import importlib.util
from itertools import product
from typing import Any

import pytest

from bench.kernel import SUITES, iterate_cases
from kernels.conv import Conv
from kernels.conv.geometry import geometry
from kernels.conv.triton_conv import configs_for
from tests.kernels.checks import AVX2, H100, MI300X, T4, reason, skip_without_interpreter
from tests.kernels.triton_interpreter import in_interpreter

CONV = Conv()
PLAIN = {"n": 2, "c": 16, "h": 8, "w": 8, "k": 16, "padding": 1}
LAYERS = [
    {"n": 2, "c": 6, "h": 9, "w": 11, "k": 4, "padding": 1},
    {"n": 2, "c": 6, "h": 9, "w": 11, "k": 4, "padding": 2, "stride": 2, "groups": 2},
    {"n": 2, "c": 64, "h": 5, "w": 7, "k": 40, "padding": 1},  # the block of terms divides the channels
    {"n": 1, "c": 128, "h": 6, "w": 6, "k": 34, "groups": 2, "stride": 2, "padding": 1},
    {"n": 2, "c": 8, "h": 7, "w": 7, "k": 16, "r": 1, "s": 1},
    {"n": 1, "c": 64, "h": 8, "w": 8, "k": 16, "r": 1, "s": 1, "stride": 2},
    {"n": 2, "c": 5, "h": 8, "w": 8, "k": 10, "groups": 5, "padding": 1},  # depthwise, two filters a channel
    {"n": 1, "c": 3, "h": 16, "w": 15, "k": 8, "r": 7, "s": 7, "stride": 2, "padding": 3},
    {"n": 1, "c": 1, "h": 20, "w": 40, "k": 8, "r": 5, "s": 20, "stride": 2},
    {"n": 1, "c": 64, "h": 1, "w": 1, "k": 3, "r": 1, "s": 1},
]
EXTREME = {"n": 1, "c": 192, "h": 6, "w": 6, "k": 8, "padding": 1, "r": 5, "s": 5}
"""4800 terms of ±128²: beyond what FP32 holds exactly."""


def named(case: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in case.items())


def tasks() -> list[dict[str, Any]]:
    """Everything that one interpreter is asked."""
    made = []
    for layer, layout, precision in product(LAYERS, ("nhwc", "nchw"), ("int8", "fp16")):
        case = {**layer, "layout": layout}
        made.append({"name": f"{precision} {named(case)}", "kernel": "conv", "case": case, "precision": precision})
    bf16 = {**LAYERS[1], "layout": "nhwc"}
    made.append({"name": f"bf16 {named(bf16)}", "kernel": "conv", "case": bf16, "precision": "bf16"})
    for layout, fill in (("nhwc", "lowest"), ("nchw", "lowest and highest")):
        case = {**EXTREME, "layout": layout}
        name = f"int8 {named(case)} {fill}"
        made.append({"name": name, "kernel": "conv", "case": case, "precision": "int8", "fill": fill})
    return made


TASKS = {task["name"]: task for task in tasks()}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What the interpreter answers to all tasks."""
    skip_without_interpreter()
    return in_interpreter(list(TASKS.values()))


@pytest.mark.parametrize("name", TASKS)
def test_convolutions_agree_with_their_reference(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer, task = answers[name], TASKS[name]
    assert "raised" not in answer, answer
    assert answer["finite"] and answer["shape"]
    assert answer["error"] <= answer["tolerance"], answer
    if task["precision"] == "int8":
        assert (answer["error"], answer["dtype"]) == (0.0, "torch.int32")
    if task["case"]["layout"] == "nhwc":
        assert answer["channels_last"]


def test_each_name_is_asked_once() -> None:
    assert len(TASKS) == len(tasks())


@pytest.fixture
def with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Triton is installed, and not told to interpret."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: object())
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


@pytest.mark.usefixtures("with_triton")
@pytest.mark.parametrize("device", [H100, MI300X])
def test_it_takes_every_layer_of_every_suite(device: Any) -> None:
    for case, precision in product(iterate_cases(CONV, SUITES, device), ("int8", "fp16", "bf16")):
        assert reason(CONV, "triton", case, precision, device) == ""
        found = configs_for(geometry(case), precision, device)
        assert all(each["block_k"] >= 32 for each in found)


@pytest.mark.usefixtures("with_triton")
def test_what_it_does_not_take_has_a_reason() -> None:
    assert "runs on cuda" in reason(CONV, "triton", PLAIN, "int8", AVX2)
    assert "compute capability 8.0" in reason(CONV, "triton", PLAIN, "int8", T4)
    large = {"n": 1 << 16, "c": 64, "h": 56, "w": 56, "k": 64}
    assert "less than 2**31 elements" in reason(CONV, "triton", large, "int8", H100)
