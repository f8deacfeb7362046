"""`python -m bench import`; the module has an underscore because the word alone is Python's."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import records
from bench.cli.files import STANDARD_OUTPUT
from bench.cli.formats import SCHEMA, add_list, print_list
from bench.cli.options import add_results
from bench.errors import BenchError, UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.interop.importing import Imported
    from bench.interop.registry import Format

DESCRIPTION: Final = """\
Read another tool's file and put it into the store as a run of ours: what the file says is kept, what it doesn't say is
unknown. Such a run has no rating and its own method version, so it is compared and followed with its like only.

The file may come from anybody: it is read within limits of size, depth and number, and nothing in it names a path.
"""

EPILOG: Final = """\
examples:
  python -m bench import --list
  python -m bench import .benchmarks/Linux-CPython-3.11-64bit/0001_base.json --from pytest-benchmark
  python -m bench import data.js --from github-action-benchmark --results history
  python -m bench import results/host/*.json --from asv
  python -m bench import latency.csv --from otava --unit ms
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("files", nargs="*", metavar="FILE", help="what to read; - is stdin")
    parser.add_argument("--from", dest="format_name", metavar="FORMAT", help="which format; --list names them")
    parser.add_argument("--unit", metavar="UNIT", help="of values whose file names none: s, ms, us, ns, GB/s, TFLOP/s")
    add_results(parser)
    parser.add_argument("--dry-run", action="store_true", help="read and check; put nothing into the store")
    add_list(parser)


def run(args: argparse.Namespace) -> int:
    """Import the files, all or none: the first that does not read ends it with 3, before any is stored."""
    from bench.interop import registry

    if args.list:
        print_list(args.format)
        return 0
    if not args.format_name:
        raise UsageError("--from: is missing; name a format (`python -m bench import --list` has them)")
    form = registry.imported(args.format_name)
    if not args.files:
        raise UsageError("FILE: is missing; name the file to import")
    _check_unit(args.unit)
    found = [(name, one) for name in args.files for one in _read(form, name, args.unit)]
    stored = [_store(one, args) for _, one in found]
    _print(found, stored, args.format)
    return 0


def _check_unit(unit: str | None) -> None:
    from bench.interop import units

    if unit is not None and units.parse(unit) is None:
        raise UsageError(f"--unit: {unit!r} is no time or rate; s, ms, us, ns, iter/s, GB/s, TFLOP/s, TOPS are")


def _read(form: Format, name: str, unit: str | None) -> list[Imported]:
    """The runs of a file; whatever is wrong with it is said with its name."""
    from bench.interop import registry
    from bench.interop.importing import Origin

    shown = "stdin" if name == STANDARD_OUTPUT else name
    data = _content(name, shown)
    origin = Origin(format=form.name, file=Path(shown).name, imported=records.now(), unit=unit)
    try:
        return registry.read(form, data, origin)
    except BenchError as error:
        raise UnavailableError(f"{shown}: {error}") from error


def _content(name: str, shown: str) -> bytes:
    """The file's bytes, and no more of them than may be read."""
    from bench.interop.reading import MAX_BYTES

    try:
        if name == STANDARD_OUTPUT:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(name, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{shown}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _store(one: Imported, args: argparse.Namespace) -> str | None:
    if args.dry_run:
        return None
    from bench.store import location, put

    place = location(args.results)
    return place.join(put(one.data, place))


def _print(found: list[tuple[str, Imported]], stored: list[str | None], form: str) -> None:
    documents = [_document(name, one, path) for (name, one), path in zip(found, stored, strict=True)]
    if form == "json":
        print(json.dumps({"schema": SCHEMA, "runs": documents}, indent=2, ensure_ascii=False))
        return
    from bench.analysis.words import counted

    for one in documents:
        counts = ", ".join(f"{count} {status}" for status, count in one["counts"].items())
        print(f"{one['stored'] or '(not stored)'}: {counted(one['rows'], 'row')} ({counts}), measured {one['started']}")


def _document(name: str, one: Imported, path: str | None) -> dict[str, Any]:
    rows = one.run.measurements
    return {
        "file": name,
        "run": one.run.run.id,
        "stored": path,
        "started": one.run.run.started,
        "commit": (one.run.run.git or {}).get("commit"),
        "rows": len(rows),
        "counts": records.counts(rows),
    }
