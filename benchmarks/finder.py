"""Sets `python -m bench find` against an exhaustive sweep of the same space: what it reaches, in which share of time.

    python benchmarks/finder.py [--kernel gemm] [--precision fp32] [--implementation best] [--space FIELD=VALUES,…]
                                [--data FILE.jsonl.gz] [--minutes M] [--runs 3] [--share 0.05]

The sweep looks once at every point, by the same short looks as the finder's, in a shuffled order. It is done once: its
file is kept, and one that --minutes (or Ctrl-C) cut short is taken up by the same command. Then `find` runs as a user
would start it, with --share of the sweep's wall time for all of it, start-up and final measurements included.

The sweep's best `CONTENDERS` points and what each run found are measured again side by side: blocks in turns, in one
process, warm. Half of the rounds say which of the sweep's points is the best, so that no lucky look chooses it; the
other half give the ratio found / best, with the interval of its median (order statistics, 95 %).

A run holds where that interval reaches 0.98 and its wall time is at most the share; one wider than 0.1 tells nothing.
Exit code 1 where one does not hold, 3 while the sweep is not complete.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks import seconds_per_call

from bench import plugins
from bench.devices import backend, discover, view
from bench.errors import BenchError, UnavailableError
from bench.kernel import Call, Inputs
from bench.runner.plan import Selection
from bench.runner.session import Options
from bench.search.looking import LOOK_S, Looker
from bench.search.request import Request, Search, prepare_search
from bench.stats.intervals import median_interval
from bench.stats.robust import median

SIZES = "96|128|192|256|384|512|768|1024|1536|2048"
SPACE = f"m={SIZES},n={SIZES},k={SIZES},trans_a=0|1,trans_b=0|1"
DATA = Path(__file__).with_name("data")
REACHES = 0.98
WIDEST = 0.1  # an interval wider than that tells nothing: then the machine is too busy to judge
CONTENDERS = 8  # of the sweep: with single looks, its best may be a few places down
ROUNDS = 96  # half of them choose, half of them judge
BLOCK_S = 0.2
TIMEOUT_S = 180.0
LEAVING_S = 1.5  # of the share, for what comes before and after the budget's clock: the interpreter, the last print


@dataclass(frozen=True)
class Sweep:
    """Every point of the space with its look."""

    head: dict[str, Any]
    looks: list[dict[str, Any]]

    @property
    def wall_s(self) -> float:
        """Seconds of all of it, with one start-up."""
        return float(self.head["start_s"]) + sum(float(look["wall_s"]) for look in self.looks)

    def best(self, count: int) -> list[tuple[dict[str, Any], str]]:
        """The points with the highest rates."""
        ran = sorted((look for look in self.looks if look["rate"]), key=lambda look: -look["rate"])
        return [(look["case"], look["implementation"]) for look in ran[:count]]


def main() -> int:
    options = _options()
    try:
        sweep = _swept(options)
        if sweep is None:
            return 3
        shapes = len({tuple(look["case"].values()) for look in sweep.looks})
        print(f"sweep: {len(sweep.looks)} points, {shapes} shapes, {sweep.wall_s:.1f} s ({options.data})")
        runs = [_found(options, number, options.share * sweep.wall_s) for number in range(options.runs)]
        return 0 if _judged(options, sweep, runs) else 1
    except BenchError as error:
        print(f"finder: {error}", file=sys.stderr)
        return error.exit_code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--kernel", default="gemm")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--implementation", default="best")
    parser.add_argument("--space", default=SPACE)
    parser.add_argument("--data", type=Path, help="the sweep's file (default: by kernel and precision, under data/)")
    parser.add_argument("--minutes", type=float, default=60.0, help="the most that the sweep takes in this call")
    parser.add_argument("--runs", type=int, default=3, help="searches, each with a seed of its own")
    parser.add_argument("--share", type=float, default=0.05, help="of the sweep's time, what each search may take")
    options = parser.parse_args()
    options.data = options.data or DATA / f"sweep-{options.kernel}-{options.precision}.jsonl.gz"
    return options


# --- the sweep --------------------------------------------------------------------------------------------------------


def _swept(options: argparse.Namespace) -> Sweep | None:
    """The sweep from its file, or measured now; None where the time was up first."""
    part: Path = options.data.with_suffix(".part")
    if options.data.exists():
        with gzip.open(options.data, "rt", encoding="utf-8") as file:
            head, *looks = map(json.loads, file)
        _refuse_other(head, _asked(options))
        return Sweep(head, looks)
    if not _sweep(options, part):
        return None
    with gzip.open(options.data, "wb") as packed:
        packed.write(part.read_bytes())
    part.unlink()
    return _swept(options)


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    names = ("kernel", "precision", "implementation", "space")
    return {**{name: getattr(options, name) for name in names}, "device": discover("cpu")[0].name, "look_s": LOOK_S}


def _refuse_other(head: dict[str, Any], asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        if head[name] != value:
            raise UnavailableError(f"--data: its {name} is {head[name]!r}, not {value!r}; name another file")


def _sweep(options: argparse.Namespace, part: Path) -> bool:
    """Look at every point that the file lacks; whether it is complete."""
    started = time.monotonic()
    asked = _asked(options)
    request = Request(options.kernel, options.precision, 1e9, 1, options.implementation, options.space)
    search = prepare_search(request, Options(selection=Selection(), device="cpu"), _Quiet())
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        lines = part.read_text(encoding="utf-8").splitlines(keepends=True) if part.exists() else []
        lines = [line for line in lines if line.endswith("\n")]
        if not lines:
            torch = search.prepared.software.get("torch")
            lines = [json.dumps({**asked, "torch": torch, "start_s": time.monotonic() - started}) + "\n"]
        head, *looks = map(json.loads, lines)
        _refuse_other(head, asked)
        part.write_text("".join(lines), encoding="utf-8")
        seen = {search.space.point(look["case"], look["implementation"]) for look in looks}
        points = list(search.space.points())
        random.Random(0).shuffle(points)
        left = [point for point in points if point not in seen]
        return _look_at(search, left, len(points), part, started + 60.0 * options.minutes)
    finally:
        search.prepared.worker.kill()


def _look_at(search: Search, left: Sequence[tuple[int, ...]], total: int, part: Path, until: float) -> bool:
    looker = Looker(search)
    with open(part, "a", encoding="utf-8") as file:
        for number, point in enumerate(left, total - len(left) + 1):
            begun = time.monotonic()
            if begun > until:
                print(f"sweep: {number - 1} of {total} points; the same command goes on", file=sys.stderr)
                return False
            trial = looker.look(point, number=number, stage="sweep", timeout_s=TIMEOUT_S)
            look = {
                "case": trial.case,
                "implementation": trial.implementation,
                "status": trial.status,
                "rate": trial.rate and trial.rate.operations_per_s,
                "wall_s": time.monotonic() - begun,
            }
            file.write(json.dumps(look) + "\n")
            file.flush()
            if number % 200 == 0:
                print(f"sweep: {number} of {total} points", file=sys.stderr)
    return True


class _Quiet:
    """Nobody watches the preparation."""

    def message(self, text: str) -> None: ...
    def started(self, *_: object) -> None: ...
    def row_started(self, *_: object) -> None: ...
    def phase(self, *_: object) -> None: ...
    def row_done(self, *_: object) -> None: ...


# --- the finder -------------------------------------------------------------------------------------------------------


def _found(options: argparse.Namespace, number: int, share_s: float) -> dict[str, Any]:
    """The JSON document of one search, and its wall time."""
    seed = 1000 + number
    words = ["--kernel", options.kernel, "--precision", options.precision, "--implementation", options.implementation]
    words += ["--device", "cpu", "--space", options.space, "--seed", str(seed), "--format", "json"]
    with tempfile.TemporaryDirectory() as folder:
        words += ["--out", str(Path(folder) / "find.jsonl"), "--budget", f"{max(1.0, share_s - LEAVING_S):.2f}"]
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "bench", "find", *words], capture_output=True, encoding="utf-8", check=False
        )
        wall_s = time.monotonic() - started
    if done.returncode not in (0, 4):
        raise UnavailableError(f"find with seed {seed} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return {**document, "seed": seed, "wall_s": wall_s}


# --- side by side -----------------------------------------------------------------------------------------------------


def _judged(options: argparse.Namespace, sweep: Sweep, runs: Sequence[dict[str, Any]]) -> bool:
    """Print a line a run; whether all hold."""
    # On a disturbed machine no finalist is ranked: the first is the fastest all the same.
    answers = [run["best"] or next(iter(run["finalists"]), None) for run in runs]
    if not all(answers):
        raise UnavailableError("a search ended without a finalist")
    contenders = sweep.best(CONTENDERS)
    found = [(one["case"], one["implementation"]) for one in answers if one]
    rates = _side_by_side(options, [*contenders, *(each for each in found if each not in contenders)])
    best = max(contenders, key=lambda one: median(rates[_name(one)][::2]))
    print(f"best of the sweep: {_name(best)}, {median(rates[_name(best)][1::2]) / 1e9:.1f} G a second, measured again")
    held = True
    for run, one in zip(runs, found, strict=True):
        ratios = [mine / its for mine, its in zip(rates[_name(one)][1::2], rates[_name(best)][1::2], strict=True)]
        interval = median_interval(ratios)
        assert interval is not None, "there are enough rounds"
        share = run["wall_s"] / sweep.wall_s
        busy = interval[1] - interval[0] > WIDEST
        holds = interval[1] >= REACHES and share <= options.share and not busy
        held &= holds
        verdict = "holds" if holds else "can't be told: the machine is too busy" if busy else "DOES NOT HOLD"
        seen = run["looked_at"]
        print(
            f"seed {run['seed']}: reached {100 * median(ratios):.1f} % ({100 * interval[0]:.1f} … "
            f"{100 * interval[1]:.1f}) in {run['wall_s']:.1f} s, {100 * share:.2f} % of the sweep's time; "
            f"{seen['points']} of {seen['of']} points; {verdict}; {_name(one)}"
        )
    return held


def _name(one: tuple[dict[str, Any], str]) -> str:
    case, implementation = one
    return " ".join([*(f"{field}={value}" for field, value in case.items()), implementation])


def _side_by_side(options: argparse.Namespace, points: Sequence[tuple[dict[str, Any], str]]) -> dict[str, list[float]]:
    """Operations per second of each point in each round, the order turned around from round to round."""
    import torch

    record = discover("cpu")[0]
    device, kernel = backend(record), plugins.load().kernel(options.kernel)
    calls: dict[str, tuple[Call, int, int]] = {}
    with torch.inference_mode(), device.precision_mode(options.precision):
        for case, implementation in points:
            tensors = kernel.inputs(case, options.precision, view(record), "normal", torch.Generator().manual_seed(0))
            inputs = Inputs(case, options.precision, view(record), tensors)
            call = plugins.load().implementations(options.kernel)[implementation].build(kernel, inputs)
            call()
            count = max(1, int(BLOCK_S / seconds_per_call(device, call, 1)))
            operations = kernel.work(case, options.precision).operations
            calls[_name((case, implementation))] = call, count, operations
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(ROUNDS):
            # Twice in the same order: the rounds that choose and those that judge meet the same neighbours' order.
            for name in reversed(calls) if number // 2 % 2 else calls:
                call, count, operations = calls[name]
                rates[name].append(operations / seconds_per_call(device, call, count))
    return rates


if __name__ == "__main__":
    sys.exit(main())
