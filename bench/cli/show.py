"""`python -m bench show`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import records
from bench.cli.output import add_format, print_run

EXAMPLES = """\
examples:
  python -m bench show results/20261122T180000Z-1f3a5c7e.jsonl
  python -m bench show RUN.jsonl --format markdown >> report.md
  python -m bench show RUN.jsonl --format json | jq 'select(.type == "measurement") | .rate'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Read a run file back: the table that `run` printed, or the same as markdown, CSV or JSON lines.\n"
        "A run that was killed reads up to its last whole line."
    )
    parser.epilog = EXAMPLES
    parser.add_argument("run", metavar="RUN", type=Path, help="a run file, or a folder: then its newest run file")
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Print the run; 0, or 3 when it can't be read."""
    path = records.find(args.run)
    print_run(path, records.read(path), args.format)
    return 0
