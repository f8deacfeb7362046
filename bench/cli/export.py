"""`python -m bench export`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import records
from bench.cli.files import STANDARD_OUTPUT, append, refuse_existing, write_whole
from bench.cli.formats import add_list, print_list
from bench.cli.options import add_results
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.interop.comparison import Comparison
    from bench.interop.model import Export, ExportOptions, File
    from bench.interop.registry import Format

LEFT_OUT_SHOWN: Final = 5
"""Series without a usable time that are named; of the others only the number is."""
IN_GITHUB: Final = "GITHUB_ACTIONS"
SMALLEST_SUMMARY_BYTES: Final = 2_000
"""Room below which nothing worth reading fits into a job summary."""

DESCRIPTION: Final = """\
Write a run in another tool's format. Only usable rows (ok, noisy) have figures there; what is left out is named.

RUN is a run file, a folder (its newest), or of the store: latest, a baseline's name, a commit. For junit,
github-summary, github-annotations, prometheus and openmetrics it may be what `compare --format json` printed; - reads
that from a pipe. What maps to what: docs/interop.md.
"""

EPILOG: Final = """\
examples:
  python -m bench export --list
  python -m bench export latest --to pytest-benchmark -o bench.json
  python -m bench export results/*.jsonl --to otava -o history.csv
  python -m bench export RUN.jsonl --to prometheus -o /var/lib/node_exporter/bench.prom --force
  python -m bench export RUN.jsonl --to asv -o asv-results
  python -m bench compare BASE NEW --format json | python -m bench export - --to junit -o report.xml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("runs", nargs="*", metavar="RUN", help="what to export; several go into csv and otava")
    parser.add_argument("--to", metavar="FORMAT", help="which format; --list names them")
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        default=STANDARD_OUTPUT,
        help="where to, or - for stdout (default); asv: a folder",
    )
    parser.add_argument("--force", action="store_true", help="replace what exists there")
    parser.add_argument(
        "--ops-from",
        choices=("median", "mean"),
        default="median",
        help="pytest-benchmark: what its `ops` is one over, which github-action-benchmark plots (default: median)",
    )
    add_results(parser, "the store of the names")
    add_list(parser)


def run(args: argparse.Namespace) -> int:
    """Write it; 0, or 3 where nothing usable is in the run or the target can't be written."""
    from bench.interop import registry

    if args.list:
        print_list(args.format)
        return 0
    if not args.to:
        raise UsageError("--to: is missing; name a format (`python -m bench export --list` has them)")
    form = registry.exported(args.to)
    if not args.runs:
        raise UsageError("RUN: is missing; name a run file, a folder, or a run of the store such as latest")
    options = _options(form, args)
    comparison = _comparison(args.runs[0]) if len(args.runs) == 1 else None
    if comparison is not None:
        made = registry.export_comparison(form, comparison, options)
    else:
        runs = [records.read(_resolve(one, args.results)) for one in args.runs]
        made = registry.export_runs(form, runs, options)
    _write(form, made, args.out, args.force)
    _report(made)
    return 0


def _options(form: Format, args: argparse.Namespace) -> ExportOptions:
    from bench.interop.github_summary import LIMIT_BYTES
    from bench.interop.model import ExportOptions

    room = None
    if form.appended and args.out != STANDARD_OUTPUT and Path(args.out).is_file():
        room = LIMIT_BYTES - Path(args.out).stat().st_size
        if room < SMALLEST_SUMMARY_BYTES:
            raise UnavailableError(f"-o: {args.out} is full: GitHub takes {LIMIT_BYTES:,} bytes of job summary a step")
    return ExportOptions(ops_from=args.ops_from, room_bytes=room)


def _comparison(reference: str) -> Comparison | None:
    """The comparison that is meant, where it is one: a document that `compare --format json` printed."""
    from bench.interop import comparison

    if reference != STANDARD_OUTPUT and not Path(reference).is_file():
        return None
    try:
        data = sys.stdin.buffer.read() if reference == STANDARD_OUTPUT else Path(reference).read_bytes()
    except OSError as error:
        raise UnavailableError(f"RUN: cannot read {reference}: {error.strerror or error}") from error
    if not comparison.is_comparison(data):
        if reference == STANDARD_OUTPUT:
            raise UnavailableError("RUN: what stdin has is no comparison as `compare --format json` prints it")
        return None
    try:
        return comparison.read(data)
    except UnavailableError as error:
        raise UnavailableError(f"RUN: {reference} {error}") from error


def _resolve(reference: str, results: str | None) -> Path:
    from bench.store.naming import location
    from bench.store.references import resolve

    return resolve(reference, location(results))


def _write(form: Format, made: Export, out: str, force: bool) -> None:
    if out == STANDARD_OUTPUT:
        _print(form, made)
        return
    targets = [(_target(form, out, file), file) for file in made.files]
    if form.appended and Path(out).exists() and not force:
        append(Path(out), made.files[0].data)
    else:
        refuse_existing([path for path, file in targets if not file.merge], force)
        for path, file in targets:
            write_whole(path, _merged(path, file.data) if file.merge else file.data)
    for path, _ in targets:
        print(f"wrote {path}", file=sys.stderr)


def _print(form: Format, made: Export) -> None:
    """To stdout. Outside of GitHub's runners its commands would be noise in somebody's log."""
    if form.shape != "file":
        what = "a folder" if form.shape == "tree" else "several files"
        raise UsageError(f"-o: {form.name} is {what}; name where to write, since stdout can't hold it")
    if form.name == "github-annotations" and os.environ.get(IN_GITHUB) != "true":
        print(f"bench: {IN_GITHUB} is not true here: no annotations are printed (-o FILE writes them)", file=sys.stderr)
        return
    sys.stdout.flush()
    (file,) = made.files
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:  # a stream of text only, such as io.StringIO
        sys.stdout.write(file.data.decode())
    else:
        raw.write(file.data)


def _target(form: Format, out: str, file: File) -> Path:
    path = Path(out)
    if form.shape == "tree":
        return path / file.name
    if form.shape == "files":
        suffix = path.suffix or form.suffix
        return path.with_name(f"{path.name.removesuffix(path.suffix)}.{file.name}{suffix}")
    return path


def _merged(path: Path, data: bytes) -> bytes:
    """Our keys in the JSON object that lies there already, if one does."""
    if not path.exists():
        return data
    try:
        existing = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnavailableError(f"-o: cannot add to {path}: {error}") from error
    if not isinstance(existing, dict):
        raise UnavailableError(f"-o: cannot add to {path}: it holds no JSON object")
    return json.dumps(existing | json.loads(data), indent=2, ensure_ascii=False).encode() + b"\n"


def _report(made: Export) -> None:
    for line in made.left_out[:LEFT_OUT_SHOWN]:
        print(f"left out: {' '.join(line.split())}", file=sys.stderr)
    if len(made.left_out) > LEFT_OUT_SHOWN:
        print(f"left out: {len(made.left_out) - LEFT_OUT_SHOWN} more", file=sys.stderr)
