"""The index's tables, and the file that holds them: a snapshot that is only ever replaced whole.

A snapshot is never changed in place: whoever has news copies it, adds them and renames the copy over it. So there are
no locks, no journal that a crash leaves behind, and nothing that a network share could get wrong; readers keep the
snapshot that they opened. Of two writers at once the last wins, and what the other had added is found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bench import __version__
from bench.analysis import identity
from bench.store.caching import folder_for
from bench.store.folder import Location
from bench.store.temporary import sweep_store

SCHEMA: Final = 1
"""Raised whenever the tables change, or what is kept in them."""
FILE_NAME: Final = ".index.sqlite3"
CACHED_NAME: Final = "index.sqlite3"

TABLES: Final = """
CREATE TABLE origin (fingerprint TEXT NOT NULL);
CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL, skipped TEXT);
CREATE TABLE runs (file INTEGER PRIMARY KEY, id TEXT NOT NULL, started TEXT NOT NULL, started_s REAL NOT NULL,
  commit_id TEXT, branch TEXT, dirty INTEGER NOT NULL, status TEXT NOT NULL, suite TEXT, rows INTEGER NOT NULL,
  usable INTEGER NOT NULL, devices TEXT NOT NULL, classes TEXT NOT NULL);
CREATE TABLE classes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, fields TEXT NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE points (file INTEGER NOT NULL, series INTEGER NOT NULL, class INTEGER NOT NULL, value_s REAL,
  launches INTEGER NOT NULL, status TEXT NOT NULL, quarantined INTEGER NOT NULL);
CREATE INDEX points_by_series ON points (series, class);
CREATE INDEX points_by_file ON points (file);
"""


@cache
def fingerprint() -> str:
    """What an index must have been made by to be used: these tables, this version, this notion of a series."""
    with contextlib.suppress(OSError):
        return f"{SCHEMA} {__version__} {hashlib.sha256(Path(identity.__file__).read_bytes()).hexdigest()[:16]}"
    return f"{SCHEMA} {__version__}"


def places(location: Location) -> list[Path]:
    """Where the index may lie, best first: in the store's own folder, else in the user's cache."""
    cached: list[Path] = []
    with contextlib.suppress(RuntimeError):  # no home folder is known
        cached = [folder_for(location) / CACHED_NAME]
    if location.folder is None:
        return cached
    return [location.folder / FILE_NAME, *cached]


def open_snapshot(path: Path) -> sqlite3.Connection | None:
    """The snapshot at `path`, to be read; None where there is none, or none that is whole and ours."""
    if not path.is_file():
        return None
    connection = None
    try:
        # immutable: nobody changes this file, so that SQLite needs neither locks nor a writable folder.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        (made_by,) = connection.execute("SELECT fingerprint FROM origin").fetchone()
        if made_by == fingerprint() and connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except (sqlite3.Error, TypeError, OSError):
        pass
    if connection is not None:
        connection.close()
    return None


def new() -> sqlite3.Connection:
    """An empty index in memory."""
    connection = sqlite3.connect(":memory:")
    _create(connection)
    return connection


@dataclass(frozen=True)
class Draft:
    """A copy of a snapshot, to be changed and then published."""

    connection: sqlite3.Connection
    temporary: Path | None
    """Its file; None where no place can be written to and it stays in memory."""
    target: Path | None


def draft(earlier: sqlite3.Connection | None, targets: list[Path]) -> Draft:
    """A copy of an open snapshot (None: an empty index), beside the first of the targets that can be written to."""
    for target in targets:
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            sweep_store(temporary.parent)
            return Draft(_copied(earlier, str(temporary)), temporary, target)
        except (OSError, sqlite3.Error):
            _remove(temporary)
    return Draft(_copied(earlier, ":memory:"), None, None)


def publish(done: Draft) -> tuple[sqlite3.Connection, Path | None]:
    """Give what the draft has committed its place, and return it to be read from, with that place (None: memory).

    Its own content, whoever else has published meanwhile: a reader must find what it has just indexed.
    """
    if done.temporary is None or done.target is None:
        return done.connection, None
    done.connection.close()
    readable = open_snapshot(done.temporary) or new()
    if os.name == "nt":  # no open file is renamed there
        opened, readable = readable, _copied(readable, ":memory:")
        opened.close()
    try:
        done.temporary.replace(done.target)
    except OSError:
        opened, readable = readable, _copied(readable, ":memory:")
        opened.close()
        _remove(done.temporary)
        return readable, None
    return readable, done.target


def discard(done: Draft) -> None:
    """Throw a draft away."""
    done.connection.close()
    if done.temporary is not None:
        _remove(done.temporary)


def _copied(earlier: sqlite3.Connection | None, path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    try:
        if earlier is not None:
            earlier.backup(connection)
        # In memory, so that a crash leaves one file and not two; that file has no name yet by which it is looked for.
        connection.execute("PRAGMA journal_mode = MEMORY")
        if earlier is None:
            _create(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(TABLES)
    connection.execute("INSERT INTO origin VALUES (?)", (fingerprint(),))
    connection.commit()


def name_to_blob(name: str) -> bytes:
    """A file's name as its bytes: names need not be UTF-8."""
    return os.fsencode(name)


def blob_to_name(blob: bytes) -> str:
    """The opposite of `name_to_blob`."""
    return os.fsdecode(blob)
