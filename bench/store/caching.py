"""The user's cache folder: what may be thrown away at any time and is made again."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Final

from bench.store.folder import Location

NAME: Final = "suanli-bench"


def cache_folder() -> Path:
    """Where this system keeps caches: XDG_CACHE_HOME or ~/.cache, ~/Library/Caches, %LOCALAPPDATA%. Not made."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME


def folder_for(location: Location) -> Path:
    """The part of the cache that belongs to one store. Not made."""
    where = str(location.folder.absolute()) if location.folder else location.text
    return cache_folder() / hashlib.sha256(os.fsencode(where)).hexdigest()[:16]
