"""How a run is written to stdout in each format; shared by `run` and `show`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from bench import records
from bench.cli.progress import kernel_defaults

FORMATS = ("table", "json", "markdown", "csv")
PIPED_WIDTH = 160
"""Columns of a table that goes into a pipe or a file, where no terminal tells its width."""


def add_format(parser: argparse._ActionsContainer) -> None:
    """The --format option."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="table (default), markdown for a README or pull request, csv for a spreadsheet, "
        "json for the run file's own lines",
    )


def print_run(path: Path, run: records.RunFile, form: str) -> None:
    """Print a run that lies at `path` in the format asked for."""
    if form == "json":
        for line in records.lines(path):
            _write_utf8(line)
        return
    from bench.report import many, table

    if form == "csv":
        print(table.comma_separated(run))
    elif form == "markdown":
        print(table.markdown(run, kernel_defaults()))
    elif many.is_of_many(run):
        print(many.terminal(run, kernel_defaults(), width(), ascii_only=not speaks_utf8()))
    else:
        print(table.terminal(run, kernel_defaults(), width(), ascii_only=not speaks_utf8()))


def _write_utf8(line: bytes) -> None:
    """JSON is UTF-8 whatever the terminal speaks."""
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:  # a stream of text only, such as io.StringIO
        sys.stdout.write(line.decode())
    else:
        raw.write(line)


def print_explanation(run: records.RunFile) -> None:
    """Print where the rest of each rated figure went, below the table."""
    from bench.report import explain

    print()
    print(explain.explain(run, kernel_defaults(), width(), ascii_only=not speaks_utf8()))


def width() -> int:
    """Columns of a table on stdout: the terminal's, or `PIPED_WIDTH` where it is none."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return shutil.get_terminal_size().columns
    return PIPED_WIDTH


def speaks_utf8() -> bool:
    """Whether stdout takes any character."""
    return "utf" in (sys.stdout.encoding or "").lower()
