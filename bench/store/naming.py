"""From what a user says (`--results`, BENCH_RESULTS or nothing) to a place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from bench.errors import UsageError
from bench.store.folder import Folder, Location

DEFAULT: Final = "results"
VARIABLE: Final = "BENCH_RESULTS"


def location(argument: str | Path | None = None) -> Location:
    """The store meant by a `--results` argument, else by BENCH_RESULTS, else `results` in the working directory.

    A folder, or a URL that fsspec opens: s3://, gs://, az://, ssh://, sftp://, file://, … Raises UsageError for what
    can't be a store, UnavailableError where a URL's file system isn't installed. The place need not exist.
    """
    origin, text = _asked(argument)
    if not text.strip() or "\0" in text:
        raise UsageError(f"{origin}: {text!r} is not a folder or a URL of run files")
    if text.startswith("file://"):
        text = _path_of(text)
    if "://" in text or "::" in text:
        from bench.store.remote import open_remote

        return open_remote(text, origin)
    path = expanded(text)
    # isfile and not Path.is_file: a name too long for the system is for the listing to complain about.
    if os.path.isfile(path):  # noqa: PTH113  # see above
        raise UsageError(f"{origin}: {text} is a file; name the folder that holds the run files")
    return Folder(path, text)


def expanded(text: str) -> Path:
    """A path as a shell reads it: `~` is the home folder, and the name of nobody here stands for itself."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  # Path.expanduser raises where there is no such user


def _asked(argument: str | Path | None) -> tuple[str, str]:
    if argument is not None:
        return "--results", str(argument)
    from_environment = os.environ.get(VARIABLE)
    return (VARIABLE, from_environment) if from_environment else ("--results", DEFAULT)


def _path_of(url: str) -> str:
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    return url2pathname(urlparse(url).path)
