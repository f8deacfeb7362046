"""`python -m bench report`: several runs and rated hardware side by side, as one page or one chart."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.errors import UnavailableError, UsageError, unknown_name

if TYPE_CHECKING:
    from bench import records
    from bench.analysis.report_view import Price, ReportView
    from bench.ratings import Entry, Tables

DESCRIPTION: Final = """\
Set several runs side by side: what each device delivered at each precision, which share of its rated peak that is, and
where the rest went, with the evidence of every figure. FILE.html is one page that needs no network; FILE.svg one chart.

Without RUN: the newest run of the store, beside the reference results that come with the package.
"""

EPILOG: Final = """\
examples:
  python -m bench report -o report.html                                  the newest run beside the reference results
  python -m bench report a.jsonl b.jsonl -o report.html --language zh    two runs, the page in Chinese at first
  python -m bench report latest --with 'H100*' -o report.html            and the rated peaks of what nobody measured
  python -m bench report a.jsonl --price 'H100*=2.10/h' -o report.html   and operations per unit of money
  python -m bench report latest -o roofline.svg --chart roofline --precision fp16

How to read it: docs/reading-a-report.md.
"""

REFERENCE: Final = "reference"
CHARTS: Final = ("delivered", "waterfall", "roofline")
SUFFIXES: Final = (".html", ".svg")
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
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to write: a name in .html or .svg"
    )
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
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="of the page when it is opened")
    parser.add_argument("--chart", choices=CHARTS, help="for .svg: which chart (default: delivered)")
    parser.add_argument("--precision", metavar="NAME", help="for .svg: of which precision (default: the first)")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="for .html: the run files as they are, compressed, in a folder beside the page and linked from it "
        "(always with more than five devices)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    parser.add_argument(
        "--results", metavar="FOLDER|URL", help="the store that is meant (default: $BENCH_RESULTS, else results/)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the report; 0, or 3 where a run can't be read or there is none."""
    suffix = args.output.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"-o: {str(args.output)!a} ends in none of {', '.join(SUFFIXES)}")
    if suffix != ".html" and args.raw:
        raise UsageError("--raw: only goes with -o FILE.html, which the run files are put beside")
    if suffix != ".svg" and (args.chart or args.precision):
        raise UsageError(
            f"{'--chart' if args.chart else '--precision'}: only goes with -o FILE.svg; a page has all charts"
        )
    from bench.cli.files import refuse_existing, write_whole

    refuse_existing([args.output], args.force)
    prices = [_price(text) for text in args.price]
    view, runs = _view(args, prices)
    text = _chart(view, args) if suffix == ".svg" else _page(view, args, runs)
    write_whole(args.output, text.encode("utf-8", "backslashreplace"))
    print(f"wrote {args.output}: {len(view.devices)} devices, {len(view.rows)} rows", file=sys.stderr)
    return 0


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
            f"--with: {pattern!a} is not {REFERENCE!r} and fits no reference result and no rated hardware "
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
        raise UsageError(f"--price: {text!a} is not GLOB=AMOUNT/h with an amount above 0, such as 'H100*=2.10/h'")
    return Price(found["pattern"], amount)


def _page(view: ReportView, args: argparse.Namespace, runs: Sequence[Path]) -> str:
    """The page; where it needs its folder or --raw asks for it, that is written first."""
    from bench.cli import report_folder
    from bench.cli.progress import kernel_defaults
    from bench.report.page import beside, render

    names: list[str] = []
    if runs and (args.raw or beside.needed(view)):
        names = beside.names(path.name.removesuffix(".gz").removesuffix(".jsonl") for path in runs)
        report_folder.refuse(args.output, args.force)
    files = report_folder.links(args.output, names)
    text = render(view, language=args.language, defaults=kernel_defaults(), files=files)
    if names:
        report_folder.write(args.output, names, runs)
        print(f"wrote {report_folder.folder_of(args.output)}: {len(names)} run files", file=sys.stderr)
    return text


def _chart(view: ReportView, args: argparse.Namespace) -> str:
    from bench.report.charts import bars, points, svg

    label = _label(view, args.precision)
    kind = args.chart or CHARTS[0]
    drawn = [""]
    if kind == "delivered":
        drawn = [bars.delivered(view, label, args.language)]
    elif kind == "waterfall":
        drawn = [bars.waterfall(view, one, args.language) for one in view.best() if one.label == label]
    elif kind == "roofline":
        of_label = (one for one in view.rooflines if one.roofline.precision.upper() == label.partition(" ")[0])
        drawn = [points.roofline(view, one, args.language) for one in of_label]
    chart = next(filter(None, drawn), "")
    if not chart:
        raise UnavailableError(f"--chart: no {kind} of {label}: nothing was measured that it could show")
    return svg.standalone(chart)


def _label(view: ReportView, precision: str | None) -> str:
    """The precision of the view that is meant. Raises UsageError for another."""
    if not view.labels:
        raise UnavailableError("-o: nothing was measured or rated that a chart could show")
    if precision is None:
        return view.labels[0]
    found = [label for label in view.labels if label.casefold() == precision.casefold()]
    if not found:
        raise unknown_name("--precision", precision, view.labels)
    return found[0]
