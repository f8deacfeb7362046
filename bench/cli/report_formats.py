"""The formats of `python -m bench report`: from a view and the arguments to what is printed or written."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.errors import UnavailableError, UsageError, unknown_name

if TYPE_CHECKING:
    from bench.analysis.fleet import Fleet
    from bench.analysis.report_view import ReportView

CHARTS: Final = ("delivered", "waterfall", "roofline", "fleet")


def text(view: ReportView, args: argparse.Namespace, form: str) -> str:
    """The report in one of the formats that are text and no page."""
    from bench.cli.output import speaks_utf8, width
    from bench.cli.progress import kernel_defaults

    if form == "markdown":
        from bench.report.report_markdown import markdown

        return markdown(view, title=args.title, language=args.language, defaults=kernel_defaults())
    if form == "csv":
        from bench.report.report_csv import comma_separated

        return comma_separated(view)
    if form == "json":
        from bench.report import report_json

        return report_json.text(view, title=args.title)
    from bench.report.report_table import terminal

    found = terminal(view, width(), title=args.title, defaults=kernel_defaults(), ascii_only=not speaks_utf8())
    return f"{found}\n"


def page(view: ReportView, args: argparse.Namespace, runs: Sequence[Path]) -> str:
    """The page; where it needs its folder or --raw asks for it, that is written first."""
    from bench.cli import report_folder
    from bench.cli.progress import kernel_defaults
    from bench.report.page import beside, render

    names: list[str] = []
    if runs and (args.raw or beside.needed(view)):
        names = beside.names(path.name.removesuffix(".gz").removesuffix(".jsonl") for path in runs)
        report_folder.refuse(args.output, args.force)
    files = report_folder.links(args.output, names)
    found = render(
        view,
        language=args.language,
        defaults=kernel_defaults(),
        files=files,
        title=args.title,
        many=_many(view, runs),
    )
    if names:
        from bench.analysis.words import counted

        report_folder.write(args.output, names, runs)
        print(f"wrote {report_folder.folder_of(args.output)}: {counted(len(names), 'run file')}", file=sys.stderr)
    return found


def picture(view: ReportView, args: argparse.Namespace, form: str, runs: Sequence[Path]) -> bytes:
    """One chart as SVG or PNG. Raises UnavailableError where nothing was measured that it could show."""
    drawn = _map(view, args, runs) if args.chart == "fleet" else _chart(view, args)
    if form == "svg":
        return drawn.encode("utf-8", "backslashreplace")
    from bench.report.report_png import png

    return png(drawn)


def _many(view: ReportView, runs: Sequence[Path]) -> Fleet | None:
    """The verdicts on the devices of the run files that hold several of one name; None where none does.

    Several runs of one device each are no fleet here: they may be the same device before and after.
    """
    named = Counter((one.file, one.name) for one in view.devices if one.file is not None)
    several = sorted({file for (file, _), devices in named.items() if devices > 1})
    if not several:
        return None
    from bench.cli.fleet import of_runs

    return of_runs([runs[file] for file in several])


def _map(view: ReportView, args: argparse.Namespace, runs: Sequence[Path]) -> str:
    """The heat map node × device."""
    from bench.report.charts import fleet, svg

    if args.precision:
        raise UsageError("--precision: a fleet's chart is of all that was measured")
    many = _many(view, runs)
    if many is None:
        raise UnavailableError("--chart: no run file given holds several devices of one name: there is no fleet")
    return svg.standalone(fleet.heat_map(many, args.language), ("fleet",))


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
