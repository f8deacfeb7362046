"""Do the measured ceilings reach the units' own rate, and does any kernel exceed them?

    python benchmarks/ceilings.py [--launches 10] [--precision fp64,fp32,int8] [--kernels RUN]

`peak` in fresh processes: the best launch of each precision against cores × operations per cycle × the clock measured
around that launch. Beside it the best rate of gemm, conv and attention, from a run made now or from the run file given,
by the operations that the units executed. Exit code 0: every ceiling reaches 90 %, and no kernel's rate exceeds its
ceiling by more than its interval; 1: not so; 3: nothing was measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from launching import run
from tabulate import tabulate

from bench import records
from bench.analysis import observed
from bench.analysis.roofline import is_ceiling
from bench.errors import BenchError
from bench.precision import PRECISIONS
from bench.report.numbers import percent, short_case

REACHED = 0.9
KERNELS = "gemm,conv,attention"

Key = tuple[str, str | None]
"""(precision, accumulation)"""


@dataclass(frozen=True)
class Launch:
    """One launch's ceiling: operations per second, what the units do per second at the clock seen, that clock."""

    row: records.Measurement
    rate: float
    expected: float | None
    clock_hz: float | None

    @property
    def share(self) -> float | None:
        return self.rate / self.expected if self.expected else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--launches", type=int, default=10, help="processes that measure each ceiling")
    parser.add_argument("--precision", help="those of `run`, all that the processor has by default")
    parser.add_argument("--kernels", metavar="RUN", type=Path, help=f"a run file with {KERNELS}, instead of a run now")
    args = parser.parse_args()
    if args.launches < 1:
        parser.error(f"--launches: {args.launches} is not 1 or more")
    common = ["--device", "cpu", *(["--precision", args.precision] if args.precision else [])]
    try:
        ceilings = run([*common, "--kernel", "peak", "--launches", str(args.launches)])
        kernels = records.read(args.kernels) if args.kernels else run([*common, "--kernel", KERNELS])
    except BenchError as error:
        print(f"ceilings: {error}", file=sys.stderr)
        return error.exit_code
    return report(ceilings, kernels)


def report(ceilings: records.RunFile, kernels: records.RunFile) -> int:
    """Print the table and the verdict; the exit code."""
    by_key: dict[Key, list[Launch]] = {}
    reasons: dict[str, str] = {}
    for row in ceilings.measurements:
        launch = _launch(row, ceilings)
        if launch is None:
            reasons.setdefault(row.precision, f"{row.status}: {row.reason}")
        else:
            by_key.setdefault((row.precision, row.accumulate), []).append(launch)
    if not by_key:
        print("ceilings: no launch was timed", file=sys.stderr)
        return 3
    lines, problems = [], []
    for key, launches in by_key.items():
        best = max(launches, key=lambda launch: launch.share or 0.0)
        fastest = max(launch.rate for launch in launches)
        rivals = _executed(kernels.measurements, key)
        lines.append([*_ceiling_cells(best, launches), *_kernel_cells(rivals, fastest)])
        problems += _problems(key, best, fastest, rivals)
    print(tabulate(lines, headers=_headers(ceilings), disable_numparse=True))
    measured = {precision for precision, _ in by_key}
    for precision, why in reasons.items():
        if precision not in measured:
            print(f"{precision}: no ceiling ({why})")
    print("\n".join(problems) or f"holds: every ceiling reaches {percent(REACHED)}, and no kernel exceeds its ceiling")
    return 1 if problems else 0


def _launch(row: records.Measurement, file: records.RunFile) -> Launch | None:
    """What a row of the ceiling says; None where it was not timed, or is not to be believed."""
    if not is_ceiling(row) or row.time is None or row.work is None or row.status == "invalid":
        return None
    device = file.device(row.device)
    seen = [hz for hz in observed.canary(row.telemetry, "clock_hz") if hz]
    clock_hz = max(seen, default=device.clock.hz if device and device.clock else None)
    expected = None
    if row.rated and row.rated.operations_per_s and row.rated.clock_hz and clock_hz:
        expected = row.rated.operations_per_s / row.rated.clock_hz * clock_hz
    return Launch(row, row.work.operations / row.time.median_s, expected, clock_hz)


def _executed(rows: Sequence[records.Measurement], key: Key) -> list[tuple[records.Measurement, int]]:
    """The usable rows that the units of `key` executed, with the operations that they executed."""
    found = []
    for row in rows:
        if row.status not in records.USABLE or row.time is None or row.work is None or row.utilization_of == "bytes":
            continue
        mine: Key = (row.precision, row.accumulate)
        operations = row.work.operations
        if row.executed is not None:
            mine = (row.executed.precision, PRECISIONS[row.executed.precision].accumulate)
            operations = row.executed.operations
        if mine == key and not is_ceiling(row):
            found.append((row, operations))
    return found


def _rate(row: records.Measurement, operations: int) -> float:
    assert row.time is not None
    return operations / row.time.median_s


def _headers(file: records.RunFile) -> list[str]:
    name = "; ".join(device.name for device in file.devices)
    count = len({row.launch for row in file.measurements})
    return [name, "unit", f"best of {count}", "median", "GHz", "share", "best kernel", "rate", "of ceiling"]


def _ceiling_cells(best: Launch, launches: Sequence[Launch]) -> list[str]:
    row = best.row
    plain = PRECISIONS[row.precision].accumulate
    return [
        row.precision if row.accumulate in (None, plain) else f"{row.precision} into {row.accumulate}",
        row.implementation,
        f"{best.rate / 1e9:,.1f} G/s",
        f"{median(launch.rate for launch in launches) / 1e9:,.1f} G/s",
        f"{best.clock_hz / 1e9:.3f}" if best.clock_hz else "?",
        percent(best.share) if best.share else "not rated",
    ]


def _kernel_cells(rivals: Sequence[tuple[records.Measurement, int]], ceiling: float) -> list[str]:
    if not rivals:
        return ["none usable", "", ""]
    row, operations = max(rivals, key=lambda each: _rate(*each))
    rate = _rate(row, operations)
    what = f"{row.kernel} {short_case(row.case)} {row.precision}, {row.implementation}"
    return [what, f"{rate / 1e9:,.1f} G/s", percent(rate / ceiling)]


def _problems(key: Key, best: Launch, fastest: float, rivals: Sequence[tuple[records.Measurement, int]]) -> list[str]:
    problems = []
    if best.share is not None and best.share < REACHED:
        problems.append(f"does not hold: {key[0]} reaches {percent(best.share)} of what its units do at that clock")
    for row, operations in rivals:
        assert row.time is not None
        slowest = operations / (row.time.ci95_high_s or row.time.median_s)
        if slowest > fastest:
            what = f"{row.kernel} {short_case(row.case)} {row.precision}, {row.implementation}"
            problems.append(
                f"does not hold: {what} exceeds the {key[0]} ceiling: {percent(slowest / fastest)} at least"
            )
    return problems


if __name__ == "__main__":
    sys.exit(main())
