"""pyperf's JSON 1.0, read: each of its runs is a process, and so a launch of ours."""

from __future__ import annotations

from typing import Any

from bench.interop import reading
from bench.interop.figures import of_samples
from bench.interop.importing import Builder, Head, Imported, Origin, finished

SECOND = "second"
"""pyperf's unit of time; its others count bytes or things."""
RUNS_ASKED = 10
"""Runs whose metadata is looked through for what the machine is: the first ones calibrate, and may say less."""


def read(data: bytes, origin: Origin) -> list[Imported]:
    """One run with all benchmarks of the file; a process that only calibrated has no values and is no launch."""
    document = reading.document(data)
    version = document.get("version")
    if version.value not in ("1.0", 1.0, "1"):
        raise version.wrong('"1.0", the version of pyperf\'s files,')
    common = document.get("metadata")
    benchmarks = document.get("benchmarks").required("an array of benchmarks").items()
    builder = Builder(origin, _head(common, benchmarks))
    for node in benchmarks:
        _add(builder, node, common)
    return finished([builder], data)


def _add(builder: Builder, node: reading.Node, common: reading.Node) -> None:
    found = _metadata("name", node.get("metadata"), common, *_run_metadata(node))
    name = found.name() if found is not None else "unnamed"
    unit = _metadata("unit", node.get("metadata"), common)
    if unit is not None and unit.value != SECOND:
        builder.add(name, f"its unit is {reading.shown(unit.value)}, not second")
        return
    launch = 0
    for one in node.get("runs").required("an array of runs").items():
        values = one.get("values").numbers()
        if not values:
            continue
        loops = _metadata("loops", one.get("metadata"), node.get("metadata"), common)
        builder.add(name, of_samples(values, calls_per_sample=loops.count() if loops else None), launch=launch)
        launch += 1
    if not launch:
        builder.add(name, "pyperf: no values", status="failed")


def _head(common: reading.Node, benchmarks: list[reading.Node]) -> Head:
    """What the file says of the machine: in the metadata of the file, of a benchmark, or of its first runs."""
    sources = [common]
    for node in benchmarks[:1]:
        sources += [node.get("metadata"), *_run_metadata(node)]

    def text(key: str) -> str | None:
        found = _metadata(key, *sources)
        return found.text() if found is not None else None

    platform = (text("platform") or "").split("-")
    host: dict[str, Any] = {
        "name": text("hostname"),
        "os": platform[0] or None,
        "python": (text("python_version") or "").partition(" ")[0] or None,
    }
    dates = _metadata("date", *sources)
    return Head(
        version=text("perf_version") or text("pyperf_version"),
        started=reading.moment(dates) if dates is not None else None,
        host={key: value for key, value in host.items() if value},
        device_name=text("cpu_model_name"),
    )


def _run_metadata(node: reading.Node) -> list[reading.Node]:
    return [one.get("metadata") for one in node.get("runs").items()[:RUNS_ASKED]]


def _metadata(key: str, *sources: reading.Node) -> reading.Node | None:
    """The first of the metadata that has the key: pyperf moves what all share to the outer one."""
    for source in sources:
        if not source.missing and not source.get(key).missing:
            return source.get(key)
    return None
