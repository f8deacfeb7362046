"""Shows that a slow device of a real run by several ranks is named, and that a healthy one is not.

    python -m pip install ./examples/planted-slowness
    python benchmarks/slow_rank.py [--repeats 10] [--slow 0.33] [--minutes 6]

Two ranks at once under torchrun, each on cores of its own (Linux), then `python -m bench fleet` of their run file. In
turn rank 0, rank 1 and neither does a share of its products twice (examples/planted-slowness). A run in which a row was
disturbed counts like any other.

Holds where, in at least 9 of 10 runs with a slow rank, that one and no other is called sick, and in at most 1 of 10
without is anybody. Shares are printed with Wilson's 95 % interval. Run it where nothing else runs. Exit code 1 where it
does not hold, 3 where it could not be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import plugins
from bench.devices.cores import affinity, read_topology
from bench.errors import BenchError, UnavailableError
from bench.stats.proportions import wilson_interval

CASES: Final = ("m=1024,n=1024,k=1024", "m=1024,n=1024,k=768", "m=1024,n=768,k=1024")
WHAT: Final = ["--device", "cpu", "--kernel", "gemm", "--precision", "fp32", "--implementation", "planted"]
RANKS: Final = 2
LEAST_NAMED: Final = 0.9
MOST_ACCUSED: Final = 0.1
TIMEOUT_S: Final = 300.0
WITH_SHARE: Final = 'SLOW=$([ "$RANK" = "$SLOW_RANK" ] && echo "$SHARE" || echo 0) exec "$0" -m bench run "$@"'
"""For bash in each rank: the plugin reads SLOW."""


@dataclass
class Side:
    """Runs in which one rank, or none, was slowed."""

    slowed: int | None
    runs: int = 0
    named: int = 0
    """Runs in which the slowed rank was called sick."""
    accused: int = 0
    """Runs in which another one was."""
    right: int = 0
    """Runs in which the slowed rank and no other was called sick."""

    @property
    def name(self) -> str:
        """For messages and the table."""
        return "neither" if self.slowed is None else f"rank {self.slowed}"

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        if self.slowed is None:
            return self.runs > 0 and self.accused <= MOST_ACCUSED * self.runs
        return self.runs > 0 and self.right >= LEAST_NAMED * self.runs

    def add(self, sick: Sequence[int]) -> None:
        """Count a run by the ranks that were called sick."""
        self.runs += 1
        self.named += self.slowed in sick
        self.accused += any(rank != self.slowed for rank in sick)
        self.right += list(sick) == [self.slowed]

    def line(self) -> str:
        """For the table."""
        named = "" if self.slowed is None else _share(self.named, self.runs)
        verdict = "holds" if self.holds else "does not hold"
        return f"{self.name:<9}{self.runs:>5}  {named:<24}{_share(self.accused, self.runs):<24}{verdict}"


def main() -> int:
    options = _options()
    sides = [Side(0), Side(1), Side(None)]
    end_s = time.monotonic() + 60 * options.minutes
    try:
        _check()
        for side in sides * options.repeats:
            if time.monotonic() > end_s:
                print("slow_rank: the time is up", file=sys.stderr)
                break
            sick = _called_sick(side.slowed, options.slow)
            side.add(sick)
            words = ", ".join(f"rank {rank}" for rank in sick) or "none"
            print(f"slowed: {side.name}; called sick: {words}", file=sys.stderr, flush=True)
    except (BenchError, subprocess.TimeoutExpired) as error:
        print(f"slow_rank: {error}", file=sys.stderr)
        return 3
    print(f"\n{'slowed':<9}{'runs':>5}  {'named':<24}{'a healthy one called sick':<24}")
    for side in sides:
        print(side.line())
    return 0 if all(side.holds for side in sides) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--repeats", type=int, default=10, help="runs for each of: rank 0, rank 1, neither (default: 10)"
    )
    parser.add_argument("--slow", type=float, default=0.33, help="share of the work done twice (default: 0.33)")
    parser.add_argument("--minutes", type=float, default=6.0, help="begin no run after so many (default: 6)")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats: {options.repeats} is not positive")
    if not 0 < options.slow <= 1:
        parser.error(f"--slow: {options.slow:g} is outside 0 … 1")
    return options


def _check() -> None:
    if "planted" not in plugins.load().implementations("gemm"):
        raise UnavailableError("install the plugin first: python -m pip install ./examples/planted-slowness")
    allowed = set(affinity() or ())
    cores = sum(bool(core & allowed) for core in read_topology().cores)
    if cores < RANKS:
        raise UnavailableError(f"{RANKS} ranks on cores of their own need {RANKS} cores, and there are {cores}")


def _called_sick(slowed: int | None, share: float) -> list[int]:
    """The ranks that `fleet` calls sick after one run."""
    with tempfile.TemporaryDirectory(prefix="bench-slow-rank-") as folder:
        path = Path(folder) / "run.jsonl"
        torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={RANKS}", "--no-python"]
        meet = ["--master-addr", "127.0.0.1", "--master-port", str(_free_port())]
        cases = [word for case in CASES for word in ("--case", case)]
        run = ["bash", "-c", WITH_SHARE, sys.executable, *WHAT, *cases, "--row-budget", "1", "--out", str(path)]
        slow = ["env", f"SLOW_RANK={slowed}", f"SHARE={share}"]
        measured = _done([*slow, sys.executable, *torchrun, *meet, *run], folder)
        if not path.exists():
            raise UnavailableError(f"the ranks wrote no run file: {_last(measured.stderr)}")
        judged = _done([sys.executable, "-m", "bench", "fleet", str(path), "--format", "json"], folder)
        if judged.returncode not in (0, 1):
            raise UnavailableError(f"fleet ended with code {judged.returncode}: {_last(judged.stderr)}")
    devices = json.loads(judged.stdout)["devices"]
    sick = sorted(int(device["rank"]) for device in devices if device["status"] == "sick")
    if bool(sick) != (judged.returncode == 1):
        raise UnavailableError(f"fleet ended with code {judged.returncode}, and calls {sick} sick")
    return sick


def _done(command: Sequence[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        # A store's runs would be judged too, as the devices' history.
        env={name: value for name, value in os.environ.items() if name != "BENCH_RESULTS"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _share(count: int, of: int) -> str:
    if not of:
        return "0 of 0"
    low, high = wilson_interval(count, of)
    return f"{count} of {of} ({low:.0%} … {high:.0%})"


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
