"""Baselines and accepted changes: the later note counts, what is no note is skipped, a newer one is refused."""

from __future__ import annotations

import json
import secrets
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UnavailableError, UsageError
from bench.store import Location, location, notes
from bench.store.notes import AcceptedChange, Baseline


@pytest.fixture(params=["folder", "memory://"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "folder":
        return location(tmp_path)
    pytest.importorskip("fsspec")
    return location(f"memory://{secrets.token_hex(8)}")


def change(series: str = "gemm[m=1] fp32", run_id: str = "r", reason: str = "") -> AcceptedChange:
    return AcceptedChange(
        series=series,
        class_id="c",
        run_id=run_id,
        commit_before="a",
        commit="b",
        before_s=1e-3,
        after_s=2e-3,
        p=1e-6,
        reason=reason,
    )


def test_a_name_is_the_last_run_it_was_given(place: Location) -> None:
    notes.set_baseline("main", "one", place)
    notes.set_baseline("main", "two", place, file="two.jsonl", commit="c0ffee")
    notes.set_baseline("other", "one", place)
    found = notes.read(place).baselines
    assert {name: note.run for name, note in found.items()} == {"main": "two", "other": "one"}
    assert (found["main"].file, found["main"].commit) == ("two.jsonl", "c0ffee")
    notes.clear_baseline("main", place)
    assert set(notes.read(place).baselines) == {"other"}
    notes.set_baseline("main", "three", place)
    assert notes.read(place).baselines["main"].run == "three"


def test_no_note_is_ever_changed(place: Location) -> None:
    notes.set_baseline("main", "one", place)
    (first,) = place.entries("notes")
    before = place.read(f"notes/{first.name}")
    notes.set_baseline("main", "two", place)
    notes.clear_baseline("main", place)
    assert len(place.entries("notes")) == 3
    assert place.read(f"notes/{first.name}") == before


def test_of_two_notes_of_one_moment_the_later_name_counts_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for file, run in (("b", "second"), ("a", "first")):
        note = Baseline(name="main", run=run, written="2026-01-01T00:00:00+00:00")
        (tmp_path / "notes" / f"{file}.json").write_bytes(msgspec.json.encode(note))
    assert notes.read(location(tmp_path)).baselines["main"].run == "second"


def test_writers_at_once_lose_no_note(tmp_path: Path) -> None:
    place = location(tmp_path)
    threads = [
        threading.Thread(target=lambda i=i: [notes.set_baseline(f"n{i}-{j}", "r", place) for j in range(10)])
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes.read(place).baselines) == 80


@pytest.mark.parametrize("name", ["main", "v1.2", "release-2_a+b", "1", "3f9a2c7"])
def test_what_may_name_a_baseline(name: str) -> None:
    notes.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "latest", "a/b", "../x", ".hidden", "-rf", "a b", "run.jsonl", "x" * 65, "a\n", "ü"]
)
def test_what_may_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="NAME"):
        notes.set_baseline(name, "run", location(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_accepted_change_reads_back_with_its_time(place: Location) -> None:
    assert notes.accepted(place) == []
    written = notes.accept(change(reason="a safer kernel"), place)
    assert written.accepted
    assert notes.accepted(place) == [written]
    assert msgspec.structs.replace(written, accepted="") == change(reason="a safer kernel")


def test_a_change_accepted_twice_has_its_last_reason_and_others_stay(place: Location) -> None:
    notes.accept(change(reason="first"), place)
    notes.accept(change("another"), place)
    notes.accept(change(run_id="later"), place)
    notes.accept(change(reason="second"), place)
    found = [(c.series, c.run_id, c.reason) for c in notes.accepted(place)]
    assert found == [("another", "r", ""), ("gemm[m=1] fp32", "later", ""), ("gemm[m=1] fp32", "r", "second")]


def test_what_is_no_note_is_skipped_with_one_warning(tmp_path: Path) -> None:
    place = location(tmp_path)
    notes.set_baseline("main", "one", place)
    folder = tmp_path / "notes"
    (folder / "broken.json").write_text("{")
    (folder / "list.json").write_text("[1]")
    (folder / "other.json").write_text('{"schema":1,"type":"something"}')
    (folder / "typed.json").write_text('{"schema":1,"type":"baseline","name":7,"run":"x"}')
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "large.json").write_text(" " * (notes.LARGEST_BYTES + 1))
    (folder / "README.md").write_text("not looked at")
    found = notes.read(place)
    assert set(found.baselines) == {"main"}
    assert [name for name, _ in found.skipped] == [
        "broken.json",
        "deep.json",
        "large.json",
        "list.json",
        "other.json",
        "typed.json",
    ]
    warning = found.warning()
    assert warning is not None
    assert "broken.json" in warning and "5 more" in warning and "\n" not in warning


def test_a_newer_note_is_refused_for_it_may_change_what_is_meant(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "new.json").write_text('{"schema":2,"type":"baseline","name":"main","run":"x"}')
    with pytest.raises(UnavailableError, match=r"new\.json has schema 2; this version reads up to 1"):
        notes.read(location(tmp_path))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["schema", "type", "name", "run", "series", "class_id", "written", "before_s", "p"])
nearly = st.dictionaries(keys, values | st.sampled_from([1, "baseline", "accepted-change"]), max_size=9)


@given(st.binary(max_size=60) | (values | nearly).map(lambda value: json.dumps(value).encode()))
def test_any_content_is_a_note_or_a_reason(data: bytes) -> None:
    try:
        note = notes.decode(data, "x.json")
    except ValueError as error:
        assert str(error)
    except UnavailableError as error:
        assert "newer" in str(error) or "schema" in str(error)
    else:
        assert isinstance(note, Baseline | AcceptedChange)


text = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(Baseline, name=text, run=st.none() | text, file=st.none() | text, written=text)
    | st.builds(
        AcceptedChange,
        series=text,
        class_id=text,
        run_id=text,
        before_s=finite,
        after_s=finite,
        p=st.none() | finite,
        reason=text,
    )
)
def test_every_note_reads_back_as_it_was_written(note: notes.Note) -> None:
    assert notes.decode(msgspec.json.encode(note), "x.json") == note
