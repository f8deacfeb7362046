"""Sets the bus bandwidth that the harness measures against a plain loop over torch.distributed, on two ranks here.

    python benchmarks/collectives.py [--operations all_reduce,all_gather] [--sizes 65536,1048576,16777216]
                                     [--pairs 12] [--block 0.3] [--ranks 2]

Started as a plain script it starts the ranks itself (torchrun), each on its part of the cores, with gloo. For each
operation and size the two take turns in the same processes (ABBA): `bench.timing.measure_together` on the call of
`kernels/collective`, and a loop that uses nothing of bench: barrier, clock, calls, clock, the longest time of all
ranks. Its figure is the median of such loops for as long as the other side measures.

Printed is the bus bandwidth of both by nccl-tests' factors and the ratio harness / loop with the interval of its median
(order statistics over pairs, 95 %). It holds while the interval reaches into 1 ± 2 %. Exit code 1 where one does not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from blocks import alternate, ratio_of

from bench import plugins
from bench.devices import Backend
from bench.devices.cores import affinity, read_topology
from bench.errors import BenchError
from bench.kernel import DeviceView, Inputs
from bench.runner.group import TorchGroup
from bench.runner.ranks.cores import shares
from bench.timing import measure_together

AGREEMENT = 0.02  # how far from 1 the interval may stay
LOOP_S = 0.02  # seconds of calls in one plain loop, as in one block of the harness
VERDICT = "BENCH_COLLECTIVES_VERDICT"  # the file in which rank 0 leaves the exit code
DEFAULT_SIZES = "65536,1048576,16777216"
DEFAULT_OPERATIONS = "all_reduce,all_gather,reduce_scatter,all_to_all,broadcast,send_recv"


@dataclass(frozen=True)
class Setting:
    """This rank's device, and how long to look."""

    backend: Backend
    view: DeviceView
    pairs: int
    block_s: float


@dataclass(frozen=True)
class Row:
    """One operation at one size: bytes per second of the bus by either, and harness / loop."""

    operation: str
    size: int
    call_s: float
    ours: float
    plain: float
    ratio: float
    interval: tuple[float, float]

    @property
    def holds(self) -> bool:
        low, high = self.interval
        return low <= 1 + AGREEMENT and high >= 1 - AGREEMENT


def main() -> int:
    options = _options()
    if "RANK" not in os.environ:
        return _start(options.ranks)
    try:
        rows = _measured(options)
    except BenchError as error:
        print(f"collectives: {error}", file=sys.stderr)
        return error.exit_code
    if int(os.environ["RANK"]) == 0:
        _print(rows, options)
        Path(os.environ[VERDICT]).write_text("0" if all(row.holds for row in rows) else "1")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--operations", default=DEFAULT_OPERATIONS, help="comma-separated kernels")
    parser.add_argument("--sizes", default=DEFAULT_SIZES, help="comma-separated bytes, as nccl-tests counts them")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of turns for each size, at least 6")
    parser.add_argument("--block", type=float, default=0.3, help="seconds of a turn")
    parser.add_argument("--ranks", type=int, default=2)
    return parser.parse_args()


def _start(ranks: int) -> int:
    """Start the ranks with the arguments of this process; rank 0's verdict."""
    with tempfile.TemporaryDirectory() as folder:
        verdict = Path(folder) / "verdict"
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        # The threads are set below; unset, torchrun explains its own default at length.
        more = {VERDICT: str(verdict), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        done = subprocess.run([*torchrun, __file__, *sys.argv[1:]], env=os.environ | more, check=False)
        return int(verdict.read_text()) if verdict.exists() else done.returncode or 3


def _measured(options: argparse.Namespace) -> list[Row]:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    mine = shares(dict.fromkeys(range(ranks), affinity() or frozenset()), read_topology())[rank]
    if mine and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, mine)
    import torch
    from torch import distributed

    from bench.devices import backend, discover, view

    torch.set_num_threads(max(1, len(mine)))
    device = discover("cpu")[0]
    here = Setting(backend(device), replace(view(device), rank=rank, ranks=ranks), max(6, options.pairs), options.block)
    distributed.init_process_group("gloo")
    try:
        with torch.no_grad():
            return [
                _row(operation, int(size), here)
                for operation in options.operations.split(",")
                for size in options.sizes.split(",")
            ]
    finally:
        distributed.destroy_process_group()


def _row(operation: str, size: int, here: Setting) -> Row:
    import torch

    rank, ranks = here.view.rank, here.view.ranks
    kernel = plugins.load().kernel(operation)
    case = kernel.complete_case({"bytes": size, "ranks": ranks})
    tensors = kernel.inputs(case, "fp32", here.view, "normal", torch.Generator().manual_seed(0))
    call = kernel.implementations()["torch"].build(kernel, Inputs(case, "fp32", here.view, tensors))
    group = TorchGroup(rank, ranks)
    plain = _plain_call(operation, size // (4 * ranks) * ranks, rank, ranks)

    def ours_s() -> float:
        return median(measure_together(call, here.backend, group, budget_s=here.block_s).samples_s)

    pairs = alternate(here.pairs, ours_s, lambda: _plain_s(plain, here.block_s))
    ratio, interval = ratio_of([(loop_s, harness_s) for harness_s, loop_s in pairs])
    bus_bytes = kernel.work(case, "fp32").bytes
    harness_s, loop_s = (median(one) for one in zip(*pairs, strict=True))
    if rank == 0:
        print(f"{operation} {size}: {ratio:.3f}", file=sys.stderr, flush=True)
    return Row(operation, size, harness_s, bus_bytes / harness_s, bus_bytes / loop_s, ratio, interval)


def _plain_call(operation: str, count: int, rank: int, ranks: int) -> Callable[[], Any]:
    """The operation on tensors of its own, as anybody would write it."""
    import torch
    from torch import distributed as dist

    whole, other, part = torch.ones(count), torch.ones(count), torch.ones(count // ranks)
    if operation == "all_reduce":
        return lambda: dist.all_reduce(whole)
    if operation == "broadcast":
        return lambda: dist.broadcast(whole, 0)
    if operation == "all_to_all":
        return lambda: dist.all_to_all_single(other, whole)
    if operation == "all_gather":
        gather: Any = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
        return lambda: gather(whole, part)
    if operation == "reduce_scatter":
        scatter: Any = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        return lambda: scatter(part, whole)

    def exchange() -> None:
        sending, receiving = dist.isend(whole, (rank + 1) % ranks), dist.irecv(other, (rank - 1) % ranks)
        assert sending is not None and receiving is not None
        sending.wait()
        receiving.wait()

    return exchange


def _plain_s(call: Callable[[], Any], block_s: float) -> float:
    """Seconds a call: the median of loops of so many calls that each lasts about `LOOP_S`, the slowest rank's time."""
    call()
    calls = 1
    while (once := _loop_s(call, calls)) * calls < LOOP_S / 2:
        calls *= 2
    calls = max(1, round(LOOP_S / once))
    return median(_loop_s(call, calls) for _ in range(max(3, round(block_s / (calls * once)))))


def _loop_s(call: Callable[[], Any], calls: int) -> float:
    import torch
    from torch import distributed as dist

    dist.barrier()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    longest = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    return float(longest) / calls


def _print(rows: list[Row], options: argparse.Namespace) -> None:
    print(
        f"\n{options.ranks} ranks, gloo, {max(6, options.pairs)} pairs of turns of {options.block:g} s; GB/s of the bus"
    )
    print(f"{'operation':<15}{'bytes':>10}{'time':>11}{'harness':>9}{'loop':>8}{'ratio':>8}  {'95 % interval':<18}")
    for row in rows:
        interval = f"{row.interval[0]:.3f} … {row.interval[1]:.3f}"
        print(
            f"{row.operation:<15}{row.size:>10}{row.call_s * 1e6:>8.0f} µs{row.ours / 1e9:>9.3f}{row.plain / 1e9:>8.3f}"
            f"{row.ratio:>8.3f}  {interval:<18}{'holds' if row.holds else 'DOES NOT HOLD'}"
        )


if __name__ == "__main__":
    sys.exit(main())
