"""Sets the spread of the harness's launches against that of torch's own timer: same product, same wall time.

    python benchmarks/repeatability.py [--launches 20] [--seconds 2] [--precision fp32,bf16,int8]
                                       [--case m=1024,n=1024,k=1024]

A launch is a fresh process that gives one figure, its median seconds a call. Ours is `python -m bench run` with one
GEMM; theirs is a process that builds the same implementation on the same inputs, through `bench.plugins`, and times it
by `torch.utils.benchmark.Timer.blocked_autorange`. A first run of ours, not counted, chooses the implementation. Caches
are warm on both sides, since their timer knows no other state, and both use as many threads.

Launches alternate ABBA. Wall time is equal in each pair, counted from when torch is there: ours gets --seconds for
inputs, reference, check, canaries, warm-up and timing, and may stop earlier by its own rules; theirs gets what the last
launch of ours took, for building the call and for blocked_autorange.

Spread is the mean absolute deviation of the log of the launches' figures from its median. Printed: the ratio ours /
theirs with its 95 % bootstrap interval over pairs, and the one-sided p of "ours is larger" (sides of pairs exchanged at
random). Both sides' coefficients of variation say how steady the machine was.

Holds where p ≥ 0.05 and, if the launches scattered by more than 3 %, at least one row of ours said something against
itself (a status other than ok, or a reason for quarantine). Exit code 1 where it does not hold.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from math import log
from statistics import fmean, stdev

import launching

from bench import plugins, records
from bench.errors import BenchError, UnavailableError
from bench.stats.resampling import mean_deviation, paired_bootstrap, sign_flip_p
from bench.stats.robust import median, relative

SIGNIFICANT = 0.05
STEADY_CV = 0.03
"""Of either side's launches: above, the machine was not steady (ours; the aim for launches on a machine at rest)."""
MOST_S = 3.0
"""A quick run gives no row more."""
LEAST_TIMED_S = 0.2
"""blocked_autorange's own default."""
LEAST_LAUNCHES = 3
STARTS = 3
"""Tries of a launch whose budget went into starting, before the machine is taken to be too slow."""
THEIRS = "--theirs"  # this script's way of starting itself as the other side; not for users
START_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Launch:
    """One launch of ours: its figure, what it took and what it says of itself."""

    median_s: float
    wall_s: float
    start_s: float
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """All launches of one precision; `pairs` are (ours, theirs) in seconds a call."""

    precision: str
    implementation: str
    pairs: list[tuple[float, float]]
    doubts: list[tuple[str, ...]]

    @property
    def cvs(self) -> tuple[float, float]:
        """Standard deviation over mean of each side."""
        ours, theirs = zip(*self.pairs, strict=True)
        return stdev(ours) / fmean(ours), stdev(theirs) / fmean(theirs)


def main() -> int:
    if sys.argv[1:2] == [THEIRS]:
        return _theirs_here(*json.loads(sys.argv[2]))
    options = _options()
    held = True
    try:
        for precision in options.precision.split(","):
            held = _report(_compare(precision, options)) and held
    except BenchError as error:
        print(f"repeatability: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if held else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--launches", type=int, default=20, help="a side and precision (default: 20)")
    parser.add_argument("--seconds", type=float, default=2.0, help=f"a launch, at most {MOST_S:g} (default: 2)")
    parser.add_argument("--precision", default="fp32,bf16,int8", help="comma-separated (default: fp32,bf16,int8)")
    parser.add_argument("--case", default="m=1024,n=1024,k=1024", help="m=,n=,k=")
    options = parser.parse_args()
    if options.launches < LEAST_LAUNCHES:
        parser.error(f"--launches: {options.launches} is below {LEAST_LAUNCHES}")
    if not 0 < options.seconds <= MOST_S:
        parser.error(f"--seconds: {options.seconds:g} is outside 0 … {MOST_S:g}")
    return options


def _compare(precision: str, options: argparse.Namespace) -> Compared:
    # Chosen with time to spare, then launched once more by name: that one says what starting up takes here.
    chosen = launching.run(_arguments(precision, options, "best", 120.0)).measurements[0]
    if chosen.status not in records.MEASURED:
        raise UnavailableError(f"--precision {precision}: {chosen.status}: {chosen.reason}")
    name = chosen.implementation
    before = _ours(precision, options, name, start_s=10.0)
    pairs, doubts = [], []
    for pair in range(options.launches):
        print(f"{precision}: {pair + 1}/{options.launches}", file=sys.stderr, flush=True)
        if pair % 2:
            theirs_s = _theirs(precision, options, name, before.wall_s)
            before = _ours(precision, options, name, before.start_s)
        else:
            before = _ours(precision, options, name, before.start_s)
            theirs_s = _theirs(precision, options, name, before.wall_s)
        pairs.append((before.median_s, theirs_s))
        doubts.append(before.doubts)
    return Compared(precision, name, pairs, doubts)


def _arguments(precision: str, options: argparse.Namespace, implementation: str, budget_s: float) -> list[str]:
    row = ["--kernel", "gemm", "--case", options.case, "--precision", precision, "--implementation", implementation]
    return ["--device", "cpu", *row, "--cache", "warm", "--launches", "1", "--budget", f"{budget_s:g}"]


def _ours(precision: str, options: argparse.Namespace, name: str, start_s: float) -> Launch:
    """One launch; `start_s` is what the last one took to start, which the budget of a run includes.

    A budget of no more than that and the row's own also means that a disturbed row is not measured again: a second try
    would be wall time that the other side does not get.
    """
    for _ in range(STARTS):
        run = launching.run(_arguments(precision, options, name, start_s + options.seconds))
        if run.measurements or run.end is None:
            break
        start_s = run.end.wall_s  # starting took the whole budget: it gave no figure, and says how long starting takes
    row = run.measurements[0] if run.measurements else None
    if row is None or row.time is None or run.end is None:
        why = f"{row.status}: {row.reason}" if row else "the row was not measured"
        raise UnavailableError(f"{precision}: a launch gave no figure ({why})")
    doubts = [*(() if row.status == "ok" else (row.status,)), *row.also, *(("quarantined",) if row.quarantine else ())]
    wall_s = sum(row.spent_s.values())
    return Launch(row.time.median_s, wall_s, run.end.wall_s - wall_s, tuple(doubts))


def _theirs(precision: str, options: argparse.Namespace, name: str, wall_s: float) -> float:
    words = json.dumps([precision, options.case, name, wall_s])
    command = [sys.executable, __file__, THEIRS, words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UnavailableError(f"{precision}: torch's timer gave no figure: {last}")
    return float(done.stdout.split()[-1])


def _theirs_here(precision: str, case_words: str, name: str, wall_s: float) -> int:
    """The other side, in its own process: prints the median seconds a call."""
    import torch
    from torch.utils.benchmark import Timer

    from bench.devices import backend, discover, view
    from bench.kernel import Inputs

    device = discover("cpu")[0]
    if device.units.in_use:
        torch.set_num_threads(min(torch.get_num_threads(), device.units.in_use))  # as the harness's worker does
    installed = plugins.load()
    kernel = installed.kernel("gemm")
    started = time.perf_counter()
    with torch.inference_mode():
        backend(device).strict_fp32()
        case, seen = kernel.parse_case(case_words), view(device)
        tensors = kernel.inputs(case, precision, seen, "normal", torch.Generator().manual_seed(0))
        inputs = Inputs(case, precision, seen, tensors)
        call = installed.implementations("gemm")[name].build(kernel, inputs)
        timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
        left_s = wall_s - (time.perf_counter() - started)
        print(timer.blocked_autorange(min_run_time=max(LEAST_TIMED_S, left_s)).median)
    return 0


def _spread_ratio(pairs: list[tuple[float, float]]) -> float:
    ours, theirs = ([log(seconds) for seconds in side] for side in zip(*pairs, strict=True))
    return relative(mean_deviation(ours), mean_deviation(theirs))


def _excess(pairs: list[tuple[float, float]]) -> list[float]:
    """Of each pair, how much farther ours lies from its side's median than theirs from its own, in logs."""
    ours, theirs = ([log(seconds) for seconds in side] for side in zip(*pairs, strict=True))
    centre, other = median(ours), median(theirs)
    return [abs(a - centre) - abs(b - other) for a, b in zip(ours, theirs, strict=True)]


def _report(seen: Compared) -> bool:
    ratio, p = _spread_ratio(seen.pairs), sign_flip_p(_excess(seen.pairs))
    low, high = paired_bootstrap(seen.pairs, _spread_ratio)
    ours_cv, theirs_cv = seen.cvs
    doubted = sum(bool(each) for each in seen.doubts)
    steady = max(ours_cv, theirs_cv) <= STEADY_CV
    medians = [median(list(side)) for side in zip(*seen.pairs, strict=True)]
    print(f"\n{seen.precision}, {seen.implementation}, {len(seen.pairs)} launches a side")
    print(f"  median of launches: ours {medians[0]:.4g} s, theirs {medians[1]:.4g} s")
    print(f"  CV of launches: ours {ours_cv:.2%}, theirs {theirs_cv:.2%}")
    print(f"  spread ours / theirs: {ratio:.3f}, 95 % interval {low:.3f} … {high:.3f}")
    print(f"  p that ours is larger: {p:.4f}")
    words = ", ".join(f"{name} {count}" for name, count in Counter(d for each in seen.doubts for d in each).items())
    print(f"  ours doubted itself in {doubted} of {len(seen.doubts)} launches" + (f": {words}" if words else ""))
    if not steady:
        print(f"  the machine was not steady (CV above {STEADY_CV:.0%})" + ("" if doubted else ", AND NO ROW SAYS SO"))
    holds = p >= SIGNIFICANT and (steady or doubted > 0)
    print(f"  ours not shown larger (p ≥ {SIGNIFICANT:g}): {'holds' if holds else 'DOES NOT HOLD'}")
    return holds


if __name__ == "__main__":
    sys.exit(main())
