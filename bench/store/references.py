"""From how people speak of a run (a path, `latest`, an id, a baseline's name, a commit) to a file that reads."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench import records
from bench.errors import UnavailableError
from bench.store import notes
from bench.store.digest import RunEntry
from bench.store.folder import SUFFIXES, Location, stem
from bench.store.index import Index, printable
from bench.store.naming import expanded
from bench.store.naming import location as location_of

LATEST: Final = "latest"
COMMIT: Final = re.compile(r"[0-9a-fA-F]{7,64}")
NEAREST: Final = 1000
"""Runs, newest first, among whose names the nearest to an unknown one is looked for."""
SHOWN: Final = 5
"""Candidates and nearest names that an error lists."""


def resolve(reference: str, location: Location, argument: str = "RUN") -> Path:
    """A path on this machine of the run that is meant.

    What has a separator or ends in .jsonl is a path (a folder: its newest run file) or a URL. Else, in this order:
    `latest` (of the store's runs the last one begun that has rows); a baseline; a run's id, its file's name, or the
    beginning of either; a git commit of at least 7 digits (its newest run, one of a clean checkout before one of a
    changed one); a path after all. Raises UnavailableError where nothing is found, with the nearest names, and where
    more than one run is meant, with the candidates; both begin with `argument`.
    """
    if "://" in reference:
        return _from_url(reference, argument)
    if _looks_like_a_path(reference):
        path = expanded(reference)
        if _exists(path) or os.sep in reference or "/" in reference:
            return records.find(path)
        reference = stem(reference)
    with Index(location) as index:
        entry = find(reference, index, argument)
        if entry is not None:
            return path_of(entry, location)
        if reference and _exists(Path(reference)):
            return records.find(Path(reference))
        raise nothing_found(reference, index, argument)


def find(reference: str, index: Index, argument: str = "RUN") -> RunEntry | None:
    """The run of a store that a name, id or commit means, None where it means none; UnavailableError for several."""
    runs = index.runs()
    if reference == LATEST:
        return next((run for run in reversed(runs) if run.rows), runs[-1] if runs else None)
    baseline = notes.read(index.location).baselines.get(reference)
    if baseline is not None:
        entry = of_baseline(baseline, runs)
        if entry is None:
            raise UnavailableError(
                f"{argument}: the baseline {baseline.name!r} is run {baseline.run!r}, which is not in the store"
            )
        return entry
    if not reference:
        return None
    exact = [run for run in runs if reference in (run.id, stem(run.name))]
    if exact:
        # A file's own name is unique, an id need not be.
        return _only([run for run in exact if stem(run.name) == reference] or exact, reference, argument)
    begun = [run for run in runs if run.id.startswith(reference) or run.name.startswith(reference)]
    committed = _of_commit(reference, runs, argument)
    return _only([*begun, *(run for run in committed if run not in begun)], reference, argument)


def path_of(entry: RunEntry, location: Location) -> Path:
    """A path on this machine by which an entry's run can be read, compressed since or not."""
    for name in (entry.name, f"{entry.name}.gz"):
        try:
            path = location.path(name)
        except FileNotFoundError:
            continue
        if path.exists():
            return path
    raise UnavailableError(f"{printable(entry.path)} is gone")


def of_baseline(baseline: notes.Baseline, runs: list[RunEntry]) -> RunEntry | None:
    """The run that a baseline names; None where it is not in the store any more."""
    own = [run for run in runs if run.id == baseline.run]
    named = [run for run in own if baseline.file is not None and stem(run.name) == stem(baseline.file)]
    return next(reversed(named or own), None)


def _of_commit(reference: str, runs: list[RunEntry], argument: str) -> list[RunEntry]:
    """The newest run of the one commit that the reference begins; none where it is no commit's."""
    if not COMMIT.fullmatch(reference):
        return []
    wanted = reference.lower()
    found = [run for run in runs if run.commit is not None and run.commit.lower().startswith(wanted)]
    commits = dict.fromkeys(str(run.commit) for run in found)
    if len(commits) > 1:
        raise UnavailableError(f"{argument}: {reference!r} begins {len(commits)} commits: {_listed(commits)}")
    clean = [run for run in found if not run.dirty]
    return (clean or found)[-1:]


def _only(found: list[RunEntry], reference: str, argument: str) -> RunEntry | None:
    if len(found) > 1:
        names = [stem(run.name) for run in found]
        raise UnavailableError(f"{argument}: {reference!r} means {len(found)} runs: {_listed(names)}")
    return found[0] if found else None


def nothing_found(reference: str, index: Index, argument: str) -> UnavailableError:
    """What to raise where `find` found nothing: what was looked for where, and the nearest names."""
    runs = index.runs()
    words = f"{argument}: {reference!r} is no path, and no run, baseline or commit in {printable(index.location.text)}"
    if not runs:
        return UnavailableError(f"{words}, which holds no run")
    newest = runs[: -NEAREST - 1 : -1]
    known = [LATEST, *notes.read(index.location).baselines, *(stem(run.name) for run in newest)]
    known += [run.commit for run in newest if run.commit]
    near = difflib.get_close_matches(reference, dict.fromkeys(known), n=3, cutoff=0.5)
    return UnavailableError(f"{words}; nearest: {_listed(near or known[:3])}")


def _listed(names: Iterable[str]) -> str:
    listed = [printable(name) for name in names]
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _looks_like_a_path(reference: str) -> bool:
    separated = "/" in reference or os.sep in reference or reference in (".", "..")
    return separated or reference.endswith(SUFFIXES)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _from_url(reference: str, argument: str) -> Path:
    parent, _, name = reference.rpartition("/")
    place = location_of(reference if not name.endswith(SUFFIXES) else parent)
    if not name.endswith(SUFFIXES):
        return resolve(LATEST, place, argument)
    try:
        path = place.path(name)
    except FileNotFoundError:
        raise UnavailableError(f"{argument}: no {name!r} in {place.text}") from None
    if not path.exists():
        raise UnavailableError(f"{argument}: no {name!r} in {place.text}")
    return path
