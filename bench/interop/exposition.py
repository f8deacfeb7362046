"""Prometheus' text format and OpenMetrics: one set of metrics, written in either dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from bench import __version__, records
from bench.interop import comparison, model, writing
from bench.interop.model import Export, ExportOptions, File, Point

RATE_METRICS: Final[dict[model.Unit, tuple[str, str]]] = {
    "FLOPS": ("bench_kernel_throughput_flops_per_second", "floating-point operations per second"),
    "OPS": ("bench_kernel_throughput_operations_per_second", "integer operations per second"),
    "B/s": ("bench_kernel_throughput_bytes_per_second", "bytes read and written per second"),
}


@dataclass
class Family:
    """One metric: its samples as (labels, value)."""

    name: str
    help: str
    unit: str = ""
    info: bool = False
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """A run for the textfile collector: no timestamps on samples, a newline at the end."""
    (run,) = runs
    return Export((File("", prometheus(of_run(run))),))


def export_comparison(one: comparison.Comparison, options: ExportOptions) -> Export:
    """Which series regressed, 0 or 1, and by how much."""
    return Export((File("", prometheus(of_comparison(one))),))


def of_run(run: records.RunFile) -> list[Family]:
    """A run's metrics; a series without a usable time has a 0 in bench_kernel_usable and no figures."""
    found, _ = model.points(run)
    measured = {point.name for point in found}
    usable = Family("bench_kernel_usable", "1 where the series has a usable time, else 0")
    for name, key, _ in model.named_series(run):
        labels = {"benchmark": name, "kernel": key.kernel, "device": key.device, "dtype": key.precision}
        usable.samples.append((labels, float(name in measured)))
    families = [usable, _times(found), *_rates(found), _utilization(found), _when(run), _devices(run), _build(run)]
    return [family for family in families if family.samples]


def of_comparison(one: comparison.Comparison) -> list[Family]:
    """A comparison's metrics."""
    regression = Family("bench_regression", "1 where the series is slower than its baseline")
    change = Family("bench_time_ratio", "seconds per call, new over base", unit="ratio")
    verdict = Family("bench_verdict_info", "what is said of the series, and why", info=True)
    for series in one.series:
        labels = {"benchmark": series.series}
        regression.samples.append((labels, float(series.verdict == comparison.REGRESSION)))
        verdict.samples.append((labels | {"verdict": series.verdict, "reason": series.reason}, 1.0))
        if series.ratio is not None and isfinite(series.ratio):
            change.samples.append((labels, series.ratio))
    return [family for family in (regression, change, verdict) if family.samples]


def prometheus(families: Sequence[Family]) -> bytes:
    """The text format 0.0.4."""
    lines = []
    for family in families:
        lines += [
            f"# HELP {family.name} {_escaped_help(family.help)}",
            f"# TYPE {family.name} gauge",
            *_samples(family),
        ]
    return writing.text_bytes("\n".join(lines))


def openmetrics(families: Sequence[Family]) -> bytes:
    """OpenMetrics 1.0: a unit is the end of its metric's name, an info's name has no _info, `# EOF` ends it."""
    lines = []
    for family in families:
        name = family.name.removesuffix("_info") if family.info else family.name
        lines.append(f"# TYPE {name} {'info' if family.info else 'gauge'}")
        if family.unit:
            lines.append(f"# UNIT {name} {family.unit}")
        lines += [f"# HELP {name} {_escaped(family.help)}", *_samples(family)]
    return writing.text_bytes("\n".join([*lines, "# EOF"]))


def _labels(point: Point) -> dict[str, str]:
    row = point.row
    return {"benchmark": point.name, "kernel": row.kernel, "device": point.key.device, "dtype": row.precision}


def _times(found: Sequence[Point]) -> Family:
    family = Family("bench_kernel_time_seconds", "seconds per call", unit="seconds")
    for point in found:
        labels = _labels(point)
        family.samples.append((labels | {"stat": "median"}, point.median_s))
        if point.interval_s:
            low, high = point.interval_s
            family.samples += [(labels | {"stat": "low"}, low), (labels | {"stat": "high"}, high)]
    return family


def _rates(found: Sequence[Point]) -> list[Family]:
    families = []
    for unit, (name, words) in RATE_METRICS.items():
        samples = [(_labels(point), point.rate) for point in found if point.unit == unit and point.rate]
        ending = name.removeprefix("bench_kernel_throughput_")
        families.append(Family(name, words, unit=ending, samples=[(labels, rate) for labels, rate in samples if rate]))
    return families


def _utilization(found: Sequence[Point]) -> Family:
    samples = [(_labels(point), point.utilization) for point in found]
    return Family(
        "bench_kernel_utilization_ratio",
        "rate over the rated peak",
        unit="ratio",
        samples=[(labels, value) for labels, value in samples if value is not None],
    )


def _when(run: records.RunFile) -> Family:
    when = Family("bench_run_timestamp_seconds", "when the run started", unit="seconds")
    when.samples.append(({}, model.started_s(run)))
    return when


def _devices(run: records.RunFile) -> Family:
    samples: list[tuple[Mapping[str, str], float]] = [
        (
            {
                "device": device.device,
                "name": device.name,
                "driver": device.driver or "",
                "architecture": device.architecture,
            },
            1.0,
        )
        for device in {(one.host, one.device): one for one in run.devices}.values()
    ]
    distinct = {tuple(sorted(labels.items())): (labels, value) for labels, value in samples}
    return Family("bench_device_info", "the devices of the run", info=True, samples=list(distinct.values()))


def _build(run: records.RunFile) -> Family:
    labels = {"run": run.run.id, "commit": model.commit(run) or "", "version": __version__}
    return Family("bench_run_info", "the run", info=True, samples=[(labels, 1.0)])


def _samples(family: Family) -> list[str]:
    return [f"{family.name}{_label_text(labels)} {_number(value)}" for labels, value in family.samples]


def _label_text(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
