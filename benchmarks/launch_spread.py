"""How far launches of one series differ, beside how well each knows its own median; reads a run file, measures nothing.

    python benchmarks/launch_spread.py results/reference/FILE.jsonl

CV: standard deviation of a series' launch medians over their mean. Within: half the 95 % interval of a launch's median
over that median. Shared cores: canaries in which all threads together reached less than 1.5 × the rate of one, on two
virtual CPUs: the two were one core's threads at that moment.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench import records
from bench.analysis.summary import Series, series
from bench.errors import BenchError
from bench.report.numbers import percent, short_case
from bench.stats.robust import median, quantile

SHARED = 1.5
LARGEST = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path, help="a run file with several launches")
    try:
        run = records.read(parser.parse_args().run)
    except BenchError as error:
        print(f"launch_spread: {error}", file=sys.stderr)
        return error.exit_code
    several = [one for one in series(run.measurements) if sum(row.time is not None for row in one.rows) > 1]
    if not several:
        print("launch_spread: no series of that file has two launches that were timed", file=sys.stderr)
        return 3
    spreads = sorted(((_cv(one), one) for one in several), key=lambda pair: -pair[0])
    cvs = [cv for cv, _ in spreads]
    within = [w for row in run.measurements if (w := _within(row)) is not None]
    print(f"{len(several)} series, {len(run.measurements)} rows")
    print(
        f"CV of launch medians:   median {percent(median(cvs))}, 9 of 10 below {percent(quantile(cvs, 0.9))}, "
        f"largest {percent(max(cvs))}"
    )
    print(f"± within a launch:      median {percent(median(within))}, 9 of 10 below {percent(quantile(within, 0.9))}")
    ratios = [ratio for row in run.measurements for ratio in _siblings(row)]
    shared = sum(ratio < SHARED for ratio in ratios)
    print(f"canaries on shared cores: {shared} of {len(ratios)}")
    print("largest:")
    for cv, one in spreads[:LARGEST]:
        times = ", ".join(f"{1e3 * row.time.median_s:.3g} ms {row.status}" for row in one.rows if row.time)
        print(f"  {percent(cv)}  {one.first.kernel} {short_case(one.first.case)} {one.first.precision}: {times}")
    return 0


def _cv(one: Series) -> float:
    times = [row.time.median_s for row in one.rows if row.time is not None]
    return statistics.stdev(times) / statistics.mean(times)


def _within(row: records.Measurement) -> float | None:
    time = row.time
    if time is None or time.ci95_low_s is None or time.ci95_high_s is None:
        return None
    return (time.ci95_high_s - time.ci95_low_s) / 2 / time.median_s


def _siblings(row: records.Measurement) -> list[float]:
    canaries = (row.telemetry or {}).get("canary", [])
    return [each["siblings_ratio"] for each in canaries if "siblings_ratio" in each]


if __name__ == "__main__":
    sys.exit(main())
