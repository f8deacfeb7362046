"""Where the reference results are that come with the package: measurements of named hardware, to compare with."""

from __future__ import annotations

from pathlib import Path

import bench
from bench import records
from bench.errors import UnavailableError


def reference_folder() -> Path | None:
    """The folder of the shipped reference results: the installed package's data, else the checkout's results/reference.

    The build copies the one to the other (setup.py). None where there is neither.
    """
    package = Path(bench.__file__).resolve().parent
    candidates = (package / "results_reference", package.parent / "results" / "reference")
    return next((folder for folder in candidates if _run_files(folder)), None)


def checkout_folder() -> Path:
    """The checkout's results/reference, where new ones are added. Raises UnavailableError outside a checkout."""
    folder = Path(bench.__file__).resolve().parent.parent / "results" / "reference"
    if not folder.is_dir():
        raise UnavailableError(
            "reference results are added to a checkout, and this is an installed package: clone the repository and run "
            "`python -m bench` in it"
        )
    return folder


def reference_runs() -> list[Path]:
    """The shipped run files, by name; read them with `bench.records.read`. Empty where none were shipped."""
    folder = reference_folder()
    return _run_files(folder) if folder is not None else []


def _run_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in records.PATTERNS for path in folder.glob(pattern) if path.is_file()})
