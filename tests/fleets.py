"""Fleets for tests: run-file lines of many devices whose times are known, and the verdicts on them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from bench import records
from bench.analysis.fleet import DeviceVerdict, Finding, Fleet, Kind, judge
from bench.analysis.fleet_merge import Merger
from bench.analysis.fleet_rules import rules
from bench.cli.fleet import default_rules
from tests.factories import device, measurement, run_file

A_NODE = 8


def lines(
    times: Mapping[int, float],
    *,
    kinds: int = 1,
    rows: Mapping[int, Mapping[str, Any]] | None = None,
    host: str = "node",
) -> list[records.Record]:
    """A run of many ranks: number → its time over a healthy one's; `rows` changes the rows of a device."""
    found: list[records.Record] = [run_file([]).run]
    for number, slower in times.items():
        where = {"device": f"cuda:{number % A_NODE}", "host": f"{host}{number // A_NODE}", "rank": number}
        kind = number % kinds
        found.append(device(kind="cuda", name=f"card {kind}", rating_name=None, **where))
        draw = random.Random(number)
        factor = 1e-3 * (1 + 2 * kind) * slower * draw.gauss(1, 0.01)
        for case in (1, 2):
            samples = sorted(factor * case * draw.gauss(1, 0.03) for _ in range(51))
            changes = {"samples_s": samples, "median_s": samples[25], "case": {"m": case}, "rated": None}
            found.append(measurement(**where, **(changes | dict((rows or {}).get(number, {})))))
    return found


def encoded(found: Iterable[records.Record]) -> bytes:
    """The run file of those lines."""
    return b"".join(map(records.encode, found))


def judged(found: Iterable[records.Record]) -> Fleet:
    """What `fleet` says of them, by the packaged rules."""
    merger = Merger()
    merger.add(map(records.encode, found))
    return judge(merger, rules(default_rules()))


def mixed(host: str = "node") -> Fleet:
    """Two nodes: six healthy cards of one kind, a slow one, a dead one, and a lone card of another kind."""
    hot = {"telemetry": {"clock_hz": {"median": 1.14e9}, "throttle": {"share": {"hw_thermal_slowdown": 0.83}}}}
    cool = {"telemetry": {"clock_hz": {"median": 1.41e9}, "throttle": {"share": {}}}}
    dead = {"status": "crashed", "reason": f"rank 7 died: signal 9 {host}", "timed": False, "samples_s": None}
    rows = dict.fromkeys(range(7), cool) | {3: hot, 7: dead}
    found = lines(dict.fromkeys(range(8), 1.0) | {3: 1.24}, rows=rows, host=host)
    where = {"device": "cuda:0", "host": f"{host}1", "rank": 8}
    found.append(device(kind="cuda", name=f"other card {host}", **where))
    found.append(measurement(rated=None, **where))
    return judged(found)


def large(nodes: int, a_node: int, sick: Iterable[int] = ()) -> Fleet:
    """Verdicts on a fleet of any size, made up without any measuring: device number → 1 % apart in ten steps."""
    chosen = frozenset(sick)
    devices = []
    for number in range(nodes * a_node):
        slow = number in chosen
        time = 1.5 if slow else 0.995 + number % 10 / 1000
        reason = "50 % slower" if slow else ""
        devices.append(
            DeviceVerdict(
                host=f"node{number // a_node}", rank=number, device=f"cuda:{number % a_node}", run="", sku="card",
                status="sick" if slow else "healthy", reason=reason, relative_time=time, robust_z=0.0, distance=0.0,
                utilization=0.5, series=1,
                findings=(Finding("device", "gemm[m=1]", time, 9.0, 0.4, reason),) if slow else (),
            )
        )  # fmt: skip
    kind = Kind("card", len(devices), len(devices), len(chosen), 0.003, (0.995, 0.997, 1.0, 1.002, 1.5), "a", "b", 1)
    return Fleet(tuple(devices), (kind,), 1, len(devices))
