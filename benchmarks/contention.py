"""Shows that a busy neighbour is seen, and that a quiet machine is not accused of one.

    python benchmarks/contention.py [--rounds 2] [--row 1.5] [--precision fp32,int8]

`python -m bench run` measures small products and convolutions in runs alternated ABBA: quiet, loaded, loaded, quiet. In
the loaded ones a process of this script's own spins on one core, wherever the system puts it. A row counts that has
`contended` as its status or in `also`; rows that were never timed don't count on either side.

Runs get a budget that leaves no time to measure a disturbed row again: what is counted is the first verdict.

Holds where at least 9 of 10 rows with load are contended and at most 1 of 20 without. Shares are printed with Wilson's
95 % interval. The quiet side is only as quiet as the machine: run it where nothing else runs. Exit code 1 where it does
not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import launching

from bench import records
from bench.errors import BenchError
from bench.stats.proportions import wilson_interval

LEAST_WITH_LOAD = 0.9
MOST_WITHOUT = 0.05
START_S = 8.0
"""Of a run's budget, what importing torch and looking at the device may take."""
MOST_ROW_S = 3.0
"""A quick run gives no row more, and measures again from what is left over."""
CASES = {
    "gemm": ("m=512,n=512,k=512", "m=768,n=768,k=768", "m=256,n=1024,k=512"),
    "conv": (
        "n=1,c=64,h=28,w=28,k=64,r=3,s=3,padding=1",
        "n=1,c=128,h=28,w=28,k=128,r=3,s=3,padding=1",
        "n=1,c=256,h=14,w=14,k=256,r=1,s=1,padding=0",
    ),
}


@dataclass
class Side:
    """What the rows of one side were judged to be."""

    name: str
    timed: int = 0
    contended: int = 0
    not_timed: int = 0
    again: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, run: records.RunFile) -> None:
        """Count a run's rows."""
        for row in run.measurements:
            if row.status not in records.MEASURED:
                self.not_timed += 1
                continue
            self.timed += 1
            self.again += any(warning.startswith("measured again") for warning in row.warnings)
            if row.status == "contended" or "contended" in row.also:
                self.contended += 1
                self.reasons[row.reason if row.status == "contended" else ", ".join(row.also)] += 1

    @property
    def share(self) -> float:
        """Of the timed rows, those that were contended."""
        return self.contended / self.timed

    def line(self) -> str:
        """For the table."""
        low, high = wilson_interval(self.contended, self.timed)
        share = f"{self.contended} of {self.timed}"
        return f"{self.name:<9}{share:>10}{self.share:>8.0%}  {low:.0%} … {high:.0%}"


def main() -> int:
    options = _options()
    quiet, loaded = Side("without"), Side("with load")
    cores = []
    try:
        for kernel in options.kernel.split(","):
            for turn in range(options.rounds):
                for side in (quiet, loaded) if turn % 2 == 0 else (loaded, quiet):
                    print(f"{kernel}, {side.name} …", file=sys.stderr, flush=True)
                    if side is quiet:
                        side.add(_run(kernel, options))
                        continue
                    with _load() as share:
                        side.add(_run(kernel, options))
                        cores.append(share())
    except BenchError as error:
        print(f"contention: {error}", file=sys.stderr)
        return error.exit_code
    return _report(quiet, loaded, cores)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=2, help="runs a side and kernel; even: ABBA (default: 2)")
    parser.add_argument("--row", type=float, default=1.5, help=f"seconds a row, below {MOST_ROW_S:g} (default: 1.5)")
    parser.add_argument("--precision", default="fp32,int8", help="comma-separated (default: fp32,int8)")
    parser.add_argument("--kernel", default=",".join(CASES), help=f"of {', '.join(CASES)} (default: all)")
    options = parser.parse_args()
    if not 0 < options.row < MOST_ROW_S:
        parser.error(f"--row: {options.row:g} is outside 0 … {MOST_ROW_S:g}")
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not positive")
    if unknown := set(options.kernel.split(",")) - set(CASES):
        parser.error(f"--kernel: {', '.join(sorted(unknown))} is none of {', '.join(CASES)}")
    return options


def _run(kernel: str, options: argparse.Namespace) -> records.RunFile:
    rows = len(CASES[kernel]) * len(options.precision.split(","))
    # Start-up counts too; at no more than MOST_ROW_S a row in all, nothing is ever left over for a second try.
    budget_s = min(START_S + rows * options.row, rows * MOST_ROW_S)
    cases = [word for case in CASES[kernel] for word in ("--case", case)]
    arguments = ["--device", "cpu", "--kernel", kernel, "--precision", options.precision, *cases]
    return launching.run([*arguments, "--cache", "warm", "--launches", "1", "--budget", f"{budget_s:g}"])


@contextmanager
def _load() -> Iterator[Callable[[], float]]:
    """A process that spins, for the length of the block; gives a function that tells its share of a core so far."""
    import psutil

    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], stdin=subprocess.DEVNULL)
    started = time.monotonic()

    def share() -> float:
        spent = psutil.Process(process.pid).cpu_times()
        return float(spent.user + spent.system) / (time.monotonic() - started)

    try:
        yield share
    finally:
        process.kill()
        process.wait()


def _report(quiet: Side, loaded: Side, cores: list[float]) -> int:
    if not quiet.timed or not loaded.timed:
        print(f"contention: {quiet.timed} and {loaded.timed} rows were timed: nothing to compare", file=sys.stderr)
        return 1
    print(f"\n{'load':<9}{'contended':>10}{'share':>8}  95 % interval")
    for side in (quiet, loaded):
        print(side.line())
    print(f"\nthe load had {min(cores):.0%} … {max(cores):.0%} of a core")
    for side in (quiet, loaded):
        if side.not_timed or side.again:
            print(f"{side.name}: {side.not_timed} rows were not timed, {side.again} were measured again")
        for reason, count in side.reasons.most_common(3):
            print(f"{side.name}, {count} ×: {reason}")
    holds = loaded.share >= LEAST_WITH_LOAD and quiet.share <= MOST_WITHOUT
    verdict = "holds" if holds else "DOES NOT HOLD"
    print(f"\nat least {LEAST_WITH_LOAD:.0%} with load, at most {MOST_WITHOUT:.0%} without: {verdict}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
