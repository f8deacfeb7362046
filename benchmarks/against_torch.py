"""Sets the best implementation of every kernel and precision against the plain torch call that a user would write.

    python benchmarks/against_torch.py [--kernel gemm,conv,attention] [--precision fp32,int8] [--suite quick]
                                       [--cases 2] [--pairs 12] [--block 0.2]

Plain is torch.matmul, conv2d, scaled_dot_product_attention; for int8 torch._int_mm, conv2d on integers (torch has no
int8 convolution with 32-bit sums), and both attention products by torch._int_mm, head by head. Blocks alternate in one
process (ABBA); each pair gives one ratio, plain / best, and the interval is that of the median ratio (order
statistics, 95 %). The plain output has to pass the same check, or the row says by how much it fails it.

A row holds while its interval reaches 1.0, and above 1.2 (`AIMS`) for FP16 convolution, INT8 GEMM and INT8 attention.
Behind the names stand the other implementations that were right here, with their time over the best's in the race.
Exit code 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from blocks import seconds_per_call

from bench import plugins
from bench.devices import Backend, backend, discover, view
from bench.errors import BenchError
from bench.kernel import Call, DeviceView, Inputs, Kernel
from bench.stats.intervals import median_interval
from bench.stats.robust import median
from bench.timing import CachePlan, check_call, prepare
from bench.timing.race import draw_width, medians, race, winner

WARM = CachePlan("warm")
KERNELS = "gemm,conv,attention"
AIMS = {("conv", "fp16"): 1.2, ("gemm", "int8"): 1.2, ("attention", "int8"): 1.2}
SLOW_CALLS_S = 2.0  # a plain call as slow as that needs no dozen pairs
FEWEST_PAIRS = 6  # for a 95 % interval of a median


@dataclass(frozen=True)
class Best:
    """The winner of the race among what is right, and how the others did."""

    name: str
    call: Call
    tried: str


def main() -> int:
    options = _options()
    try:
        record = discover("cpu")[0]
        seen, device = view(record), backend(record)
        held = [
            _row(device, seen, plugins.load().kernel(name), dict(case), precision, options)
            for name in options.kernel.split(",")
            for case in plugins.load().kernel(name).cases(options.suite, seen)[: options.cases]
            for precision in options.precision.split(",")
        ]
    except BenchError as error:
        print(f"against_torch: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if all(held) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--kernel", default=KERNELS)
    parser.add_argument("--precision", default="fp64,fp32,bf16,fp16,int8")
    parser.add_argument("--suite", default="quick", help="quick, standard or full")
    parser.add_argument("--cases", type=int, default=2, help="cases of the suite, its first ones")
    parser.add_argument("--pairs", type=int, default=12, help=f"pairs of blocks a row, at least {FEWEST_PAIRS}")
    parser.add_argument("--block", type=float, default=0.2, help="seconds a block")
    return parser.parse_args()


def _row(
    device: Backend, seen: DeviceView, kernel: Kernel, case: dict[str, Any], precision: str, options: argparse.Namespace
) -> bool:
    """Print one row; whether it holds."""
    import torch

    complete = kernel.complete_case(case)
    with torch.inference_mode(), device.precision_mode(precision):
        generator = torch.Generator().manual_seed(0)
        tensors = kernel.inputs(complete, precision, seen, "normal", generator)
        inputs = Inputs(complete, precision, seen, tensors)
        expected = prepare(kernel, inputs, seed=0)
        best = _best(device, kernel, inputs, expected, options.block)
        plain = plain_call(kernel.name, inputs)
        check, why = check_call(plain, expected, _accumulate(kernel, best.name, precision), device)
        ratio, interval = _ratio(device, plain, best.call, options)
    aim = AIMS.get((kernel.name, precision), 1.0)
    holds = interval[1] >= aim if aim == 1.0 else interval[0] > aim
    shape = ",".join(f"{name}={value}" for name, value in complete.items())
    print(
        f"{kernel.name:<10}{precision:<6}{ratio:>8.2f}  {interval[0]:.2f} … {interval[1]:.2f}  "
        f"{'holds' if holds else 'DOES NOT HOLD'}  {best.name} ({best.tried})  {shape}"
        f"{'' if check.passed else f'; plain is wrong: {why}'}",
        flush=True,
    )
    return holds


def _accumulate(kernel: Kernel, name: str, precision: str) -> str:
    return plugins.load().implementations(kernel.name)[name].accumulates(precision)


def _best(device: Backend, kernel: Kernel, inputs: Inputs, expected: Any, look_s: float) -> Best:
    """What a run with `--implementation best` times; BenchError where nothing is right."""
    calls: dict[str, Callable[[], Any]] = {}
    for one in plugins.load().implementations(kernel.name).values():
        precision = inputs.precision
        if one.reason_unsupported(inputs.case, precision, inputs.device) or one.reason_not_best(precision):
            continue
        try:
            call = one.build(kernel, inputs)
            check, reason = check_call(call, expected, one.accumulates(precision), device)
        except Exception as error:  # an implementation may raise anything: it is left out with its reason
            print(f"{kernel.name} {one.name} {precision}: {error}", file=sys.stderr)
            continue
        if check.passed:
            calls[one.name] = call
        else:
            print(f"{kernel.name} {one.name} {precision}: {reason}", file=sys.stderr)
    if not calls:
        raise BenchError(f"no implementation of {kernel.name} is right at {inputs.precision}")
    looks = race(calls, device, WARM, look_s)
    seconds = medians(looks)
    name = winner(seconds, draw_width(looks))
    others = [f"{other} ×{each / seconds[name]:.2f}" for other, each in seconds.items() if other != name]
    return Best(name, calls[name], f"tried: {', '.join(others)}" if others else "the only one here")


def plain_call(kernel: str, inputs: Inputs) -> Call:
    """What a user would write, on the same tensors."""
    return {"gemm": _plain_gemm, "conv": _plain_conv, "attention": _plain_attention}[kernel](inputs)


def _plain_gemm(inputs: Inputs) -> Call:
    import torch

    case, a, b = inputs.case, inputs["a"], inputs["b"]
    a = a.transpose(-2, -1) if case["trans_a"] else a
    b = b.transpose(-2, -1) if case["trans_b"] else b
    if inputs.precision != "int8":
        return lambda: torch.matmul(a, b)
    if a.dim() == 2:
        return lambda: torch._int_mm(a, b)
    return lambda: torch.stack([torch._int_mm(x, y) for x, y in zip(a, b, strict=True)])


def _plain_conv(inputs: Inputs) -> Call:
    from torch.nn.functional import conv2d

    case, x, w = inputs.case, inputs["x"], inputs["w"]
    stride, padding, groups = int(case["stride"]), int(case["padding"]), int(case["groups"])
    if inputs.precision == "int8":
        return lambda: conv2d(x.int(), w.int(), stride=stride, padding=padding, groups=groups)
    return lambda: conv2d(x, w, stride=stride, padding=padding, groups=groups)


def _plain_attention(inputs: Inputs) -> Call:
    from torch.nn.functional import scaled_dot_product_attention

    case, q, k = inputs.case, inputs["q"], inputs["k"]
    if inputs.precision == "int8":
        return lambda: _int8_heads(inputs)
    grouped = case["heads"] != case["kv_heads"]
    square = bool(case["causal"]) and case["q_len"] == case["kv_len"]
    return lambda: scaled_dot_product_attention(q, k, inputs["v"], is_causal=square, enable_gqa=grouped)


def _int8_heads(inputs: Inputs) -> Any:
    """Both products in int8 by torch._int_mm: scores, softmax, weights of 0 … 127, values."""
    import torch

    case = inputs.case
    q, k, v = (inputs[name].flatten(0, 1) for name in "qkv")
    group = len(q) // len(k)
    scale = float(inputs["q_scale"]) * float(inputs["k_scale"]) / sqrt(int(case["head_dim"]))
    heads = []
    for index, queries in enumerate(q):
        scores = torch._int_mm(queries, k[index // group].T).float() * scale
        if case["causal"]:
            above = torch.ones_like(scores, dtype=torch.bool).triu_(scores.shape[1] - scores.shape[0] + 1)
            scores.masked_fill_(above, float("-inf"))
        weights = torch.softmax(scores, -1)
        step = weights.amax(-1, keepdim=True) / 127.0
        levels = (weights / step).round_().to(torch.int8)
        heads.append(torch._int_mm(levels, v[index // group]).float() * step * float(inputs["v_scale"]))
    return torch.stack(heads).view(*inputs["q"].shape[:3], -1).bfloat16()


def _ratio(device: Backend, plain: Call, best: Call, options: argparse.Namespace) -> tuple[float, tuple[float, float]]:
    """The median of plain / best over alternating pairs of blocks, and its 95 % interval."""
    looks = [seconds_per_call(device, call, 1) for call in (plain, best)]
    counts = [max(1, int(options.block / look)) for look in looks]
    pairs = FEWEST_PAIRS if max(looks) > SLOW_CALLS_S else max(FEWEST_PAIRS, options.pairs)
    ratios = []
    for pair in range(pairs):
        sides = [(plain, counts[0]), (best, counts[1])]
        spent = [seconds_per_call(device, *side) for side in (reversed(sides) if pair % 2 else sides)]
        first, second = reversed(spent) if pair % 2 else spent
        ratios.append(first / second)
    interval = median_interval(ratios)
    assert interval is not None, "there are enough pairs"
    return median(ratios), interval


if __name__ == "__main__":
    sys.exit(main())
