"""`python -m bench show`."""

from __future__ import annotations

import argparse

from bench import records
from bench.cli.options import add_results
from bench.cli.output import add_format, print_explanation, print_run
from bench.errors import UsageError
from bench.store import location
from bench.store.references import resolve

EXAMPLES = """\
examples:
  python -m bench show results/20261122T180000Z-1f3a5c7e.jsonl
  python -m bench show latest --explain
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
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a run file, or a folder (its newest); or `latest`, a baseline, a run id or a commit of the store",
    )
    add_results(parser, "the store that is meant")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="below the table: where the rest of the rated figure went, factor by factor, and the roofline",
    )
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Print the run; 0, or 3 when it can't be read."""
    if args.explain and args.format != "table":
        raise UsageError(f"--explain: goes with --format table, not {args.format}; json has the `losses` of every row")
    path = resolve(args.run, location(args.results))
    run_file = records.read(path)
    print_run(path, run_file, args.format)
    if args.explain:
        print_explanation(run_file)
    return 0
