"""Thresholds as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.comparison import Thresholds
from bench.cli.thresholds import share, thresholds
from bench.errors import UsageError


@pytest.mark.parametrize(
    ("written", "meant"),
    [("3%", 0.03), (" 2.5 % ", 0.025), ("0.03", 0.03), (0.03, 0.03), (".5%", 0.005), ("99.9%", 0.999)],
)
def test_a_share_is_written_as_percent_or_fraction(written: object, meant: float) -> None:
    assert share("--threshold", written) == pytest.approx(meant)


@pytest.mark.parametrize(
    "written", ["3", "0", "0%", "100%", "-1%", "1", "nan", "inf", "", "%", "five", True, None, [3]]
)
def test_anything_else_is_refused_by_name(written: object) -> None:
    with pytest.raises(UsageError, match=r"--threshold: .* is not a change above 0 % and below 100 %"):
        share("--threshold", written)


def test_the_nearest_project_above_counts_and_the_command_line_before_it(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.bench.compare]\nthreshold = "4%"\nthresholds = { gemm = 0.02 }\n')
    assert thresholds(None, below) == Thresholds(None, {"gemm": 0.02}, 0.04)
    assert thresholds("9%", below).of("gemm", "cpu") == 0.09
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\n")
    assert thresholds(None, below) == Thresholds()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tool.bench.compare]\nthresold = "5%"\n', "tool.bench.compare: unknown value 'thresold'"),
        ("[tool.bench.compar]\n", "tool.bench: unknown value 'compar'; choose from compare. Did you mean 'compare'?"),
        ('[tool.bench.compare]\nthreshold = "five"\n', "tool.bench.compare.threshold: 'five' is not a change"),
        ("[tool.bench.compare]\nthreshold = true\n", "tool.bench.compare.threshold: 'True' is not a change"),
        ("[tool.bench.compare.thresholds]\ngemm = 3\n", "tool.bench.compare.thresholds.gemm: '3' is not a change"),
        ("[tool.bench.compare]\nthresholds = 3\n", "tool.bench.compare.thresholds: 3 is not a table"),
        ("[tool]\nbench = 3\n", "tool.bench: 3 is not a table"),
        ("[tool.bench\n", "cannot be read as TOML"),
    ],
)
def test_a_wrong_key_or_value_of_the_project_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        thresholds(None, tmp_path)
    assert said in str(caught.value)
    assert "pyproject.toml" in str(caught.value)
