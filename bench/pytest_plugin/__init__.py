"""The pytest plugin's entry (`pytest11`): its options, and nothing that a pytest without torch would have to import.

Every pytest in an environment that has suanli-bench imports this module: it imports the standard library alone. The
fixture is `bench.pytest_plugin.fixtures`, what it measures with `bench.pytest_plugin.measuring`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, beside pytest-benchmark's own."""
    group = parser.getgroup("suanli-bench", "device benchmarks (suanli-bench)")
    group.addoption(
        "--bench-out",
        metavar="FILE",
        help="write what device_benchmark measures as a run file (default: beside the file of --benchmark-json)",
    )
    group.addoption(
        "--bench-append",
        action="store_true",
        help="add this session to the run file of --bench-out as its next launch",
    )
    group.addoption("--bench-save", action="store_true", help="put the run file into the store")
    group.addoption(
        "--bench-compare",
        metavar="BASELINE",
        help="fail the tests that became slower than in this run: a run file, or latest, a baseline's name or a "
        "commit of the store",
    )
    group.addoption(
        "--bench-threshold",
        metavar="5%",
        help="smallest change to be called (default: [tool.bench.compare] of pyproject.toml, else 3%% on a GPU and "
        "5%% on a CPU)",
    )
    group.addoption(
        "--bench-results", metavar="FOLDER", help="the store (default: BENCH_RESULTS, else results in the root folder)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Bring in the fixture, in the form that goes with what is installed."""
    from bench.pytest_plugin import fixtures

    fixtures.register(config)
