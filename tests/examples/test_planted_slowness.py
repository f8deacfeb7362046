"""The plugin with a slowness of known size installs like any other, answers right, and takes its share from SLOW."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import records
from tests.installing import installed_example

ARGUMENTS = [
    "run", "--kernel", "gemm", "--implementation", "planted", "--device", "cpu", "--precision", "fp32",
    "--case", "m=64,n=48,k=32", "--case", "m=32,n=48,k=64,batch=3,trans_a=1,trans_b=1", "--budget", "20",
]  # fmt: skip
COUNTS_ROWS = """
import torch
from bench.kernel import DeviceView, Inputs
from bench_planted import planted

case = {"batch": 1, "m": 40, "n": 8, "k": 16, "trans_a": 0, "trans_b": 0}
inputs = Inputs(case, "fp32", DeviceView("cpu", "cpu"), {"a": torch.ones(40, 16), "b": torch.ones(16, 8)})
product, rows = torch.matmul, []
torch.matmul = lambda a, b: rows.append(a.shape[0]) or product(a, b)
planted.build(None, inputs)()
print(*rows)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> dict[str, str]:
    """Variables of an environment in which the plugin is installed."""
    site = installed_example(checkout / "examples" / "planted-slowness", tmp_path_factory.mktemp("planted"))
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))}


@pytest.mark.slow
@pytest.mark.parametrize("share", ["0", "1"])
def test_it_gives_the_right_answer_at_any_share(
    environment: dict[str, str], cli: Callable[..., object], tmp_path: Path, share: str
) -> None:
    out = tmp_path / "planted.jsonl"
    result = cli(*ARGUMENTS, "--out", str(out), env={**environment, "SLOW": share})
    assert result.code in (0, 4), result.err  # 4: the machine is too unsteady to say; the rows say what happened
    rows = records.read(out).measurements
    assert [row.implementation for row in rows] == ["planted", "planted"]
    assert all(row.check is not None and row.check.passed and row.status in records.MEASURED for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "rows"), [("0", "40"), ("0.1", "40 4"), ("0.3", "40 12"), ("1", "40 40")])
def test_the_share_of_its_rows_is_multiplied_twice(environment: dict[str, str], share: str, rows: str) -> None:
    done = _python(COUNTS_ROWS, {**environment, "SLOW": share})
    assert done.stdout.strip() == rows, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("share", ["fast", "-0.1", "2", "nan"])
def test_an_impossible_share_is_a_failed_row_with_the_reason(
    environment: dict[str, str], cli: Callable[..., object], tmp_path: Path, share: str
) -> None:
    if share != "fast":
        assert f"SLOW={share} is not a share" in _python(COUNTS_ROWS, {**environment, "SLOW": share}).stderr
        return
    out = tmp_path / "wrong.jsonl"
    result = cli(*ARGUMENTS, "--out", str(out), env={**environment, "SLOW": share})
    assert result.code == 3
    for row in records.read(out).measurements:
        assert row.status == "failed" and "SLOW='fast' is not a share" in row.reason


def _python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
