"""`python -m bench run`: the main job."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Collection
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bench import records
from bench.cli import run_ranks
from bench.cli.output import add_format, print_run
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.runner.session import Options, Prepared

EXAMPLES = """\
examples:
  python -m bench run                                       the best device here, in two minutes
  python -m bench run --device cuda --suite standard        what reference results are made of
  python -m bench run --kernel gemm --precision fp16,int8 --implementation all
  python -m bench run --kernel gemm --case m=4096,n=4096,k=4096 --case m=1,n=4096,k=4096
  python -m bench run --suite llm_pretrain                  what pre-training asks of it, as one figure
  python -m bench run --dry-run                             what would be measured
  python -m bench run --device all                          every device here at once, a process each
  torchrun --nproc-per-node=8 -m bench run --device cuda    eight GPUs at once, one run file

The table goes to stdout, progress to stderr; the run file keeps every sample, check and reason.
"""

MAXIMUM_LAUNCHES = 1000
MAXIMUM_RETRIES = 2
"""As often as `bench.runner.campaign` has a pause for; not imported from there, for --help is to cost nothing."""
MAXIMUM_SEED = 2**31 - 1
MAXIMUM_SUSTAIN_S = 86_400.0  # a day for one row
RESUMABLE = ("run", "find")
"""Commands whose run files can be taken up again, each by itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Measure what a device delivers and set it against its rated peak. By default: the best device present, "
        "all kernels,\nFP32, FP16, INT8 and whatever else the device has natively. "
        "Every result is checked before it is timed."
    )
    parser.epilog = EXAMPLES
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--device", default="auto", metavar="DEVICE", help="auto (default), all, cpu, cuda, cuda:1, mps, xpu, npu, …"
    )
    what.add_argument("--kernel", metavar="NAME[,NAME]", help="kernels (default: all; see `python -m bench kernels`)")
    what.add_argument("--precision", metavar="NAME[,NAME]", help="fp64 fp32 tf32 bf16 fp16 fp8 int8")
    what.add_argument(
        "--suite",
        default="quick",
        metavar="NAME",
        help="quick (default), standard or full; or an application: llm_pretrain, chat_decode, … or "
        "scenarios for all of them, with :tiny or :full behind it (default: tiny on a CPU)",
    )
    what.add_argument(
        "--case", action="append", default=[], metavar="FIELD=N,…", help="a case of your own; needs one --kernel"
    )
    what.add_argument(
        "--implementation",
        default="best",
        metavar="best|all|NAME",
        help="best (default) screens them and measures the fastest, all shows them side by side",
    )
    what.add_argument(
        "--rows",
        type=_rows,
        default=(),
        metavar="N[=IMPLEMENTATION],…",
        help="of all that, only the rows of these numbers (--dry-run shows them), held to an implementation if named",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--mode",
        choices=("burst", "sustained"),
        default="burst",
        help="burst (default): isolated calls; sustained: back to back, nothing dropped, the rate over time kept",
    )
    how.add_argument(
        "--sustain",
        type=positive("--sustain", "seconds", MAXIMUM_SUSTAIN_S),
        default=10.0,
        metavar="SECONDS",
        help="wall time of each sustained row (default: 10)",
    )
    how.add_argument("--data", choices=("normal", "uniform", "zeros", "ones"), default="normal", help="input values")
    how.add_argument("--cache", choices=("cold", "warm"), help="caches before a call (default: cold where cheap)")
    how.add_argument(
        "--launches",
        type=integer("--launches", 1, MAXIMUM_LAUNCHES),
        metavar="N",
        help="fresh processes to measure in (default: 1; on a CPU for standard and full: 3)",
    )
    how.add_argument("--threads", type=integer("--threads", 1, 4096), metavar="N", help="CPU threads of the worker")
    how.add_argument("--seed", type=integer("--seed", 0, MAXIMUM_SEED), default=0, metavar="N", help="of the inputs")
    how.add_argument(
        "--budget",
        type=positive("--budget", "seconds"),
        metavar="SECONDS",
        help="wall time of the whole run (quick: 100)",
    )
    how.add_argument(
        "--row-budget",
        type=positive("--row-budget", "seconds"),
        metavar="SECONDS",
        help="the most that one row is given (quick: 3, standard: 4, full: 6, scenarios: 4); 0.6 are timed in any case",
    )
    how.add_argument(
        "--retries",
        type=integer("--retries", 0, MAXIMUM_RETRIES),
        default=MAXIMUM_RETRIES,
        metavar="N",
        help="measure a disturbed row again, at most so often and where the budget allows it (default: %(default)s)",
    )
    how.add_argument(
        "--lock-clocks",
        type=integer("--lock-clocks", 100, 10_000),
        metavar="MHZ",
        help="hold an NVIDIA GPU's clock for the run (needs root); such a run claims no share of the rating",
    )
    how.add_argument(
        "--case-timeout",
        type=positive("--case-timeout", "seconds"),
        metavar="SECONDS",
        help="end a row that takes longer (default: 20 × its budget, at least 180)",
    )
    how.add_argument(
        "--memory-limit",
        type=positive("--memory-limit", "gigabytes"),
        metavar="GB",
        help="host memory that the worker may hold (default: 90 %% of what is free)",
    )
    run_ranks.configure(how)
    how.add_argument(
        "--ratings", action="append", default=[], type=Path, metavar="FILE", help="TOML that adds or overrides ratings"
    )
    out = parser.add_argument_group("output")
    out.add_argument("--out", type=Path, metavar="FILE|FOLDER", help="run file, or folder for it (default: the store)")
    out.add_argument(
        "--results",
        metavar="FOLDER|URL",
        help="the store that keeps the run (default: $BENCH_RESULTS, else results/); a URL: measured here, then sent",
    )
    out.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="measure what an unfinished run file lacks",
    )
    out.add_argument("--dry-run", action="store_true", help="print the plan and measure nothing")
    out.add_argument("--anonymize", action="store_true", help="leave host name, paths and device id out of the file")
    add_format(out)


def run(args: argparse.Namespace) -> int:
    """Measure, write the run file, print the table; the contract's exit code."""
    from bench.devices import parse_selection

    form = args.format
    earlier = None
    place = run_ranks.place_of(args)
    if place is not None and (place.rank or not args.dry_run):
        return run_ranks.run_as_rank(args, place)
    if args.resume is not None:
        path, earlier = args.resume, records.read(args.resume)
        args = as_then("run", args, earlier)
        run_ranks.refuse_resume(path, earlier)
    else:
        path = new_run_file(args.out, args.results)
    parse_selection(args.device)
    options = options_of(args)

    from bench.cli.progress import kernel_defaults, progress
    from bench.runner.campaign import execute
    from bench.runner.ranks.launcher import launch
    from bench.runner.resume import adopt
    from bench.runner.session import prepare

    with progress(kernel_defaults()) as screen:
        prepared = prepare(options if earlier else run_ranks.for_plan(options, args, place), screen)
        try:
            ranks = run_ranks.to_start(args, prepared.devices) if earlier is None else []
            if args.dry_run:
                print(_plan_words(prepared))
                return 0
            if earlier is not None:
                prepared = adopt(prepared, earlier)
            file = None if ranks else execute(prepared, path, screen, earlier)
        except KeyboardInterrupt:
            screen.message(f"interrupted; what was measured is in {path}: python -m bench run --resume {path}")
            raise
        finally:
            prepared.worker.kill()
    if file is None:
        return launch(ranks, args.argv, spent_s=0.0 if args.stagger else time.monotonic() - prepared.started)
    print_run(path, file, form)
    print(f"bench: run file: {path}", file=sys.stderr)
    if args.out is None and args.resume is None:
        send(path, args.results)
    assert file.end is not None
    return file.end.exit_code


def as_then(
    command: str, args: argparse.Namespace, earlier: records.RunFile, beside: Collection[str] = ()
) -> argparse.Namespace:
    """The arguments of the run that is taken up again; any other beside --resume would make it another run.

    `beside` names those that only say what to do with what comes out. UsageError where the file is another command's.
    """
    from bench.cli.main import parser_for

    wrote = earlier.run.command[1] if len(earlier.run.command) > 1 else "another program"
    if wrote != command:
        hint = f"; python -m bench {wrote} --resume takes it up" if wrote in RESUMABLE else ""
        raise UsageError(f"--resume: {args.resume} was written by {wrote}, not by {command}{hint}")
    parser = parser_for(command)
    allowed = {"resume", "format", "debug", "argv", *beside}
    for name, value in vars(args).items():
        if name not in allowed and value != parser.get_default(name):
            raise UsageError(f"--resume: --{name.replace('_', '-')} is the file's to say; give --format at most")
    then = parser.parse_args(earlier.run.command[2:])
    then.argv = earlier.run.command[1:]
    return then


def options_of(args: argparse.Namespace) -> Options:
    """What parsed arguments ask for; UsageError for a list of names without a name."""
    from bench.runner import plan
    from bench.runner.session import Options

    selection = plan.Selection(
        suite=args.suite,
        kernels=_names("--kernel", args.kernel),
        precisions=_names("--precision", args.precision),
        cases=tuple(args.case),
        implementation=args.implementation,
        rows=args.rows,
    )
    return Options(
        selection=selection,
        device=args.device,
        mode=args.mode,
        sustain_s=args.sustain,
        data=args.data,
        cache=args.cache,
        launches=args.launches,
        threads=args.threads,
        seed=args.seed,
        budget_s=args.budget,
        row_budget_s=args.row_budget,
        retries=args.retries,
        lock_clocks_mhz=args.lock_clocks,
        case_timeout_s=args.case_timeout,
        memory_limit_bytes=int(args.memory_limit * 1e9) if args.memory_limit else None,
        ratings=tuple(args.ratings),
        anonymize=args.anonymize,
        command=tuple(args.argv),
    )


def _names(argument: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError(f"{argument}: no name in {text!r}")
    return names


def _rows(text: str) -> tuple[tuple[int, str], ...]:
    """ "3,7=torch" as ((3, ""), (7, "torch"))."""
    rows: dict[int, str] = {}
    for part in text.split(","):
        number, equals, implementation = (piece.strip() for piece in part.partition("="))
        if not (number.isascii() and number.isdigit()) or bool(equals) != bool(implementation):
            raise UsageError(f"--rows: {part!r} is not NUMBER or NUMBER=IMPLEMENTATION")
        if int(number) in rows:
            raise UsageError(f"--rows: row {number} is given twice")
        rows[int(number)] = implementation
    return tuple(rows.items())


def new_run_file(out: Path | None, results: str | None) -> Path:
    """Where the run file is written while it grows; refused before anything is measured where it can't be."""
    argument = "--out" if out is not None else "--results"
    if out is not None and results is not None:
        raise UsageError(f"--out: {out} and --results: {results}: give one of them")
    if out is None:
        from bench.store import location

        out = location(results).folder or Path("results")
    path = out if out.suffix == ".jsonl" else out / f"{records.run_id()}.jsonl"
    if path.exists():
        raise UnavailableError(f"{argument}: {path} exists already; a run never writes over another")
    above = next((folder for folder in path.parents if folder.exists()), Path())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UnavailableError(f"{argument}: cannot write {path}: {above} is not a folder that you may write to")
    return path


def send(path: Path, results: str | None) -> None:
    """To the store that a URL names; a local one has the run file already."""
    from bench.store import location, put

    store = location(results)
    if store.folder is None:
        print(f"bench: kept as {put(path, store)} in {store.text}", file=sys.stderr)


def integer(argument: str, low: int, high: int) -> Callable[[str], int]:
    """For argparse's `type=`: a whole number in a range, or a UsageError that names them."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"{argument}: {text!r} is not an integer ({low} … {high})") from None
        if not low <= value <= high:
            raise UsageError(f"{argument}: {value} is outside {low} … {high}")
        return value

    return parse


def positive(argument: str, unit: str, high: float = math.inf) -> Callable[[str], float]:
    """For argparse's `type=`: a number above 0, or a UsageError that names argument and unit."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise UsageError(f"{argument}: {text!r} is not a number of {unit}") from None
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{argument}: {text} is not a positive number of {unit}")
        if value > high:
            raise UsageError(f"{argument}: {text} is more than {high:g} {unit}")
        return value

    return parse


def _plan_words(prepared: Prepared) -> str:
    from tabulate import tabulate

    from bench.analysis.words import counted
    from bench.cli.progress import kernel_defaults
    from bench.report.numbers import short_case

    defaults = kernel_defaults()
    chosen = sorted(number for number, _ in prepared.options.selection.rows)
    numbers = iter(chosen) if chosen else count(1)
    rows = [
        [
            next(numbers),
            device,
            item.kernel,
            short_case(item.case, defaults.get(item.kernel)),
            item.precision,
            " ".join(item.candidates) or "unsupported",
            "; ".join(f"{name}: {reason}" for name, reason in item.unsupported),
        ]
        for device, items in prepared.items.items()
        for item in items
    ]
    headers = ["row", "device", "kernel", "case", "precision", "implementations", "left out, because"]
    table = tabulate(rows, headers=headers, tablefmt="simple", maxcolwidths=[None] * 5 + [30, 60])
    return f"{table}\n\n{counted(prepared.rows, 'row')} in {counted(prepared.launches, 'launch')}"
