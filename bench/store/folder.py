"""What the store asks of the place where run files lie, and the folder on this machine that answers it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import UnavailableError

SUFFIXES: Final = (".jsonl", ".jsonl.gz")
"""What the name of a run file ends in; the second is compressed."""
UNSETTLED_NS: Final = 2_000_000_000
"""A folder that changed this shortly ago may be changing now: some file systems keep that time to two seconds."""


@dataclass(frozen=True)
class Entry:
    """One file of a store, as its listing tells it."""

    name: str
    size_bytes: int
    stamp: str
    """Changes when the file does: size and time of the last change, as precisely as the place keeps it."""
    modified_s: float | None
    """Time of the last change, seconds since 1970; None where the place tells none."""
    link: bool = False
    """Whether the name is a symbolic link."""


class Location(ABC):
    """A place for run files: flat names, read whole, written once.

    Names are those of files directly in it or, as "notes/NAME", one folder below. A failure that the user can cause
    (absent, forbidden, unreachable) is an UnavailableError that names the place.
    """

    text: str
    """The place as messages name it; without a password."""
    folder: Path | None = None
    """The folder on this machine, where it is one."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is such a place. An empty object store can't be told from an absent one, and so is there."""

    @abstractmethod
    def entries(self, under: str = "") -> list[Entry]:
        """The regular files directly in it, or in its folder `under`, by name; none where it does not exist."""

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """One file as it is now; None where there is none."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of one file. FileNotFoundError where it is gone."""

    @abstractmethod
    def paths(self, names: Iterable[str]) -> Iterator[tuple[str, Path | Exception]]:
        """Each file as a path on this machine, which lasts until the next is asked for, or why it can't be had."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """A path on this machine by which the file can be read from now on."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> None:
        """Write a new file; it appears whole or not at all. FileExistsError where the name is taken."""

    @abstractmethod
    def replace(self, name: str, data: bytes, modified_s: float | None = None) -> None:
        """Write a file over whatever has its name; readers meet the old or the new content, never a part."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; no complaint where it is gone already."""

    def join(self, name: str) -> str:
        """The file as messages name it."""
        return f"{self.text.rstrip('/')}/{name}"

    def run_files(self) -> list[Entry]:
        """The entries that are named as run files are. Of a run that lies there twice, raw and compressed, the raw."""
        found = [e for e in self.entries() if e.name.endswith(SUFFIXES) and not e.name.startswith(".")]
        raw = {entry.name for entry in found if entry.name.endswith(SUFFIXES[0])}
        return [entry for entry in found if entry.name in raw or entry.name.removesuffix(".gz") not in raw]


def stem(name: str) -> str:
    """A run file's name without what it ends in."""
    return name.removesuffix(".gz").removesuffix(".jsonl")


class Folder(Location):
    """A folder on this machine, or on a share that is mounted here."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.folder: Path = path
        self.text = text or str(path)

    def exists(self) -> bool:
        return self.folder.is_dir()

    def entries(self, under: str = "") -> list[Entry]:
        folder = self.folder / under
        try:
            begun_ns, changed_ns = time.time_ns(), folder.stat().st_mtime_ns
            found = _listed(folder)
            if folder.stat().st_mtime_ns != changed_ns or begun_ns - changed_ns < UNSETTLED_NS:
                # While a run is compressed, its raw file goes and its compressed one comes: a listing that this falls
                # into can miss both, but then the one before or after it has one of them.
                before, found = found, _listed(folder)
                for name in before.keys() - found.keys():
                    later = {twin: self.entry(f"{under}/{twin}" if under else twin) for twin in (name, f"{name}.gz")}
                    found |= {twin: entry for twin, entry in later.items() if entry is not None}
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise UnavailableError(f"cannot list {folder}: {error.strerror or error}") from error
        return sorted(found.values(), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        path = self.folder / name
        try:
            return _entry(path.name, path.stat(), path.is_symlink())
        except OSError:
            return None

    def read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(f"cannot read {self.folder / name}: {error.strerror or error}") from error

    def paths(self, names: Iterable[str]) -> Iterator[tuple[str, Path | Exception]]:
        for name in names:
            yield name, self.folder / name

    def path(self, name: str) -> Path:
        return self.folder / name

    def create(self, name: str, data: bytes) -> None:
        with self._written(name, data) as temporary:
            _publish(temporary, self.folder / name)

    def replace(self, name: str, data: bytes, modified_s: float | None = None) -> None:
        with self._written(name, data) as temporary:
            if modified_s is not None:
                os.utime(temporary, (modified_s, modified_s))
            temporary.replace(self.folder / name)

    def remove(self, name: str) -> None:
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot remove {self.folder / name}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _written(self, name: str, data: bytes) -> Iterator[Path]:
        """The data on the disk beside the place where they belong, under a name that no reader looks at."""
        temporary = (self.folder / name).with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)
        except FileExistsError:
            raise
        except OSError as error:
            raise UnavailableError(f"cannot write {self.folder / name}: {error.strerror or error}") from error


def _listed(folder: Path) -> dict[str, Entry]:
    """A folder's regular files by name, symbolic links by what they lead to; without what went away meanwhile."""
    found = {}
    with os.scandir(folder) as listing:
        for each in listing:
            with contextlib.suppress(OSError):
                if (entry := _entry(each.name, each.stat(), each.is_symlink())) is not None:
                    found[entry.name] = entry
    return found


def _entry(name: str, told: os.stat_result, link: bool) -> Entry | None:
    """A regular file's entry; None for anything else."""
    if not stat.S_ISREG(told.st_mode):
        return None
    return Entry(name, told.st_size, f"{told.st_size} {told.st_mtime_ns}", told.st_mtime, link)


def _publish(temporary: Path, target: Path) -> None:
    """Give a finished file its name, unless that is taken: a link fails there, a rename would write over it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links (FAT, some network shares). Names are random, so that nobody else is between
        # these two lines with the same one.
        if target.exists():
            raise FileExistsError(str(target)) from None
        temporary.rename(target)
