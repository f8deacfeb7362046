"""How often `ab` is right on this machine: sides that do not differ, and sides that differ by a slowness that is known.

    python -m pip install ./examples/planted-slowness
    python benchmarks/ab_calls.py --repeats 20

Comparisons go through the command line: unchanged code (three named cases), a product planted 30 % slower and, in every
fourth repeat, one planted 10 % slower. With `--jobs 2` two go on at once, each held to its own half of the cores: they
share the memory and the last cache, as neighbours do, and no core. Holds where unchanged code is called slower at most
once, +30 % is called with exit code 1 in nine of ten, and +10 % is never called the same or faster: "regression" or
"ambiguous". A comparison that ends as unstable (exit code 4) on a machine that others use counts as not called.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import plugins

CASES = ["m=1024,n=1024,k=1024", "m=1024,n=1024,k=768", "m=1024,n=768,k=1024"]
"""Large enough that a second call's own cost is small beside the share that it adds."""
RUN = ["--device", "cpu", "--kernel", "gemm", "--precision", "fp32", "--implementation", "planted"]
MISSES_ALLOWED = 0.1
FALSE_ALARMS_ALLOWED = 1


@dataclass
class Experiment:
    """One kind of comparison, and what came of its repeats."""

    name: str
    slow: float
    cases: Sequence[str]
    holds: Callable[[Experiment], bool]
    every: int = 1
    """In every which repeat it takes part."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """The worst verdict of each repeat; "unstable" and "failed" beside them."""
    exit_codes: Counter[int] = field(default_factory=Counter)
    noises: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def repeat(self) -> None:
        """One comparison through the command line."""
        started = time.monotonic()
        code, document = compared(self.slow, self.cases)
        self.wall_s.append(time.monotonic() - started)
        self.exit_codes[code] += 1
        verdict = "failed" if document is None else "unstable" if document["unstable"] else document["verdict"]
        self.verdicts[verdict] += 1
        self.noises += [one["launch_noise"] for one in (document or {"series": []})["series"] if one["launch_noise"]]


def compared(slow: float, cases: Sequence[str]) -> tuple[int, dict[str, Any] | None]:
    """Exit code and document of `ab env:SLOW=0 env:SLOW=…` of the planted product; None where it printed none."""
    which = [word for case in cases for word in ("--case", case)]
    sides = ["env:SLOW=0", f"env:SLOW={slow:g}"]
    command = [sys.executable, "-m", "bench", "ab", *sides, "--format", "json", "--", *RUN, *which]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        print((done.stderr.strip().splitlines() or ["ab said nothing"])[-1], file=sys.stderr)
        return done.returncode, None
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def experiments() -> list[Experiment]:
    """The three, each with what has to hold."""

    def quiet(one: Experiment) -> bool:
        return one.verdicts["regression"] <= FALSE_ALARMS_ALLOWED

    def found(one: Experiment) -> bool:
        return one.exit_codes[1] >= (1 - MISSES_ALLOWED) * sum(one.exit_codes.values())

    def never_the_same(one: Experiment) -> bool:
        return not one.verdicts["same"] and not one.verdicts["improvement"] and not one.verdicts["failed"]

    return [
        Experiment("unchanged", 0.0, CASES, quiet),
        Experiment("+30 %", 0.3, CASES[:1], found),
        Experiment("+10 %", 0.1, CASES[:1], never_the_same, every=4),
    ]


def table(done: Sequence[Experiment]) -> str:
    """Verdicts, exit codes and launch noise of each experiment."""
    from tabulate import tabulate

    from bench.report.numbers import percent
    from bench.stats.robust import median

    rows = [
        [
            one.name,
            sum(one.verdicts.values()),
            ", ".join(f"{count} {verdict}" for verdict, count in one.verdicts.most_common()),
            ", ".join(f"{count} × {code}" for code, count in one.exit_codes.most_common()),
            percent(median(one.noises)) if one.noises else "",
            f"{median(one.wall_s):.0f} s" if one.wall_s else "",
            "holds" if one.holds(one) else "does not hold",
        ]
        for one in done
    ]
    headers = ["planted", "repeats", "verdicts", "exit codes", "launch noise", "each", "promise"]
    return str(tabulate(rows, headers=headers, disable_numparse=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=20, help="of each of the three comparisons (default: 20)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no repeat after so many")
    parser.add_argument(
        "--jobs", type=int, default=1, help="comparisons at once, each on cores of its own (default: 1)"
    )
    args = parser.parse_args()
    if "planted" not in plugins.load().implementations("gemm"):
        print("ab_calls: install the plugin first: python -m pip install ./examples/planted-slowness", file=sys.stderr)
        return 3
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if args.jobs > 1 and len(cores) < args.jobs:
        print(f"ab_calls: --jobs {args.jobs}: there are {len(cores)} cores to share out", file=sys.stderr)
        return 2
    three = experiments()
    compare_all(three, args.repeats, shares(cores, args.jobs), time.monotonic() + 60 * args.minutes)
    print(table(three))
    return 0 if all(one.holds(one) for one in three) else 1


def shares(cores: Sequence[int], jobs: int) -> list[set[int]]:
    """Cores for each job; one job keeps them all, and where cores can't be chosen its set is empty."""
    each = len(cores) // jobs
    return [set(cores[each * job : each * (job + 1)]) for job in range(jobs)]


def compare_all(three: Sequence[Experiment], repeats: int, cores: Sequence[set[int]], end_s: float) -> None:
    """All repeats, by as many threads as there are sets of cores."""
    waiting: queue.SimpleQueue[Experiment] = queue.SimpleQueue()
    for number in range(repeats):
        for one in three:
            if number % one.every == 0:
                waiting.put(one)
    jobs = [threading.Thread(target=work, args=(waiting, mine, end_s)) for mine in cores]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if not waiting.empty():
        print(f"the time was up with {waiting.qsize()} comparisons still to do", file=sys.stderr)


def work(waiting: queue.SimpleQueue[Experiment], cores: set[int], end_s: float) -> None:
    """Take one comparison after the other, until there is none or the time is up."""
    if cores:
        os.sched_setaffinity(0, cores)  # this thread's alone, and so that of the processes which it starts
    while time.monotonic() < end_s:
        try:
            one = waiting.get_nowait()
        except queue.Empty:
            return
        one.repeat()
        print(f"{one.name}: {dict(one.verdicts)}, {one.wall_s[-1]:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
