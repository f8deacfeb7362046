"""How a command writes the files that a user names: whole or not at all, and never silently over another."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from bench.errors import UnavailableError, UsageError

STANDARD_OUTPUT: Final = "-"


def refuse_existing(paths: list[Path], force: bool, argument: str = "-o") -> None:
    """Raises UsageError where one of the files exists already and may not be replaced."""
    found = [path for path in paths if os.path.lexists(path)]
    if found and not force:
        others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UsageError(f"{argument}: {found[0]} exists{others}; --force replaces it")


def write_whole(path: Path, data: bytes, argument: str = "-o") -> None:
    """Write a file under a temporary name beside it, then rename: a reader meets the old content or the new.

    Raises UnavailableError where that is not possible; nothing is left behind then.
    """
    from bench.store.temporary import beside, sweep

    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"{argument}: cannot write {path}: {getattr(error, 'strerror', None) or error}"
        ) from error


def append(path: Path, data: bytes, argument: str = "-o") -> None:
    """Add to the end of a file. Raises UnavailableError where that is not possible."""
    try:
        with open(path, "ab") as file:
            file.write(data)
    except OSError as error:
        raise UnavailableError(f"{argument}: cannot write {path}: {error.strerror or error}") from error
