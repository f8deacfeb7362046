"""An example package installed as its author would, into a folder of its own, without isolation and without index."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def installed_example(source: Path, folder: Path) -> Path:
    """Build a copy of the package in `source` and install it below `folder`; the folder to put on the path."""
    shutil.copytree(source, folder / "source", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    _done([*pip, "wheel", *quiet, "--no-build-isolation", "-w", str(folder), str(folder / "source")])
    (wheel,) = folder.glob("*.whl")
    _done([*pip, "install", *quiet, "--target", str(folder / "site"), str(wheel)])
    return folder / "site"


def _done(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
