"""Putting a finished run file into a store: under a name that nobody else has, whole or not at all."""

from __future__ import annotations

import re
import secrets
import tempfile
from pathlib import Path
from typing import Final

from bench import records
from bench.errors import UnavailableError
from bench.store.folder import Location

SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")
"""Run ids that may become a file's name as they are; any other run gets a name of its own."""
GZIP_MAGIC: Final = b"\x1f\x8b"
ATTEMPTS: Final = 100
"""Names tried before giving up; two random ones never meet, so this only ends a place that always says "taken"."""


def put(run: Path | str | bytes, location: Location) -> str:
    """Add a run file (its path, or its content) to a store; returns the name that it has there, `<run-id>.jsonl`.

    What lies there is never overwritten: another run of the same id gets a random suffix, the same content is left as
    it is. Raises UnavailableError for what does not read as a run file, and where the store can't be written to.
    """
    data = run if isinstance(run, bytes) else _content(Path(run))
    suffix = ".jsonl.gz" if data.startswith(GZIP_MAGIC) else ".jsonl"
    run_id = _id(data, suffix, None if isinstance(run, bytes) else str(run))
    name = f"{run_id}{suffix}"
    for _ in range(ATTEMPTS):
        try:
            location.create(name, data)
        except FileExistsError:
            if _same(location, name, data):
                return name
            name = f"{run_id}-{secrets.token_hex(4)}{suffix}"
        else:
            return name
    raise UnavailableError(f"{location.text}: no free name for run {run_id}")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror or error}") from error


def _id(data: bytes, suffix: str, shown: str | None) -> str:
    """The run's id where it can be a file's name, else a new one. Reads the whole file, so that what is put reads."""
    with tempfile.TemporaryDirectory(prefix="bench-put-") as folder:
        path = Path(folder) / f"run{suffix}"
        path.write_bytes(data)
        try:
            run_id = records.read(path).run.id
        except UnavailableError as error:
            raise UnavailableError(str(error).replace(str(path), shown or "the run file")) from error
    return run_id if SAFE_ID.fullmatch(run_id) else records.run_id()


def _same(location: Location, name: str, data: bytes) -> bool:
    try:
        return location.read(name) == data
    except FileNotFoundError:
        return False
