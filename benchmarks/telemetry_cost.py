"""Shows what being watched costs: how much slower calls are while telemetry samples.

    python benchmarks/telemetry_cost.py [--device cpu] [--pairs 60] [--block 1.0] [--side N]

As in a run, two processes: a child calls, and this one, its parent, opens the device's sources and samples them with
`bench.telemetry.Sampler` at their own periods. The child is one process from first to last; it times blocks of calls on
all cores that a worker would use, alternated ABBA with the parent sampling and with the parent waiting. Sources are
opened and closed between blocks. Each pair gives one ratio, with / without.

Holds where the upper 95 % bound (one-sided, order statistics) of the median ratio is below 1.01. The canary isn't in
it: it runs between timed windows and never in one. Exit code 1 where it does not hold; noise alone can do that, more
pairs then narrow the bound.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from bench import records
from bench.devices import backend, discover
from bench.errors import BenchError
from bench.stats.intervals import median_interval
from bench.stats.robust import median
from bench.telemetry import Sampler, open_sources

ALLOWED = 0.01
ONE_SIDED = 0.90  # a two-sided interval of 90 % leaves 5 % above its upper end
LEAST_PAIRS = 6
SETTLE_S = 0.05
"""Between starting or ending the threads and the block: their first questions are not the block's."""
ANSWER_S = 120.0
SIDE_CPU, SIDE_GPU = 512, 4096


def main() -> int:
    options = _options()
    try:
        device = discover(options.device)[0]
        ratios, taken, names = _measured(device, options)
    except BenchError as error:
        print(f"telemetry_cost: {error}", file=sys.stderr)
        return error.exit_code
    interval = median_interval(ratios, ONE_SIDED)
    assert interval is not None, "at least 6 pairs are asked for"
    low, high = interval
    print(f"\n{device.name}, {len(ratios)} pairs of {options.block:g} s, sources: {', '.join(names) or 'none'}")
    print(f"samples a watched block (median): {taken:g}")
    print(f"slow-down by telemetry: {median(ratios) - 1:+.3%} (median; 90 % interval {low - 1:+.3%} … {high - 1:+.3%})")
    holds = high - 1 < ALLOWED and taken > 0
    print(f"upper 95 % bound {high - 1:+.3%}, allowed below {ALLOWED:.0%}: {'holds' if holds else 'DOES NOT HOLD'}")
    if not taken:
        print("nothing was sampled in the blocks: they are shorter than every source's period, or no source answers")
    return 0 if holds else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, xpu, … (default: cpu)")
    parser.add_argument("--pairs", type=int, default=60, help=f"pairs of blocks, at least {LEAST_PAIRS} (default: 60)")
    parser.add_argument("--block", type=float, default=1.0, help="seconds a block (default: 1)")
    parser.add_argument("--side", type=int, help=f"of the square product (default: CPU {SIDE_CPU}, else {SIDE_GPU})")
    options = parser.parse_args()
    if options.pairs < LEAST_PAIRS:
        parser.error(f"--pairs: {options.pairs} is below {LEAST_PAIRS}, which an interval needs")
    if not options.block > 0:
        parser.error(f"--block: {options.block:g} is not a positive number of seconds")
    return options


def _measured(device: records.Device, options: argparse.Namespace) -> tuple[list[float], float, list[str]]:
    """with / without of each pair, samples a watched block, and the sources that were asked."""
    taken: list[int] = []
    names: list[str] = []

    def block(child: Connection, watched: bool) -> float:
        # Opened in both kinds of block, so that what opening leaves behind is on both sides.
        sampler = Sampler(open_sources(device).sources)
        names[:] = [source.name for source in sampler.sources]
        if watched:
            sampler.start()
        time.sleep(SETTLE_S)
        child.send(options.block)
        if not child.poll(ANSWER_S + options.block):
            raise SystemExit("telemetry_cost: the timing process does not answer")
        start_s, end_s, per_call_s = child.recv()
        if watched:
            seen = sampler.window(start_s, end_s).values()
            taken.append(sum(start_s <= sample.time_s <= end_s for samples in seen for sample in samples))
        sampler.stop()
        return float(per_call_s)

    with _child(device, options) as child:
        block(child, False), block(child, True)
        taken.clear()
        ratios = []
        for pair in range(options.pairs):
            order = (False, True) if pair % 2 == 0 else (True, False)
            seconds = {watched: block(child, watched) for watched in order}
            ratios.append(seconds[True] / seconds[False])
    return ratios, median([float(count) for count in taken]), names


@contextmanager
def _child(device: records.Device, options: argparse.Namespace) -> Iterator[Connection]:
    """The timing process, ended with the block."""
    side = options.side or (SIDE_CPU if device.kind == "cpu" else SIDE_GPU)
    context = multiprocessing.get_context("spawn")  # a fork would carry torch's threads and a GPU's context along
    ours, theirs = context.Pipe()
    process = context.Process(target=_time_blocks, args=(theirs, device.device, side, options.block), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(ANSWER_S) or ours.recv() != "ready":
            raise SystemExit("telemetry_cost: the timing process does not start")
        yield ours
    except EOFError:
        raise SystemExit("telemetry_cost: the timing process died") from None
    finally:
        process.kill()
        process.join()


def _time_blocks(parent: Connection, selection: str, side: int, block_s: float) -> None:
    """In the child: for each request a block of calls, answered by its window (time.monotonic()) and seconds a call."""
    import torch

    device = discover(selection)[0]
    if device.units.in_use and device.kind == "cpu":
        torch.set_num_threads(min(torch.get_num_threads(), device.units.in_use))
    ours = backend(device)
    ours.strict_fp32()
    target = selection if device.kind != "cpu" else "cpu"
    a, b = (torch.randn(side, side, device=target) for _ in range(2))
    out = torch.empty(side, side, device=target)

    def calls(count: int) -> tuple[float, float]:
        ours.synchronize()
        start_s = time.monotonic()
        for _ in range(count):
            torch.mm(a, b, out=out)
        ours.synchronize()
        return start_s, time.monotonic()

    calls(3)
    start_s, end_s = calls(10)
    # One number of calls for all blocks: both sides do the same work.
    count = max(1, round(block_s * 10 / (end_s - start_s)))
    parent.send("ready")
    while True:
        try:
            parent.recv()
        except EOFError:
            return
        start_s, end_s = calls(count)
        parent.send((start_s, end_s, (end_s - start_s) / count))


if __name__ == "__main__":
    sys.exit(main())
