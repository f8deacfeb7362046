"""What every test may use: the command line in a folder of its own, and the rule for tests that need a tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

try:
    import hypothesis
except ImportError:
    # tests/gpu does without it: a machine with a GPU may hold pytest and nothing else of ours.
    pass
else:
    # A shared or slow machine is no failure: no test asserts a time. CI tries the same examples each time, so that a
    # change is judged by what it changed; everybody else's runs look further, and what they find becomes an example.
    hypothesis.settings.register_profile("suanli", deadline=None, derandomize="CI" in os.environ)
    hypothesis.settings.load_profile("suanli")

CHECKOUT = Path(__file__).resolve().parent.parent

CLI_TIMEOUT_S = 300.0
"""Longest that a command under test may take: a hang is a failure, not a stuck run."""


def required() -> frozenset[str]:
    """What BENCH_REQUIRE names ("gpu,shellcheck"): things whose absence is a failure here and not a skip."""
    return frozenset(filter(None, os.environ.get("BENCH_REQUIRE", "").replace(",", " ").split()))


def skip_or_fail(name: str, reason: str) -> NoReturn:
    """Skip with the reason, or fail with it where BENCH_REQUIRE says that `name` has to be there."""
    if name in required():
        pytest.fail(f"BENCH_REQUIRE names {name}: {reason}", pytrace=False)
    pytest.skip(reason)


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `python -m bench ARGUMENTS…` in an empty folder: `cli("run", "--dry-run", env={…})`."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = CLI_TIMEOUT_S) -> Result:
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1", "COLUMNS": "200"}
        environment |= {"BENCH_RESULTS": str(tmp_path / "results"), **(env or {})}
        done = subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def require() -> Callable[[str], str]:
    """`require("shellcheck")` returns the tool's path, or skips, or fails where BENCH_REQUIRE names it."""

    def find(tool: str) -> str:
        path = shutil.which(tool)
        if path is None:
            skip_or_fail(tool, f"{tool} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def absent() -> Callable[[str, str], NoReturn]:
    """`absent("gpu", "torch sees no GPU")` skips with the reason, or fails where BENCH_REQUIRE names "gpu"."""
    return skip_or_fail


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout, for tests that read its documents and scripts."""
    return CHECKOUT


def pytest_report_header() -> list[str]:
    """Which bench is under test: the checkout's or an installed one."""
    import bench

    return [f"bench {bench.__version__} from {Path(bench.__file__).parent}", f"BENCH_REQUIRE: {sorted(required())}"]
