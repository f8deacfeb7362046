"""The name under which a file is written before it gets its own, and what killed processes left under such names."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import records

ABANDONED_S: Final = 86_400.0
"""Nothing is written for a day: a temporary file of that age is nobody's. A lock or a process's number would tell at
once, but not to another machine, and a folder may be shared by many."""
NAMED_BYTES: Final = 100
"""How much of the end of a file's name stands in that of its temporary one: with the rest below any limit."""
OURS: Final = re.compile(r"\.((?P<name>.+)\.)?[0-9a-f]{16}\.tmp", re.DOTALL)
RUNS: Final = tuple(pattern.removeprefix("*") for pattern in records.PATTERNS)


def beside(path: Path) -> Path:
    """A name that nobody else has and no reader looks at, in the folder of a file that is to be written."""
    return path.with_name(f".{_named(path)}.{secrets.token_hex(8)}.tmp")


def sweep(path: Path) -> None:
    """Remove what processes that were killed left of a file, so old that none of them can be at it any more."""
    _sweep(path.parent, lambda name: name == _named(path))


def sweep_runs(folder: Path) -> None:
    """The same of every run file in a folder, whatever else the folder is for."""
    _sweep(folder, lambda name: name is not None and name.endswith(RUNS))


def sweep_store(folder: Path) -> None:
    """The same in a store's own folder, where those without a file's name are the store's too."""
    _sweep(folder, lambda name: name is None or name.endswith(RUNS))


def _named(path: Path) -> str:
    return os.fsencode(path.name)[-NAMED_BYTES:].decode(errors="ignore")


def _sweep(folder: Path, meant: Callable[[str | None], bool]) -> None:
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.tmp"):
            found = OURS.fullmatch(path.name)
            with contextlib.suppress(OSError):
                if found and meant(found["name"]) and time.time() - path.lstat().st_mtime > ABANDONED_S:
                    path.unlink()
