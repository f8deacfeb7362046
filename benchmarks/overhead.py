"""What the harness itself costs: the split of a run's wall time by phase, and how long `--help` takes.

    python benchmarks/overhead.py [RUN_FILE] [--pairs 20]

With a run file: the share of its wall time outside warm-up, checks and timed calls (at most 25 % is wanted). Always:
the time of `python -m bench --help` over that of `python -c pass`, alternated, with the interval of the median ratio
(order statistics, 95 %); at most 8 is wanted. Exit code 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from bench import records
from bench.errors import BenchError, UnavailableError
from bench.stats.intervals import median_interval
from bench.stats.robust import median

INSIDE = ("timed", "warmup", "check", "reference", "screen")
"""Timed calls, warm-up and checks. A reference is half of a check; screening consists of warm-up and timed calls."""
OUTSIDE_LIMIT = 0.25
HELP_LIMIT = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run", nargs="?", type=Path, help="a run file whose wall time is split by phase")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of starts, at least 6; 0: none")
    options = parser.parse_args()
    holds = True
    try:
        if options.run:
            holds &= _split(records.read(options.run), options.run)
    except BenchError as error:
        print(f"overhead: {error}", file=sys.stderr)
        return error.exit_code
    if options.pairs:
        holds &= _help(max(6, options.pairs))
    return 0 if holds else 1


def _split(run: records.RunFile, path: Path) -> bool:
    """Print seconds and share of each phase; whether the share outside is within the limit."""
    if run.end is None or not run.end.wall_s:
        raise UnavailableError(f"{path}: the run has not ended, so its wall time is not known")
    wall_s = run.end.wall_s
    spent: dict[str, float] = defaultdict(float)
    for row in run.measurements:
        for phase, seconds in row.spent_s.items():
            spent[phase] += seconds
    # Starting the worker, planning, writing, and whatever a row does between its phases.
    spent["not in any row"] = max(0.0, wall_s - sum(spent.values()))
    print(f"{path.name}: {wall_s:.1f} s wall, {len(run.measurements)} rows, suite {run.run.suite}")
    # Inside first, each side by size.
    for phase, seconds in sorted(spent.items(), key=lambda item: (item[0] not in INSIDE, -item[1])):
        side = "" if phase in INSIDE else "outside: "
        print(f"  {side + phase:<24}{seconds:9.2f} s {seconds / wall_s:7.1%}")
    share = sum(seconds for phase, seconds in spent.items() if phase not in INSIDE) / wall_s
    holds = share < OUTSIDE_LIMIT
    print(f"outside warm-up, checks and timed calls: {share:.1%}, wanted under {OUTSIDE_LIMIT:.0%}: {_verdict(holds)}")
    return holds


def _help(pairs: int) -> bool:
    """Print how many times `python -c pass` the help takes; whether that is within the limit."""
    ours = [sys.executable, "-m", "bench", "--help"]
    empty = [sys.executable, "-c", "pass"]
    _start_s(ours), _start_s(empty)
    ratios = []
    for pair in range(pairs):
        order = (ours, empty) if pair % 2 else (empty, ours)
        seconds = {command[1]: _start_s(command) for command in order}
        ratios.append(seconds["-m"] / seconds["-c"])
    low, high = median_interval(ratios) or (min(ratios), max(ratios))
    holds = median(ratios) <= HELP_LIMIT
    print(
        f"python -m bench --help / python -c pass: {median(ratios):.2f} ({low:.2f} … {high:.2f}, {pairs} pairs), "
        f"wanted at most {HELP_LIMIT:g}: {_verdict(holds)}"
    )
    return holds


def _start_s(command: list[str]) -> float:
    """Wall seconds of a command, its output thrown away."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _verdict(holds: bool) -> str:
    return "holds" if holds else "DOES NOT HOLD"


if __name__ == "__main__":
    sys.exit(main())
