"""Files that somebody broke: no traceback, no hang, nothing written elsewhere, and memory within bounds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.interop import registry

SCRIPT = Path(__file__).with_name("mutating.py")
FORMATS = [one.name for one in registry.FORMATS.values() if one.imported]
TOTAL = 10_000 if "BENCH_SOAK" in os.environ else 1_000
"""Mutated files over all formats: a tenth here of what `tox -e soak` does."""
PEAK_KIB = 700_000
"""Most memory that a process may have had: the interpreter, and files of up to three million bytes."""


def uncounted() -> dict[str, str]:
    """The environment without coverage's: what it writes at the end would be taken for the import's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_mutated_files_are_taken_or_refused_in_one_line(form: str, tmp_path: Path) -> None:
    count = -(-TOTAL // len(FORMATS))
    command = [sys.executable, "-P", str(SCRIPT), form, str(count), "20260101", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**uncounted(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert int(done.stdout.split()[-2]) < PEAK_KIB, done.stdout
    outside = {path.name for path in tmp_path.iterdir()} - {"input", "store", "tmp"}
    assert not outside and not list((tmp_path / "tmp").iterdir())
    assert all(path.suffix == ".jsonl" for path in (tmp_path / "store").iterdir())


def test_the_guard_sees_a_file_written_elsewhere(tmp_path: Path) -> None:
    code = "import pathlib, sys; from mutating import guard; guard(pathlib.Path(sys.argv[1])); open(sys.argv[2], 'w')"
    with tempfile.TemporaryDirectory() as elsewhere:
        for target, fails in ((tmp_path / "x", False), (Path(elsewhere) / "x", True)):
            command = [sys.executable, "-c", code, str(tmp_path), str(target)]
            done = subprocess.run(
                command, cwd=SCRIPT.parent, env=uncounted(), capture_output=True, text=True, timeout=60, check=False
            )
            assert ("wrote outside" in done.stderr) == fails
            assert (done.returncode != 0) == fails
