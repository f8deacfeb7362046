"""The example package is what its guide says, and builds, installs and runs like any package of a third party."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import records

EXAMPLE = "examples/softmax-kernel"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A folder with the example installed from its wheel; built from a copy, without isolation and without an index."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(checkout / EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    for command in (
        [*pip, "wheel", *quiet, "--no-build-isolation", "-w", str(folder), str(folder / "source")],
        [
            *pip,
            "install",
            *quiet,
            "--target",
            str(folder / "site"),
            "--find-links",
            str(folder),
            "bench-softmax-example",
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture
def run(installed: Path, cli: Callable[..., object]) -> Callable[..., object]:
    """The command line in an environment where the example is installed."""
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH", "")]))
    return lambda *arguments: cli(*arguments, env={"PYTHONPATH": path})


@pytest.mark.slow
def test_the_installed_package_adds_its_kernel_and_its_implementation(run) -> None:
    result = run("kernels", "--format", "json")
    assert result.code == 0, result.err
    assert '"bench-softmax-example 0.1.0"' in result.out
    for name in ("softmax", "written-out", "einsum"):
        assert f'"name": "{name}"' in result.out


@pytest.mark.slow
def test_its_kernel_is_checked_timed_and_counted_in_bytes(run, tmp_path: Path) -> None:
    out = tmp_path / "softmax.jsonl"
    result = run(
        "run", "--kernel", "softmax", "--device", "cpu", "--precision", "fp32", "--implementation", "all",
        "--case", "rows=256,columns=1000", "--row-budget", "1", "--retries", "0", "--out", str(out),
    )  # fmt: skip
    assert result.code in (0, 4), result.err  # 4: the machine is too unsteady to say; the rows say what happened
    rows = records.read(out).measurements
    assert {row.implementation for row in rows} == {"torch", "written-out"}
    for row in rows:
        assert row.check is not None
        assert row.check.passed
        assert row.status in records.MEASURED
        assert row.work == records.Work(operations=5 * 256_000, bytes=2 * 4 * 256_000)
        assert row.rate is not None
        assert row.rate.bytes_per_s
        assert row.utilization_of in ("bytes", None)


@pytest.mark.slow
def test_its_implementation_of_gemm_runs_beside_the_built_in_ones(run, tmp_path: Path) -> None:
    out = tmp_path / "gemm.jsonl"
    result = run(
        "run", "--kernel", "gemm", "--device", "cpu", "--precision", "fp32", "--implementation", "einsum",
        "--case", "m=64,n=64,k=64", "--case", "m=32,n=48,k=64,batch=3,trans_a=1,trans_b=1",
        "--row-budget", "1", "--retries", "0", "--out", str(out),
    )  # fmt: skip
    assert result.code in (0, 4), result.err
    rows = records.read(out).measurements
    assert [row.implementation for row in rows] == ["einsum", "einsum"]
    assert all(row.check is not None and row.check.passed and row.status in records.MEASURED for row in rows)


def test_every_block_of_code_in_the_guide_is_the_examples(checkout: Path) -> None:
    guide = (checkout / "docs" / "writing-a-kernel.md").read_text(encoding="utf-8")
    sources = {"python": "bench_softmax.py", "toml": "pyproject.toml"}
    for language, file in sources.items():
        source = (checkout / EXAMPLE / file).read_text(encoding="utf-8")
        blocks = re.findall(rf"^```{language}\n(.*?)^```", guide, flags=re.M | re.S)
        assert blocks
        for block in blocks:
            assert block in source, f"not in {file}:\n{block}"
