"""Temporary files: what killed processes left is removed, and nothing that anybody may be at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.store.temporary import beside, sweep, sweep_runs, sweep_store

HEX = "0123456789abcdef"


@pytest.fixture
def left(tmp_path: Path) -> Callable[..., Path]:
    """A file in the folder, last written to long ago or, if `young`, now."""

    def file(name: str, young: bool = False) -> Path:
        path = tmp_path / name
        path.touch()
        if not young:
            os.utime(path, (0, 0))
        return path

    return file


def test_of_one_file_only_its_own_leftovers_go(tmp_path: Path, left: Callable[..., Path]) -> None:
    mine = [left(f".a.html.{HEX}.tmp"), left(beside(tmp_path / "a.html").name)]
    others = [left(f".b.html.{HEX}.tmp"), left(f".{HEX}.tmp"), left(".a.html.tmp"), left(f"a.html.{HEX}.tmp")]
    young = left(beside(tmp_path / "a.html").name, young=True)
    sweep(tmp_path / "a.html")
    assert set(tmp_path.iterdir()) == {*others, young} and not any(path.exists() for path in mine)


def test_of_a_folder_those_of_run_files_go_and_of_a_store_those_without_a_name_too(
    tmp_path: Path, left: Callable[..., Path]
) -> None:
    runs = [left(f".run.jsonl.{HEX}.tmp"), left(f".run.jsonl.gz.{HEX}.tmp")]
    nameless = left(f".{HEX}.tmp")
    others = {left(f".report.html.{HEX}.tmp"), left(".foreign.tmp"), left("run.jsonl")}
    others |= {left(f".run.jsonl.{HEX[::-1]}.tmp", young=True), left(f".{HEX[::-1]}.tmp", young=True)}
    sweep_runs(tmp_path)
    assert set(tmp_path.iterdir()) == {*others, nameless} and not any(path.exists() for path in runs)
    sweep_store(tmp_path)
    assert set(tmp_path.iterdir()) == others


def test_the_longest_names_have_a_temporary_one_that_is_found_again(tmp_path: Path) -> None:
    for name in ("x" * 249 + ".jsonl", "算" * 83 + ".jsonl"):
        temporary = beside(tmp_path / name)
        temporary.touch()
        os.utime(temporary, (0, 0))
        (tmp_path / name).touch()
        sweep(tmp_path / name)
        assert list(tmp_path.iterdir()) == [tmp_path / name]
        temporary.touch()
        os.utime(temporary, (0, 0))
        sweep_runs(tmp_path)
        assert list(tmp_path.iterdir()) == [tmp_path / name]
        (tmp_path / name).unlink()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    sweep(tmp_path / "absent" / "a.html")
    assert not list(tmp_path.iterdir())
