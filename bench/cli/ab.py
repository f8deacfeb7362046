"""`python -m bench ab`: two sides in turn on this machine, and a verdict for each series."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import records
from bench.analysis.words import counted
from bench.cli.main import Parser, parser_for
from bench.cli.verdict_options import add_verdict_options, fail_on
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.ab.launches import Label, Launch
    from bench.ab.rehearsal import Rows
    from bench.ab.sides import Ready, Side
    from bench.analysis.comparison import Comparison, Thresholds

LEAST_LAUNCHES: Final = 7
"""Seven pairs are the fewest whose exact test can reach p < 0.01."""
MOST_LAUNCHES: Final = 200
ROW_BUDGET_S: Final = 0.6
"""Seconds a row within a launch: launches differ by more than a longer look at one of them would tell (ours)."""
REHEARSAL_TIMEOUT_S: Final = 1800.0
"""For the first launch of a side, which compiles, tunes and chooses (ours)."""
TIMEOUT_FACTOR: Final = 10.0
TIMEOUT_LEAST_S: Final = 120.0
"""Other launches end by force after max(this, factor × the slowest rehearsal) (ours)."""
NOT_YOURS: Final = {
    "--out": "every launch has a run file of its own; --results FOLDER keeps them",
    "--resume": "an ab measures afresh",
    "--launches": "give it before the --: launches of each side",
    "--format": "give it before the --: it is the verdict's",
    "--dry-run": "it measures nothing; run it by itself",
    "--rows": "ab chooses the rows itself",
    "--debug": "give it before the --",
}
"""Options of `run` that an `ab` sets or can't use, each with the reason."""

DESCRIPTION: Final = """\
Measure two sides in turn on this machine, in fresh processes, and say of each series whether B is slower than A.

A side is one of
  git:REF               a commit of the repository you stand in, built for itself beside the torch that is here
  python:PATH           another interpreter (or its virtual environment's folder), so another torch or driver stack
  env:NAME=VALUE[,…]    this environment with those variables; `env:` alone is this environment as it is
  implementation:NAME   that implementation

What stands behind -- are the arguments of `python -m bench run`: what to measure. A launch runs them once. Launches go
A B B A A B B A …, after one of each side that does not count. Whatever stands out, or stays open, is measured again in
twice as many fresh pairs. The rules, their error rates and the reason codes: docs/ab.md and docs/comparing.md.
"""
EPILOG: Final = """\
examples:
  python -m bench ab git:main env: -- --kernel gemm --precision fp32 --case m=1024,n=1024,k=1024
        this environment against the main branch: has my change made the product slower?
  python -m bench ab git:v1.2 git:HEAD --fail-on regression,missing -- --suite quick --device cpu
  python -m bench ab env:OMP_NUM_THREADS=1 env:OMP_NUM_THREADS=2 -- --kernel conv
  python -m bench ab implementation:torch implementation:linear-prepacked -- --kernel gemm --precision fp32
  python -m bench ab python:~/old/bin/python python:~/new/bin/python -- --device cuda --kernel attention
  python -m bench ab env: env: -- --kernel gemm      an A/A: what this machine's noise alone amounts to

Exit codes: 0 nothing worse (ambiguous included) · 1 a regression, or what --fail-on names · 2 wrong usage ·
3 could not measure, or nothing comparable · 4 more than a quarter of the rows disturbed · 130 interrupted
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.usage = "python -m bench ab A B [OPTIONS] -- RUN_ARGUMENTS"
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A", help="the base")
    parser.add_argument("b", metavar="B", help="what is judged against it")
    add_verdict_options(parser)
    parser.add_argument(
        "--launches",
        type=_launches,
        default=8,
        metavar="N",
        help=f"launches of each side at first (default: 8, at least {LEAST_LAUNCHES}); fresh pairs are twice as many",
    )
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="keep every launch's run file, in a new folder in this one"
    )
    parser.add_argument(
        "--launch-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="end a launch that takes longer (default: 10 times the first one, at least 120)",
    )
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table")
    assert isinstance(parser, Parser)
    parser.behind_dashes = "run_arguments"


def run(args: argparse.Namespace) -> int:
    """Measure, print the verdicts, and return the contract's exit code."""
    from bench.ab.sides import parse
    from bench.analysis.comparison import exit_code
    from bench.cli.compare import print_comparison
    from bench.cli.thresholds import thresholds

    fatal = fail_on(args.fail_on)
    sides = (parse(args.a, "A"), parse(args.b, "B"))
    limits = thresholds(args.threshold, Path.cwd())
    words = _run_arguments(args.run_arguments, sides)
    comparison = _measured(args, sides, words, limits)
    print_comparison(comparison, args.format)
    return exit_code(comparison, fatal)


def _measured(
    args: argparse.Namespace, sides: tuple[Side, Side], words: Sequence[str], limits: Thresholds
) -> Comparison:
    """Make the sides ready, and compare them under the eyes of the screen."""
    from bench.ab import known_noise
    from bench.ab.launches import termination_as_interrupt
    from bench.ab.session import Settings, compare
    from bench.ab.sides import ready
    from bench.cli.ab_progress import progress

    with ExitStack() as stack:
        screen = stack.enter_context(progress())
        stack.enter_context(termination_as_interrupt())
        folder = stack.enter_context(_Folder(args.results))
        both: list[Ready] = []
        labels: tuple[Label, Label] = ("A", "B")
        for side, label in zip(sides, labels, strict=True):
            screen.message(f"{label}: {side.text}" + (": checking out and building" if side.kind == "git" else ""))
            both.append(stack.enter_context(ready(side, label)))
            if not both[-1].narrows:
                screen.message(f"{label}: its suanli-bench {both[-1].version} can't narrow a run: launches take longer")
        launcher = _Launcher(folder.path, words, args.launch_timeout)
        try:
            settings = Settings(limits, args.launches, known_noise.recall(known_noise.file()))
            comparison = compare((both[0], both[1]), settings, launcher, screen)
            known_noise.remember(known_noise.file(), comparison.series)
        except KeyboardInterrupt:
            folder.keep = True
            screen.message(f"interrupted; the run files of {counted(launcher.launches, 'launch')} are in {folder.path}")
            raise
    if args.results is not None:
        print(f"bench: run files of all launches: {folder.path}", file=sys.stderr)
    return comparison


class _Launcher:
    """Numbers the launches, names their files, and learns from the first ones how long one may take."""

    def __init__(self, folder: Path, words: Sequence[str], timeout_s: float | None) -> None:
        self._folder = folder
        self._words = words
        self._asked_s = timeout_s
        self._rehearsed_s = 0.0
        # Where the user says how long a row or the run may take, or wants rows of a fixed length, that stands.
        own = {"--row-budget", "--budget", "--mode"} & _options(words)
        self._row_budget_s = None if own else ROW_BUDGET_S
        self.launches = 0

    def __call__(self, ready: Ready, rows: Rows | None) -> Launch:
        """One launch of a side, narrowed to rows or not."""
        from bench.ab.launches import command, launch

        self.launches += 1
        out = self._folder / ready.label / f"{self.launches:04d}{'' if rows else '-rehearsal'}.jsonl"
        done = launch(ready, command(ready, self._words, out, rows, self._row_budget_s), out, self._timeout_s(rows))
        if not rows:
            self._rehearsed_s = max(self._rehearsed_s, done.wall_s)
        return done

    def _timeout_s(self, rows: Rows | None) -> float:
        if self._asked_s is not None:
            return self._asked_s
        return max(TIMEOUT_LEAST_S, TIMEOUT_FACTOR * self._rehearsed_s) if rows else REHEARSAL_TIMEOUT_S


class _Folder:
    """Where run files go: a new folder in --results, else a temporary one that is removed unless it is to be kept."""

    def __init__(self, results: Path | None) -> None:
        self.keep = results is not None
        self._results = results

    def __enter__(self) -> _Folder:
        try:
            if self._results is None:
                self.path = Path(tempfile.mkdtemp(prefix="bench-ab-"))
            else:
                self.path = self._results.resolve() / f"ab-{records.run_id()}"
                self.path.mkdir(parents=True)
        except OSError as error:
            raise UnavailableError(f"--results: cannot write {self._results}: {error.strerror or error}") from None
        return self

    def __exit__(self, *error: object) -> None:
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)


def _run_arguments(words: Sequence[str], sides: tuple[Side, Side]) -> list[str]:
    """RUN_ARGUMENTS; refused before anything is measured where `run` would refuse them or an `ab` can't use them."""
    from bench import plugins
    from bench.cli.run import options_of
    from bench.devices import parse_selection
    from bench.runner import plan

    for option in _options(words) & NOT_YOURS.keys():
        raise UsageError(f"{option}: not among RUN_ARGUMENTS: {NOT_YOURS[option]}")
    chosen = [side.text for side in sides if side.kind == "implementation"]
    if chosen and "--implementation" in _options(words):
        raise UsageError(f"--implementation: not among RUN_ARGUMENTS beside {' and '.join(chosen)}, which says it")
    args = parser_for("run").parse_args(list(words))
    args.argv = ["run", *words]
    parse_selection(args.device)
    selection = options_of(args).selection
    if any(side.kind in ("env", "implementation") for side in sides):  # the others bring their own kernels
        installed = plugins.load()
        plan.check(selection, installed)
        for name in (side.value for side in sides if side.kind == "implementation"):
            plan.check(replace(selection, implementation=name), installed)
    return _with_absolute_paths(words)


def _with_absolute_paths(words: Sequence[str]) -> list[str]:
    """--ratings FILE as an absolute path: a side of git is launched in another folder."""
    found: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if found and found[-1] == "--ratings":
            found.append(str(Path(word).resolve()))
        elif option == "--ratings" and equals:
            found.append(f"--ratings={Path(value).resolve()}")
        else:
            found.append(word)
    return found


def _options(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def _launches(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not LEAST_LAUNCHES <= value <= MOST_LAUNCHES:
        why = f"{LEAST_LAUNCHES} … {MOST_LAUNCHES}; fewer than {LEAST_LAUNCHES} pairs can't show a change"
        raise UsageError(f"--launches: {text!r} is not a number of launches ({why})")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"--launch-timeout: {text!r} is not a positive number of seconds")
    return value
