"""`python -m bench history`: series over the runs of a store, where they changed, and changes that are accepted."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cli.options import add_results
from bench.cli.output import speaks_utf8, width
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.analysis.history import History, Point
    from bench.store.index import Index
    from bench.store.notes import AcceptedChange

DESCRIPTION: Final = """\
Show each series of a store over its runs: where its level changed, at which commit, by how much and how surely.

A change point needs at least 4 runs on both sides; a newest run that strays far is "suspected" until then. Where
neighbouring values resemble each other a change is "possible" only. Runs in quarantine are shown and never tested.
--accept takes a change as the new normal: the series' baseline starts again there.
"""

EPILOG: Final = """\
examples:
  python -m bench history                                       all series of the store, on the terminal
  python -m bench history --kernel gemm --series "fp16*cuda"    * stands for anything
  python -m bench history --since 90d --format json
  python -m bench history --format html -o site                 a folder to look at in a browser, without a network
  python -m bench history --accept "gemm*k=1024*fp16*cpu@1f3a5c7e" --reason "a safer algorithm"

How a change is found, and how to read the site: docs/history.md.
"""

PAGE_SUFFIXES: Final = (".html", ".htm")
LEAST_COMMIT: Final = 4
"""Characters of a commit that --accept asks for: fewer mean too many."""
SHOWN: Final = 5
"""Series that an error names."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `history`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_results(parser)
    parser.add_argument("--series", metavar="TEXT", help="only series whose name holds TEXT; * stands for anything")
    parser.add_argument("--kernel", metavar="NAME[,NAME]", help="only series of these kernels")
    parser.add_argument(
        "--since", metavar="DATE", help="only runs from this day on: 2026-10-01, or 90d for 90 days ago"
    )
    parser.add_argument("--format", choices=("table", "json", "html"), default="table")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="where to write; for html: a name in .html is one page with everything, any other a folder of pages",
    )
    parser.add_argument("--accept", metavar="SERIES@COMMIT", help="accept the change at this commit (or run id)")
    parser.add_argument("--reason", metavar="TEXT", help="why it is accepted; kept with it")


def run(args: argparse.Namespace) -> int:
    """Show histories, or accept a change; 0, or 3 where the store has nothing of what was asked for."""
    if args.reason is not None and args.accept is None:
        raise UsageError("--reason: only goes with --accept SERIES@COMMIT")
    since_s = _since(args.since, datetime.now(UTC)) if args.since is not None else None
    from bench.store import location
    from bench.store.index import Index

    with Index(location(args.results)) as index:
        if (warning := index.warning()) is not None:
            print(f"bench: {warning}", file=sys.stderr)
        if args.accept is not None:
            return _accept(args.accept, args.reason, index)
        wanted = _wanted(args.series, args.kernel, index)
        return _show(args, _histories(index, wanted, since_s), index)


def _show(args: argparse.Namespace, found: Iterator[History], index: Index) -> int:
    first = next(found, None)
    if first is None:
        words = "no run" if args.since is None else f"no run since {args.since}"
        raise UnavailableError(f"{index.location.text}: {words} to show a history of")
    everything = _chain(first, found)
    if args.format == "html":
        _write_html(everything, args.output, index.classes())
        return 0
    if args.format == "json":
        from bench.report.history import json_lines

        _write_lines(json_lines(everything), args.output)
        return 0
    from bench.report.history_terminal import lines

    _write_lines(lines(everything, width(), ascii_only=args.output is None and not speaks_utf8()), args.output)
    return 0


def _histories(index: Index, wanted: Callable[[str], bool], since_s: float | None) -> Iterator[History]:
    from bench.analysis.history import histories
    from bench.store.notes import accepted

    def chosen() -> Iterator[Point]:
        for point in index.points():
            if wanted(point.series) and (since_s is None or point.started_s >= since_s):
                yield point

    return histories(chosen(), accepted(index.location))


def _chain(first: History, rest: Iterable[History]) -> Iterator[History]:
    yield first
    yield from rest


def _wanted(text: str | None, kernels: str | None, index: Index) -> Callable[[str], bool]:
    """Whether a series is asked for. Raises UsageError where no series of the store is."""
    names = [name for name, _ in index.series()]
    if kernels is not None:
        known = {kernel_of(name) for name in names}
        for kernel in asked_kernels(kernels):
            if known and kernel not in known:
                from bench.errors import unknown_name

                raise unknown_name("--kernel", kernel, known)
    matches = pattern_of(text) if text is not None else None
    allowed = asked_kernels(kernels) if kernels is not None else None

    def wanted(series: str) -> bool:
        return (allowed is None or kernel_of(series) in allowed) and (matches is None or bool(matches(series)))

    if names and not any(map(wanted, names)):
        raise UsageError(f"--series: {text!r} is in no series' name; the store has {_named(names)}")
    return wanted


def kernel_of(series: str) -> str:
    """The kernel in a series' name: what stands before its case."""
    return series.partition("[")[0]


def asked_kernels(text: str) -> list[str]:
    """The kernels of a comma-separated list. Raises UsageError for an empty one."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"--kernel: {text!r} is not a list of names such as gemm,conv")
    return names


def pattern_of(text: str) -> Callable[[str], object]:
    """A test for series' names: TEXT anywhere in it, with * for anything and ? for one character. Brackets are plain:
    every series has them."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(char) or re.escape(char) for char in text)
    return re.compile(expression, re.IGNORECASE | re.DOTALL).search


def _named(names: Iterable[str]) -> str:
    from bench.store.index import printable

    unique = list(dict.fromkeys(names))
    shown = ", ".join(repr(printable(name)) for name in unique[:SHOWN])
    return f"{shown} and {len(unique) - SHOWN} more" if len(unique) > SHOWN else shown


def _since(text: str, now: datetime) -> float:
    """Seconds since 1970 of a day, a time, or so many days ago. Raises UsageError."""
    days = re.fullmatch(r"(\d{1,5})d", text)
    if days:
        return (now - timedelta(days=int(days.group(1)))).timestamp()
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f"--since: {text!r} is no date such as 2026-10-01 and no number of days such as 90d") from None


def _write_lines(lines: Iterable[str], output: Path | None) -> None:
    """To the file, or to stdout; JSON and file are UTF-8 whatever the terminal speaks."""
    if output is None:
        for line in lines:
            print(line)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with open(output, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UnavailableError(f"--output: cannot write {output}: {error.strerror or error}") from error
    print(f"wrote {output}", file=sys.stderr)


def _write_html(histories: Iterator[History], output: Path | None, classes: dict[str, dict[str, str]]) -> None:
    from bench.report import history_page

    if output is None:
        raise UsageError("--format html: needs -o: a folder for the site, or a file in .html for one page")
    if output.suffix.lower() in PAGE_SUFFIXES:
        history_page.write_file(list(histories), output, classes)
        print(f"wrote {output}", file=sys.stderr)
    else:
        history_page.write_folder(histories, output, classes)
        print(f"wrote {output / history_page.INDEX} and a page a series", file=sys.stderr)


def _accept(argument: str, reason: str | None, index: Index) -> int:
    """Record that the change at a commit is the new normal, for each class of machine that it was measured on."""
    from bench.report.history import change_words
    from bench.store import notes

    if not reason or not reason.strip():
        raise UsageError("--accept: say why with --reason TEXT; whoever reads the history will ask")
    series, commit = _series_and_commit(argument, index)
    done = []
    for group in [group for name, group in index.series() if name == series]:
        change = _acceptance(series, group, commit, reason.strip(), index)
        if change is not None:
            done.append(notes.accept(change, index.location))
    if not done:
        raise UsageError(
            f"--accept: {series!r} has no usable value at {commit!r} with one before it; see `python -m bench history`"
        )
    for one in _histories(index, lambda name: name == series, None):
        for shown in one.changes:
            if any(one.class_id == note.class_id and one.used[shown.index].run_id == note.run_id for note in done):
                print(f"{one.series}: {change_words(shown, one.used[shown.index].started)}")
    return 0


def _series_and_commit(argument: str, index: Index) -> tuple[str, str]:
    """The one series meant by SERIES@COMMIT, and the commit. Raises UsageError where it is none or more than one."""
    text, _, commit = argument.rpartition("@")
    if not text or len(commit) < LEAST_COMMIT:
        raise UsageError(
            f"--accept: {argument!r} is not SERIES@COMMIT with at least {LEAST_COMMIT} characters of the commit"
        )
    names = list(dict.fromkeys(name for name, _ in index.series()))
    matches = pattern_of(text)
    found = [text] if text in names else [name for name in names if matches(name)]
    if len(found) != 1:
        among = f"means {len(found)}: {_named(found)}" if found else f"is none; the store has {_named(names)}"
        raise UsageError(f"--accept: {text!r} must mean one series and {among}")
    return found[0], commit


def _acceptance(series: str, group: str, commit: str, reason: str, index: Index) -> AcceptedChange | None:
    """The record of the change at a commit, not yet written; None where this class has no value there."""
    import msgspec

    from bench.analysis.history import history
    from bench.store import notes

    points = list(index.points(series, group))
    used = history(points).used
    commits = {point.commit for point in used if point.commit and point.commit.startswith(commit)}
    if len(commits) > 1:
        raise UsageError(f"--accept: {commit!r} is the beginning of {len(commits)} commits; give more of it")
    place = next((i for i, point in enumerate(used) if point.commit in commits or point.run_id == commit), 0)
    if place == 0:
        return None
    change = notes.AcceptedChange(
        series=series,
        class_id=group,
        run_id=used[place].run_id,
        commit_before=used[place - 1].commit,
        commit=used[place].commit,
        before_s=0.0,
        after_s=0.0,
        reason=reason,
    )
    earlier = [note for note in notes.accepted(index.location) if (note.series, note.class_id) == (series, group)]
    judged = next(one for one in history(points, [*earlier, change]).changes if one.index == place)
    return msgspec.structs.replace(change, before_s=judged.before_s, after_s=judged.after_s, p=judged.p)
