"""Views for the tests of a report's formats: one for each state that a report can be in, and one of hostile names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from bench import records
from bench.analysis.report_view import Price, ReportView, build
from bench.kernel import Role
from bench.ratings import Entry
from tests.factories import device, measurement, run_file
from tests.scenario_rows import row as scenario_row
from tests.scenario_rows import run as scenario_run

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "</style></svg><img src=x onerror=alert(1)>",
    "a | b \\| c",
    "`code` **bold** _it_ ~~gone~~ [link](https://example.com) ![x](y)",
    "@someone #12 GH-12 org/repo#3 :tada: www.example.com https://example.com a@b.cd",
    "- a list",
    "1. another",
    "# heading",
    "===",
    "    code",
    "| --- |",
    "&lt; &#64; &amp;",
    "$x^2$ {{ 7 * 7 }} ${y}",
    "=HYPERLINK(1)",
    "+1",
    "@SUM(1)",
    "\t=1",
    "\r\n=1",
    "\u202egnp.exe\u2066\u200f",
    "\x00\x1b[2J",
    "x" * 10_000,
)
"""Names that some reader takes for markup, a formula, a mention or a direction."""


def hostile_view(name: str, source: str = "a") -> ReportView:
    """A report of a run in which every field that is free text has this name."""
    losses = [records.Loss(factor="kernel", ratio=0.5, why=name)]
    rows = [
        measurement(
            kernel=name, implementation=name, case={name: name, "m": size}, reason=name, losses=losses, status="noisy",
            warnings=[name], host=name, data=name, also=[name], work=records.Work(operations=size, bytes=8),
        )
        for size in (10, 100)
    ]  # fmt: skip
    for row in rows:
        row.rated = records.Rated(kind="user", operations_per_s=4e12, source=name)
    rows.append(measurement(kernel=name, status="failed", reason=name, timed=False, precision="fp16", accumulate=name))
    one = device(name=name, host=name, vendor=name, architecture=name, driver=name, runtime=name)
    one.ratings = {f"fp32/{name}": records.Rated(kind="user", operations_per_s=1.0, source=name)}
    found = run_file(rows, devices=[one])
    found.run = msgspec.structs.replace(
        found.run,
        id=name,
        command=[name],
        software={"torch": name, f"of {name}": name},
        suite=name,
        started=name,
        host={"os": name},
    )
    return build([(source, found)])


def mixed_file(name: str = "Some CPU") -> records.RunFile:
    """Two precisions and the memory, of every quality: ok, noisy, of two launches, invalid, failed, a ceiling."""
    losses = [
        records.Loss(factor="clock", ratio=0.9, why="2.7 of 3.0 GHz: power cap"),
        records.Loss(factor="kernel", ratio=0.5 / 0.9, why="what is left"),
    ]
    rows = [
        measurement(losses=losses, telemetry={"clock_hz": {"median": 2.7e9, "source": "canary"}}),
        measurement(case={"m": 64, "n": 64, "k": 64}, median_s=1e-9, status="invalid", reason="above the peak"),
        measurement(kernel="conv", case={"n": 8}, median_s=3e-3, low_s=2e-3, high_s=4e-3, status="noisy"),
        measurement(kernel="peak", case={"n": 1}, median_s=0.6e-3, role=Role.CEILING),
        *(
            measurement(
                precision="int8", accumulate="int32", launch=launch, median_s=(1 + launch / 10) * 1e-4,
                rated=None, utilization_reason="no rating at int8",
            )
            for launch in range(3)
        ),
        measurement(
            precision="fp16", kernel="attention", case={"heads": 4}, timed=False, status="failed", reason="boom",
        ),
        measurement(
            kernel="memory", case={"bytes": 12_000_000}, utilization_of="bytes", operations=0,
            rated=None, status="throttled", reason="thermal slowdown",
        ),
    ]  # fmt: skip
    return run_file(rows, devices=[device(name=name, driver="550.54")])


def _failed() -> records.RunFile:
    rows = [
        measurement(timed=False, status="failed", reason="no kernel image"),
        measurement(timed=False, status="unsupported", reason="no int8 here", precision="int8", accumulate="int32"),
    ]
    return run_file(rows)


def _several() -> ReportView:
    other = run_file([measurement(median_s=0.5e-3, low_s=0.4e-3, high_s=0.6e-3)], devices=[device(name="Other CPU")])
    rated = Entry(
        name="Rated GPU", fp32_tflops=67.0, fp16_tflops=989.5, source="its data sheet", source_kind="datasheet"
    )
    return build(
        [("first", mixed_file()), ("second", other)],
        rated_only=[rated],
        prices=[Price("some*", 0.5), Price("rated*", 2.0)],
    )


def _fleet() -> ReportView:
    rows = [
        measurement(device=f"cuda:{rank}", host="node", rank=rank, median_s=(1 + rank / 2) * 1e-3) for rank in range(3)
    ]
    rows.append(measurement(device="cuda:3", host="node", rank=3, status="crashed", reason="rank 3 died", timed=False))
    devices = [device(device=row.device, host="node", rank=row.rank, kind="cuda", name="Some GPU") for row in rows]
    return build([("together", run_file(rows, devices=devices))])


STATES: Final[dict[str, Callable[[], ReportView]]] = {
    "nothing": lambda: build([]),
    "no-rows": lambda: build([("idle", run_file([]))]),
    "one-device": lambda: build([("first", mixed_file())]),
    "no-rating": lambda: build(
        [("first", run_file([measurement(rated=None, utilization_reason="not in the tables")]))]
    ),
    "all-failed": lambda: build([("first", _failed())]),
    "several": _several,
    "fleet": _fleet,
    "applications": lambda: build([("first", scenario_run(*map(scenario_row, "abc"), scenario_row("a", "int8")))]),
}
"""Every state that a report can be in."""
