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
    "--case", "m=64,n=48,k=32", "--case", "m=32,n=48,k=64,batch=3,trans_a=1,trans_b=1",
    "--row-budget", "1", "--retries", "0",
]  # fmt: skip
COUNTS_ROWS = """
import os, sys
import torch
from bench.kernel import DeviceView, Inputs
from bench_planted import planted

case = {"batch": 1, "m": 40, "n": 8, "k": 16, "trans_a": 0, "trans_b": 0}
inputs = Inputs(case, "fp32", DeviceView("cpu", "cpu"), {"a": torch.ones(40, 16), "b": torch.ones(16, 8)})
product, rows = torch.matmul, []
torch.matmul = lambda a, b, out=None: rows.append(a.shape[0]) or product(a, b, out=out)
for share in sys.argv[1:]:
    os.environ["SLOW"] = share
    rows.clear()
    try:
        planted.build(None, inputs)()
    except ValueError as error:
        print(error)
    else:
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
def test_the_share_of_its_rows_is_multiplied_twice_and_an_impossible_one_is_refused(
    environment: dict[str, str],
) -> None:
    command = [sys.executable, "-c", COUNTS_ROWS, "0", "0.1", "0.3", "1", "fast", "-0.1", "2", "nan"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "40",
        "40 4",
        "40 12",
        "40 40",
        "SLOW='fast' is not a share between 0 and 1",
        "SLOW=-0.1 is not a share between 0 and 1",
        "SLOW=2 is not a share between 0 and 1",
        "SLOW=nan is not a share between 0 and 1",
    ], done.stderr


@pytest.mark.slow
def test_an_impossible_share_is_a_failed_row_with_the_reason(
    environment: dict[str, str], cli: Callable[..., object], tmp_path: Path
) -> None:
    out = tmp_path / "wrong.jsonl"
    result = cli(*ARGUMENTS, "--out", str(out), env={**environment, "SLOW": "fast"})
    assert result.code == 3
    for row in records.read(out).measurements:
        assert row.status == "failed" and "SLOW='fast' is not a share" in row.reason
