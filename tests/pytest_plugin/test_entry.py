"""A pytest that has suanli-bench installed and neither torch nor pytest-benchmark starts as it did before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bench

ROOT = Path(bench.__file__).parents[1]
ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "pytest_benchmark", "msgspec", "psutil", "pynvml", "rich", "tabulate"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_entry_imports_the_standard_library_alone(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); import bench.pytest_plugin\n"
        "found = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(found - set(sys.stdlib_module_names)))"
    )
    done = python(code, tmp_path)
    assert done.stdout.strip() == "['bench']", done.stderr


def test_a_pytest_without_torch_and_without_pytest_benchmark_runs_its_tests(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    done = python(ABSENT + "import pytest\nsys.exit(pytest.main(['-p', 'bench.pytest_plugin']))", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_test_that_asks_for_the_fixture_is_told_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "test_asks.py").write_text("def test_asks(device_benchmark):\n    device_benchmark(sum, [1])\n")
    done = python(ABSENT + "import pytest\nsys.exit(pytest.main(['-p', 'bench.pytest_plugin']))", tmp_path)
    assert done.returncode == 1
    assert "device_benchmark needs pytest-benchmark: python -m pip install 'suanli-bench[pytest]'" in done.stdout
    refused = python(
        ABSENT + "import pytest\nsys.exit(pytest.main(['-p', 'bench.pytest_plugin', '--bench-save']))", tmp_path
    )
    assert refused.returncode == 4
    assert "--bench-save: needs pytest-benchmark" in refused.stderr
