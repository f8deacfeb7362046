"""Runs the Triton kernels of attention in Triton's interpreter, in a process of its own, for `test_triton_attention`.

A script: it reads tasks on stdin and prints answers, as JSON. A task is {"name", "case", "precision"} and, where they
are not the default, "implementation" ("triton"), "config" (block sizes past the choice), "data", "change" (a key of
`CHANGES`) and "twice" (whether the second call is the one to be judged).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED = 3


def main() -> None:
    """Answer the tasks on stdin."""
    import torch
    from triton_interpreter import repair_bf16_products

    torch.set_num_threads(1)  # the interpreter is Python; threads would only wait for each other
    repair_bf16_products()
    repair_rounding()
    patch_once()
    answers = {}
    with torch.inference_mode():
        for task in json.load(sys.stdin):
            try:
                answers[task["name"]] = answer(task)
            except Exception as error:  # it is the test that judges
                answers[task["name"]] = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(answers))


def repair_rounding() -> None:
    """Have the interpreter round FP32 to BF16 and FP8 as the hardware does: to nearest, ties to even.

    Its own rounding (Triton 3.7) drops a carry from significand to exponent, so that 15.9 becomes 8 in e4m3, and cuts
    BF16 off.
    """
    import numpy as np
    import torch
    import triton.language as tl
    from triton.runtime import interpreter

    as_it_is = interpreter._convert_float
    rounded = {
        "bf16": (torch.bfloat16, torch.int16, np.uint16),
        "fp8e4nv": (torch.float8_e4m3fn, torch.uint8, np.uint8),
    }

    def convert(values: Any, source: Any, target: Any, rounding: Any) -> Any:
        if source != tl.float32 or target.name not in rounded:
            return as_it_is(values, source, target, rounding)
        to, bits, storage = rounded[target.name]
        floats = torch.from_numpy(np.ascontiguousarray(values))
        return floats.to(to).view(bits).numpy().view(storage)

    interpreter._convert_float = convert


def patch_once() -> None:
    """Have the interpreter replace Triton's language by its own once, and not anew in every call of every function.

    It takes most of its time for that, and wraps what is wrapped already. Nothing here needs the language back.
    """
    from inspect import ismodule
    from types import SimpleNamespace

    import triton.language as tl
    from triton.runtime import interpreter

    as_it_is = interpreter._patch_lang
    patched: set[frozenset[str]] = set()

    def patch(function: Any) -> Any:
        modules = [value for value in function.__globals__.values() if ismodule(value)]
        names = frozenset(module.__name__ for module in modules if module in (tl, tl.core))
        if names not in patched:
            patched.add(names)
            as_it_is(function)
        return SimpleNamespace(restore=lambda: None)

    interpreter._patch_lang = patch


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """What the kernel makes of one task, set against the reference."""
    import torch
    from checks import OUTPUT_NAMES, made

    from kernels.attention import Attention
    from kernels.attention.triton_launch import launcher
    from kernels.triton_tuning import config

    kernel = Attention()
    inputs = made(kernel, task["case"], task["precision"], task.get("data", "normal"), SEED)
    CHANGES[task.get("change", "as made")](inputs)
    name = task.get("implementation", "triton")
    implementation = kernel.implementations()[name]
    if "config" in task:
        call = launcher(inputs, config(4, 2, **task["config"]), mixed=name == "triton-mixed")
    else:
        call = implementation.build(kernel, inputs)
    if task.get("twice"):
        call().fill_(7)  # what the first call left can't pass for the second's answer
    output = call()
    rows, wanted = kernel.rows(output, inputs.case).double(), kernel.reference(inputs)
    accumulate = implementation.accumulates(inputs.precision)
    c = inputs.case
    return {
        "error": float((rows - wanted).norm() / wanted.norm()),
        "tolerance": kernel.tolerance(c, inputs.precision, accumulate, OUTPUT_NAMES[output.dtype]),
        "finite": bool(torch.isfinite(rows).all()),
        "shape": list(output.shape) == [c["batch"], c["heads"], c["q_len"], c.get("value_dim", c["head_dim"])],
        "dtype": str(output.dtype),
    }


# --- what a task may do to its inputs ---------------------------------------------------------------------------------


def _scaled(factor: float) -> Callable[[Any], None]:
    """Scores so many times as large: by the scale of q where it has one, else by q itself."""

    def change(inputs: Any) -> None:
        inputs["q_scale" if "q_scale" in inputs.tensors else "q"].mul_(factor)

    return change


def _one_huge_value(inputs: Any) -> None:
    inputs["v"].select(-2, inputs.case["kv_len"] // 2)[..., 0] = 3.0e4


def _one_huge_key(inputs: Any) -> None:
    inputs["k"].select(-2, inputs.case["kv_len"] // 2)[..., 0] = -2.0e3


def _far_below_zero(inputs: Any) -> None:
    """All scores are equal and −1e6 or so."""
    inputs["q"].fill_(500.0)
    inputs["k"].fill_(-500.0)


def _rising(inputs: Any) -> None:
    """Each key's score is above those before it: the running maximum is raised in every block."""
    import torch

    count = inputs.case["kv_len"]
    inputs["q"].fill_(1.0)
    inputs["k"].copy_((torch.arange(count) / count * 2.0)[:, None].to(inputs["k"].dtype))


def _hide_by_bias(inputs: Any) -> None:
    """−inf hides all keys but every seventh, and with that whole blocks from some rows."""
    inputs["bias"].fill_(float("-inf"))
    inputs["bias"][..., ::7] = 0.5
    inputs["bias"][:, ::2, 32:64] = float("-inf")


def _odd_scales(inputs: Any) -> None:
    for name, scale in (("q_scale", 3.0e-4), ("k_scale", 40.0), ("v_scale", 1.7e3)):
        inputs[name].mul_(scale)


def _extreme_integers(inputs: Any) -> None:
    """q and k of −128 alone: the largest scores that there are; v −128 and 127."""
    inputs["q"].fill_(-128)
    inputs["k"].fill_(-128)
    inputs["v"].fill_(-128)
    inputs["v"][..., ::2] = 127


CHANGES: dict[str, Callable[[Any], None]] = {
    "as made": lambda inputs: None,
    "scores × 30": _scaled(30.0),
    "scores × 1000": _scaled(1000.0),
    "one huge value": _one_huge_value,
    "one huge key": _one_huge_key,
    "far below zero": _far_below_zero,
    "rising": _rising,
    "hidden by the bias": _hide_by_bias,
    "odd scales": _odd_scales,
    "extreme integers": _extreme_integers,
}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
