"""`python -m bench report`: several runs and rated hardware side by side, as a page, tables, data or one chart."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cli.options import add_results
from bench.cli.report_formats import CHARTS
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench import records
    from bench.analysis.report_view import Price, ReportView
    from bench.ratings import Entry, Tables

DESCRIPTION: Final = """\
Set several runs side by side: what each device delivered at each precision, which share of its rated peak that is, and
where the rest went, with the evidence of every figure. FILE.html is one page that needs no network, FILE.md goes into a
README or a pull request, FILE.csv and FILE.json have every row unrounded, FILE.svg and FILE.png are one chart. Without
-o it prints: devices side by side as a table.

Without RUN: the newest run of the store, beside the reference results that come with the package.
"""

EPILOG: Final = """\
examples:
  python -m bench report a.jsonl b.jsonl c.jsonl                         three devices side by side, on the terminal
  python -m bench report -o report.html                                  the newest run beside the reference results
  python -m bench report a.jsonl b.jsonl -o report.html --language zh    two runs, the page in Chinese at first
  python -m bench report latest --with 'H100*' -o report.html            and the rated peaks of what nobody measured
  python -m bench report a.jsonl --price 'H100*=2.10/h' -o report.html   and operations per unit of money
  python -m bench report latest --format markdown --title 'Before the move'
  python -m bench report latest -o roofline.svg --chart roofline --precision fp16

How to read it: docs/reading-a-report.md.
"""

REFERENCE: Final = "reference"
SUFFIXES: Final = {
    ".html": "html",
    ".md": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".svg": "svg",
    ".png": "png",
}
"""Suffix of FILE → the format that it says."""
PRINTED: Final = ("table", "markdown", "csv", "json")
PICTURES: Final = ("svg", "png")
ONLY_WITH: Final = {
    # Option → the formats that it goes with, and how a reader asks for one of them.
    "raw": (("html",), "-o FILE.html, which the run files are put beside"),
    "chart": (PICTURES, "-o FILE.svg or FILE.png; a page has all charts"),
    "precision": (PICTURES, "-o FILE.svg or FILE.png; the other formats have all precisions"),
    "title": (("html", "markdown", "json", "table"), "a page, markdown, JSON or a table"),
    "language": (("html", "markdown", *PICTURES), "a page, markdown or a chart; the others are English"),
}
PRICE: Final = re.compile(r"(?P<pattern>.+)=(?P<amount>[0-9.]+)(/h)?")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a run file, or a folder (its newest); or `latest`, a baseline, a run id or a commit of the store",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"where to write, by its name: {', '.join(SUFFIXES)} (default, or -: print it)",
    )
    parser.add_argument("--format", choices=PRINTED, help="of what is printed (default: table)")
    parser.add_argument("--title", default="", metavar="TEXT", help="in place of ours")
    parser.add_argument(
        "--with",
        dest="beside",
        action="append",
        default=[],
        metavar="reference|GLOB",
        help="set beside: the shipped reference results; or those, and rated hardware, whose name fits: 'H100*'",
    )
    parser.add_argument(
        "--price", action="append", default=[], metavar="GLOB=AMOUNT/h", help="what an hour of a device costs"
    )
    parser.add_argument(
        "--language", choices=("en", "zh"), help="of a page when it is opened, of markdown or a chart (default: en)"
    )
    parser.add_argument("--chart", choices=CHARTS, help="for .svg and .png: which chart (default: delivered)")
    parser.add_argument(
        "--precision", metavar="NAME", help="for .svg and .png: of which precision (default: the first)"
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="for .html: the run files as they are, compressed, in a folder beside the page and linked from it "
        "(always with more than five devices)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    add_results(parser, "the store that is meant")


def run(args: argparse.Namespace) -> int:
    """Write or print the report; 0, or 3 where a run can't be read or there is none."""
    form = _format(args)
    from bench.analysis.words import counted
    from bench.cli import report_formats
    from bench.cli.files import refuse_existing, write_whole

    printed = _to_stdout(args)
    if not printed:
        refuse_existing([args.output], args.force)
    prices = [_price(text) for text in args.price]
    view, runs = _view(args, prices)
    if printed:
        _print(report_formats.text(view, args, form), form)
        return 0
    if form == "html":
        data = report_formats.page(view, args, runs).encode("utf-8", "backslashreplace")
    elif form in PICTURES:
        data = report_formats.picture(view, args, form, runs)
    else:
        data = report_formats.text(view, args, form).encode("utf-8", "backslashreplace")
    write_whole(args.output, data)
    print(
        f"wrote {args.output}: {counted(len(view.devices), 'device')}, {counted(len(view.rows), 'row')}",
        file=sys.stderr,
    )
    return 0


def _to_stdout(args: argparse.Namespace) -> bool:
    from bench.cli.files import STANDARD_OUTPUT

    return args.output is None or str(args.output) == STANDARD_OUTPUT


def _format(args: argparse.Namespace) -> str:
    """The format asked for. Raises UsageError where options don't go together."""
    if _to_stdout(args):
        form = args.format or PRINTED[0]
    elif args.format:
        raise UsageError("--format: is of what is printed; the name of -o FILE says what the file is")
    else:
        form = SUFFIXES.get(args.output.suffix.lower(), "")
        if not form:
            raise UsageError(f"-o: {str(args.output)!r} ends in none of {', '.join(SUFFIXES)}")
    for option, (forms, what) in ONLY_WITH.items():
        if getattr(args, option) and form not in forms:
            raise UsageError(f"--{option}: only goes with {what}")
    args.language = args.language or "en"
    return form


def _print(text: str, form: str) -> None:
    """To stdout. JSON is UTF-8 whatever the terminal speaks."""
    raw = getattr(sys.stdout, "buffer", None)
    if form == "json" and raw is not None:
        sys.stdout.flush()
        raw.write(text.encode("utf-8", "backslashreplace"))
    else:
        sys.stdout.write(text)


def _view(args: argparse.Namespace, prices: Sequence[Price]) -> tuple[ReportView, list[Path]]:
    """What the report shows, and the run files behind it in the order of the view's `file`."""
    from bench import records
    from bench.analysis.report_view import build
    from bench.ratings import load
    from bench.store import location
    from bench.store.reference import reference_runs
    from bench.store.references import LATEST, resolve

    store, tables = location(args.results), load()
    shipped = reference_runs()
    beside = args.beside or ([] if args.runs else [REFERENCE])
    asked = args.runs
    if not asked and not args.beside:
        asked = [LATEST]
    paths = list(
        dict.fromkeys(resolve(reference, store).resolve() for reference in _present(asked, args, bool(shipped)))
    )
    references = [(path, records.read(path)) for path in shipped] if beside else []
    entries: list[Entry] = []
    chosen: list[tuple[Path, records.RunFile]] = []
    for pattern in beside:
        found, rated = _beside(pattern, references, tables)
        chosen += [one for one in found if one[0].resolve() not in paths and one not in chosen]
        entries += [one for one in rated if one not in entries]
    files = [(path, records.read(path)) for path in paths] + chosen
    measured = {device.rating_name for _, file in files for device in file.devices}
    rated_only = [one for one in entries if one.name not in measured]
    view = build(
        [(path.name.removesuffix(".gz").removesuffix(".jsonl"), file) for path, file in files],
        tables=tables,
        rated_only=rated_only,
        prices=prices,
    )
    return view, [path for path, _ in files]


def _present(asked: list[str], args: argparse.Namespace, shipped: bool) -> list[str]:
    """What was asked for; alone, an empty store is no reason to show nothing where reference results are."""
    if args.runs or not asked or not shipped:
        return asked
    from bench.store import location
    from bench.store.index import Index

    with Index(location(args.results)) as index:
        return asked if index.runs() else []


def _beside(
    pattern: str, references: list[tuple[Path, records.RunFile]], tables: Tables
) -> tuple[list[tuple[Path, records.RunFile]], list[Entry]]:
    """Reference results and rated hardware that a --with means. Raises UsageError where it means nothing."""
    if pattern == REFERENCE:
        if not references:
            raise UnavailableError("--with: no reference results are installed")
        return references, []

    def fits(name: str) -> bool:
        return fnmatchcase(name.casefold(), pattern.casefold())

    found = [
        (path, file) for path, file in references if fits(path.stem) or any(fits(one.name) for one in file.devices)
    ]
    rated = [one for one in tables.entries if fits(one.name)]
    if not found and not rated:
        raise UsageError(
            f"--with: {pattern!r} is not {REFERENCE!r} and fits no reference result and no rated hardware "
            "(`python -m bench ratings` lists it)"
        )
    return found, rated


def _price(text: str) -> Price:
    from bench.analysis.report_view import Price

    found = PRICE.fullmatch(text)
    try:
        amount = float(found["amount"]) if found else 0.0
    except ValueError:
        amount = 0.0
    if found is None or amount <= 0 or not isfinite(amount):
        raise UsageError(f"--price: {text!r} is not GLOB=AMOUNT/h with an amount above 0, such as 'H100*=2.10/h'")
    return Price(found["pattern"], amount)
