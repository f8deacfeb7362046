"""What the change points of `bench.stats.change_points` cost and can see: speed, memory, false points, power.

    python benchmarks/change_points.py --series 10000

Simulated series with a fixed seed; nothing is measured on a device, and only the speed depends on the machine. Exit
code 0 means that the targets hold: all series in 60 s of the processor and 1 GB, at most 1 % of permuted stationary
series with a false point, and steps of three noise widths found within four points in at least 80 % (independent).
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import stdev

from bench.stats.change_points import SERIAL, SUSPECT_Z, autocorrelation, change_points, newest_z
from bench.stats.proportions import wilson_interval

LENGTH = 100
NOISE = 0.05
"""Standard deviation of the logs: 5 %, so that a step of three of them is far above the size asked for."""
SPIKES = 0.05
"""Share of the values that a spike raises …"""
SPIKE_WIDTHS = 4.0
"""… by up to so many noise widths."""
NEAR = 4
SLOWEST_S = 60.0
MOST_BYTES = 10**9
MOST_FALSE = 0.01
LEAST_FOUND = 0.80

Noise = Callable[[random.Random, int], list[float]]


def independent(draw: random.Random, length: int) -> list[float]:
    return [draw.gauss(0.0, NOISE) for _ in range(length)]


def spikes(draw: random.Random, length: int) -> list[float]:
    """Now and then a run is slow: a neighbour, a cold cache."""
    raised = SPIKE_WIDTHS * NOISE
    return [x + (draw.uniform(0.0, raised) if draw.random() < SPIKES else 0.0) for x in independent(draw, length)]


def autoregressive(coefficient: float) -> Noise:
    """Each value keeps a share of its predecessor's deviation; the variance is that of the other noises."""

    def series(draw: random.Random, length: int) -> list[float]:
        fresh = NOISE * (1.0 - coefficient**2) ** 0.5
        values = [draw.gauss(0.0, NOISE)]
        while len(values) < length:
            values.append(coefficient * values[-1] + draw.gauss(0.0, fresh))
        return values

    return series


KINDS: dict[str, Noise] = {
    "independent": independent,
    "spikes": spikes,
    "AR(1) 0.3": autoregressive(0.3),
    "AR(1) 0.6": autoregressive(0.6),
}


@dataclass(frozen=True)
class Share:
    count: int
    total: int

    @property
    def ratio(self) -> float:
        return self.count / self.total

    def __str__(self) -> str:
        low, high = wilson_interval(self.count, self.total)
        return f"{100 * self.ratio:5.1f} % ({100 * low:.1f} … {100 * high:.1f})"


@dataclass(frozen=True)
class Stationary:
    """Of series without a step: with a false point, with a confirmed one, with one when permuted, suspected."""

    false: Share
    confirmed: Share
    permuted: Share
    suspected: Share


def stationary(noise: Noise, total: int, seed: int) -> Stationary:
    draw = random.Random(seed)
    false = confirmed = permuted = suspected = 0
    for _ in range(total):
        values = noise(draw, LENGTH)
        indices = [point.index for point in change_points(values)]
        false += bool(indices)
        confirmed += bool(indices) and autocorrelation(values, indices) <= SERIAL
        suspected += abs(newest_z(values, indices) or 0.0) > SUSPECT_Z
        draw.shuffle(values)
        permuted += bool(change_points(values))
    return Stationary(*(Share(count, total) for count in (false, confirmed, permuted, suspected)))


def stepped(noise: Noise, widths: float, after: int | None, total: int, seed: int) -> Share:
    """How often a step is found within four points of where it is; `after` values follow it (None: anywhere)."""
    draw = random.Random(seed)
    found = 0
    for _ in range(total):
        values = noise(draw, LENGTH)
        index = draw.randrange(20, LENGTH - 20) if after is None else LENGTH - after
        rise = widths * stdev(values)
        moved = [value + (rise if i >= index else 0.0) for i, value in enumerate(values)]
        found += any(abs(point.index - index) <= NEAR for point in change_points(moved))
    return Share(found, total)


def pulse(noise: Noise, widths: float, length: int, total: int, seed: int) -> Share:
    """How often both ends of a slow-down that was mended are found."""
    draw = random.Random(seed)
    found = 0
    for _ in range(total):
        values = noise(draw, LENGTH)
        start = draw.randrange(20, LENGTH - 20 - length)
        rise = widths * stdev(values)
        moved = [value + (rise if start <= i < start + length else 0.0) for i, value in enumerate(values)]
        indices = [point.index for point in change_points(moved)]
        found += all(any(abs(index - end) <= NEAR for index in indices) for end in (start, start + length))
    return Share(found, total)


def speed(total: int, seed: int) -> tuple[float, float, int]:
    """Seconds for all series, half of them with a step, by the wall and of the processor, and peak memory in bytes."""
    draw = random.Random(seed)
    series: list[Sequence[float]] = []
    for number in range(total):
        values = independent(draw, LENGTH)
        step = 3.0 * NOISE if number % 2 else 0.0
        series.append([value + (step if i >= LENGTH // 2 else 0.0) for i, value in enumerate(values)])
    start, start_cpu = time.perf_counter(), time.process_time()
    for values in series:
        indices = [point.index for point in change_points(values)]
        autocorrelation(values, indices)
        newest_z(values, indices)
    took_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took_s, cpu_s, peak * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--series", type=int, default=10_000, help="series of 100 values for the speed (default 10000)")
    parser.add_argument("--simulations", type=int, default=2000, help="series a figure of the tables (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    took_s, cpu_s, peak = speed(args.series, args.seed)
    print(f"speed: {args.series} series × {LENGTH} values in {took_s:.1f} s ({cpu_s:.1f} s of the processor)", end=", ")
    print(f"peak memory {peak / 1e6:.0f} MB\n")

    print(f"stationary, {args.simulations} series of {LENGTH} values each; 95 % intervals by Wilson")
    print(f"{'noise':<12} {'false point':>22} {'confirmed':>22} {'permuted':>22} {'newest suspected':>22}")
    holds = cpu_s <= SLOWEST_S and peak <= MOST_BYTES
    for name, noise in KINDS.items():
        seen = stationary(noise, args.simulations, args.seed)
        cells = (seen.false, seen.confirmed, seen.permuted, seen.suspected)
        print(f"{name:<12} " + " ".join(f"{share!s:>22}" for share in cells))
        holds &= seen.permuted.ratio <= MOST_FALSE

    print(f"\npower: a step found within {NEAR} points; noise widths are standard deviations of the series' own noise")
    print(f"{'noise':<12} {'step':>5} {'anywhere':>22} {'4 values after it':>22} {'8 values after it':>22}")
    for name, noise in KINDS.items():
        for widths in (2.0, 3.0, 4.0, 6.0):
            shares = [stepped(noise, widths, after, args.simulations // 2, args.seed) for after in (None, 4, 8)]
            print(f"{name:<12} {widths:>4.0f}σ " + " ".join(f"{share!s:>22}" for share in shares))
            if noise is independent and widths == 3.0:
                holds &= all(share.ratio >= LEAST_FOUND for share in shares)

    print(f"\npower: both ends of a slow-down that was mended, found within {NEAR} points (independent noise)")
    for length in (6, 12, 25):
        shares = [pulse(independent, widths, length, args.simulations // 2, args.seed) for widths in (3.0, 4.0, 6.0)]
        cells = ", ".join(f"{w}σ {share}" for w, share in zip((3, 4, 6), shares, strict=True))
        print(f"{length:>3} values long: {cells}")
    print("\nholds" if holds else "\ndoes not hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
