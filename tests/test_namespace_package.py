"""`kernels` is a name shared with a Hugging Face distribution: both live in one environment, and outlive each other.

Theirs is a regular package with an `__init__.py`; ours adds folders to it, or is a namespace package where theirs is
absent. Needs a package index for theirs, with what it imports.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail

pytestmark = pytest.mark.slow

OURS = "suanli-bench"
THEIRS = "kernels"


@dataclass(frozen=True)
class Environment:
    """A fresh environment without pip of its own, and the folder of wheels that it installs from."""

    python: Path
    wheels: Path

    def install(self, distribution: str) -> None:
        """Install from the wheels; ours without its dependencies, since listing its kernels needs none of them."""
        alone = ["--no-deps"] if distribution == OURS else []
        pip(
            "install",
            *alone,
            "--no-compile",
            "--no-index",
            "--find-links",
            str(self.wheels),
            distribution,
            python=self.python,
        )

    def remove(self, distribution: str) -> None:
        pip("uninstall", "-y", distribution, python=self.python)

    def evaluate(self, program: str) -> str:
        """What a program prints in a process of the environment, run away from the checkout."""
        done = subprocess.run(
            [str(self.python), "-I", "-c", program], cwd=self.wheels, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ours_works(self) -> None:
        assert self.evaluate("import kernels.gemm; print(kernels.gemm.Gemm.name)") == "gemm"
        assert self.evaluate("import kernels.attention as a; print(a.Attention.name)") == "attention"

    def theirs_works(self) -> None:
        assert self.evaluate("import kernels; print(callable(kernels.get_kernel))") == "True"


def pip(*arguments: str, python: Path | None = None) -> None:
    """Run the test environment's pip, for itself or for another environment; fails with pip's own words."""
    aim: Sequence[str] = ["--python", str(python)] if python else []
    command = [sys.executable, "-m", "pip", *aim, "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """Our wheel, and theirs with what it needs."""
    folder = tmp_path_factory.mktemp("wheels")
    try:
        pip("download", "--only-binary=:all:", "--retries=0", "--timeout=20", "-d", str(folder), THEIRS)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        skip_or_fail("index", f"no package index gives the distribution {THEIRS!r}: {str(error).splitlines()[-1]}")
    source = folder / "source"
    for part in ("bench", "kernels"):
        shutil.copytree(checkout / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(checkout / part, source / part)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source))
    return folder


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> Environment:
    """A new environment with nothing in it."""
    venv.create(tmp_path / "venv", with_pip=False)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    return Environment(tmp_path / "venv" / scripts / "python", wheels)


@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)], ids=["ours first", "theirs first"])
def test_both_work_whichever_came_first_and_each_survives_the_other(
    environment: Environment, order: tuple[str, str]
) -> None:
    works: dict[str, Callable[[], None]] = {OURS: environment.ours_works, THEIRS: environment.theirs_works}
    for distribution in order:
        environment.install(distribution)
    for distribution in order:
        works[distribution]()

    environment.remove(OURS)
    environment.theirs_works()
    assert environment.evaluate("import importlib.util as u; print(u.find_spec('kernels.gemm'))") == "None"

    environment.install(OURS)
    environment.remove(THEIRS)
    environment.ours_works()
    assert environment.evaluate("import kernels; print(kernels.__file__)") == "None"  # a namespace again
