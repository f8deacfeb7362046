"""airspeed velocity: a results folder that `asv publish` accepts, and one results file (version 1 or 2) read."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from math import prod
from typing import Any, Final

from bench import records
from bench.errors import UnavailableError
from bench.interop import model, reading, writing
from bench.interop.figures import Figures, of_samples, of_value
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File, Point
from bench.interop.naming import parameter
from bench.interop.pytest_benchmark import statistics

COLUMNS: Final = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)
"""A row's columns in the order of asv's results, version 2."""
BENCHMARK_VERSION: Final = "1"
"""asv joins results to benchmarks whose version is the same; ours measure the same thing as long as their name is."""
UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
OURS: Final = re.compile(r"(?P<kernel>.+?)\.time_call(?P<rest>\[.*)")
"""An exported series: asv groups by what is before the dot, and takes its kind from `time_`."""
PREFIX_UNIT: Final = {"time_": "s", "timeraw_": "s", "mem_": "bytes", "peakmem_": "bytes"}
"""What asv's kinds of benchmark are measured in, by the beginning of the function's name."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """`benchmarks.json`, and of this machine `machine.json` and the results of the run's commit.

    Raises UnavailableError for a run without a commit: asv orders results by commits and nothing else.
    """
    run, found, left_out = model.one_run(runs)
    commit = model.commit(run)
    if commit is None:
        raise UnavailableError(
            f"asv: run {run.run.id} has no commit (measured outside a checkout, or with --anonymize); asv needs one"
        )
    machine = _file_name(str(run.run.host.get("name") or "unknown"))
    environment = _file_name("-".join(["suanli-bench", f"torch{run.run.software.get('torch', '-unknown')}"]))
    benchmarks = {_name(point): _benchmark(point) for point in found}
    files = (
        File("benchmarks.json", writing.json_bytes(benchmarks | {"version": 2}), merge=True),
        File(f"{machine}/machine.json", writing.json_bytes(_machine(run, machine)), merge=True),
        File(
            f"{machine}/{_file_name(commit)[:8]}-{environment}.json",
            writing.json_bytes(_results(run, found, commit, machine, environment), indent=None),
        ),
    )
    return Export(files, left_out)


def read(data: bytes, origin: Origin) -> list[Imported]:
    """The run of one results file. Its parameters have no names there (asv keeps those elsewhere): param1, param2, …"""
    document = reading.document(data)
    version = document.get("version").count()
    if version not in (1, 2):
        raise document.get("version").wrong("1 or 2, the versions of asv's results,")
    builder = Builder(origin, _head(document, version))
    results = document.get("results").required("an object of results")
    columns = [one.name() for one in document.get("result_columns").items()] if version == 2 else []
    for name, row in results.entries():
        if not name.strip():
            raise row.wrong("a benchmark with a name")
        _add(builder, name, _columns(row, columns) if version == 2 else _first_version(row))
    return finished([builder], data)


def _name(point: Point) -> str:
    kernel, _, rest = point.name.partition("[")
    return f"{kernel}.time_call[{rest}"


def _file_name(text: str) -> str:
    """A part of a path from something measured or given: nothing in it leads elsewhere."""
    return UNSAFE.sub("_", text).lstrip(".")[:100] or "unknown"


def _benchmark(point: Point) -> dict[str, Any]:
    return {
        "name": _name(point),
        "pretty_name": point.name,
        "code": "",
        "type": "time",
        "unit": "seconds",
        "params": [],
        "param_names": [],
        "version": BENCHMARK_VERSION,
        "timeout": 0,
    }


def _machine(run: records.RunFile, machine: str) -> dict[str, Any]:
    return _machine_params(run, machine) | {"version": 1}


def _machine_params(run: records.RunFile, machine: str) -> dict[str, str]:
    """What asv knows of a machine. All of it is text there."""
    processor = next((device for device in run.devices if device.kind == "cpu"), None)
    host = run.run.host
    params = {
        "machine": machine,
        "os": f"{host.get('os') or ''} {host.get('kernel') or ''}".strip(),
        "arch": str(host.get("arch") or ""),
        "cpu": processor.name if processor else "",
        "num_cpu": str(processor.units.in_use or "") if processor else "",
        "ram": str(processor.memory_bytes or "") if processor else "",
    }
    accelerators = dict.fromkeys(device.name for device in run.devices if device.kind != "cpu")
    return params | ({"gpu": ", ".join(accelerators)} if accelerators else {})


def _results(
    run: records.RunFile, found: Sequence[Point], commit: str, machine: str, environment: str
) -> dict[str, Any]:
    started_ms = round(model.started_s(run) * 1000)
    return {
        "commit_hash": commit,
        "env_name": environment,
        "date": started_ms,
        "params": _machine_params(run, machine) | {"python": str(run.run.host.get("python") or "")},
        "python": str(run.run.host.get("python") or ""),
        "requirements": {name: str(version) for name, version in run.run.software.items()},
        "env_vars": {},
        "result_columns": list(COLUMNS),
        "results": {_name(point): _row(point, started_ms) for point in found},
        "durations": {},
        "version": 2,
    }


def _row(point: Point, started_ms: int) -> list[Any]:
    """One benchmark's columns. asv's interval is of 99 %; ours is of 95 % or a range, so it is left out."""
    known = statistics(point, "median")
    return [
        [point.median_s],
        [],
        BENCHMARK_VERSION,
        started_ms,
        None,
        None,
        None,
        [known["q1"]],
        [known["q3"]],
        [known["iterations"]],
        [known["rounds"]],
        [list(point.values_s)],
    ]


def _head(document: reading.Node, version: int) -> Head:
    params = document.get("params")
    head = Head(version=str(version), started=reading.moment(document.get("date")))
    commit = document.get("commit_hash").text()
    head.git = {"commit": commit, "branch": None, "dirty": False} if commit else None
    if isinstance(params.value, dict):
        texts = {name: str(parameter(params.get(name).value or "")) for name in ("machine", "os", "arch", "cpu")}
        head.host = {"name": texts["machine"], "os": texts["os"].partition(" ")[0], "arch": texts["arch"]}
        head.host["python"] = document.get("python").text()
        head.host = {name: value for name, value in head.host.items() if value}
        head.device_name = texts["cpu"] or None
    requirements = document.get("requirements")
    if isinstance(requirements.value, dict):
        head.software = {name: str(parameter(value.value)) for name, value in requirements.entries()}
    return head


def _columns(row: reading.Node, columns: Sequence[str]) -> dict[str, reading.Node]:
    """A row of version 2 by the names of its columns; asv leaves empty ones at its end out."""
    values = row.items()
    if len(values) > len(columns):
        raise reading.MalformedError(f"{row.place}: has {len(values)} columns, result_columns names {len(columns)}")
    return dict(zip(columns, values, strict=False))


def _first_version(row: reading.Node) -> dict[str, reading.Node]:
    """A row of version 1: a number, or an object with result and params."""
    if isinstance(row.value, dict):
        return {name: row.get(name) for name in ("result", "params", "samples")}
    return {"result": row}


def _add(builder: Builder, name: str, row: dict[str, reading.Node]) -> None:
    empty = reading.Node(None)
    results = _listed(row.get("result", empty))
    if not results:  # null for all: it failed as a whole
        builder.add(name, "asv: failed", status="failed")
        return
    sets = [axis.items() for axis in row.get("params", empty).items()]
    if sets and prod(map(len, sets)) != len(results):
        place = row["params"].place
        raise reading.MalformedError(
            f"{place}: spans {prod(map(len, sets))} combinations, and there are {len(results)} results"
        )
    cases = itertools.product(*sets)
    unit = _unit(name, builder.origin.unit)
    ours = OURS.fullmatch(name)
    for index, (result, values) in enumerate(zip(results, cases, strict=False)):
        case = {f"param{number}": parameter(value.value) for number, value in enumerate(values, start=1)}
        full = f"{ours['kernel']}{ours['rest']}" if ours and not case else name
        if result.missing:
            # A NaN, which is how asv says skipped, has become null in reading as well.
            builder.add(full, "asv: failed or skipped", case, status="failed")
            continue
        builder.add(full, _figures(result, row, index, unit), case)


def _figures(result: reading.Node, row: dict[str, reading.Node], place: int, unit: str) -> Figures | str:
    figures = of_value(result.number(), unit)
    if isinstance(figures, str) or unit != "s":
        return figures
    known: dict[str, Any] = {
        "q1_s": _at(row, "stats_q_25", place).number(),
        "q3_s": _at(row, "stats_q_75", place).number(),
        "calls_per_sample": _at(row, "stats_number", place).count(),
    }
    samples = _at(row, "samples", place)
    given = {key: value for key, value in known.items() if value is not None}
    if isinstance(samples.value, list) and samples.value:
        return of_samples(samples.numbers(), **(given | {"median_s": figures.median_s}))
    return Figures(median_s=figures.median_s, samples=_at(row, "stats_repeat", place).count(), **given)


def _at(row: dict[str, reading.Node], column: str, place: int) -> reading.Node:
    """One result's value of a column that is a list in the order of the results, or missing."""
    values = _listed(row.get(column, reading.Node(None)))
    return values[place] if place < len(values) else reading.Node(None)


def _listed(node: reading.Node) -> list[reading.Node]:
    """A list, or one value as a list of one: version 1 has both."""
    return node.items() if node.missing or isinstance(node.value, list) else [node]


def _unit(name: str, given: str | None) -> str:
    """What a benchmark is measured in, by asv's rule: how its function's name begins."""
    function = "time_call" if OURS.fullmatch(name) else name.rpartition(".")[2]
    return next((unit for prefix, unit in PREFIX_UNIT.items() if function.startswith(prefix)), given or "unknown")
