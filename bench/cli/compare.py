"""`python -m bench compare`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import records
from bench.cli.options import add_results
from bench.cli.output import speaks_utf8, width
from bench.cli.verdict_options import add_verdict_options, fail_on
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.analysis.comparison import Comparison

DESCRIPTION: Final = """\
Say of each series of two runs whether it became slower, with a ratio, its interval, the threshold and a reason.

A regression needs the interval of time new / time base to lie above the threshold, and the ratio above twice the noise
between launches; where that can't be told the verdict is "ambiguous". Runs of another device, driver, torch or method
are not compared; the field that differs is named. How verdicts come about: docs/comparing.md.
"""

EPILOG: Final = """\
examples:
  python -m bench compare before.jsonl after.jsonl
  python -m bench compare before.jsonl after.jsonl --threshold 10% --fail-on ambiguous,missing
  python -m bench compare before.jsonl after.jsonl --explain "gemm[m=4096,n=4096,k=4096] fp16"
  python -m bench compare before.jsonl after.jsonl --format markdown >> "$GITHUB_STEP_SUMMARY"

Exit codes: 0 nothing worse (ambiguous and no baseline included) · 1 a regression, or what --fail-on names ·
3 nothing comparable, or unreadable · 4 more than a quarter of the rows disturbed · 5 no baseline, --require-baseline
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument(
        "base", metavar="BASE", help="a run file, a folder (its newest), or of the store: latest, a baseline, a commit"
    )
    parser.add_argument("new", metavar="NEW", help="the run to be judged, named likewise")
    add_verdict_options(parser)
    parser.add_argument("--explain", metavar="SERIES", help="the evidence for the series whose name holds these words")
    parser.add_argument(
        "--require-baseline", action="store_true", help="exit code 5 where there is no base to compare with"
    )
    add_results(parser, "the store of the names")
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; returns the contract's exit code."""
    from bench.analysis.comparison import compare, exit_code, without_baseline
    from bench.cli.thresholds import thresholds

    fatal = fail_on(args.fail_on)
    if args.explain is not None and args.format != "table":
        raise UsageError(
            f"--explain: goes with --format table, not {args.format}; json has the evidence of every series"
        )
    limits = thresholds(args.threshold, Path.cwd())
    new = records.read(_new(args.new, args.results))
    path, why = _base(args.base, args.results, args.require_baseline)
    comparison = without_baseline(new, why) if path is None else compare(records.read(path), new, limits)
    if args.explain is not None:
        _print_explanation(comparison, args.explain)
    else:
        print_comparison(comparison, args.format)
    return exit_code(comparison, fatal, require_baseline=args.require_baseline)


def print_comparison(comparison: Comparison, form: str) -> None:
    """Print a comparison as table, markdown or JSON; `ab` prints its own the same way."""
    from bench.report import verdicts

    if form == "json":
        print(json.dumps(verdicts.document(comparison), indent=2, ensure_ascii=False, allow_nan=False))
    elif form == "markdown":
        print(verdicts.markdown(comparison))
    else:
        print(verdicts.terminal(comparison, width(), ascii_only=not speaks_utf8()))


def _base(reference: str, results: str | None, required: bool) -> tuple[Path | None, str]:
    """The base's run file, or None and why there is none to compare with.

    A name that the store does not know and a folder without runs are no baseline; a path that is given and does not
    exist is an error, unless the exit code for "no baseline" was asked for.
    """
    path = Path(reference)
    if path.is_dir() and not any(True for pattern in records.PATTERNS for _ in path.glob(pattern)):
        return None, f"no baseline: {reference} holds no run"
    if not path.exists() and not _is_path(reference):
        return _named_base(reference, results)
    found = records.find(path)
    if required and not found.exists():
        return None, f"no baseline: {reference} does not exist"
    return found, ""


def _named_base(reference: str, results: str | None) -> tuple[Path | None, str]:
    """`latest`, a baseline, a run's id or a commit in the store; or a URL."""
    from bench.store.index import Index
    from bench.store.naming import location
    from bench.store.references import find, path_of, resolve

    place = location(results)
    if "://" in reference:
        return resolve(reference, place, "BASE"), ""
    with Index(place) as index:
        entry = find(reference, index, "BASE")
    if entry is None:
        return None, f"no baseline: {reference!r} is no run, baseline or commit in {place.text}"
    return path_of(entry, place), ""


def _new(reference: str, results: str | None) -> Path:
    if Path(reference).exists() or _is_path(reference):
        return records.find(Path(reference))
    from bench.store.naming import location
    from bench.store.references import resolve

    return resolve(reference, location(results), "NEW")


def _is_path(reference: str) -> bool:
    return "://" not in reference and ("/" in reference or reference.endswith((".jsonl", ".jsonl.gz")))


def _print_explanation(comparison: Comparison, words: str) -> None:
    """The evidence of the series that the words name: the whole name, or a part of one or more."""
    from bench.report.evidence import explain

    names = [one.series for one in comparison.series]
    chosen = [one for one in comparison.series if one.series == words]
    chosen = chosen or [one for one in comparison.series if words.lower() in one.series.lower()]
    if not chosen:
        raise _no_such_series(words, names)
    print("\n\n".join(explain(one, ascii_only=not speaks_utf8()) for one in chosen))


def _no_such_series(words: str, names: Sequence[str]) -> UsageError | UnavailableError:
    import difflib

    if not names:
        return UnavailableError("--explain: neither run has a series that was timed")
    near = difflib.get_close_matches(words, names, n=3, cutoff=0.0)
    return UsageError(f"--explain: no series holds {words!r}; nearest: {' · '.join(near)}")
