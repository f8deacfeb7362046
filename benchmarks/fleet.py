"""How well `fleet` tells sick devices from healthy ones, by simulation, and what 10,000 devices cost it.

    python benchmarks/fleet.py                       the planted-sick table
    python benchmarks/fleet.py --size                10,000 devices × 50 rows × 50 samples, merged and judged
    python benchmarks/fleet.py --write FILE          one such fleet as a run file, for docs/gallery.md

Nothing is measured but time and memory. A simulated fleet has 1,000 devices of two kinds, 1 % of them planted sick. The
samples of a healthy device are those of a real row (results/reference), drawn with replacement, their scatter about
the median scaled to a standard deviation of 5 %; each device has a factor of its own, normal, with the standard
deviation between devices that the table's row names. All of it goes through run-file lines
and the project's own functions with the packaged rules. Exit code 1 where, at 1.5 % between devices, fewer than 99 %
of those 10 % slower are found or more than 0.1 % of the healthy ones are called sick; with --size, where it takes
more than 60 s or 2 GB.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import records
from bench.analysis.fleet import Fleet, judge
from bench.analysis.fleet_merge import Merger
from bench.analysis.fleet_rules import rules
from bench.cli.fleet import default_rules, merge
from bench.store.reference import reference_runs

SLOWER: Final = (1.05, 1.10, 1.33, 3.0)
"""Time of a planted device over a healthy one's; the last is a third of the speed."""
BETWEEN: Final = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05)
WITHIN: Final = 0.05
SICK: Final = 0.01
KINDS: Final = (("accelerator one", 4e-3), ("accelerator two", 1.5e-3))
"""Name and seconds a call: three of five devices are of the first."""
LIMIT_S: Final = 60.0
LIMIT_BYTES: Final = 2e9


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--fleets", type=int, default=40, help="simulated fleets a figure (default: 40)")
    parser.add_argument("--devices", type=int, help="of one fleet (default: 1000; with --size 10000)")
    parser.add_argument("--series", type=int, help="rows of a device (default: 1; with --size 50)")
    parser.add_argument("--samples", type=int, default=50, help="samples of a row (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", action="store_true", help="time and memory of a large fleet instead")
    parser.add_argument("--write", type=Path, metavar="FILE.jsonl.gz", help="write one simulated fleet there instead")
    options = parser.parse_args()
    shapes = real_shapes()
    if options.write:
        return write(shapes, options.write, options.devices or 144, options.series or 2, options.samples, options.seed)
    if options.size:
        return size(shapes, options.devices or 10_000, options.series or 50, options.samples)
    return table(shapes, options.fleets, options.devices or 1000, options.series or 1, options.samples, options.seed)


def real_shapes() -> list[list[float]]:
    """The samples of each real row over their median, the scatter scaled to `WITHIN`."""
    found = []
    for path in reference_runs():
        for row in records.read(path).measurements:
            if row.status in records.USABLE and row.samples_s and len(row.samples_s) >= 50:
                middle = statistics.median(row.samples_s)
                if (noise := statistics.stdev(row.samples_s) / middle) > 0:
                    found.append([1 + WITHIN / noise * (value / middle - 1) for value in row.samples_s])
    return found


def lines(
    shapes: Sequence[Sequence[float]],
    devices: int,
    series: int,
    samples: int,
    slower: float,
    between: float,
    draw: random.Random,
) -> Iterator[bytes]:
    """A fleet's run file, 8 devices a host; the planted ones are those that `is_planted` names."""
    yield records.encode(
        records.Run(
            id="simulated",
            started="2026-11-22T00:00:00+00:00",
            command=["simulated"],
            bench_version="0",
            method_version=1,
            suite=None,
            seed=0,
        )
    )
    template = _template()
    # One row of a kind has one distribution on every device of it.
    rows = {(kind, case): draw.choice(shapes) for kind, _ in KINDS for case in range(series)}
    for number in range(devices):
        name, call_s = KINDS[number % 5 >= 3]
        host, device = f"node{number // 8:04}", f"cuda:{number % 8}"
        units = records.Units(kind="multiprocessor", in_use=100)
        yield records.encode(records.Device(device=device, kind="cuda", name=name, host=host, rank=number, units=units))
        factor = draw.gauss(1.0, between) * (slower if is_planted(number) else 1.0)
        for case in range(series):
            drawn = draw.choices(rows[name, case], k=samples)
            values = [call_s * (1 + case) * factor * value for value in drawn]
            template.device, template.host, template.rank = device, host, number
            template.case = {"m": case + 1}
            assert template.time is not None
            template.time.median_s = statistics.median(values)
            template.samples_s = values
            yield records.encode(template)


def is_planted(number: int) -> bool:
    """Whether that device of a fleet is sick: one in a hundred, evenly spread over hosts and kinds."""
    step = round(1 / SICK)
    return number % step == (number // step * 37) % step


def _template() -> records.Measurement:
    return records.Measurement(
        id="1",
        device="",
        host="",
        rank=0,
        launch=0,
        kernel="gemm",
        case={},
        precision="fp16",
        accumulate="fp32",
        implementation="best",
        mode="burst",
        data="normal",
        cache="cold",
        status="ok",
        reason="",
        time=records.Time(
            median_s=1.0,
            q1_s=None,
            q3_s=None,
            min_s=None,
            mean_s=None,
            stdev_s=None,
            ci95_low_s=None,
            ci95_high_s=None,
            samples=50,
            calls_per_sample=1,
            timer="event",
            stop="budget",
        ),
    )


def judged(content: Iterator[bytes]) -> Fleet:
    """What `fleet` says of those lines, with the packaged rules."""
    merger = Merger()
    merger.add(content)
    return judge(merger, rules(default_rules()))


def table(shapes: Sequence[Sequence[float]], fleets: int, devices: int, series: int, samples: int, seed: int) -> int:
    """Print share found and false alarms for each spread and slowdown; 1 where the promise does not hold."""
    print(
        f"{fleets} fleets of {devices} devices a figure, {series} row(s) of {samples} samples each, "
        f"{len(shapes)} real distributions, seed {seed}"
    )
    print()
    heads = [f"found, time × {slower:g}" for slower in SLOWER]
    print("| between devices | " + " | ".join(heads) + " | healthy called sick |")
    print("| --- |" + " --- |" * (len(SLOWER) + 1))
    holds = True
    for between in BETWEEN:
        cells, alarms, healthy = [], 0, 0
        for slower in SLOWER:
            found = planted = 0
            for fleet in range(fleets):
                draw = random.Random(f"{seed} {between} {slower} {fleet}")
                for one in judged(lines(shapes, devices, series, samples, slower, between, draw)).devices:
                    sick = one.status == "sick"
                    if is_planted(one.rank):
                        planted, found = planted + 1, found + sick
                    else:
                        healthy, alarms = healthy + 1, alarms + sick
            cells.append(f"{100 * found / planted:.1f} % of {planted}")
            if between == 0.015 and slower >= 1.10:
                holds &= found >= 0.99 * planted
        if between == 0.015:
            holds &= alarms <= 0.001 * healthy
        print(f"| {100 * between:g} % | " + " | ".join(cells) + f" | {100 * alarms / healthy:.3f} % of {healthy} |")
    print()
    print(f"at 1.5 % between devices: {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


def write(shapes: Sequence[Sequence[float]], path: Path, devices: int, series: int, samples: int, seed: int) -> int:
    """One fleet whose planted devices take a third longer, 1.5 % between devices; the same bytes each time."""
    found = b"".join(lines(shapes, devices, series, samples, 1.33, 0.015, random.Random(seed)))
    path.write_bytes(gzip.compress(found, mtime=0))
    print(f"{path}: {devices:,} devices × {series} rows × {samples} samples, simulated")
    return 0


def size(shapes: Sequence[Sequence[float]], devices: int, series: int, samples: int) -> int:
    """Print time and memory of merging and judging one large fleet."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        path = Path(folder) / "fleet.jsonl"
        with open(path, "wb") as file:
            file.writelines(lines(shapes, devices, series, samples, 1.10, 0.015, random.Random(0)))
        print(f"{devices:,} devices × {series} rows × {samples} samples: {path.stat().st_size / 1e9:.2f} GB")
        started, started_cpu = time.perf_counter(), time.process_time()
        merger = merge([path])
        merged_s = time.perf_counter() - started
        fleet = judge(merger, rules(default_rules()))
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"merged in {merged_s:.1f} s, judged in {wall_s - merged_s:.1f} s; processor time {cpu_s:.1f} s")
    print(f"largest memory {peak_bytes / 1e9:.2f} GB; {len(fleet.sick)} sick")
    holds = wall_s <= LIMIT_S and peak_bytes <= LIMIT_BYTES
    print(f"within {LIMIT_S:g} s and {LIMIT_BYTES / 1e9:g} GB: {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
