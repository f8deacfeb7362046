"""Sets the harness against the obvious: its best gemm against a plain torch loop, its median against torch's timer.

    python benchmarks/against_plain_loop.py [--device cpu] [--precision fp32,int8] [--case m=1024,n=1024,k=1024]
                                            [--pairs 24] [--block 0.25] [--skip-timer] [--skip-loop]

Both comparisons alternate blocks in one process (ABBA), so that a drift of the clock or a neighbour's load meets both
sides; each pair gives one ratio, and the interval is that of the median ratio (order statistics, 95 %).

loop:  time of a plain loop over torch.mm or torch._int_mm / time of the best implementation. Holds while the interval
       reaches 1.0: what is called best is at least what anyone gets.
timer: median of `bench.timing.measure` (warm cache) / median of torch.utils.benchmark.Timer.blocked_autorange, on the
       same callable. Holds while the interval contains 1 and lies within ±5 %.

Exit code 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from blocks import alternate, ratio_of, seconds_per_call

from bench import plugins
from bench.devices import Backend, backend, discover, view
from bench.errors import BenchError
from bench.kernel import DeviceView, Implementation, Inputs, Kernel
from bench.stats.robust import median
from bench.timing import CachePlan, check_call, measure, prepare
from bench.timing.race import draw_width, medians, race, winner

WARM = CachePlan("warm")
AGREEMENT = 0.05  # how far the interval of the timers' ratio may reach from 1
SIDE_CPU, SIDE_GPU = 1024, 4096  # of the square product that is the default case


@dataclass(frozen=True)
class Setting:
    """One device, one case, and how long to look."""

    backend: Backend
    view: DeviceView
    kernel: Kernel
    case: dict[str, int | str]
    pairs: int
    block_s: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    precision: str
    comparison: str
    what: str
    ratio: float | None
    interval: tuple[float, float] | None
    verdict: str


def main() -> int:
    options = _options()
    try:
        setting = _setting(options)
        precisions = options.precision.split(",") if options.precision else list(setting.kernel.precisions)
        rows = [row for precision in precisions for row in _precision(setting, precision, options)]
    except BenchError as error:
        print(f"against_plain_loop: {error}", file=sys.stderr)
        return error.exit_code
    print(f"\ngemm {setting.case} on {setting.view.name}, {options.pairs} pairs of {options.block:g} s")
    print(f"{'precision':<10}{'against':<8}{'ratio':>8}  {'95 % interval':<18}{'':<24} what")
    for row in rows:
        ratio = f"{row.ratio:.3f}" if row.ratio is not None else ""
        interval = f"{row.interval[0]:.3f} … {row.interval[1]:.3f}" if row.interval else ""
        print(f"{row.precision:<10}{row.comparison:<8}{ratio:>8}  {interval:<18}{row.verdict:<24} {row.what}")
    return 1 if any(row.verdict == "DOES NOT HOLD" for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, xpu, …")
    parser.add_argument("--precision", default="", help="comma-separated; all that gemm has by default")
    parser.add_argument("--case", default="", help=f"m=,n=,k=; {SIDE_CPU} cubed on a CPU, else {SIDE_GPU} cubed")
    parser.add_argument("--pairs", type=int, default=24, help="pairs of blocks a comparison, at least 6")
    parser.add_argument("--block", type=float, default=0.25, help="seconds a block")
    parser.add_argument("--skip-loop", action="store_true")
    parser.add_argument("--skip-timer", action="store_true")
    return parser.parse_args()


def _setting(options: argparse.Namespace) -> Setting:
    record = discover(options.device)[0]
    seen = view(record)
    kernel = plugins.load().kernel("gemm")
    side = SIDE_CPU if seen.type == "cpu" else SIDE_GPU
    case = kernel.parse_case(options.case or f"m={side},n={side},k={side}")
    return Setting(backend(record), seen, kernel, case, max(6, options.pairs), options.block)


def _precision(setting: Setting, precision: str, options: argparse.Namespace) -> list[Row]:
    import torch

    print(f"{precision} …", file=sys.stderr, flush=True)
    with torch.inference_mode(), setting.backend.precision_mode(precision):
        generator = torch.Generator().manual_seed(0)
        tensors = setting.kernel.inputs(setting.case, precision, setting.view, "normal", generator)
        inputs = Inputs(setting.case, precision, setting.view, tensors)
        best, call = _best(setting, inputs)
        if call is None:
            return [Row(precision, "", best, None, None, "unsupported")]
        rows = []
        if not options.skip_loop:
            rows.append(_against_loop(setting, inputs, best, call))
        if not options.skip_timer:
            rows.append(_against_timer(setting, precision, best, call))
        return rows


def _best(setting: Setting, inputs: Inputs) -> tuple[str, Callable[[], Any] | None]:
    """The implementation that a run would choose (right, and the winner of the race), or why there is none."""
    expected = prepare(setting.kernel, inputs, seed=0)
    calls: dict[str, Callable[[], Any]] = {}
    reasons: list[str] = []
    for implementation in plugins.load().implementations("gemm").values():
        reason = implementation.reason_unsupported(setting.case, inputs.precision, setting.view)
        if not reason:
            call, reason = _checked(setting, implementation, inputs, expected)
            if call is not None:
                calls[implementation.name] = call
        if reason:
            reasons.append(reason)
    if not calls:
        return "; ".join(reasons), None
    looks = race(calls, setting.backend, WARM, setting.block_s)
    name = winner(medians(looks), draw_width(looks))
    return name, calls[name]


def _checked(
    setting: Setting, implementation: Implementation, inputs: Inputs, expected: Any
) -> tuple[Callable[[], Any] | None, str]:
    try:
        call = implementation.build(setting.kernel, inputs)
        accumulate = implementation.accumulates(inputs.precision)
        check, reason = check_call(call, expected, accumulate, setting.backend)
    except Exception as error:  # an implementation may raise anything: it is left out with its reason
        return None, f"{implementation.name}: {error}"
    return (call, "") if check.passed else (None, f"{implementation.name}: {reason}")


def _against_loop(setting: Setting, inputs: Inputs, best: str, call: Callable[[], Any]) -> Row:
    import torch

    a, b = inputs["a"], inputs["b"]
    name, plain = ("torch._int_mm", torch._int_mm) if inputs.precision == "int8" else ("torch.mm", torch.mm)

    def loop() -> Any:
        return plain(a, b)

    try:
        if inputs.precision == "fp8" or tuple(loop().shape) != (setting.case["m"], setting.case["n"]):
            raise RuntimeError("no such product")
    except RuntimeError as error:
        what = f"a plain {name} does not take it ({str(error).splitlines()[0][:60]})"
        return Row(inputs.precision, "loop", what, None, None, "nothing to set against")
    ours_calls, loop_calls = _calls(setting, call), _calls(setting, loop)
    pairs = alternate(
        setting.pairs,
        lambda: seconds_per_call(setting.backend, loop, loop_calls),
        lambda: seconds_per_call(setting.backend, call, ours_calls),
    )
    ratio, interval = ratio_of(pairs)
    holds = interval[1] >= 1.0
    return Row(inputs.precision, "loop", f"{name} / {best}", ratio, interval, "holds" if holds else "DOES NOT HOLD")


def _against_timer(setting: Setting, precision: str, best: str, call: Callable[[], Any]) -> Row:
    import torch
    from torch.utils.benchmark import Timer

    # Its default is one thread, whatever torch uses.
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    budget_s = max(2 * setting.block_s, 0.05)

    def ours() -> float:
        timing = measure([call], setting.backend, plan=WARM, capturable=False, budget_s=budget_s)
        return median(timing.samples_s)

    pairs = alternate(setting.pairs, ours, lambda: float(timer.blocked_autorange(min_run_time=setting.block_s).median))
    ratio, interval = ratio_of(pairs)
    holds = 1.0 - AGREEMENT < interval[0] <= 1.0 <= interval[1] < 1.0 + AGREEMENT
    what = f"bench.timing / torch.utils.benchmark, {best}"
    return Row(precision, "timer", what, ratio, interval, "holds" if holds else "DOES NOT HOLD")


def _calls(setting: Setting, call: Callable[[], Any]) -> int:
    """Calls that fill a block, from a second look: the first call may set things up."""
    call()
    return max(1, int(setting.block_s / seconds_per_call(setting.backend, call, 1)))


if __name__ == "__main__":
    sys.exit(main())
