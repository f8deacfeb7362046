"""`python -m bench find`: the most that a device achieves for a kernel and precision, over its shapes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import records
from bench.cli.output import speaks_utf8, width
from bench.cli.run import MAXIMUM_SEED, as_then, integer, new_run_file, positive, send
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.report.table import Defaults
    from bench.runner.session import Options
    from bench.search.findings import Findings
    from bench.search.request import Request, Search

BUDGET_S = 60.0
FINALISTS = 3
MAXIMUM_FINALISTS = 100
EXIT_INTERRUPTED = 130

DESCRIPTION = """\
Search a space of shapes (and of implementations) for the highest rate that this device reaches at one precision.
Looks of a fraction of a second go where a model of what was seen so far expects the most; the best shapes are then
measured and checked like any row of `run`. Names the shapes to avoid, and says how much of the space was looked at.
"""

EPILOG = """\
examples:
  python -m bench find --kernel gemm --precision fp32                    a minute, over the kernel's own space
  python -m bench find --kernel gemm --precision bf16 --device cuda --budget 300
  python -m bench find --kernel conv --precision int8 --space 1x1 --plot map.svg
  python -m bench find --kernel gemm --precision fp16 --space "m=n=256:8192:256,k=512|1024|2048"
  python -m bench find --resume results/RUN.jsonl                        search on for as long again

A space is FIELD=VALUES, fields separated by commas; values are A|B|C, or FROM:TO:STEP with both ends, or both. Fields
that go together share a name, m=n=…; those left out keep their defaults. Every combination that the kernel takes is a
shape. The names of a kernel's own spaces are in docs/find.md; a name that it does not have is answered with the list.

Exit codes: 0 found · 2 usage · 3 nothing could be measured · 4 the machine was disturbed · 130 interrupted, and what
was found until then is printed and on disk
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("--kernel", metavar="NAME", help="one kernel (see `python -m bench kernels`)")
    parser.add_argument("--precision", metavar="NAME", help="one of fp64 fp32 tf32 bf16 fp16 fp8 int8")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:1, …; one")
    parser.add_argument(
        "--implementation", default="best", metavar="best|NAME", help="best (default) searches over them as well"
    )
    parser.add_argument(
        "--space", default="", metavar="NAME|FIELD=VALUES,…", help="where to search (default: the kernel's first space)"
    )
    parser.add_argument(
        "--budget",
        type=positive("--budget", "seconds"),
        default=BUDGET_S,
        metavar="SECONDS",
        help=f"wall time of it all, start-up and the final measurements included (default: {BUDGET_S:g})",
    )
    parser.add_argument(
        "--finalists",
        type=integer("--finalists", 1, MAXIMUM_FINALISTS),
        default=FINALISTS,
        metavar="N",
        help=f"shapes to measure and check in full at the end, about four seconds each (default: {FINALISTS})",
    )
    parser.add_argument(
        "--seed",
        type=integer("--seed", 0, MAXIMUM_SEED),
        default=0,
        metavar="N",
        help="of the inputs and of the search",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE|FOLDER", help="run file, or folder for it (default: the store)"
    )
    parser.add_argument("--resume", type=Path, metavar="FILE", help="search on from an earlier search's run file")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the map of what was seen")
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table", help="default: table")


def run(args: argparse.Namespace) -> int:
    """Search, measure what was found, print it; the contract's exit code."""
    form, drawing = args.format, _drawing(args.plot)
    earlier = None
    if args.resume is not None:
        path, earlier = args.resume, records.read(args.resume)
        args = as_then("find", args, earlier, beside=("plot",))
    request = _request(args)
    if earlier is None:
        path = new_run_file(args.out, None)

    from bench.cli.find_progress import progress
    from bench.cli.progress import kernel_defaults
    from bench.devices import parse_selection
    from bench.search.findings import findings
    from bench.search.request import adopted, prepare_search
    from bench.search.session import carry_out

    parse_selection(args.device)
    defaults = kernel_defaults()
    with progress(defaults) as screen:
        search = prepare_search(request, _options(args), screen)
        try:
            if earlier is not None:
                search = adopted(search, earlier)
            file = carry_out(search, path, screen, earlier)
        except KeyboardInterrupt:
            if not path.exists():
                raise
            file = records.read(path)
            screen.message(f"interrupted; to search on: python -m bench find --resume {path}")
        finally:
            search.prepared.worker.kill()
    found = findings(search.space, search.kernel, request.precision, file)
    _print(found, file, defaults, form)
    if drawing is not None:
        _draw(found, search, drawing)
    print(f"bench: run file: {path}", file=sys.stderr)
    if earlier is None and args.out is None:
        send(path, None)
    return file.end.exit_code if file.end is not None else EXIT_INTERRUPTED


def _request(args: argparse.Namespace) -> Request:
    from bench import plugins
    from bench.kernel import Role
    from bench.precision import PRECISIONS
    from bench.search.request import Request

    # What ranks measure together has no search: one process makes its looks.
    alone = sorted(name for name, kernel in plugins.load().kernels.items() if kernel.role is not Role.COLLECTIVE)
    if args.kernel is None:
        raise UsageError(f"--kernel: name the one to search; choose from {', '.join(alone)}")
    if args.kernel in plugins.load().kernels and args.kernel not in alone:
        raise UsageError(f"--kernel: {args.kernel} is measured by several ranks; choose from {', '.join(alone)}")
    if args.precision is None:
        raise UsageError(f"--precision: name the one to search at; choose from {', '.join(PRECISIONS)}")
    return Request(args.kernel, args.precision.lower(), args.budget, args.finalists, args.implementation, args.space)


def _options(args: argparse.Namespace) -> Options:
    from bench.runner.plan import Selection
    from bench.runner.session import Options

    return Options(selection=Selection(), device=args.device, seed=args.seed, command=tuple(args.argv))


def _drawing(path: Path | None) -> Path | None:
    """Where the map is drawn to; UsageError where it can't be meant."""
    if path is not None and path.suffix.lower() != ".svg":
        raise UsageError(f"--plot: {path} does not end in .svg")
    if path is not None and os.path.lexists(path):
        raise UsageError(f"--plot: {path} exists already; name another file")
    return path


def _print(found: Findings, file: records.RunFile, defaults: Defaults, form: str) -> None:
    from bench.search import words

    if form == "json":
        print(json.dumps(words.document(found, file), indent=2, ensure_ascii=False, allow_nan=False))
    elif form == "markdown":
        print(words.markdown(found, file, defaults))
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(words.terminal(found, file, defaults, width(), plain=not speaks_utf8(), colour=colour))


def _draw(found: Findings, search: Search, path: Path) -> None:
    from bench.cli.files import write_whole
    from bench.search import plot

    if found.map is None:
        print("bench: --plot: nothing to draw: no shape ran, or the space has only one", file=sys.stderr)
        return
    title = f"{found.kernel} at {search.request.precision} on {search.device.name}"
    write_whole(path, plot.svg(found.map, found.space, title, found.unit).encode(), "--plot")
    print(f"bench: map: {path}", file=sys.stderr)
