"""CSV in its long form: one line a measurement, of any number of runs; all series, whatever became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import records
from bench.analysis.identity import key_of
from bench.interop import model, reading, tables
from bench.interop.figures import Figures
from bench.interop.importing import Builder, Head, Imported, Origin, finished
from bench.interop.model import Export, ExportOptions, File
from bench.interop.naming import INTEGER, foreign
from bench.interop.reading import Node

RUN_COLUMNS: Final = ("run", "started", "commit", "branch", "os", "arch", "torch", "implementation_asked")
WHAT_COLUMNS: Final = (
    *("id", "series", "host", "rank", "device", "device_name", "launch", "kernel", "case", "precision", "accumulate"),
    *("implementation", "mode", "data", "cache", "status", "reason", "quarantine"),
)
TIME_COLUMNS: Final = (
    *("median_s", "q1_s", "q3_s", "min_s", "mean_s", "stdev_s", "ci95_low_s", "ci95_high_s"),
    *("samples", "calls_per_sample", "timer", "stop"),
)
FIGURE_COLUMNS: Final = (
    *("operations", "bytes", "operations_per_s", "bytes_per_s"),
    *("rated_operations_per_s", "rated_bytes_per_s", "rated_kind", "utilization", "utilization_of"),
)
COLUMNS: Final = (*RUN_COLUMNS, *WHAT_COLUMNS, *TIME_COLUMNS, *FIGURE_COLUMNS)


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """Every row of every run."""
    lines = [_line(run, row) for run in runs for row in run.measurements]
    return Export((File("", tables.written(COLUMNS, lines)),))


def read(data: bytes, origin: Origin) -> list[Imported]:
    """A run for each value of the column `run`, or one. Needed are `kernel` and `median_s`; the rest may be absent."""
    header, lines = tables.read(reading.text_of(data))
    for name in ("kernel", "median_s"):
        if name not in header:
            raise reading.MalformedError(f"line 1: has no column {name}; needed are kernel and median_s")
    builders: dict[str, Builder] = {}
    for number, (_, cells) in enumerate(lines, start=1):
        reading.limit_rows(number)
        run = _text(cells, "run") or ""
        if run not in builders:
            reading.limit_runs(len(builders) + 1)
            builders[run] = Builder(origin, _head(cells))
        _add(builders[run], cells)
    return finished(list(builders.values()), data)


def _line(run: records.RunFile, row: records.Measurement) -> list[Any]:
    device = run.device(row.device)
    host, software = run.run.host, run.run.software
    of_run = [run.run.id, run.run.started, model.commit(run), model.branch(run)]
    of_run += [host.get("os"), host.get("arch"), software.get("torch"), run.run.implementation]
    what = [
        row.id,
        key_of(row, run.run).text,
        row.host,
        row.rank,
        row.device,
        device.name if device else None,
        row.launch,
        row.kernel,
    ]
    what += [case_text(row.case), row.precision, row.accumulate, row.implementation, row.mode, row.data, row.cache]
    what += [row.status, row.reason, "; ".join(row.quarantine)]
    figures: list[Any] = [
        *_values(row.work, "operations", "bytes"),
        *_values(row.rate, "operations_per_s", "bytes_per_s"),
    ]
    figures += [*_values(row.rated, "operations_per_s", "bytes_per_s", "kind"), row.utilization, row.utilization_of]
    return [*of_run, *what, *_values(row.time, *TIME_COLUMNS), *figures]


def _values(holder: Any, *names: str) -> list[Any]:
    return [getattr(holder, name) if holder is not None else None for name in names]


def case_text(case: Mapping[str, int | str]) -> str:
    """A case in one cell: "m=1,n=2,k=3"."""
    return ",".join(f"{name}={value}" for name, value in case.items())


def _head(cells: Mapping[str, Node]) -> Head:
    commit = _text(cells, "commit")
    head = Head(started=reading.moment(cells.get("started", Node(None))), device_name=_text(cells, "device_name"))
    head.git = {"commit": commit, "branch": _text(cells, "branch"), "dirty": False} if commit else None
    known = {"name": _text(cells, "host"), "os": _text(cells, "os"), "arch": _text(cells, "arch")}
    head.host = {name: value for name, value in known.items() if value}
    torch = _text(cells, "torch")
    head.software = {"torch": torch} if torch else {}
    head.implementation = _text(cells, "implementation_asked") or head.implementation
    return head


def _add(builder: Builder, cells: Mapping[str, Node]) -> None:
    """One line. A row that its run could not use keeps its status; one in quarantine stays unusable."""
    kernel = cells.get("kernel", Node(None)).name()
    fields = foreign(kernel, _case(cells.get("case", Node(None))))
    for name in ("precision", "accumulate", "implementation", "data", "device"):
        fields[name] = _text(cells, name) or fields[name]
    fields["mode"] = _one_of(cells, "mode", ("burst", "sustained"), fields["mode"])
    fields["cache"] = _one_of(cells, "cache", ("cold", "warm", "not-applicable"), fields["cache"])
    status = _one_of(cells, "status", records.STATUSES, "ok")
    launch = cells.get("launch", Node(None)).count() or 0
    held = _text(cells, "quarantine")
    if status in records.USABLE and not held:
        builder.add_fields(fields, _figures(cells), launch)
        return
    reason = _text(cells, "reason") or (f"quarantined: {held}" if held else "")
    kept: records.Status = "invalid" if status in records.USABLE else status  # type: ignore[assignment]  # one of them
    builder.add_fields(fields, reason or status, launch, kept)


def _figures(cells: Mapping[str, Node]) -> Figures:
    def number(name: str) -> float | None:
        return cells.get(name, Node(None)).number()

    def count(name: str) -> int | None:
        return cells.get(name, Node(None)).count()

    operations, moved = count("operations"), count("bytes")
    work = None
    if operations is not None or moved is not None:
        work = records.Work(operations=operations or 0, bytes=moved or 0)
    return Figures(
        median_s=number("median_s"),
        q1_s=number("q1_s"),
        q3_s=number("q3_s"),
        min_s=number("min_s"),
        mean_s=number("mean_s"),
        stdev_s=number("stdev_s"),
        ci95_low_s=number("ci95_low_s"),
        ci95_high_s=number("ci95_high_s"),
        samples=count("samples"),
        calls_per_sample=count("calls_per_sample"),
        work=work,
        bandwidth=cells.get("utilization_of", Node(None)).value == "bytes",
    )


def _case(node: Node) -> dict[str, int | str]:
    """A case from one cell."""
    case: dict[str, int | str] = {}
    for part in filter(None, (node.text() or "").split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise node.wrong("name=value,name=value")
        case[name.strip()] = int(value) if INTEGER.fullmatch(value) else value
    return case


def _text(cells: Mapping[str, Node], name: str) -> str | None:
    return cells.get(name, Node(None)).text()


def _one_of(cells: Mapping[str, Node], name: str, choices: Sequence[str], default: str) -> str:
    node = cells.get(name, Node(None))
    text = node.text()
    if text is None:
        return default
    if text not in choices:
        raise node.wrong(" or ".join(choices))
    return text
