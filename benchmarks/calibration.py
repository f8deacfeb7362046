"""How often the rules of `ab` and `compare` call what is not there, and miss what is, by simulation.

    python benchmarks/calibration.py --suites 500
    python benchmarks/calibration.py --run results/reference/FILE.jsonl

Nothing is measured. Launches are drawn at random and judged by the project's own functions (`bench.analysis.verdicts`,
`bench.analysis.stored`). A launch's median is kernel × launch noise × session drift × the median of 30 rounds that
scatter by 2 %, one in twenty of them a spike of up to 3 ×. `ab`: 8 pairs in ABBA order, 16 fresh ones of what stayed
ambiguous, 16 fresh ones of what stood out either time. Stored runs: launches of one run, then of the other, with
another drift. Naive: new over base above 1.10, one launch a side. Exit code 1 where a promise of docs/comparing.md does
not hold.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Final

import msgspec

from bench import records
from bench.analysis.comparison import Thresholds, compare
from bench.analysis.stored import ASSUMED_OTHER, Launches, believed, judge_stored, launch_noises
from bench.analysis.verdicts import (
    CONFIRM_PAIRS,
    SCREEN_PAIRS,
    SeriesVerdict,
    Stage,
    cannot_see_below,
    confirmed,
    judge_pairs,
)
from bench.errors import BenchError
from bench.stats.proportions import wilson_interval
from bench.stats.robust import median

ROUNDS: Final = 30
ROUND_NOISE: Final = 0.02
SPIKE_SHARE: Final = 0.05
SPIKE_MOST: Final = 3.0
DRIFT: Final = 0.03
"""Of a session, from its first launch to its last, up or down, linear; and between two stored runs."""
BANK: Final = 40_000
"""Medians of 30 rounds, drawn once: rounds of different launches are independent, so any of them will do."""
NAIVE: Final = 1.10
NOISES: Final = (0.015, 0.03, 0.05, 0.08, 0.136, 0.2, 0.3)
FALSE_ALARMS_ALLOWED: Final = 0.01
POWER_NEEDED: Final = 0.95
MOVED: Final = ("regression", "improvement")
PROMISED: Final = ((0.015, 0.03, 0.06), (0.015, 0.05, 0.10))
"""(launch noise, threshold, effect) for which the power is promised."""


@dataclass(frozen=True)
class World:
    """What launches are drawn from."""

    draw: random.Random
    launch_noise: float
    bank: Sequence[float]

    def launch(self) -> float:
        """The median of one launch of an unchanged kernel that takes 1 s, without drift."""
        return math.exp(self.draw.gauss(0.0, self.launch_noise)) * self.bank[int(self.draw.random() * len(self.bank))]

    def session(self, pairs: int, effect: float) -> tuple[list[float], list[float]]:
        """Launches of both sides in ABBA order while the session drifts: (base, new)."""
        drift = self.draw.choice((-DRIFT, DRIFT))
        sides: tuple[list[float], list[float]] = ([], [])
        for place in range(2 * pairs):
            new = place % 4 in (1, 2)
            sides[new].append(self.launch() * (1.0 + effect * new) * (1.0 + drift * place / (2 * pairs - 1)))
        return sides

    def stored(self, launches: int, effect: float, drift: float) -> Launches:
        """Launches of two runs at different times; `drift` is what the machine did in between."""
        base = tuple(self.launch() for _ in range(launches))
        new = tuple(self.launch() * (1.0 + effect) * (1.0 + drift) for _ in range(launches))
        return Launches(base, new)


def bank(draw: random.Random) -> list[float]:
    """Medians of 30 rounds of 1 s."""
    return [median([one_round(draw) for _ in range(ROUNDS)]) for _ in range(BANK)]


def one_round(draw: random.Random) -> float:
    spike = 1.0 + draw.random() * (SPIKE_MOST - 1.0) if draw.random() < SPIKE_SHARE else 1.0
    return math.exp(draw.gauss(0.0, ROUND_NOISE)) * spike


def ab(world: World, kernels: int, threshold: float, effect: float = 0.0) -> list[SeriesVerdict]:
    """A whole `ab` of unchanged kernels, the first of which is slower by `effect`.

    All are screened; the ambiguous are measured again; what stands out either time is confirmed with fresh pairs. (`ab`
    leaves out what has little chance of an answer the second time, which can only make calls rarer.)
    """
    effects = [effect, *[0.0] * (kernels - 1)]
    screened = [_judged(world.session(SCREEN_PAIRS, each), threshold, "screen") for each in effects]
    found = _confirmed(world, effects, screened, threshold)
    places = [place for place, one in enumerate(screened) if one.verdict == "ambiguous"]
    open_effects = [effects[place] for place in places]
    again = [_judged(world.session(CONFIRM_PAIRS, each), threshold, "again") for each in open_effects]
    for place, one in zip(places, _confirmed(world, open_effects, again, threshold), strict=True):
        found[place] = one
    return found


def _confirmed(
    world: World, effects: Sequence[float], called: Sequence[SeriesVerdict], threshold: float
) -> list[SeriesVerdict]:
    """What stood out, after fresh pairs: looked at half-way and at the end, each time at twice the p."""
    found = list(called)
    candidates = [place for place, one in enumerate(called) if one.verdict in MOVED]
    sessions = [world.session(CONFIRM_PAIRS, effects[place]) for place in candidates]
    done: set[int] = set()
    for pairs in (SCREEN_PAIRS, CONFIRM_PAIRS):
        looks = [_judged((base[:pairs], new[:pairs]), threshold, "confirm") for base, new in sessions]
        looks = [replace(one, p=min(1.0, 2 * (one.p or 0.0))) for one in looks]
        for place, one in zip(candidates, confirmed([called[i] for i in candidates], looks), strict=True):
            if place not in done:
                found[place] = one
            if one.verdict in MOVED:
                done.add(place)
    return found


def _judged(sides: tuple[Sequence[float], Sequence[float]], threshold: float, stage: Stage) -> SeriesVerdict:
    return judge_pairs(*sides, threshold=threshold, stage=stage)


def stored(world: World, kernels: int, launches: int, threshold: float, effect: float = 0.0) -> list[SeriesVerdict]:
    """`compare` of two stored runs of unchanged kernels, the first of which is slower by `effect`."""
    effects = [effect, *[0.0] * (kernels - 1)]
    drift = world.draw.uniform(-DRIFT, DRIFT)
    sides = [world.stored(launches, e, drift) for e in effects]
    noises = launch_noises(sides, ASSUMED_OTHER)
    return believed([judge_stored(one, noise, threshold=threshold) for one, noise in zip(sides, noises, strict=True)])


def alarms(suites: int, simulate: Callable[[], list[SeriesVerdict]]) -> int:
    """Suites of unchanged kernels in which any is called slower or faster."""
    return sum(any(one.verdict in MOVED for one in simulate()) for _ in range(suites))


def calls(times: int, simulate: Callable[[], list[SeriesVerdict]], verdict: str = "regression") -> int:
    """Suites in which the changed kernel, the first, gets that verdict."""
    return sum(simulate()[0].verdict == verdict for _ in range(times))


def naive_alarms(world: World, suites: int, kernels: int) -> int:
    """Suites of unchanged kernels in which new over base is above 1.10 for any."""
    return sum(any(world.launch() / world.launch() > NAIVE for _ in range(kernels)) for _ in range(suites))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--suites", type=int, default=500, help="of the first noise; the others take a fifth")
    parser.add_argument("--kernels", type=int, default=300, help="of a suite")
    parser.add_argument("--repeats", type=int, default=1000, help="of one changed kernel, for the power")
    parser.add_argument("--table", choices=("ab", "compare"), help="one of the two alone")
    parser.add_argument("--run", type=Path, help="no simulation: the launches of this run file against each other")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.run:
        return _unchanged(args.run)
    draw = random.Random(args.seed)
    medians = bank(draw)
    started = time.monotonic()
    kept = args.table == "compare" or _paired_table(args, draw, medians)
    if args.table != "ab":
        _stored_table(args, random.Random(args.seed + 1), medians)
    promises = "" if args.table == "compare" else f"; the promises {'hold' if kept else 'DO NOT HOLD'}"
    print(f"\nseed {args.seed}, {time.monotonic() - started:.0f} s{promises}")
    return 0 if kept else 1


def _paired_table(args: argparse.Namespace, draw: random.Random, medians: Sequence[float]) -> bool:
    print(f"ab: {SCREEN_PAIRS} pairs, then {CONFIRM_PAIRS} fresh ones; suites of {args.kernels} kernels\n")
    effects = (0.03, 0.06, 0.10, 0.20, 0.30)
    heads = "".join(f" called at +{100 * e:.0f} % |" for e in effects)
    print(f"| launch noise | t | suites with a false alarm | naive gate |{heads} same at 0 % | seen from |")
    print("| --- " * (6 + len(effects)) + "|")
    kept = True
    for noise in NOISES:
        world = World(draw, noise, medians)
        suites = args.suites if noise == NOISES[0] else max(1, args.suites // 5)
        naive = naive_alarms(world, suites, args.kernels)
        for threshold in (0.03, 0.05):
            false = alarms(suites, partial(ab, world, args.kernels, threshold))
            called = {e: calls(args.repeats, partial(ab, world, 1, threshold, e)) for e in effects}
            same = calls(args.repeats, partial(ab, world, 1, threshold), "same")
            seen = cannot_see_below(noise, SCREEN_PAIRS, threshold=threshold) or math.inf
            cells = [_percent(noise), _percent(threshold), _share(false, suites), _share(naive, suites)]
            cells += [_share(count, args.repeats) for count in (*called.values(), same)]
            print(f"| {' | '.join([*cells, _percent(seen)])} |", flush=True)
            # Few suites can't show a rate below 1 %; what they must not show is one above.
            kept &= wilson_interval(false, suites)[0] <= FALSE_ALARMS_ALLOWED
            kept &= noise > NOISES[0] or false <= FALSE_ALARMS_ALLOWED * suites
            for promised_noise, promised_threshold, effect in PROMISED:
                if (noise, threshold) == (promised_noise, promised_threshold):
                    kept &= called[effect] >= POWER_NEEDED * args.repeats
    return kept


def _stored_table(args: argparse.Namespace, draw: random.Random, medians: Sequence[float]) -> None:
    kernels = 30
    suites, repeats = max(1, args.suites // 5), max(1, args.suites // 10)
    threshold = Thresholds().of("gemm", "cpu")
    effects = (0.06, 0.10, 0.20, 0.30, 0.50)
    heads = "".join(f" called at +{100 * e:.0f} % |" for e in effects)
    print(f"\ncompare: stored runs of {kernels} kernels, t = {_percent(threshold)}, not interleaved\n")
    print(f"| launch noise | launches a side | suites with a false alarm |{heads}")
    print("| --- " * (3 + len(effects)) + "|")
    for noise in NOISES:
        world = World(draw, noise, medians)
        for launches in (1, 3, 8):
            false = alarms(suites, partial(stored, world, kernels, launches, threshold))
            called = [calls(repeats, partial(stored, world, kernels, launches, threshold, e)) for e in effects]
            shares = "".join(f" {_share(count, repeats)} |" for count in called)
            print(f"| {_percent(noise)} | {launches} | {_share(false, suites)} |{shares}", flush=True)


def _unchanged(path: Path) -> int:
    """Every launch of a run as the base of every later one: all is unchanged, so every call is a false alarm."""
    try:
        file = records.read(path)
    except BenchError as error:
        print(f"calibration: {error}", file=sys.stderr)
        return error.exit_code
    numbers = sorted({row.launch for row in file.measurements})
    ratios: list[float] = []
    called = 0
    for base, new in combinations(numbers, 2):
        found = compare(_one_launch(file, base), _one_launch(file, new), Thresholds())
        ratios += [one.ratio for one in found.series if one.ratio is not None]
        called += sum(one.verdict in MOVED for one in found.series)
    if not ratios:
        print("calibration: that run has no two launches to compare", file=sys.stderr)
        return 3
    naive = sum(max(ratio, 1 / ratio) > NAIVE for ratio in ratios)
    print(f"{len(ratios)} series compared, launch with launch: compare called {called}, the naive gate {naive}")
    return 0


def _one_launch(file: records.RunFile, launch: int) -> records.RunFile:
    rows = [row for row in file.measurements if row.launch == launch]
    run = msgspec.structs.replace(file.run, id=f"launch {launch}")
    return msgspec.structs.replace(file, run=run, measurements=rows)


def _share(count: int, total: int) -> str:
    """ "0.2 %", of so many."""
    return f"{100 * count / total:.1f} %"


def _percent(ratio: float) -> str:
    return "–" if math.isinf(ratio) else f"{100 * ratio:.3g} %"


if __name__ == "__main__":
    sys.exit(main())
