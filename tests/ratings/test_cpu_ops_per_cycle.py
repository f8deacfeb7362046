"""The benchmark that measures operations per cycle: it runs where it can and refuses clearly where it can't."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="its loops are x86-64 for Linux"
)


def run(checkout: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "benchmarks" / "cpu_ops_per_cycle.py"), *arguments]
    env = None if path is None else {"PATH": path}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_it_measures_each_loop_or_says_why_not(checkout: Path, require: Callable[[str], str]) -> None:
    require("gcc")
    done = run(checkout, "--repeat", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert {"fp32_fma", "int16_multiply", "avx512_vnni", "amx_int8"} <= set(results)
    for result in results.values():
        assert result.startswith(("no ", "does not")) if isinstance(result, str) else result["operations_per_cycle"] > 0


def test_without_a_compiler_it_refuses_in_one_line(checkout: Path, tmp_path: Path) -> None:
    done = run(checkout, path=str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert "install gcc or clang" in done.stderr
    assert done.stderr.count("\n") == 1
