"""`python -m bench fleet`: many devices together, and which of them is sick."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import records
from bench.cli.files import STANDARD_OUTPUT, refuse_existing, write_whole
from bench.cli.output import speaks_utf8, width
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.analysis.fleet import Fleet, Past
    from bench.analysis.fleet_merge import Merger
    from bench.analysis.fleet_rules import Rules

FORMATS: Final = ("table", "json", "junit", "openmetrics", "html")
SUFFIXES: Final = {".txt": "table", ".json": "json", ".xml": "junit", ".html": "html", ".htm": "html"}
"""Suffix of -o FILE → the format that it says where --format doesn't."""

DESCRIPTION: Final = """\
Put the devices of many run files side by side: of each kind the spread, the fastest, the slowest, and who is sick.

A device is sick where the robust z of its time and the distance of its samples both say that it is slower than its
kind, where a row fails on it alone, where it is far below its stored history (--results) or its rating. The reason is
the loss in which it differs most. Kinds are told apart, so that a mixed fleet is judged kind by kind.
"""

EPILOG: Final = """\
examples:
  python -m bench fleet run.jsonl                          the run file of a whole torchrun
  python -m bench fleet results/                           every run file of a folder, a node each
  python -m bench fleet run.jsonl -o fleet.xml             a test report for a CI (JUnit)
  python -m bench fleet run.jsonl -o fleet.html            a page: node by device, spread, who is sick and why
  python -m bench fleet run.jsonl --rules mine.toml        other limits; --print-rules shows the ones in use

Exit codes: 0 none sick · 1 a device is sick · 2 usage · 3 unreadable, or no device that can be judged
Method and how well it sees: docs/fleet.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fleet`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("runs", metavar="RUN", nargs="*", help="run files, or folders with all of their run files")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="a TOML file of limits in place of the defaults")
    parser.add_argument("--print-rules", action="store_true", help="print the rules that would be used, and stop")
    parser.add_argument(
        "--results",
        metavar="FOLDER|URL",
        help="a store whose runs are the devices' history: a folder or a URL such as s3://bucket/runs (default: "
        "BENCH_RESULTS; without either, no history)",
    )
    parser.add_argument("--all", action="store_true", help="every device in the table, not only the sick ones")
    parser.add_argument("--format", choices=FORMATS, help="(default: what the name of -o FILE says, else table)")
    parser.add_argument(
        "--language", choices=("en", "zh"), help="of a page when it is opened (default: en); the others are English"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"write there: {', '.join(SUFFIXES)}, or with --format any name (default, or -: to stdout)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file that -o names")


def run(args: argparse.Namespace) -> int:
    """Judge the devices and print; 1 where one is sick."""
    rules = _rules(args.rules)
    if args.print_rules:
        _print_rules(rules)
        return 0
    if not args.runs:
        raise UsageError("RUN: name at least one run file or folder")
    args.output = None if str(args.output) == STANDARD_OUTPUT else args.output
    args.format = args.format or _format_of(args.output)
    if args.all and args.format != "table":
        raise UsageError(f"--all: goes with --format table; {args.format} {_every_device(args.format)}")
    if args.language and args.format != "html":
        raise UsageError("--language: only goes with --format html; the others are English")
    if args.output is not None:
        refuse_existing([args.output], args.force)
    from bench.analysis.fleet import exit_code, judge

    merged = merge(_files([Path(name) for name in args.runs]))
    fleet = judge(merged, rules, _past(args.results, merged))
    _write(_rendered(fleet, args), args.output)
    return exit_code(fleet)


def of_runs(paths: Iterable[Path]) -> Fleet:
    """The verdicts on the devices of these run files, by the packaged rules and without stored history."""
    from bench.analysis.fleet import judge

    return judge(merge(paths), _rules(None))


def _format_of(output: Path | None) -> str:
    """What the name of the file says. Raises UsageError where it says nothing."""
    if output is None:
        return FORMATS[0]
    form = SUFFIXES.get(output.suffix.lower())
    if form is None:
        any_name = f"with --format {'|'.join(FORMATS)} any name does"
        raise UsageError(f"-o: {str(output)!r} ends in none of {', '.join(SUFFIXES)}; {any_name}")
    return form


def _every_device(form: str) -> str:
    return "lists them up to 200" if form == "html" else "has every device"


def merge(paths: Iterable[Path]) -> Merger:
    """The run files, line by line. Raises UnavailableError for one that is none."""
    import msgspec

    from bench.analysis.fleet_merge import Merger

    merger = Merger()
    for path in paths:
        before = len(merger.runs)
        try:
            merger.add(_lines(path))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnavailableError(f"{path} is not a run file that reads: {error}") from error
        if len(merger.runs) == before:
            raise UnavailableError(f"{path} is not a run file: it has no run record")
    return merger


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a run file; newer schemas and foreign files are refused as everywhere else."""
    lines = records.lines(path)
    first = next(lines, b"")
    try:
        head = json.loads(first)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("type") != "run":
        raise UnavailableError(f"{path} is not a run file: its first line is not a run record")
    schema = head.get("schema")
    if not isinstance(schema, int) or schema > records.SCHEMA:
        raise UnavailableError(f"{path} has schema {schema}; this version reads up to {records.SCHEMA}")
    yield first
    yield from lines


def _files(given: Sequence[Path]) -> list[Path]:
    """The files named, and of a folder all of its run files; each once."""
    found: dict[Path, None] = {}
    for path in given:
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted({file for pattern in records.PATTERNS for file in path.glob(pattern) if file.is_file()})
        if not inside:
            raise UnavailableError(f"no run file ({', '.join(records.PATTERNS)}) in {path}")
        found |= dict.fromkeys(inside)
    return list(found)


def default_rules() -> dict[str, Any]:
    """The packaged rules as TOML has them."""
    import tomllib

    text = resources.files("bench.analysis").joinpath("data", "fleet.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _rules(path: Path | None) -> Rules:
    import tomllib

    from bench.analysis.fleet_rules import ARGUMENT, rules

    if path is None:
        return rules(default_rules())
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnavailableError(f"{ARGUMENT}: cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8, no TOML, a number of thousands of digits
        raise UsageError(f"{ARGUMENT}: {path} is not TOML: {error}") from error
    return rules(default_rules(), given, str(path))


def _print_rules(rules: Rules) -> None:
    import msgspec

    for table, values in msgspec.to_builtins(rules).items():
        print(f"[{table}]")
        for name, value in values.items():
            print(f"{name} = {value}")
        print()


def _past(results: str | None, merged: Merger) -> Past | None:
    """What a store knows of a series and class, but for the runs that are judged; None without a store."""
    import os

    if results is None and not os.environ.get("BENCH_RESULTS"):
        return None
    from bench.store import location
    from bench.store.digest import class_id
    from bench.store.index import Index, printable

    judged = set(merged.runs)
    known: dict[tuple[str, str], list[float]] = {}
    with Index(location(results)) as index:
        if (warning := index.warning()) is not None:
            print(f"bench: {warning}", file=sys.stderr)
        for point in index.points():
            if point.good and point.value_s is not None and point.run_id not in judged:
                known.setdefault((point.series, point.class_id), []).append(point.value_s)
    if results is not None and not known:
        where = printable(index.location.text)
        print(f"bench: --results: {where} holds no usable earlier run: judged without history", file=sys.stderr)

    def past(series: str, fields: Mapping[str, str]) -> Sequence[float]:
        return known.get((series, class_id(fields)), ())

    return past


def _rendered(fleet: Fleet, args: argparse.Namespace) -> bytes:
    if args.format == "junit":
        from bench.cli.fleet_formats import test_report

        return test_report(fleet)
    if args.format == "openmetrics":
        from bench.cli.fleet_formats import metrics

        return metrics(fleet)
    if args.format == "html":
        from bench.report.page import render_fleet

        return render_fleet(fleet, language=args.language or "en").encode("utf-8", "backslashreplace")
    from bench.report import fleet as report

    if args.format == "json":
        text = json.dumps(report.document(fleet), indent=2, ensure_ascii=False, allow_nan=False)
    else:
        plain = args.output is None and not speaks_utf8()
        text = report.terminal(fleet, width(), every=args.all, ascii_only=plain)
    return text.encode() + b"\n"


def _write(data: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(data.decode())
        return
    write_whole(output, data)
    print(f"wrote {output}", file=sys.stderr)
