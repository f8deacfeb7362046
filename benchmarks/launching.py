"""For the scripts beside it: a run of the harness as a user starts it, in a process of its own, and what it wrote."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import records
from bench.errors import UnavailableError


def run(arguments: Sequence[str]) -> records.RunFile:
    """`python -m bench run` with these arguments; its file. UnavailableError where it wrote none that can be read.

    Exit codes 3 and 4 (nothing usable, unstable rows) are findings here and no failures.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        command = [sys.executable, "-m", "bench", "run", *arguments, "--out", str(path), "--anonymize"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if not path.exists():
            words = done.stderr.strip().splitlines() or ["it said nothing"]
            raise UnavailableError(f"{' '.join(command[1:-3])} ended with code {done.returncode}: {words[-1]}")
        return records.read(path)
