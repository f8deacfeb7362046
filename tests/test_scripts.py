"""The shell scripts: clean by shellcheck, and refusals that harm nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = ("benchmarks/on_gpu.sh", ".ci/run")


@pytest.fixture
def on_gpu(checkout: Path, require: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run benchmarks/on_gpu.sh with these arguments."""
    bash = require("bash")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [bash, str(checkout / "benchmarks" / "on_gpu.sh"), *arguments]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_clean_and_can_be_executed(checkout: Path, require: Callable[[str], str], script: str) -> None:
    assert os.access(checkout / script, os.X_OK)
    done = subprocess.run(
        [require("shellcheck"), str(checkout / script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_parses(checkout: Path, require: Callable[[str], str], script: str) -> None:
    done = subprocess.run(
        [require("bash"), "-n", str(checkout / script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("one", "two"), ("one", "first", "more")])
def test_on_gpu_without_one_folder_says_how_to_use_it(
    on_gpu: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...]
) -> None:
    done = on_gpu(*arguments)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_on_gpu_leaves_run_files_that_exist_alone(
    on_gpu: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    earlier = tmp_path / "quick.jsonl"
    earlier.write_text("{}\n")
    done = on_gpu(str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert earlier.read_text() == "{}\n"
    assert list(tmp_path.iterdir()) == [earlier]
