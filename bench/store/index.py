"""Many runs of a store queried without reading their files again: a SQLite index that can be thrown away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bench import records
from bench.analysis.words import counted
from bench.errors import UnavailableError
from bench.store import database
from bench.store.digest import Point, RunEntry, entry_of, points_of
from bench.store.folder import Entry, Location

NOTHING_YET: Final = "no complete line yet"
"""Why a run file that was created this moment has no entry: no fault of anybody's."""
NAMED: Final = 3
"""How many skipped files a warning names."""

Progress = Callable[[int, int], None]
"""Called with how many files of how many are read."""


@dataclass(frozen=True)
class Skipped:
    """A file of the store that is named like a run file and isn't one that reads."""

    name: str
    reason: str


class Index:
    """The runs and points of a store, up to date as of when it was opened (or refreshed).

    A file is known by name, size and time of change; only new and changed ones are read. The index lies in the store's
    folder, else in the user's cache, else in memory; a missing, damaged or older one is made anew. `rebuild` makes it
    anew in any case.
    """

    def __init__(self, location: Location, *, rebuild: bool = False, progress: Progress | None = None) -> None:
        self.location = location
        self._places = database.places(location)
        self._connection = database.new()
        self.path: Path | None = None
        """The index's file; None where it is in memory only."""
        for place in () if rebuild else self._places:
            if (found := database.open_snapshot(place)) is not None:
                self._connection, self.path = found, place
                break
        self._rebuild = rebuild
        self.refresh(progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index's file."""
        self._connection.close()

    def refresh(self, progress: Progress | None = None) -> None:
        """Take in what has changed in the store since. Interrupted, it keeps what it has read."""
        entries = {entry.name: entry for entry in self.location.run_files()}
        known = self._known()
        changed = [entry for name, entry in entries.items() if known.get(name) != entry.stamp]
        gone = [name for name in known if name not in entries]
        if not changed and not gone and not (self._rebuild and entries):
            return
        self._rebuild = False
        try:
            self._update(gone, changed, progress)
        except sqlite3.Error:
            # A full disk, most likely. Reading needs none.
            self._places = []
            self._update(gone, changed, progress)

    def runs(self) -> list[RunEntry]:
        """Every run of the store, oldest first."""
        classes = {name: json.loads(fields) for name, fields in self._query("SELECT name, fields FROM classes")}
        rows = self._query(
            "SELECT f.name, r.id, started, started_s, commit_id, branch, dirty, status, suite, rows, usable, devices,"
            " classes FROM runs r JOIN files f ON f.id = r.file ORDER BY started_s, r.id, f.name"
        )
        return [self._entry(row, classes) for row in rows]

    def points(self, series: str | None = None, class_id: str | None = None) -> Iterator[Point]:
        """The points of one series, one class, or all: by series and class, oldest first."""
        for name, group, series_number, class_number in self._pairs():
            if series not in (None, name) or class_id not in (None, group):
                continue
            # One series at a time: sorting a million points at once takes longer than all of this.
            rows = self._query(
                "SELECT r.id, f.name, r.started, r.started_s, r.commit_id, p.value_s, p.launches, p.status,"
                " p.quarantined FROM points p JOIN runs r ON r.file = p.file JOIN files f ON f.id = p.file"
                " WHERE p.series = ? AND p.class = ? ORDER BY r.started_s, r.id, f.name",
                series_number,
                class_number,
            )
            for run_id, file, started, started_s, commit, value_s, launches, status, quarantined in rows:
                yield Point(
                    series=name,
                    class_id=group,
                    run_id=run_id,
                    run_name=database.blob_to_name(file),
                    started=started,
                    started_s=started_s,
                    commit=commit,
                    value_s=value_s,
                    launches=launches,
                    status=status,
                    quarantined=bool(quarantined),
                )

    def series(self, class_id: str | None = None) -> list[tuple[str, str]]:
        """(series, class) of everything that was ever measured in this store, or of one class; sorted."""
        return [(name, group) for name, group, *_ in self._pairs() if class_id in (None, group)]

    def classes(self) -> dict[str, dict[str, str]]:
        """Class → its fields, of every comparison class that a run of the store belongs to."""
        in_use = {group for entry in self.runs() for group in entry.classes}
        rows = self._query("SELECT name, fields FROM classes ORDER BY name")
        return {name: json.loads(fields) for name, fields in rows if name in in_use}

    @property
    def skipped(self) -> list[Skipped]:
        """The files that look like run files and can't be read as one, by name."""
        rows = self._query("SELECT name, skipped FROM files WHERE skipped IS NOT NULL AND skipped != ?", NOTHING_YET)
        return sorted((Skipped(database.blob_to_name(name), reason) for name, reason in rows), key=lambda s: s.name)

    def warning(self) -> str | None:
        """One line about the skipped files; None where there are none."""
        skipped = self.skipped
        if not skipped:
            return None
        named = "; ".join(f"{printable(item.name)}: {printable(item.reason)}" for item in skipped[:NAMED])
        more = f"; and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        files = counted(len(skipped), "file")
        return f"{printable(self.location.text)}: {files} skipped: {named}{more}"

    def open_run(self, entry: RunEntry) -> records.RunFile:
        """The whole run of an entry, read from its file, which may have been compressed since it was indexed."""
        for name in (entry.name, f"{entry.name}.gz"):
            try:
                return records.read(self.location.path(name))
            except FileNotFoundError:
                continue
            except UnavailableError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise UnavailableError(f"{printable(entry.path)} is gone")

    def _pairs(self) -> list[tuple[str, str, int, int]]:
        """(series, class, the series' number, the class's) of all that has points; sorted by name."""
        # Distinct numbers first: the database's own index answers that without looking at a point.
        rows = self._query(
            "SELECT s.name, c.name, s.id, c.id FROM (SELECT DISTINCT series, class FROM points) p"
            " JOIN series s ON s.id = p.series JOIN classes c ON c.id = p.class ORDER BY s.name, c.name"
        )
        return rows.fetchall()

    def _entry(self, row: tuple[Any, ...], classes: dict[str, dict[str, str]]) -> RunEntry:
        blob, run_id, started, started_s, commit, branch, dirty, status, suite, rows, usable, devices, groups = row
        name = database.blob_to_name(blob)
        return RunEntry(
            id=run_id,
            name=name,
            path=self.location.join(name),
            started=started,
            started_s=started_s,
            commit=commit,
            branch=branch,
            dirty=bool(dirty),
            status=status,
            suite=suite,
            rows=rows,
            usable=usable,
            devices=tuple(json.loads(devices)),
            classes={group: classes[group] for group in json.loads(groups)},
        )

    def _query(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _known(self) -> dict[str, str]:
        return {database.blob_to_name(name): stamp for name, stamp in self._query("SELECT name, stamp FROM files")}

    def _update(self, gone: list[str], changed: list[Entry], progress: Progress | None) -> None:
        """Publish a copy of the index with the news in it; what was read before an interruption is among them."""
        draft = database.draft(self._connection, self._places)
        try:
            draft.connection.execute("BEGIN")
            try:
                for name in gone:
                    _forget(draft.connection, name)
                self._read(draft.connection, changed, progress)
            finally:
                draft.connection.commit()
                earlier = self._connection
                self._connection, self.path = database.publish(draft)
                earlier.close()
        except sqlite3.Error:
            database.discard(draft)
            raise

    def _read(self, connection: sqlite3.Connection, changed: list[Entry], progress: Progress | None) -> None:
        stamps = {entry.name: entry.stamp for entry in changed}
        for number, (name, path) in enumerate(self.location.paths(stamps), start=1):
            if not isinstance(path, FileNotFoundError):  # else it went away since the listing
                _take_in(connection, name, stamps[name], path, self.location.join(name))
            if progress is not None:
                progress(number, len(changed))


def printable(text: str) -> str:
    """Text from a file, fit for a terminal: what could move the cursor or isn't Unicode is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _take_in(connection: sqlite3.Connection, name: str, stamp: str, path: Path | Exception, shown: str) -> None:
    """Index one file, in place of what was known by its name."""
    _forget(connection, name)
    connection.execute("SAVEPOINT file")
    try:
        if isinstance(path, Exception):
            raise path
        file = records.read(path)
        _insert(connection, name, stamp, file, shown)
    except FileNotFoundError:
        connection.execute("ROLLBACK TO file")
    except (UnavailableError, OSError, ValueError, OverflowError, RecursionError) as error:
        # Whatever lies in the folder: not a run, too new, not readable, or with text in it that no database takes.
        connection.execute("ROLLBACK TO file")
        if not isinstance(error.__cause__, FileNotFoundError):
            reason = _reason(path, error)
            connection.execute(
                "INSERT INTO files (name, stamp, skipped) VALUES (?, ?, ?)",
                (database.name_to_blob(name), stamp, reason),
            )
    connection.execute("RELEASE file")


def _reason(path: Path | Exception, error: Exception) -> str:
    if isinstance(path, Path):
        try:
            if next(records.lines(path), None) is None:
                return NOTHING_YET
        except UnavailableError:
            pass
    return str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ").encode("utf-8", "replace").decode()


def _insert(connection: sqlite3.Connection, name: str, stamp: str, file: records.RunFile, shown: str) -> None:
    entry = entry_of(file, name, shown)
    number = connection.execute(
        "INSERT INTO files (name, stamp) VALUES (?, ?)", (database.name_to_blob(name), stamp)
    ).lastrowid
    git = (entry.commit, entry.branch, entry.dirty)
    told = (entry.status, entry.suite, entry.rows, entry.usable, json.dumps(entry.devices))
    connection.execute(
        f"INSERT INTO runs VALUES ({', '.join('?' * 13)})",
        (number, entry.id, entry.started, entry.started_s, *git, *told, json.dumps(list(entry.classes))),
    )
    # The class "" is that of rows whose device the file does not describe.
    described = [("", "{}"), *((group, json.dumps(dict(fields))) for group, fields in entry.classes.items())]
    connection.executemany("INSERT OR IGNORE INTO classes (name, fields) VALUES (?, ?)", described)
    points = points_of(file)
    connection.executemany("INSERT OR IGNORE INTO series (name) VALUES (?)", [(point.series,) for point in points])
    connection.executemany(
        "INSERT INTO points SELECT ?, s.id, c.id, ?, ?, ?, ? FROM series s, classes c WHERE s.name = ? AND c.name = ?",
        [(number, p.value_s, p.launches, p.status, p.quarantined, p.series, p.class_id) for p in points],
    )


def _forget(connection: sqlite3.Connection, name: str) -> None:
    """Take a file's run and points out."""
    found = connection.execute("SELECT id FROM files WHERE name = ?", (database.name_to_blob(name),)).fetchone()
    if found is not None:
        for table, column in (("points", "file"), ("runs", "file"), ("files", "id")):
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", found)
