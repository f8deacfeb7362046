"""`results check` and `results add`: is a run fit to be a reference result, and the way of one into the checkout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.files import refuse_existing, write_whole
from bench.errors import UnavailableError, UsageError


@dataclass(frozen=True)
class Checked:
    """One file: its complete lines, the name that the rule gives it, and what is wrong with it."""

    path: Path
    content: bytes
    name: str
    problems: tuple[str, ...]


def check(args: argparse.Namespace) -> int:
    """Print a line a failure; 0 where there is none, else 1. Raises UnavailableError where a file can't be read."""
    found = [_checked(path, named=True) for path in _paths(args)]
    _print(found, args.format)
    return int(any(one.problems for one in found))


def add(args: argparse.Namespace) -> int:
    """Copy runs among the checkout's reference results under their names, and bring the page there up to date.

    All of them or none: 1 where one fails the check.
    """
    from bench.store.reference import checkout_folder

    folder = checkout_folder()
    found = [_checked(path, named=False) for path in _paths(args)]
    if any(one.problems for one in found):
        _print(found, args.format)
        return 1
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"FILE: two of the runs would be called {name}: same hardware, torch, suite and day")
    targets = [folder / one.name for one in found]
    refuse_existing(targets, args.force, "FILE")
    for one, target in zip(found, targets, strict=True):
        write_whole(target, one.content, "FILE")
    _update_page(folder)
    if args.format == "table":
        for target in targets:
            print(f"added {target}")
    else:
        _print(found, args.format)
    return 0


def _paths(args: argparse.Namespace) -> list[Path]:
    if not args.files:
        raise UsageError(f"FILE: `results {args.action}` takes the run files that are meant")
    return list(dict.fromkeys(args.files))


def _checked(path: Path, *, named: bool) -> Checked:
    """Raises UnavailableError where it can't be read; what can be read and is no run file has that as its problem."""
    from bench import records
    from bench.store.reference_check import problems
    from bench.store.reference_name import file_name

    content = b"".join(records.lines(path))
    try:
        file = records.read(path)
    except UnavailableError as error:
        return Checked(path, content, "", (f"schema: {str(error).removeprefix(str(path)).removeprefix(': ').strip()}",))
    found = problems(file, path.name if named else None, content.decode("utf-8", "replace"))
    return Checked(path, content, file_name(file) if file.devices else "", tuple(found))


def _update_page(folder: Path) -> None:
    from bench.report.reference_table import PAGE, read_folder, update

    page = folder / PAGE
    try:
        text = page.read_text("utf-8")
    except OSError as error:
        raise UnavailableError(f"FILE: cannot read {page}: {error.strerror or error}") from error
    write_whole(page, update(text, read_folder(folder)).encode(), "FILE")


def _print(found: Sequence[Checked], form: str) -> None:
    from bench.cli.results import print_document, print_table
    from bench.store.index import printable

    if form == "json":
        files = [{"file": str(one.path), "name": one.name or None, "problems": list(one.problems)} for one in found]
        print_document({"files": files})
    elif form == "table":
        for one in found:
            for problem in one.problems or ("ok",):
                print(printable(f"{one.path}: {problem}"))
    else:
        print_table([[one.path, problem] for one in found for problem in one.problems], ["file", "problem"], form)
    if form == "table" and any(one.problems for one in found):
        failed = sum(bool(one.problems) for one in found)
        print(f"{failed} of {len(found)} not fit to be a reference result", file=sys.stderr)
