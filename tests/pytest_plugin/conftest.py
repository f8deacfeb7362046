"""A project of its own in a temporary folder, and the real `python -m pytest` in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

TIMEOUT_S = 300.0

TESTS = """
import pytest, torch

@pytest.mark.parametrize("n", [32])
def test_product(device_benchmark, n):
    a = torch.ones(n, n)
    product = device_benchmark(torch.mm, a, a, operations=2 * n**3, bytes=12 * n * n)
    assert product[0, 0] == n

def test_sum(device_benchmark):
    assert device_benchmark(torch.sum, torch.ones(1000), bytes=4000) == 1000

def test_theirs(benchmark):
    assert benchmark(sum, [1, 2]) == 3

def test_no_benchmark():
    pass
"""

CONFTEST = """
# The machine that runs these tests is busy with others: what its canaries say of a row is not what is tested here.
import bench.pytest_plugin.measuring as measuring

measuring.judge = lambda row, **_: row
"""


@dataclass(frozen=True)
class Ended:
    """How a session ended."""

    code: int
    out: str


Session = Callable[..., Ended]


@pytest.fixture
def project(tmp_path: Path, checkout: Path) -> Path:
    """A project with four tests, and suanli-bench's entry point as pyproject.toml declares it, installed or not."""
    return made(tmp_path, checkout)


@pytest.fixture
def session(project: Path) -> Session:
    """`session("--bench-save", …)` runs `python -m pytest` there."""
    return runner(project)


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The run file of one session of such a project: measuring takes seconds, and several tests compare with it."""
    folder = made(tmp_path_factory.mktemp("earlier"), checkout)
    ended = runner(folder)("--bench-out=run.jsonl")
    assert ended.code == 0, ended.out
    return folder / "run.jsonl"


def made(parent: Path, checkout: Path) -> Path:
    """The project's folder, below `parent`."""
    folder = parent / "project"
    folder.mkdir()
    (folder / "test_kernels.py").write_text(TESTS)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    points = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    information = parent / "site" / "suanli_bench-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: suanli-bench\nVersion: 0\n")
    lines = [f"{name} = {target}" for name, target in points["pytest11"].items()]
    (information / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))
    return folder


def runner(project: Path) -> Session:
    """A function that runs `python -m pytest` in the project."""

    def run(*arguments: str, **environment: str) -> Ended:
        import bench

        path = [str(project.parent / "site"), str(Path(bench.__file__).parents[1])]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "BENCH_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--benchmark-max-time=0.05", *arguments],
            cwd=project,
            env={**inherited, "PYTHONPATH": os.pathsep.join(path), "NO_COLOR": "1", "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    return run
