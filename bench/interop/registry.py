"""Which formats there are, as data: name, direction, what each is, its suffix, and the module that speaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal

from bench import records
from bench.errors import UsageError, unknown_name
from bench.interop.comparison import Comparison
from bench.interop.importing import Imported, Origin
from bench.interop.model import Export, ExportOptions

Shape = Literal["file", "files", "tree"]


@dataclass(frozen=True)
class Format:
    """One foreign format.

    Its module has `export(runs, options)` if it is written, `export_comparison(comparison, options)` if a comparison
    can be written too, and `read(data, origin)` if it is read.
    """

    name: str
    module: str
    what: str
    suffix: str
    exported: bool = False
    imported: bool = False
    compared: bool = False
    """Whether `compare --format json`'s document can be exported, not only a run."""
    several: bool = False
    """Whether more than one run goes into one file."""
    shape: Shape = "file"
    """One file, several beside each other, or a folder."""
    appended: bool = False
    """Whether an existing file is added to: it belongs to whoever made it."""

    @property
    def direction(self) -> str:
        """ "in", "out" or "both"."""
        return "both" if self.exported and self.imported else "out" if self.exported else "in"


FORMATS: Final[dict[str, Format]] = {
    one.name: one
    for one in (
        Format("bench", "own", "our own run file", ".jsonl", exported=True, imported=True),
        Format(
            "pytest-benchmark",
            "pytest_benchmark",
            "pytest-benchmark's JSON (read: versions 2.5 to 5)",
            ".json",
            exported=True,
            imported=True,
        ),
        Format(
            "github-action-benchmark",
            "github_action_benchmark",
            "github-action-benchmark: written as the two custom files, bigger and smaller is better; "
            "read: a custom file, or data.js with its history",
            ".json",
            exported=True,
            imported=True,
            shape="files",
        ),
        Format("bmf", "bmf", "Bencher Metric Format", ".json", exported=True, imported=True),
        Format(
            "asv",
            "asv",
            "airspeed velocity results (written: a results folder for `asv publish`; read: one results file, 1 or 2)",
            ".json",
            exported=True,
            imported=True,
            shape="tree",
        ),
        Format(
            "google-benchmark",
            "google_benchmark",
            "Google Benchmark's JSON, as its compare.py reads it",
            ".json",
            exported=True,
            imported=True,
        ),
        Format("pyperf", "pyperf", "pyperf's JSON 1.0", ".json", imported=True),
        Format("csv", "csv_long", "CSV, one line a measurement", ".csv", exported=True, imported=True, several=True),
        Format(
            "otava",
            "otava",
            "CSV as Apache Otava (hunter) reads it: time, commit, branch, one column a series; a line a run",
            ".csv",
            exported=True,
            imported=True,
            several=True,
        ),
        Format(
            "prometheus",
            "exposition",
            "Prometheus text format, for the node exporter's textfile collector",
            ".prom",
            exported=True,
            compared=True,
        ),
        Format("openmetrics", "openmetrics", "OpenMetrics 1.0 text", ".txt", exported=True, compared=True),
        Format("junit", "junit", "JUnit XML, for a CI's test report", ".xml", exported=True, compared=True),
        Format(
            "github-summary",
            "github_summary",
            "markdown for a GitHub job summary (append it to $GITHUB_STEP_SUMMARY)",
            ".md",
            exported=True,
            compared=True,
            appended=True,
        ),
        Format(
            "github-annotations",
            "github_annotations",
            "GitHub Actions workflow commands: errors, warnings and notices at the change",
            ".txt",
            exported=True,
            compared=True,
        ),
        Format(
            "conbench", "conbench", "Conbench: an array of POST /api/benchmark-results bodies", ".json", exported=True
        ),
    )
}


def exported(name: str) -> Format:
    """The format that `--to` names. Raises UsageError for another."""
    return _named("--to", name, [one.name for one in FORMATS.values() if one.exported])


def imported(name: str) -> Format:
    """The format that `--from` names. Raises UsageError for another."""
    return _named("--from", name, [one.name for one in FORMATS.values() if one.imported])


def export_runs(form: Format, runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """The runs in that format. Raises UsageError for several runs where one fits, UnavailableError for nothing."""
    if len(runs) > 1 and not form.several:
        many = ", ".join(one.name for one in FORMATS.values() if one.several)
        raise UsageError(f"RUN: {form.name} holds one run, and {len(runs)} are given; several go into: {many}")
    result: Export = _module(form).export(runs, options)
    return result


def export_comparison(form: Format, comparison: Comparison, options: ExportOptions) -> Export:
    """A comparison in that format. Raises UsageError where the format is one of runs only."""
    if not form.compared:
        fit = ", ".join(one.name for one in FORMATS.values() if one.compared)
        raise UsageError(f"--to: {form.name} holds runs, and this file is a comparison; a comparison goes into: {fit}")
    result: Export = _module(form).export_comparison(comparison, options)
    return result


def read(form: Format, data: bytes, origin: Origin) -> list[Imported]:
    """The runs of a foreign file. Raises UnavailableError that names the field where it is not what it should be."""
    result: list[Imported] = _module(form).read(data, origin)
    return result


def _named(argument: str, name: str, choices: Sequence[str]) -> Format:
    if name not in choices:
        raise unknown_name(argument, name, choices)
    return FORMATS[name]


def _module(form: Format) -> Any:
    return import_module(f"bench.interop.{form.module}")
