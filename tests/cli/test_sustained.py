"""`run --mode sustained`: back to back for the wall time asked for, the rate over time kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import records
from tests.conftest import Cli


def test_a_sustained_row_lasts_as_asked_and_keeps_its_slices(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "sustained.jsonl"
    arguments = ["--kernel", "gemm", "--case", "m=128,n=128,k=128", "--precision", "fp32", "--device", "cpu"]
    result = cli("run", *arguments, "--mode", "sustained", "--sustain", "1.5", "--out", str(out))
    assert result.code in (0, 4), result.err
    (row,) = records.read(out).measurements
    kept = row.sustained
    assert row.mode == "sustained" and row.cache == "warm" and kept is not None and row.time is not None
    assert kept.wall_s >= 1.5
    assert len(kept.ends_s) == len(kept.per_call_s) == row.time.samples
    assert kept.ends_s == sorted(kept.ends_s) and kept.ends_s[-1] == pytest.approx(kept.wall_s)
    assert kept.calls == row.time.calls_per_sample * row.time.samples
    assert kept.burst_median_s is not None and kept.burst_median_s > 0
    assert "back to back" in result.out


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "long"])
def test_an_impossible_wall_time_is_a_usage_error(cli: Cli, seconds: str) -> None:
    result = cli("run", "--mode", "sustained", "--sustain", seconds)
    assert result.code == 2 and "--sustain" in result.err
