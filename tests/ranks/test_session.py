"""Where a rank keeps its own run file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.runner.ranks.session import own_path


def test_a_ranks_own_file_is_beside_that_of_all(tmp_path: Path) -> None:
    found = own_path(tmp_path / "all.jsonl", 3)
    assert found == tmp_path / "all.ranks" / "all-rank00003.jsonl" and found.parent.is_dir()


def test_on_a_node_that_cannot_write_there_it_is_temporary_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "file").write_text("no folder")
    found = own_path(tmp_path / "file" / "all.jsonl", 3)
    assert temporary in found.parents and found.name == "all-rank00003.jsonl"
    assert str(found.parent) in capsys.readouterr().err
