"""Which run is meant: a path, latest, an id or its beginning, a baseline, a commit; and what is said where none is."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench import records
from bench.errors import BenchError, UnavailableError
from bench.store import Location, location, notes
from bench.store.references import resolve
from tests.factories import measurement
from tests.store.stores import COMMIT, content, run

OTHER = "3f9a2c7e11111111111111111111111111111111"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    """Runs of three commits, and an empty working directory beside the store."""
    folder = tmp_path / "store"
    folder.mkdir()
    runs = {
        "alpha-1": run("alpha-1", day=1, git={"commit": COMMIT, "dirty": False}),
        "alpha-2": run("alpha-2", day=2, git={"commit": COMMIT, "dirty": False}),
        "beta": run("beta", day=3, git={"commit": COMMIT, "dirty": True}),
        "gamma": run("gamma", day=4, git={"commit": OTHER}),
        "20260105T000000Z-abcdef01": run("20260105T000000Z-abcdef01", day=5),
        "empty": run("empty", day=6, rows=[], ended=False),
    }
    for name, file in runs.items():
        (folder / f"{name}.jsonl").write_bytes(content(file))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return location(folder)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("latest", "20260105T000000Z-abcdef01"),  # the newest that has rows
        ("alpha-1", "alpha-1"),
        ("alpha-1.jsonl", "alpha-1"),
        ("bet", "beta"),
        ("2026", "20260105T000000Z-abcdef01"),
        ("3f9a2c7d", "alpha-2"),  # newest of the commit, the dirty checkout after the clean ones
        (COMMIT, "alpha-2"),
        (COMMIT.upper(), "alpha-2"),
        ("3f9a2c7e", "gamma"),
    ],
)
def test_a_name_finds_its_run(place: Location, reference: str, expected: str) -> None:
    assert resolve(reference, place).name == f"{expected}.jsonl"
    assert records.read(resolve(reference, place)).run.id == expected


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("alpha", ["2 runs", "alpha-1", "alpha-2"]),
        ("3f9a2c7", ["2 commits", COMMIT, OTHER]),
        ("alpha-3", ["no path", "nearest: alpha-"]),
        ("3f9a2c", ["no path"]),  # six digits are too few for a commit
        ("lates", ["nearest: latest"]),
        ("", ["no path"]),
        ("absent.jsonl", ["no path"]),
        ("\x1b[2J", ["\\x1b[2J"]),
    ],
)
def test_what_is_ambiguous_or_unknown_is_said_with_the_names_that_exist(
    place: Location, reference: str, words: list[str]
) -> None:
    with pytest.raises(UnavailableError, match=r"^BASE: ") as told:
        resolve(reference, place, "BASE")
    assert all(word in str(told.value) for word in words), str(told.value)


def test_a_baselines_name_comes_before_runs_and_moves_with_its_last_note(place: Location) -> None:
    notes.set_baseline("beta", "gamma", place)
    assert resolve("beta", place).name == "gamma.jsonl"
    notes.set_baseline("beta", "alpha-1", place)
    assert resolve("beta", place).name == "alpha-1.jsonl"
    notes.clear_baseline("beta", place)
    assert resolve("beta", place).name == "beta.jsonl"


def test_a_baseline_whose_run_is_gone_is_said(place: Location) -> None:
    notes.set_baseline("main", "deleted", place)
    with pytest.raises(UnavailableError, match="the baseline 'main' is run 'deleted', which is not in the store"):
        resolve("main", place)


def test_two_files_of_one_id_are_told_apart_by_their_names(place: Location) -> None:
    assert place.folder is not None
    (place.folder / "copy.jsonl").write_bytes(content(run("beta", day=3)))
    (place.folder / "one.jsonl").write_bytes(content(run("twice", day=3)))
    (place.folder / "other.jsonl").write_bytes(content(run("twice", day=4)))
    assert resolve("beta", place).name == "beta.jsonl"
    assert resolve("copy", place).name == "copy.jsonl"
    with pytest.raises(UnavailableError, match="means 2 runs: one, other"):
        resolve("twice", place)
    notes.set_baseline("main", "twice", place, file="one.jsonl")
    assert resolve("main", place).name == "one.jsonl"


# --- paths ------------------------------------------------------------------------------------------------------------


def test_a_path_is_a_path_wherever_the_store_is(place: Location) -> None:
    Path("here.jsonl").write_bytes(content(run("here")))
    Path("folder").mkdir()
    Path("folder/inner.jsonl").write_bytes(content(run("inner")))
    assert resolve("here.jsonl", place) == Path("here.jsonl")
    assert resolve("./here.jsonl", place) == Path("here.jsonl")
    assert resolve("folder/inner.jsonl", place) == Path("folder/inner.jsonl")
    assert resolve("folder/", place) == Path("folder/inner.jsonl")
    assert resolve("folder", place) == Path("folder/inner.jsonl")
    assert resolve(".", place) == Path("here.jsonl")


def test_a_folder_does_not_hide_a_run_of_its_name(place: Location) -> None:
    Path("beta").mkdir()
    assert resolve("beta", place).name == "beta.jsonl"


def test_a_path_is_found_without_a_store(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_bytes(content(run()))
    assert resolve(str(tmp_path / "run.jsonl"), location(tmp_path / "absent")) == tmp_path / "run.jsonl"


def test_the_name_that_a_run_had_before_it_was_compressed_still_finds_it(place: Location) -> None:
    import gzip

    assert place.folder is not None
    raw = place.folder / "beta.jsonl"
    (place.folder / "beta.jsonl.gz").write_bytes(gzip.compress(raw.read_bytes()))
    raw.unlink()
    for reference in ("beta", "beta.jsonl", str(raw)):
        assert records.read(resolve(reference, place)).run.id == "beta"


def test_a_url_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = f"memory://{secrets.token_hex(8)}/runs"
    far = location(url)
    far.create("a.jsonl", content(run("a", day=1)))
    far.create("b.jsonl", content(run("b", day=2)))
    near = location(tmp_path)
    assert records.read(resolve(f"{url}/a.jsonl", near)).run.id == "a"
    assert records.read(resolve(url, near)).run.id == "b"
    assert records.read(resolve("a", far)).run.id == "a"
    with pytest.raises(UnavailableError, match=r"RUN: no 'c\.jsonl' in memory://"):
        resolve(f"{url}/c.jsonl", near)


def test_an_empty_store_says_that_it_is_empty(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="which holds no run"):
        resolve("latest", location(tmp_path))


# --- anything at all --------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(reference=st.text(max_size=30) | st.text("0123456789abcdef", min_size=1, max_size=12))
@example("\0")
@example("/")
@example("//")
@example("~nobody/x")
@example("x" * 5000)
@example("..")
@example("://")
@example("::")
@example(os.fsdecode(b"\xff"))
def test_any_text_finds_a_run_or_is_an_error_of_one_line(place: Location, reference: str) -> None:
    try:
        found = resolve(reference, place)
    except BenchError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, Path)


ids = st.lists(st.text("ab1-", min_size=1, max_size=5), min_size=1, max_size=8, unique=True)


@settings(max_examples=25)
@given(names=ids, asked=st.text("ab1-", min_size=1, max_size=5))
def test_an_id_or_a_unique_beginning_finds_exactly_the_run_that_a_plain_search_finds(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], asked: str
) -> None:
    folder = tmp_path_factory.mktemp("store")
    for name in names:
        (folder / f"{name}.jsonl").write_bytes(content(run(name, rows=[measurement()])))
    wanted = [name for name in names if name == asked] or [name for name in names if name.startswith(asked)]
    if len(wanted) == 1:
        assert resolve(asked, location(folder)).name == f"{wanted[0]}.jsonl"
    else:
        with pytest.raises(UnavailableError):
            resolve(asked, location(folder))
