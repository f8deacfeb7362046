"""`python -m bench baseline`: names for runs that later ones are compared with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.analysis.words import counted
from bench.cli.options import add_results
from bench.cli.results import add_table_format, existing, open_index, print_document, print_table
from bench.errors import UnavailableError, unknown_name

if TYPE_CHECKING:
    from bench.store.digest import RunEntry
    from bench.store.folder import Location
    from bench.store.index import Index
    from bench.store.notes import Baseline

EXIT_NO_BASELINE: Final = 5

EXAMPLES: Final = """\
examples:
  python -m bench baseline set main latest          the newest run is what "main" means from now on
  python -m bench baseline set v1.2 3f9a2c7         the newest run of a commit
  python -m bench baseline list
  python -m bench baseline show main --require-baseline     exit 5 where there is none yet
  python -m bench baseline clear main
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Names for runs of the store, to compare with. A name is a small file beside the runs: whoever shares the\n"
        "store shares the names, setting one again moves it, and the runs themselves are never touched."
    )
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|list|show|clear", help="what to do")
    of_set = _action(actions, "set", "give a run a name, or move the name to another run")
    of_set.add_argument("name", metavar="NAME", help="letters, digits, '.', '_', '+', '-'; not 'latest'")
    of_set.add_argument(
        "run",
        metavar="RUN",
        help="a run of the store: latest, its id or the beginning of it, a commit, another baseline",
    )
    _action(actions, "list", "every name, its run, and when it was set")
    of_show = _action(actions, "show", "one name: its run and what was measured there")
    of_show.add_argument("name", metavar="NAME", help="the baseline")
    of_show.add_argument(
        "--require-baseline", action="store_true", help="exit 5, not 2, where there is no such baseline"
    )
    of_clear = _action(actions, "clear", "take a name away; its run stays")
    of_clear.add_argument("name", metavar="NAME", help="the baseline")


def run(args: argparse.Namespace) -> int:
    """Do it and print it; 0, 2 for an unknown or impossible name, 3 where the run isn't there, 5 for no baseline."""
    from bench.store import notes

    place = existing(args.results)
    if args.action == "set":
        return _set(args, place)
    known = notes.read(place)
    if warning := known.warning():
        print(f"bench: {warning}", file=sys.stderr)
    if args.action == "list":
        return _list(place, known.baselines, args.format)
    if args.name not in known.baselines:
        if getattr(args, "require_baseline", False):
            print(f"bench: NAME: there is no baseline {args.name!r} in {place.text}", file=sys.stderr)
            return EXIT_NO_BASELINE
        raise unknown_name("NAME", args.name, known.baselines)
    if args.action == "clear":
        notes.clear_baseline(args.name, place)
        return _told(args, {"name": args.name, "cleared": True}, f"{args.name}: cleared")
    return _show(place, known.baselines[args.name], args.format)


def _action(actions: Any, name: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=words, description=words.capitalize() + ".", allow_abbrev=False
    )
    add_results(parser)
    add_table_format(parser)
    return parser


def _set(args: argparse.Namespace, place: Location) -> int:
    from bench.store import notes
    from bench.store.references import find, nothing_found

    notes.check_name(args.name)
    with open_index(place) as index:
        entry = find(_name_in(place, args.run), index)
        if entry is None:
            raise nothing_found(args.run, index, "RUN")
    if not entry.usable:
        raise UnavailableError(f"RUN: {entry.path} has no row that is ok or noisy; nothing can be compared with it")
    note = notes.set_baseline(args.name, entry.id, place, file=entry.name, commit=entry.commit)
    document = {"name": note.name, "run": entry.id, "file": entry.name, "commit": entry.commit, "written": note.written}
    return _told(args, document, f"{note.name}: run {entry.id}, {counted(entry.usable, 'usable row')}")


def _name_in(place: Location, reference: str) -> str:
    """A path into the store as the run's name there: that is what completion types. Anything else as it is."""
    from bench.store.folder import SUFFIXES, stem

    path = Path(reference)
    if place.folder is None or not reference.endswith(SUFFIXES) or path.parent.absolute() != place.folder.absolute():
        return reference
    return stem(path.name)


def _told(args: argparse.Namespace, document: dict[str, Any], words: str) -> int:
    """What was done, as asked for."""
    from bench.store.index import printable

    if args.format == "json":
        print_document(document)
    elif args.format == "table":
        print(printable(words))
    else:
        print_table([list(document.values())], list(document), args.format)
    return 0


def _list(place: Location, baselines: dict[str, Baseline], form: str) -> int:
    with open_index(place) as index:
        facts = [_facts(note, _entry(note, index)) for _, note in sorted(baselines.items())]
    if form == "json":
        print_document({"results": place.text, "baselines": facts})
    elif not facts and form == "table":
        print(f"no baselines in {place.text}: python -m bench baseline set NAME RUN")
    else:
        headers = ["name", "run", "started", "commit", "devices", "usable", "set"]
        rows = [
            [
                f["name"],
                f["run"] + ("" if f["present"] else " (not in the store)"),
                f["started"],
                (f["commit"] or "")[:10],
                ", ".join(f["devices"]),
                f["usable"],
                f["written"],
            ]
            for f in facts
        ]
        print_table(rows, headers, form)
    return 0


def _show(place: Location, note: Baseline, form: str) -> int:
    with open_index(place) as index:
        facts = _facts(note, _entry(note, index))
    if not facts["present"]:
        raise UnavailableError(f"NAME: the baseline {note.name!r} is run {note.run!r}, which is not in {place.text}")
    if form == "json":
        print_document(facts)
    else:
        shown = {key: ", ".join(value) if isinstance(value, list) else value for key, value in facts.items()}
        print_table([[key, value] for key, value in shown.items()], ["", "value"], form)
    return 0


def _entry(note: Baseline, index: Index) -> RunEntry | None:
    from bench.store.references import of_baseline

    return of_baseline(note, index.runs())


def _facts(note: Baseline, entry: RunEntry | None) -> dict[str, Any]:
    return {
        "name": note.name,
        "run": note.run,
        "written": note.written,
        "present": entry is not None,
        "file": entry.name if entry else note.file,
        "started": entry.started if entry else None,
        "commit": entry.commit if entry else note.commit,
        "devices": list(entry.devices) if entry else [],
        "rows": entry.rows if entry else None,
        "usable": entry.usable if entry else None,
        "status": entry.status if entry else None,
    }
