"""A store behind a URL, through fsspec: object stores, SSH and whatever else it opens (extra `remote`)."""

from __future__ import annotations

import contextlib
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.errors import UnavailableError, UsageError
from bench.store.caching import folder_for
from bench.store.folder import Entry, Location

INSTALL: Final = "python -m pip install 'suanli-bench[remote]'"
KNOWN: Final = "s3://, gs://, az://, ssh://, sftp://, file://"
RENAMING: Final = frozenset({"sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs", "arrow_hdfs"})
"""Protocols of real folders, where a reader could meet a half-written file and a rename is one step. Of the others, a
put is one step by itself."""
CHANGED_KEYS: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""Under which keys file systems tell when a file was last changed; "created" is the last, for those that only put."""
PARALLEL: Final = 16
"""Files fetched at once where the file system can: the wait for an object store is latency, not bandwidth."""

T = TypeVar("T")


def open_remote(url: str, origin: str) -> Remote:
    """The store behind a URL. `origin` names who gave it, for messages. Nothing is asked of the network yet, but by
    file systems that connect when they are made (SSH)."""
    shown = without_password(url)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UnavailableError(f"{origin}: {shown} needs fsspec: {INSTALL}") from None
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise UnavailableError(f"{origin}: {shown} needs a package more ({error}): {INSTALL}") from None
    except ValueError as error:
        raise UsageError(f"{origin}: {shown}: {error}; allowed are a folder and URLs such as {KNOWN}") from None
    except Exception as error:  # whatever a file system raises that connects when it is made
        raise UnavailableError(f"{origin}: cannot open {shown}: {_told(error)}") from error
    return Remote(system, path, shown)


def without_password(url: str) -> str:
    """The URL with a password in it starred out."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)


class Remote(Location):
    """Run files behind an fsspec file system."""

    def __init__(self, system: Any, root: str, text: str) -> None:
        self._system = system
        self._root = root.rstrip("/")
        self.text = text

    def exists(self) -> bool:
        return True

    def entries(self, under: str = "") -> list[Entry]:
        folder = f"{self._root}/{under}" if under else self._root
        # Listings are kept by some file systems; other processes write here too.
        self._system.invalidate_cache()
        try:
            listing = self._ask(f"cannot list {self.text}", lambda: self._system.ls(folder, detail=True))
        except FileNotFoundError:
            return []
        return sorted((_entry(info) for info in listing if info.get("type") == "file"), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        self._system.invalidate_cache()
        try:
            info = self._ask(f"cannot read {self.join(name)}", lambda: self._system.info(self._at(name)))
        except FileNotFoundError:
            return None
        return _entry(info) if info.get("type") == "file" else None

    def read(self, name: str) -> bytes:
        data: bytes = self._ask(f"cannot read {self.join(name)}", lambda: self._system.cat_file(self._at(name)))
        return data

    def paths(self, names: Iterable[str]) -> Iterator[tuple[str, Path | Exception]]:
        remaining = iter(names)
        workers = PARALLEL if getattr(self._system, "async_impl", False) else 1
        with tempfile.TemporaryDirectory(prefix="bench-store-") as folder, ThreadPoolExecutor(workers) as pool:
            while batch := list(islice(remaining, 2 * workers)):
                for name, data in zip(batch, pool.map(self._read_or_why, batch), strict=True):
                    if isinstance(data, Exception):
                        yield name, data
                        continue
                    # Not the store's name: that may be longer or stranger than this machine's file system takes.
                    path = Path(folder) / ("fetched.jsonl.gz" if name.endswith(".gz") else "fetched.jsonl")
                    path.write_bytes(data)
                    yield name, path

    def path(self, name: str) -> Path:
        data = self.read(name)
        folder = folder_for(self) / "runs"
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            return temporary.replace(folder / name)
        except OSError as error:
            raise UnavailableError(f"cannot keep a copy of {self.join(name)} in {folder}: {_told(error)}") from error

    def create(self, name: str, data: bytes) -> None:
        target = self._at(name)

        def write() -> None:
            if self._system.exists(target):
                raise FileExistsError(target)
            self._write(target, data)

        self._ask(f"cannot write {self.join(name)}", write)

    def replace(self, name: str, data: bytes, modified_s: float | None = None) -> None:
        self._ask(f"cannot write {self.join(name)}", lambda: self._write(self._at(name), data))

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._ask(f"cannot remove {self.join(name)}", lambda: self._system.rm_file(self._at(name)))

    def _write(self, target: str, data: bytes) -> None:
        protocols = self._system.protocol
        if RENAMING.isdisjoint([protocols] if isinstance(protocols, str) else protocols):
            self._system.pipe_file(target, data)
            return
        parent, _, _ = target.rpartition("/")
        temporary = f"{parent}/.{secrets.token_hex(8)}.tmp"
        self._system.makedirs(parent, exist_ok=True)
        self._system.pipe_file(temporary, data)
        self._system.mv(temporary, target)

    def _read_or_why(self, name: str) -> bytes | Exception:
        try:
            return self.read(name)
        except (OSError, UnavailableError) as error:
            return error

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _ask(self, doing: str, call: Callable[[], T]) -> T:
        """The call's answer; what a file system or its library raises becomes an UnavailableError that says where."""
        try:
            return call()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # each file system has a library of its own, with errors of its own
            raise UnavailableError(f"{doing}: {_told(error)}") from error


def _entry(info: dict[str, Any]) -> Entry:
    name = str(info["name"]).rstrip("/").rpartition("/")[2]
    changed = next((info[key] for key in CHANGED_KEYS if info.get(key) is not None), None)
    size, changed_s = int(info.get("size") or 0), _seconds(changed)
    # In seconds where it is a time: some file systems tell a number in a listing and a datetime of the file alone.
    stamp = (
        f"{size} {changed if changed_s is None else round(changed_s, 6)} {info.get('ETag') or info.get('etag') or ''}"
    )
    return Entry(name, size, stamp, changed_s, bool(info.get("islink")))


def _seconds(moment: object) -> float | None:
    """Seconds since 1970 of what a file system tells: a number, a datetime or ISO 8601."""
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _told(error: Exception) -> str:
    """An exception in one line, with its class where it has no words."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split()) or type(error).__name__
