"""The index says what the files say: after changes, damage, older versions, and with foreign files among them."""

from __future__ import annotations

import gzip
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.store import database, location
from bench.store.digest import class_id, points_of, seconds
from bench.store.index import Index, printable
from tests.factories import device, measurement
from tests.store.stores import COMMIT, content, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three runs, a day apart, the newest unfinished."""
    folder = tmp_path / "store"
    folder.mkdir()
    for day, run_id in ((2, "two"), (1, "one"), (3, "three")):
        git = {"commit": COMMIT, "branch": "main", "dirty": day == 2}
        (folder / f"{run_id}.jsonl").write_bytes(content(run(run_id, day=day, ended=day != 3, git=git)))
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read as runs from now on."""
    names: list[str] = []
    real = records.read

    def counted(path: Path) -> records.RunFile:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(records, "read", counted)
    return names


def ids(folder: Path | str) -> list[str]:
    with Index(location(folder)) as index:
        return [entry.id for entry in index.runs()]


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_runs_come_oldest_first_with_what_their_files_say(store: Path) -> None:
    with Index(location(store)) as index:
        one, two, three = index.runs()
    assert [entry.id for entry in (one, two, three)] == ["one", "two", "three"]
    assert (one.commit, one.branch, one.dirty, two.dirty) == (COMMIT, "main", False, True)
    assert (one.status, three.status) == ("complete", "unfinished")
    assert (one.rows, one.usable, one.devices, one.suite) == (1, 1, ("Some CPU",), "quick")
    assert one.class_id and one.class_fields["device"] == "Some CPU"
    assert one.class_id == two.class_id
    assert one.path.endswith("store/one.jsonl")


def test_points_are_the_medians_of_the_launch_medians_in_time(store: Path) -> None:
    rows = [measurement(median_s=s, launch=launch) for launch, s in enumerate((1e-3, 2e-3, 6e-3))]
    (store / "four.jsonl").write_bytes(content(run("four", day=4, rows=rows)))
    with Index(location(store)) as index:
        points = list(index.points())
        ((series, group),) = index.series()
        assert list(index.points(series, group)) == points
        assert list(index.points("another")) == list(index.points(class_id="another")) == []
        assert index.classes()[group]["device"] == "Some CPU"
    assert [point.run_id for point in points] == ["one", "two", "three", "four"]
    assert [point.value_s for point in points] == [1e-3, 1e-3, 1e-3, 2e-3]
    assert (points[-1].launches, points[-1].status, points[-1].good) == (3, "ok", True)
    assert points[-1].run_name == "four.jsonl"


def test_what_may_not_be_compared_is_kept_and_marked() -> None:
    def only(rows: list[records.Measurement]) -> Any:
        (point,) = points_of(run(rows=rows))
        return point

    grey = only([measurement(quarantine=["steal"], median_s=5e-3)])
    assert (grey.value_s, grey.status, grey.quarantined) == (5e-3, "ok", True)
    busy = only([measurement(status="contended", reason="others", median_s=5e-3)])
    assert (busy.value_s, busy.status, busy.quarantined) == (5e-3, "contended", False)
    failed = only([measurement(status="failed", reason="no", timed=False)])
    assert (failed.value_s, failed.launches, failed.status) == (None, 0, "failed")
    mixed = only([measurement(status="throttled", reason="hot", median_s=9.0), measurement(launch=1, median_s=1e-3)])
    assert (mixed.value_s, mixed.launches, mixed.status) == (1e-3, 1, "ok")
    noisy = only([measurement(status="noisy", reason="wide"), measurement(launch=1)])
    assert (noisy.launches, noisy.status) == (2, "noisy")


def test_two_different_cards_of_one_run_are_two_points() -> None:
    cards = [device(device=f"cuda:{i}", kind="cuda", name=name) for i, name in enumerate(("A", "B", "B"))]
    rows = [measurement(device=f"cuda:{i}", median_s=float(i + 1)) for i in range(3)]
    file = run(rows=rows, devices=cards)
    a, b = points_of(file)
    assert a.series == b.series
    assert a.class_id != b.class_id
    assert (a.value_s, b.value_s) == (1.0, 2.5)


def test_a_class_has_one_name_whatever_the_order_of_its_fields() -> None:
    assert class_id({"a": "1", "b": "2"}) == class_id({"b": "2", "a": "1"}) != class_id({"a": "2", "b": "1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:01:00+00:00", 60.0),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("yesterday", 0.0),
        ("", 0.0),
        ("2026-13-01T00:00:00Z", 0.0),
    ],
)
def test_a_start_is_read_in_any_zone_and_nonsense_is_the_beginning_of_time(text: str, expected: float) -> None:
    assert seconds(text) == expected


# --- kept up to date --------------------------------------------------------------------------------------------------


def test_only_new_and_changed_files_are_read(store: Path, reads: list[str]) -> None:
    assert ids(store) == ["one", "two", "three"]
    assert sorted(reads) == ["one.jsonl", "three.jsonl", "two.jsonl"]
    reads.clear()
    assert ids(store) == ["one", "two", "three"]
    assert reads == []
    with open(store / "three.jsonl", "ab") as file:
        file.write(records.encode(measurement(launch=1)))
    (store / "four.jsonl").write_bytes(content(run("four", day=4)))
    (store / "one.jsonl").unlink()
    with Index(location(store)) as index:
        assert [(entry.id, entry.rows) for entry in index.runs()] == [("two", 1), ("three", 2), ("four", 1)]
        assert {point.run_id for point in index.points()} == {"two", "three", "four"}
    assert sorted(reads) == ["four.jsonl", "three.jsonl"]


def test_an_open_index_is_refreshed_when_asked(store: Path) -> None:
    with Index(location(store)) as index:
        (store / "four.jsonl").write_bytes(content(run("four", day=4)))
        assert len(index.runs()) == 3
        index.refresh()
        assert len(index.runs()) == 4


def test_a_compressed_run_is_the_same_run(store: Path) -> None:
    before = ids(store)
    raw = store / "two.jsonl"
    with Index(location(store)) as index:
        (store / "two.jsonl.gz").write_bytes(gzip.compress(raw.read_bytes()))
        raw.unlink()
        (two,) = (entry for entry in index.runs() if entry.id == "two")
        assert index.open_run(two).run.id == "two"
    assert ids(store) == before


def test_a_run_that_is_gone_is_said(store: Path) -> None:
    with Index(location(store)) as index:
        (store / "two.jsonl").unlink()
        (two,) = (entry for entry in index.runs() if entry.id == "two")
        with pytest.raises(UnavailableError, match=r"two\.jsonl is gone"):
            index.open_run(two)


def test_rebuild_reads_everything_again(store: Path, reads: list[str]) -> None:
    ids(store)
    reads.clear()
    with Index(location(store), rebuild=True) as index:
        assert len(index.runs()) == 3
    assert len(reads) == 3


def test_an_interrupted_build_keeps_what_it_has_read(store: Path, reads: list[str]) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Index(location(store), progress=interrupt)
    reads.clear()
    assert len(ids(store)) == 3
    assert len(reads) == 1


def test_processes_that_index_at_once_all_see_every_run(store: Path) -> None:
    for day in range(4, 24):
        (store / f"{day}.jsonl").write_bytes(content(run(f"day{day:02}", day=day)))
    code = (
        "import sys; from bench.store import location; from bench.store.index import Index\n"
        "index = Index(location(sys.argv[1])); print(len(index.runs()), len(list(index.points())))"
    )
    command = [sys.executable, "-c", code, str(store)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].split() for process in processes] == [["23", "23"]] * 4
    assert len(ids(store)) == 23
    assert not list(store.glob(".*.tmp"))


# --- thrown away ------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = secrets.token_bytes(4096)
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_an_older_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE origin SET fingerprint = 'older'")
    connection.execute("UPDATE runs SET id = 'wrong'")
    connection.commit()
    connection.close()


def something_else(path: Path) -> None:
    path.write_text("not a database\n" * 1000)


@pytest.mark.parametrize("damage", [cut, scramble, empty, of_an_older_version, something_else, os.unlink])
def test_a_damaged_missing_or_older_index_is_made_anew(store: Path, damage: Callable[[Path], None]) -> None:
    before = ids(store)
    damage(store / database.FILE_NAME)
    assert ids(store) == before
    with Index(location(store)) as index:
        assert len(list(index.points())) == 3


def test_the_index_holds_nothing_that_the_files_do_not(store: Path) -> None:
    with Index(location(store)) as index:
        built, points = index.runs(), list(index.points())
    (store / database.FILE_NAME).unlink()
    with Index(location(store)) as index:
        assert index.runs() == built
        assert list(index.points()) == points


def test_a_store_that_cannot_be_written_to_is_indexed_in_the_cache(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = database.places

    def unwritable(place: Any) -> list[Path]:
        # root may write anywhere: a folder below a file is what nobody can write to.
        return [store / "one.jsonl" / "index", *real(place)[1:]]

    monkeypatch.setattr("bench.store.database.places", unwritable)
    with Index(location(store)) as index:
        assert len(index.runs()) == 3
        assert index.path is not None
        assert tmp_path / "cache" in index.path.parents
    assert not (store / database.FILE_NAME).exists()


def test_without_any_place_for_it_the_index_lives_in_memory(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.store.database.places", lambda place: [])
    with Index(location(store)) as index:
        assert len(index.runs()) == 3
        assert index.path is None
        (store / "four.jsonl").write_bytes(content(run("four", day=4)))
        index.refresh()
        assert len(index.runs()) == 4


def test_an_index_that_its_disk_has_no_room_for_lives_in_memory(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = database.draft

    def full(earlier: Any, targets: list[Path]) -> database.Draft:
        draft = real(earlier, targets)
        if targets:
            pages = draft.connection.execute("PRAGMA page_count").fetchone()[0]
            draft.connection.execute(f"PRAGMA max_page_count = {pages}")
        return draft

    for day in range(5, 25):
        rows = [measurement(case={"m": day, "n": n, "k": 1}) for n in range(50)]
        (store / f"{day}.jsonl").write_bytes(content(run(str(day), day=day, rows=rows)))
    monkeypatch.setattr("bench.store.database.draft", full)
    with Index(location(store)) as index:
        assert len(index.runs()) == 23
        assert index.path is None
    assert not list(store.glob(".*.tmp"))


def test_a_store_that_does_not_exist_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    with Index(location(tmp_path / "absent")) as index:
        assert index.runs() == []
        assert index.warning() is None
    assert not (tmp_path / "absent").exists()


def test_what_killed_processes_left_is_swept_away_and_nothing_else(store: Path) -> None:
    old, young, foreign = (store / name for name in (f".{'a' * 16}.tmp", f".{'b' * 16}.tmp", ".mine.tmp"))
    for path in (old, young, foreign):
        path.touch()
    for path in (old, foreign):
        os.utime(path, (0, 0))
    ids(store)
    assert not old.exists()
    assert young.exists() and foreign.exists()


# --- what else lies in the folder -------------------------------------------------------------------------------------


def test_foreign_files_are_skipped_with_one_warning(store: Path) -> None:
    (store / "README.md").write_text("not looked at")
    (store / "foreign.jsonl").write_text('{"type":"something"}\n')
    (store / "newer.jsonl").write_bytes(content(run("newer")).replace(b'"schema":1', b'"schema":9'))
    (store / "binary.jsonl").write_bytes(secrets.token_bytes(100) + b"\n")
    (store / "deep.jsonl").write_text("[" * 100_000 + "\n")
    (store / "torn.jsonl.gz").write_bytes(gzip.compress(content(run("torn")))[:-20])
    with Index(location(store)) as index:
        assert len(index.runs()) == 3
        names = [item.name for item in index.skipped]
        assert names == ["binary.jsonl", "deep.jsonl", "foreign.jsonl", "newer.jsonl", "torn.jsonl.gz"]
        warning = index.warning()
    assert warning is not None
    assert warning.count("\n") == 0
    assert "5 files skipped: binary.jsonl: is not a run file" in warning
    assert "and 2 more" in warning


def test_a_run_cut_off_in_a_line_reads_up_to_there_and_one_just_begun_is_no_fault(store: Path) -> None:
    whole = content(run("cut", day=5))
    (store / "cut.jsonl").write_bytes(whole[:-10])
    (store / "begun.jsonl").write_bytes(whole[:20])
    (store / "created.jsonl").write_bytes(b"")
    with Index(location(store)) as index:
        assert index.runs()[-1].id == "cut"
        assert index.runs()[-1].status == "unfinished"
        assert index.warning() is None
        assert len(index.runs()) == 4


@pytest.mark.parametrize(
    "name", ["a b", "a\nb", "-rf", "\x1b[2J", "ünï", "%2e%2e", "a'b; DROP TABLE runs", os.fsdecode(b"\xff\xfe")]
)
def test_no_file_name_is_too_strange(store: Path, name: str) -> None:
    (store / f"{name}.jsonl").write_bytes(content(run("strange", day=9)))
    with Index(location(store)) as index:
        entry = index.runs()[-1]
        assert (entry.id, entry.name) == ("strange", f"{name}.jsonl")
        assert index.open_run(entry).run.id == "strange"
    assert len(ids(store)) == 4


def test_a_link_to_a_run_elsewhere_is_a_run(store: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.jsonl").write_bytes(content(run("outside", day=9)))
    (store / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    assert ids(store)[-1] == "outside"


def test_what_could_steer_a_terminal_is_spelt_out() -> None:
    assert printable("a\x1b[2J\nü" + os.fsdecode(b"\xff")) == "a\\x1b[2J\\nü\\udcff"


# --- behind a URL -----------------------------------------------------------------------------------------------------


def test_a_store_behind_a_url_is_indexed_in_the_cache(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = location(f"memory://{secrets.token_hex(8)}/runs")
    for path in store.glob("*.jsonl"):
        place.create(path.name, path.read_bytes())
    with Index(place) as index:
        assert [entry.id for entry in index.runs()] == ["one", "two", "three"]
        assert index.path is not None
        assert tmp_path / "cache" in index.path.parents
        assert index.open_run(index.runs()[0]).run.id == "one"
    reads.clear()
    with Index(place) as index:
        assert len(index.runs()) == 3
    assert reads == []
