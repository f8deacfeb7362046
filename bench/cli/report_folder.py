"""The folder of run files beside a report's page: where it lies, and how it is written."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bench.cli.files import refuse_existing, write_whole
from bench.errors import UnavailableError, UsageError
from bench.records import COMPRESSED


def folder_of(page: Path) -> Path:
    """`report-data` for `report.html`."""
    return page.with_name(f"{page.stem}-data")


def links(page: Path, names: Sequence[str]) -> list[str]:
    """The addresses of those files as the page names them."""
    return [f"{quote(os.fsencode(folder_of(page).name))}/{quote(name)}" for name in names]


def refuse(page: Path, force: bool) -> None:
    """Raises UsageError where the folder can't be written to, or holds something already and `force` is not given."""
    folder = folder_of(page)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"-o: {folder} is where the page's data belongs, and no folder")
    refuse_existing([folder], force)


def write(page: Path, names: Sequence[str], runs: Sequence[Path]) -> None:
    """Compress each run file into the folder, whole or not at all; nothing that lies there is removed.

    Raises UnavailableError where a run file can't be read or the folder not be written.
    """
    folder = folder_of(page)
    for name, run in zip(names, runs, strict=True):
        try:
            data = run.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{run}: cannot read: {error.strerror or error}") from error
        # No time inside: the same run makes the same file.
        write_whole(folder / name, data if run.suffix == COMPRESSED else gzip.compress(data, mtime=0))
