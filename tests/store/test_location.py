"""Where a store is: the argument, the variable, the default; folders and URLs behave alike."""

from __future__ import annotations

import builtins
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UnavailableError, UsageError
from bench.store import Location, location
from bench.store.remote import without_password


@pytest.fixture(params=["folder", "file://", "memory://"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty store of each kind."""
    if request.param == "folder":
        return location(str(tmp_path / "store"))
    if request.param == "file://":
        return location((tmp_path / "a store").as_uri())
    pytest.importorskip("fsspec")
    return location(f"memory://{secrets.token_hex(8)}/store")


# --- which store is meant ---------------------------------------------------------------------------------------------


def test_the_argument_comes_before_the_variable_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_RESULTS", "elsewhere")
    assert location("here").folder == Path("here")
    assert location(None).folder == Path("elsewhere")
    monkeypatch.setenv("BENCH_RESULTS", "")
    assert location(None).folder == Path("results")


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "nonsense://bucket/runs"])
def test_what_names_no_store_is_a_usage_error_that_names_the_argument(text: str) -> None:
    with pytest.raises(UsageError, match="--results"):
        location(text)


def test_a_file_is_no_store_and_the_variable_is_named_where_it_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.jsonl").touch()
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "run.jsonl"))
    with pytest.raises(UsageError, match=r"BENCH_RESULTS: .*run\.jsonl is a file"):
        location(None)


@pytest.mark.parametrize(("missing", "url"), [("fsspec", "s3://bucket/runs"), ("paramiko", "ssh://host/runs")])
def test_a_url_whose_packages_are_absent_names_the_extra(
    missing: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ImportError(f"No module named {missing!r}")
        return real(name, *rest, **more)

    for name in [name for name in sys.modules if name.partition(".")[0] == missing or name.endswith(".sftp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnavailableError, match=r"suanli-bench\[remote\]"):
        location(url)


def test_a_password_is_never_shown() -> None:
    assert without_password("ssh://me:secret@host/runs") == "ssh://me:***@host/runs"
    assert without_password("s3://bucket/a:b@c") == "s3://bucket/a:b@c"


# --- every kind behaves alike -----------------------------------------------------------------------------------------


def test_what_is_created_is_listed_and_read(place: Location) -> None:
    assert place.entries() == []
    place.create("b.jsonl", b"bb")
    place.create("a.jsonl", b"a")
    place.create("notes/n.json", b"n")
    assert [(entry.name, entry.size_bytes) for entry in place.entries()] == [("a.jsonl", 1), ("b.jsonl", 2)]
    assert [entry.name for entry in place.entries("notes")] == ["n.json"]
    assert place.read("b.jsonl") == b"bb"
    assert place.path("b.jsonl").read_bytes() == b"bb"
    assert {name: path.read_bytes() for name, path in place.paths(["a.jsonl", "b.jsonl"])} == {  # type: ignore[union-attr]  # no exception here
        "a.jsonl": b"a",
        "b.jsonl": b"bb",
    }


def test_a_taken_name_is_refused_and_its_content_stays(place: Location) -> None:
    place.create("a.jsonl", b"first")
    with pytest.raises(FileExistsError):
        place.create("a.jsonl", b"second")
    assert place.read("a.jsonl") == b"first"
    assert len(place.entries()) == 1


def test_replacing_changes_the_stamp_and_removing_twice_is_no_error(place: Location) -> None:
    place.create("a.jsonl", b"first")
    (before,) = place.entries()
    assert place.entry("a.jsonl") == before
    assert place.entry("b.jsonl") is None
    place.replace("a.jsonl", b"the second")
    (after,) = place.entries()
    assert place.read("a.jsonl") == b"the second"
    assert before.stamp != after.stamp
    place.remove("a.jsonl")
    place.remove("a.jsonl")
    assert place.entries() == []


def test_a_file_that_is_gone_is_a_file_not_found(place: Location) -> None:
    place.create("a.jsonl", b"a")
    with pytest.raises(FileNotFoundError):
        place.read("b.jsonl")


def test_of_a_run_that_lies_there_raw_and_compressed_the_raw_one_counts(place: Location) -> None:
    for name in ("a.jsonl", "a.jsonl.gz", "b.jsonl.gz", ".hidden.jsonl", "README.md"):
        place.create(name, b"x")
    assert [entry.name for entry in place.run_files()] == ["a.jsonl", "b.jsonl.gz"]


# --- a folder ---------------------------------------------------------------------------------------------------------


def test_folders_pipes_and_broken_links_are_not_files(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "broken.jsonl").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "real.jsonl").write_bytes(b"x")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    assert [(e.name, e.link) for e in location(tmp_path).entries()] == [("link.jsonl", True), ("real.jsonl", False)]


def test_a_place_without_hard_links_still_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    place = location(tmp_path)
    place.create("a.jsonl", b"first")
    with pytest.raises(FileExistsError):
        place.create("a.jsonl", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_folder_that_cannot_be_written_to_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot write"):
        location(tmp_path / "file" / "below").create("a.jsonl", b"a")
