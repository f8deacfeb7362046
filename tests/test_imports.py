"""What may import what: the design's arrows, and the commands that never pay for importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import records
from bench.cli.main import COMMANDS
from tests.factories import measurement, run_file

LISTS_MODULES = """
import contextlib, os, sys
from bench.cli.main import main
with open(os.devnull, "w") as void, contextlib.redirect_stdout(void), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print("\\n".join(sorted(name for name in sys.modules if "." not in name)))
"""

HEAVY = {"torch", "numpy", "triton"}


def imported_by(tmp_path: Path, *arguments: str) -> set[str]:
    """The top-level modules that are loaded once a command has ended, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LISTS_MODULES, *arguments],
        cwd=tmp_path,
        env={**os.environ, "BENCH_RESULTS": str(tmp_path / "results")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_no_torch(tmp_path: Path, command: str) -> None:
    modules = imported_by(tmp_path, command, "--help")
    assert "argparse" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["ratings", "H100"],
        ["ratings", "--match", "NVIDIA H100 80GB HBM3", "--format", "json"],
        ["kernels"],
        ["show", "absent.jsonl"],
        ["run", "--suite", "no such suite"],
    ],
    ids=" ".join,
)
def test_what_does_not_measure_imports_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    assert not imported_by(tmp_path, *arguments) & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "results/run.jsonl"],
        ["show", "results/run.jsonl", "--explain"],
        ["compare", "latest", "results/run.jsonl"],
        ["baseline", "set", "main", "results/run.jsonl"],
        ["history"],
        ["results"],
        ["report", "results/run.jsonl", "-o", "page.html"],
        ["report", "results/run.jsonl", "-o", "chart.svg"],
        ["fleet", "results/run.jsonl"],
        ["plan", "--device", "NVIDIA H100 80GB HBM3", "--need", "100 P", "--precision", "fp16"],
    ],
    ids=" ".join,
)
def test_what_reads_runs_imports_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    content = run_file([measurement(launch=launch) for launch in range(3)])
    (tmp_path / "results").mkdir()
    lines = [content.run, *content.devices, *content.measurements, content.end]
    (tmp_path / "results" / "run.jsonl").write_bytes(b"".join(records.encode(line) for line in lines if line))
    assert not imported_by(tmp_path, *arguments) & HEAVY


def test_help_of_the_whole_imports_no_third_party_package(tmp_path: Path) -> None:
    third_party = {"msgspec", "rich", "tabulate", "psutil", "pynvml"}
    assert not imported_by(tmp_path, "--help") & third_party


def test_an_import_of_torch_would_be_seen(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import torch\n" + LISTS_MODULES, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert set(done.stdout.split()) & HEAVY


def test_a_command_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "rnu"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "'rnu'" in done.stderr
    assert "Did you mean 'run'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
