"""What `ab` uses of `run`: rows of the plan by number, held to an implementation, each with its share of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import records
from tests.conftest import Cli

PLAN = ["--device", "cpu", "--kernel", "gemm", "--precision", "fp32,int8", "--case", "m=64,n=64,k=64"]
PLAN += ["--case", "m=32,n=64,k=64"]


def test_a_run_measures_the_rows_of_those_numbers_alone(cli: Cli, tmp_path: Path) -> None:
    narrow = cli("run", *PLAN, "--rows", "2,3=torch", "--dry-run")
    numbers = [line.split()[0] for line in narrow.out.splitlines() if " cpu " in line and " gemm " in line]
    assert numbers == ["2", "3"], "numbered as in the whole plan"
    out = tmp_path / "narrow.jsonl"
    result = cli("run", *PLAN, "--rows", "2,3=torch", "--row-budget", "0.1", "--retries", "0", "--out", str(out))
    assert result.code in (0, 4), result.err
    first, second = records.read(out).measurements
    assert (first.case["m"], first.precision) == (64, "int8")
    assert (second.case["m"], second.precision, second.implementation) == (32, "fp32", "torch")
    assert not any("screened_s" in each for each in second.screened), "there was nothing to choose"
    assert records.read(out).run.implementation == "best", "a series of the best stays one, whoever it is held to"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "0"], ["row 0", "1 … 4"]),
        (["--rows", "5"], ["row 5", "1 … 4"]),
        (["--rows", "1=nonesuch"], ["row 1", "'nonesuch'", "torch"]),
        (["--rows", "one"], ["--rows", "'one'", "NUMBER=IMPLEMENTATION"]),
        (["--rows", "1="], ["'1='"]),
        (["--rows", "1,1"], ["row 1 is given twice"]),
        (["--rows", ""], ["--rows"]),
        (["--row-budget", "0"], ["--row-budget", "positive"]),
    ],
    ids=" ".join,
)
def test_rows_that_the_plan_lacks_are_refused(cli: Cli, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    result = cli("run", *PLAN, *arguments)
    assert result.code == 2 and "Traceback" not in result.err
    assert all(word in result.err.splitlines()[-1] for word in words), result.err
    assert not list(tmp_path.rglob("*.jsonl"))
