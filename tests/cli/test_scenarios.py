"""Scenario suites through the real command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import records, suites
from tests.conftest import Cli


def test_a_tiny_scenario_is_measured_and_comes_to_one_figure_or_what_it_lacks(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    arguments = [
        "--suite",
        "llm_finetune:tiny",
        "--device",
        "cpu",
        "--row-budget",
        "0.6",
        "--budget",
        "200",
        "--retries",
        "0",
    ]
    result = cli("run", *arguments, "--kernel", "gemm,attention", "--out", str(out))
    assert result.code in (0, 3, 4), result.err
    file = records.read(out)
    assert file.run.suite == "llm_finetune:tiny"
    (whole,) = file.run.scenarios
    scenario = suites.load()["llm_finetune"]
    assert list(whole.entries) == [entry.id for entry in scenario.entry] and whole.size == "tiny"
    asked = [row.scenario for row in file.measurements]
    assert [one.entry for one in asked if one] == [entry.id for entry in scenario.entry]
    measured = [row for row in file.measurements if row.status in records.MEASURED]
    assert len(measured) == len(scenario.entry), [(row.status, row.reason) for row in file.measurements]
    assert all(row.check is not None and row.check.passed for row in measured)
    (line,) = (line for line in result.out.splitlines() if line.startswith("llm_finetune (tiny), BF16: "))
    whole_figure = all(row.status in records.USABLE and not row.quarantine for row in measured)
    assert ("over all 4 calls" in line) == whole_figure and ("incomplete" in line) != whole_figure
    assert cli("show", str(out), "--format", "markdown").out.count("llm_finetune (tiny), BF16: ") == 1
    assert cli("show", str(out), "--format", "json").out == out.read_text(encoding="utf-8")


def test_every_scenario_plans_its_rows(cli: Cli) -> None:
    result = cli("run", "--suite", "scenarios", "--device", "cpu", "--dry-run")
    assert result.code == 0, result.err
    rows = sum(len(entry.precisions) for one in suites.load().values() for entry in one.entry)
    assert f"{rows + 1} rows in 1 launch\n" in result.out, "the calls, and memory's triad"
    assert "grouped_gemm" in result.out and "conv3d" in result.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "llm_pretrian"], ["--suite", "llm_pretrian", "'llm_pretrain'"]),
        (["--suite", "weather:huge"], ["weather", "huge", "tiny"]),
        (["--suite", "weather", "--precision", "int8"], ["--precision", "int8", "bf16"]),
        (["--suite", "weather", "--kernel", "gemm", "--case", "m=1,n=1,k=1"], ["--case", "weather"]),
    ],
)
def test_what_cannot_be_meant_is_exit_2(cli: Cli, arguments: list[str], words: list[str]) -> None:
    result = cli("run", *arguments)
    assert result.code == 2, result.err
    assert all(word in result.err.strip().splitlines()[-1] for word in words), result.err
    assert "Traceback" not in result.err and result.out == ""
