"""A plugin that fails to import costs one warning line that names it and its error, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

BUILT_IN = {"attention", "conv", "gemm", "memory"}


def install(folder: Path, module: str, entry_points: str) -> str:
    """Put a distribution `broken-plugin` with a module of that source on a path, as an installer would leave it."""
    (folder / "broken_plugin.py").write_text(module, encoding="utf-8")
    info = folder / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("import a_module_that_nobody_has", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys; sys.exit(9)", "SystemExit: 9"),
        ("Broken = 3", "broken_plugin:Broken is not a subclass of bench.kernel.Kernel"),
        ("", "AttributeError: module 'broken_plugin' has no attribute 'Broken'"),
    ],
    ids=["missing module", "error with two lines", "exit at import", "no kernel", "missing attribute"],
)
def test_a_kernel_that_fails_to_import_is_one_warning(
    tmp_path: Path, cli: Callable[..., object], module: str, error: str
) -> None:
    path = install(tmp_path, module, "[bench.kernels]\nbroken = broken_plugin:Broken\n")
    result = cli("kernels", "--format", "json", env={"PYTHONPATH": path})
    assert result.code == 0
    assert result.err == f"bench: warning: plugin 'broken' (broken-plugin 1.0) left out: {error}\n"
    assert {kernel["name"] for kernel in json.loads(result.out)["kernels"]} >= BUILT_IN


def test_an_implementation_that_fails_to_import_leaves_its_kernel_alone(
    tmp_path: Path, cli: Callable[..., object]
) -> None:
    path = install(tmp_path, "1 / 0", "[bench.implementations]\ngemm-broken = broken_plugin:broken\n")
    result = cli("kernels", "gemm", "--format", "json", env={"PYTHONPATH": path})
    assert result.code == 0
    assert result.err == (
        "bench: warning: plugin 'gemm-broken' (broken-plugin 1.0) left out: ZeroDivisionError: division by zero\n"
    )
    (gemm,) = json.loads(result.out)["kernels"]
    assert "torch" in {implementation["name"] for implementation in gemm["implementations"]}
