"""What a session's options and surroundings say: where to write, thresholds, the run's first line, a test's case."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import pytest

from bench import METHOD_VERSION, __version__, records
from bench.analysis.comparison import Thresholds
from bench.cli.thresholds import share, thresholds
from bench.errors import UsageError
from bench.runner import host
from bench.runner.worker import RECORDED_DISTRIBUTIONS

IMPLEMENTATION: Final = "pytest"
"""What a series' name says of how it was measured: a test is no implementation of a kernel."""


def case_of(item: pytest.Item) -> dict[str, int | str]:
    """The test's parameters as the case of its series: numbers and words as they are, else pytest's name of them."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return {}
    found: dict[str, int | str] = {}
    for name, value in callspec.params.items():
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            found[name] = value
        elif value is None or isinstance(value, bool | float) or type(value).__module__.partition(".")[0] == "torch":
            found[name] = " ".join(str(value).split())[:100]
        else:
            return {"param": callspec.id}
    return found


def default_results(config: pytest.Config) -> Path | None:
    """The store where none is named: that of the project, wherever in it pytest was started."""
    return None if os.environ.get("BENCH_RESULTS") else config.rootpath / "results"


def out_file(config: pytest.Config) -> Path | None:
    """The file of --bench-out; UsageError for a folder."""
    text = config.getoption("bench_out")
    if text is None:
        return None
    path: Path = config.invocation_params.dir / text
    if path.is_dir():
        raise UsageError(f"--bench-out: {text} is a folder; name a file, or put the run into the store: --bench-save")
    return path


def limits(config: pytest.Config) -> Thresholds:
    """--bench-threshold before what the project's pyproject.toml says. UsageError for what is no share."""
    asked = config.getoption("bench_threshold")
    if asked is None:
        return thresholds(None, config.rootpath)
    return replace(thresholds(None, config.rootpath), asked=share("--bench-threshold", asked))


def run_record(config: pytest.Config) -> records.Run:
    """The run's first line; what needs torch is filled in with the first device."""
    return records.Run(
        id=records.run_id(),
        started=records.now(),
        command=command(config),
        bench_version=__version__,
        method_version=METHOD_VERSION,
        suite=None,
        seed=0,
        implementation=IMPLEMENTATION,
        git=host.git_state(),
        host=host.host(False),
        environment=host.environment(False),
        pages=host.page_settings(),
    )


def command(config: pytest.Config) -> list[str]:
    """The command line as pytest got it."""
    return ["pytest", *map(str, config.invocation_params.args)]


def software() -> dict[str, str]:
    """Versions that a measurement depends on. Imports torch."""
    import torch

    found = {}
    for name in (*RECORDED_DISTRIBUTIONS, "pytest", "pytest-benchmark"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    # The distribution's metadata lacks the +cpu, +cu130, +rocm.
    return found | {"torch": str(torch.__version__)}
