"""The promise of `ab` on the machine at hand, as docs/ab.md gives it: real launches, through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installing import installed_example

REPEATS = 20
MINUTES = os.environ.get("BENCH_SOAK_MINUTES", "50")
"""No comparison begins later; the table says how many there were."""
JOBS = os.environ.get("BENCH_SOAK_JOBS", "2" if (os.cpu_count() or 1) > 1 else "1")
"""Two at once, each on its own cores: twenty repeats one after the other take two hours on two virtual CPUs."""


@pytest.mark.slow
@pytest.mark.skipif("BENCH_SOAK" not in os.environ, reason="takes up to an hour: set BENCH_SOAK, or run `tox -e soak`")
def test_unchanged_code_is_let_pass_and_a_planted_slowness_is_found(tmp_path: Path, checkout: Path) -> None:
    site = installed_example(checkout / "examples" / "planted-slowness", tmp_path)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    script = checkout / "benchmarks" / "ab_calls.py"
    done = subprocess.run(
        [sys.executable, str(script), "--repeats", str(REPEATS), "--minutes", MINUTES, "--jobs", JOBS],
        cwd=tmp_path,
        # Without coverage: counting lines slows the launches.
        env={**{name: value for name, value in os.environ.items() if not name.startswith("COV")}, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
