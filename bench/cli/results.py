"""`python -m bench results`: what lies in the store, and its upkeep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.analysis.words import counted
from bench.cli.options import add_results
from bench.cli.output import FORMATS
from bench.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from bench.store.compact import Compaction
    from bench.store.digest import RunEntry
    from bench.store.folder import Location
    from bench.store.index import Index, Progress

SCHEMA: Final = 1
OLDER_THAN: Final = "90d"
UNITS_S: Final = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
LONGEST_S: Final = 100 * 365 * 86_400.0
ACTIONS: Final = ("list", "compact", "index", "check", "add")
OF_FILES: Final = ("check", "add")
"""Actions that take run files and look into no store."""

EXAMPLES: Final = """\
examples:
  python -m bench results                                   the runs in results/
  python -m bench results list --results s3://bucket/runs   those of an object store (extra `remote`)
  python -m bench results compact --older-than 90d --dry-run
  python -m bench results index --rebuild
  python -m bench results check mine.jsonl                  is it fit to be a reference result?
  python -m bench results add mine.jsonl                    put it among those of this checkout
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "What lies in the store: a folder of run files, here or behind a URL.\n"
        "  list     the runs, oldest first (default)\n"
        "  compact  thin the raw samples of old runs and compress their files; nothing else is lost\n"
        "  index    bring the index up to date and say what it holds; --rebuild makes it anew\n"
        "  check    is FILE fit to be a reference result? exit 1 and a line a reason where it isn't\n"
        "  add      check FILE and copy it to results/reference of a checkout, under the name that the rule gives it"
    )
    parser.epilog = EXAMPLES
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="what to do (default: list)")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="check, add: the run files")
    add_results(parser)
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        help=f"compact: runs begun longer ago than this, 12h 90d 8w (default: {OLDER_THAN})",
    )
    parser.add_argument("--dry-run", action="store_true", help="compact: say what would be done and do nothing")
    parser.add_argument(
        "--rebuild", action="store_true", help="list, index: throw the index away and read every run again"
    )
    parser.add_argument("--force", action="store_true", help="add: replace a reference result of that name")
    add_table_format(parser)


def run(args: argparse.Namespace) -> int:
    """Do it and print it; 0, 1 where a check fails, or 3 where there is no such store or file."""
    _refuse_strays(args)
    if args.action in OF_FILES:
        from bench.cli import results_check

        return results_check.check(args) if args.action == "check" else results_check.add(args)
    if args.action == "compact":
        return _compact(args)
    with open_index(existing(args.results), rebuild=args.rebuild) as index:
        return _list(index, args.format) if args.action == "list" else _index(index, args.format)


def _refuse_strays(args: argparse.Namespace) -> None:
    """An option or a file that the action has no use for was meant for another. Raises UsageError."""
    if args.action != "compact" and (args.older_than is not None or args.dry_run):
        option = "--dry-run" if args.dry_run else "--older-than"
        raise UsageError(f"{option}: goes with `results compact`, not with {args.action}")
    if args.rebuild and args.action not in ("list", "index"):
        raise UsageError(f"--rebuild: goes with `results list` and `results index`, not with {args.action}")
    if args.force and args.action != "add":
        raise UsageError(f"--force: goes with `results add`, not with {args.action}")
    if args.files and args.action not in OF_FILES:
        raise UsageError(f"FILE: goes with `results check` and `results add`, not with {args.action}")
    if args.results is not None and args.action in OF_FILES:
        raise UsageError(f"--results: `results {args.action}` takes files and looks into no store")


def add_table_format(parser: argparse._ActionsContainer) -> None:
    """The --format option of a command that prints one document."""
    parser.add_argument("--format", choices=FORMATS, default="table", help="table (default), json, markdown or csv")


def existing(argument: str | None) -> Location:
    """The store, where it exists; a folder that doesn't is more likely mistyped than empty."""
    from bench.store import location

    place = location(argument)
    if not place.exists():
        raise UnavailableError(
            f"--results: there is no folder {place.text}; `python -m bench run` makes it, or name another"
        )
    return place


def open_index(place: Location, *, rebuild: bool = False) -> Index:
    """The store's index, brought up to date; what it skipped is said in one line on stderr."""
    from bench.store.index import Index

    index = Index(place, rebuild=rebuild, progress=_progress())
    if warning := index.warning():
        print(f"bench: {warning}", file=sys.stderr)
    return index


def print_table(rows: Iterable[Sequence[object]], headers: Sequence[str], form: str) -> None:
    """A table, markdown or CSV; text from files can't steer the terminal, and makes no columns of its own."""
    from bench.store.index import printable

    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if form == "csv":
        import csv

        csv.writer(sys.stdout, lineterminator="\n").writerows([headers, *cells])
        return
    from tabulate import tabulate

    if form == "markdown":
        cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    style = "github" if form == "markdown" else "simple"
    print(tabulate(cells, headers=headers, tablefmt=style, disable_numparse=True))


def print_document(document: dict[str, Any]) -> None:
    """One JSON document with its schema."""
    import json

    # ASCII, so that a name in no encoding (a file's may be any bytes) is written all the same.
    print(json.dumps({"schema": SCHEMA, **document}, indent=2))


def _list(index: Index, form: str) -> int:
    runs = index.runs()
    if form == "json":
        skipped = [{"file": item.name, "reason": item.reason} for item in index.skipped]
        print_document({"results": index.location.text, "runs": [_facts(entry) for entry in runs], "skipped": skipped})
        return 0
    if not runs and form == "table":
        print(f"no run files in {index.location.text}")
        return 0
    print_table(map(_cells, runs), ["run", "started", "commit", "device", "suite", "rows", "usable", "status"], form)
    return 0


def _cells(entry: RunEntry) -> list[object]:
    from bench.store.folder import stem

    commit = f"{entry.commit[:10]}{'+' if entry.dirty else ''}" if entry.commit else None
    devices = ", ".join(entry.devices)
    return [stem(entry.name), entry.started, commit, devices, entry.suite, entry.rows, entry.usable, entry.status]


def _facts(entry: RunEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "file": entry.name,
        "started": entry.started,
        "commit": entry.commit,
        "branch": entry.branch,
        "dirty": entry.dirty,
        "devices": list(entry.devices),
        "suite": entry.suite,
        "rows": entry.rows,
        "usable": entry.usable,
        "status": entry.status,
        "classes": {name: dict(fields) for name, fields in entry.classes.items()},
    }


def _index(index: Index, form: str) -> int:
    facts: dict[str, Any] = {
        "results": index.location.text,
        "index": str(index.path) if index.path else None,
        "runs": len(index.runs()),
        "series": len(index.series()),
        "skipped": len(index.skipped),
    }
    if form == "json":
        print_document(facts)
        return 0
    print_table([[key, value] for key, value in facts.items()], ["", "value"], form)
    return 0


def _compact(args: argparse.Namespace) -> int:
    from bench.store.compact import compact

    age_s = _age_s(args.older_than or OLDER_THAN)
    place = existing(args.results)
    _refuse_reference(place)
    with open_index(place) as index:
        done = list(compact(index, age_s, dry_run=args.dry_run))
    if args.format == "json":
        facts = [
            {"file": c.name, "outcome": c.outcome, "reason": c.reason}
            | {"before_bytes": c.before_bytes, "after_bytes": c.after_bytes}
            for c in done
        ]
        print_document({"results": place.text, "older_than_s": age_s, "dry_run": args.dry_run, "files": facts})
        return 0
    if done:
        print_table(
            [[c.name, c.outcome, c.before_bytes, c.after_bytes, c.reason] for c in done],
            ["file", "outcome", "bytes before", "bytes after", "reason"],
            args.format,
        )
    if args.format == "table":
        print(("\n" if done else "") + _summary(done, place.text, args.older_than or OLDER_THAN, args.dry_run))
    return 0


def _summary(done: list[Compaction], where: str, age: str, dry_run: bool) -> str:
    changed = [c for c in done if c.outcome != "left"]
    before, after = sum(c.before_bytes for c in changed), sum(c.after_bytes for c in changed)
    verb = "would be compacted" if dry_run else "compacted"
    left = f"; {len(done) - len(changed)} left" if len(done) > len(changed) else ""
    runs = counted(len(changed), "run")
    return f"{where}: {runs} older than {age} {verb}, {before / 1e6:.2f} MB to {after / 1e6:.2f} MB{left}"


def _refuse_reference(place: Location) -> None:
    """Reference results are compared with for years, and kept as they were written."""
    from bench.store.reference import reference_folder

    reference = reference_folder()
    if place.folder is not None and reference is not None and place.folder.resolve() == reference.resolve():
        raise UsageError(f"--results: {place.text} holds the reference results, which are kept as they were written")


def _age_s(text: str) -> float:
    unit = UNITS_S.get(text[-1:])
    try:
        age_s = float(text[:-1]) * unit if unit else -1.0
    except ValueError:
        age_s = -1.0
    if not 0 <= age_s <= LONGEST_S:
        raise UsageError(f"--older-than: {text!r} is not an age; a number and h, d or w: 12h, 90d, 8w")
    return age_s


def _progress() -> Progress | None:
    """A counter on stderr, on a terminal only, once it is worth one."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if total >= 200 and (done % 100 == 0 or done == total):
            print(f"\rindexing {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
