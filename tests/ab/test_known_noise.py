"""What earlier comparisons saw is remembered, a little of it, and a spoilt file is as good as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ab.known_noise import KEPT, name_of, recall, remember
from bench.analysis.verdicts import SeriesVerdict


def seen(noise: float | None, series: str = "gemm") -> SeriesVerdict:
    return SeriesVerdict(series, "same", "within_threshold", "", launch_noise=noise, group="a CPU")


def test_the_median_of_the_last_comparisons_is_recalled(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "noise.json"
    for noise in (9.0, *[0.01, 0.02, 0.03] * (KEPT // 3)):
        remember(path, [seen(noise), seen(0.5, "conv"), seen(None, "attention")])
    assert recall(path) == {name_of("gemm", "a CPU"): 0.02, name_of("conv", "a CPU"): 0.5}
    assert [each.name for each in path.parent.iterdir()] == ["noise.json"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"a": 3}', b'{"a": ["x", -1, null]}', b"[" * 100_000])
def test_a_spoilt_file_is_as_good_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise.json"
    path.write_bytes(content)
    assert recall(path) == {}
    remember(path, [seen(0.1)])
    assert recall(path) == {name_of("gemm", "a CPU"): 0.1}


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file" / "noise.json", [seen(0.1)])
    assert recall(tmp_path / "file" / "noise.json") == {}
