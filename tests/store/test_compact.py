"""Compaction: samples thinned, files compressed, nothing else lost, nothing touched that is young or being written."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.analysis.identity import by_series, launch_medians
from bench.store import location
from bench.store.compact import QUANTILES, SLICES, Compaction, compact, thinned
from bench.store.database import FILE_NAME
from bench.store.digest import seconds
from bench.store.folder import Location
from bench.store.index import Index
from bench.store.references import resolve
from tests.factories import measurement
from tests.store.stores import STARTED, content, run

COMPACT = """
import sys
from bench.store import location
from bench.store.compact import compact
from bench.store.index import Index
list(compact(Index(location(sys.argv[1])), 0))
"""
DAY_S = 86_400.0
LATER_S = seconds(STARTED.format(day=1)) + 400 * DAY_S
SAMPLES = [1e-3 * (1 + i % 97 / 1000) for i in range(1000)]


def sustained(slices: int) -> records.Sustained:
    return records.Sustained(
        wall_s=10.0,
        calls=slices,
        ends_s=[0.1 * (i + 1) for i in range(slices)],
        per_call_s=[1e-3 + 1e-6 * i for i in range(slices)],
    )


ROWS = [
    measurement(samples_s=SAMPLES),
    measurement(launch=1, mode="sustained", samples_s=None, sustained=sustained(600)),
]


def old_store(folder: Path, *names: str, **changes: Any) -> Location:
    """A store with one old run a name, unchanged for long."""
    folder.mkdir(exist_ok=True)
    for name in names or ("old",):
        path = folder / f"{name}.jsonl"
        path.write_bytes(content(run(name, **({"rows": ROWS} | changes))))
        os.utime(path, (seconds(STARTED.format(day=1)),) * 2)
    return location(folder)


def compacted(place: Location, older_than_s: float = 90 * DAY_S, **options: Any) -> list[Compaction]:
    with Index(place) as index:
        return list(compact(index, older_than_s, now_s=LATER_S, **options))


def names(folder: Path) -> list[str]:
    """What lies in a store, the index aside."""
    return sorted(path.name for path in folder.iterdir() if path.name != FILE_NAME)


def everything_but_samples(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in records.lines(path):
        row = json.loads(line)
        row.pop("samples_s", None)
        row.pop("samples_thinned", None)
        if row.get("sustained"):
            row["sustained"] = {k: v for k, v in row["sustained"].items() if k not in ("ends_s", "per_call_s")}
        found.append(row)
    return found


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_an_old_run_gets_small_and_loses_nothing_but_samples(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    raw = tmp_path / "old.jsonl"
    rows, before, modified_s = everything_but_samples(raw), records.read(raw), raw.stat().st_mtime
    (done,) = compacted(place)
    small = tmp_path / "old.jsonl.gz"
    assert (done.outcome, done.after_bytes) == ("compacted", small.stat().st_size)
    assert done.after_bytes < done.before_bytes / 4
    assert names(tmp_path) == ["old.jsonl.gz"]
    assert everything_but_samples(small) == rows
    after = records.read(small)
    assert (after.run, after.devices, after.end) == (before.run, before.devices, before.end)
    assert small.stat().st_mtime == modified_s
    for one, other in zip(by_series(before).values(), by_series(after).values(), strict=True):
        assert launch_medians(one) == launch_medians(other)


def test_samples_become_quantiles_and_the_row_says_so() -> None:
    row = json.loads(thinned(records.encode(measurement(samples_s=SAMPLES))))
    assert len(row["samples_s"]) == QUANTILES
    assert row["samples_s"] == sorted(row["samples_s"])
    assert (row["samples_s"][0], row["samples_s"][-1]) == (min(SAMPLES), max(SAMPLES))
    ordered = sorted(SAMPLES)
    assert row["samples_s"][QUANTILES // 2] == pytest.approx((ordered[499] + ordered[500]) / 2)
    assert row["samples_thinned"] == {"samples_s": {"from": 1000, "to": "21 quantiles, 0 to 100 %"}}


def test_a_series_over_time_keeps_its_order_its_first_and_its_last_slice() -> None:
    before = sustained(600)
    row = json.loads(thinned(records.encode(measurement(mode="sustained", sustained=before))))
    ends, values = row["sustained"]["ends_s"], row["sustained"]["per_call_s"]
    assert len(ends) == len(values) == SLICES
    assert (ends[0], ends[-1]) == (before.ends_s[0], before.ends_s[-1])
    pairs = dict(zip(before.ends_s, before.per_call_s, strict=True))
    assert all(pairs[end] == value for end, value in zip(ends, values, strict=True))
    assert ends == sorted(ends)


def test_keys_of_later_versions_keep_their_values_and_places() -> None:
    line = records.encode(measurement(samples_s=SAMPLES))
    row = json.loads(line)
    later = {"future": {"big": 2**80, "text": "ü\u2028"}, **row, "last": [1.1, None, True]}
    after = json.loads(thinned(json.dumps(later).encode() + b"\n"))
    assert [key for key in after if key != "samples_thinned"] == list(later)
    assert {k: v for k, v in after.items() if k not in ("samples_s", "samples_thinned")} == {
        k: v for k, v in later.items() if k != "samples_s"
    }


@pytest.mark.parametrize("count", [0, 1, QUANTILES - 1, QUANTILES])
def test_few_samples_stay_as_they_are(count: int) -> None:
    line = records.encode(measurement(samples_s=SAMPLES[:count]))
    assert thinned(line) == line


@given(st.binary(max_size=50) | st.text(max_size=30).map(lambda text: f'{{"type":"measurement","x":"{text}'.encode()))
def test_a_line_that_is_no_row_stays_byte_for_byte(line: bytes) -> None:
    assert thinned(line) == line


@given(st.lists(st.floats(min_value=0, max_value=1e6, allow_subnormal=False), min_size=QUANTILES + 1, max_size=200))
def test_thinning_again_changes_nothing(samples: list[float]) -> None:
    once = thinned(records.encode(measurement(samples_s=samples)))
    assert thinned(once) == once
    assert records.decode(once).samples_s is not None  # type: ignore[union-attr]  # a measurement


def test_what_was_compacted_stays_as_it_is(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    compacted(place)
    before = (tmp_path / "old.jsonl.gz").read_bytes()
    assert compacted(place) == []
    assert (tmp_path / "old.jsonl.gz").read_bytes() == before


def test_an_interrupted_compaction_is_finished_by_the_next(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    raw = (tmp_path / "old.jsonl").read_bytes()
    compacted(place)
    (tmp_path / "old.jsonl").write_bytes(raw)  # as if it had ended before the raw file was removed
    with Index(place) as index:
        assert len(index.runs()) == 1
    compacted(place)
    assert [path.name for path in sorted(tmp_path.glob("old*"))] == ["old.jsonl.gz"]


def test_a_compressed_run_with_all_its_samples_is_thinned(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl.gz").write_bytes(gzip.compress(content(run("old", rows=ROWS))))
    assert [done.outcome for done in compacted(location(tmp_path))] == ["compacted"]
    file = records.read(tmp_path / "old.jsonl.gz")
    assert [len(row.samples_s or []) for row in file.measurements] == [QUANTILES, 0]


def test_everything_reads_it_afterwards(tmp_path: Path) -> None:
    place = old_store(tmp_path, "a", "b")
    with Index(place) as index:
        before = [(p.series, p.class_id, p.run_id, p.value_s, p.launches, p.status) for p in index.points()]
    compacted(place)
    with Index(place) as index:
        after = [(p.series, p.class_id, p.run_id, p.value_s, p.launches, p.status) for p in index.points()]
        assert [index.open_run(entry).run.id for entry in index.runs()] == ["a", "b"]
    assert after == before
    assert records.find(tmp_path).name.endswith(".jsonl.gz")
    assert records.read(tmp_path / "a.jsonl").run.id == "a"  # by the name that it had


def test_a_reader_never_fails_while_runs_are_compacted(tmp_path: Path) -> None:
    runs = [f"run{number:02}" for number in range(30)]
    place = old_store(tmp_path, *runs)
    compacting = subprocess.Popen([sys.executable, "-c", COMPACT, str(tmp_path)])
    rounds = 0
    while compacting.poll() is None or rounds == 0:
        rounds += 1
        with Index(place) as index:
            assert index.warning() is None
            assert [entry.id for entry in index.runs()] == runs
            for entry in index.runs()[:: 1 + rounds % 7]:
                assert index.open_run(entry).run.id == entry.id
                assert records.read(resolve(entry.id, place)).run.id == entry.id
    assert compacting.returncode == 0
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_compressed_run_takes_no_more_rows(tmp_path: Path) -> None:
    compacted(old_store(tmp_path))
    before = (tmp_path / "old.jsonl.gz").read_bytes()
    with pytest.raises(records.UnavailableError, match=r"--resume: .* is compressed"):
        records.Writer(tmp_path / "old.jsonl.gz", append=True)
    assert (tmp_path / "old.jsonl.gz").read_bytes() == before


def test_an_unfinished_last_line_of_a_dead_run_is_kept_and_ignored_as_before(tmp_path: Path) -> None:
    place = old_store(tmp_path, ended=False)
    path = tmp_path / "old.jsonl"
    path.write_bytes(path.read_bytes() + b'{"type":"measure')
    os.utime(path, (0, 0))
    (done,) = compacted(place)
    assert done.outcome == "compacted"
    file = records.read(tmp_path / "old.jsonl.gz")
    assert file.truncated
    assert len(file.measurements) == 2


# --- what is left alone -----------------------------------------------------------------------------------------------


def test_a_young_run_is_passed_over(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    assert compacted(place, older_than_s=500 * DAY_S) == []
    assert names(tmp_path) == ["old.jsonl"]


def test_a_run_that_may_still_be_written_is_left_whatever_the_age(tmp_path: Path) -> None:
    place = old_store(tmp_path, ended=False)
    os.utime(tmp_path / "old.jsonl", (LATER_S - 3600, LATER_S - 3600))
    (done,) = compacted(place, older_than_s=0)
    assert (done.outcome, done.reason) == ("left", "has no end, and may still be written")
    assert (tmp_path / "old.jsonl").exists()


def test_a_run_that_was_taken_up_again_counts_as_unfinished(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    path = tmp_path / "old.jsonl"
    path.write_bytes(path.read_bytes() + records.encode(records.Resume(resumed="2026-02-01T00:00:00Z", command=[])))
    os.utime(path, (LATER_S - 60, LATER_S - 60))
    (done,) = compacted(place, older_than_s=0)
    assert done.outcome == "left"


def test_a_run_written_to_while_it_is_compacted_keeps_its_raw_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = old_store(tmp_path)
    real = place.replace

    def taken_up_meanwhile(name: str, data: bytes, modified_s: float | None = None) -> None:
        real(name, data, modified_s)
        with open(tmp_path / "old.jsonl", "ab") as file:
            file.write(records.encode(measurement(launch=7)))

    monkeypatch.setattr(place, "replace", taken_up_meanwhile)
    (done,) = compacted(place)
    assert (done.outcome, done.reason) == ("left", "was written to meanwhile")
    assert names(tmp_path) == ["old.jsonl"]
    assert records.read(tmp_path / "old.jsonl").measurements[-1].launch == 7


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    place = old_store(tmp_path)
    before = (tmp_path / "old.jsonl").read_bytes()
    (done,) = compacted(place, dry_run=True)
    assert done.outcome == "would compact"
    assert done.after_bytes < done.before_bytes
    assert names(tmp_path) == ["old.jsonl"]
    assert (tmp_path / "old.jsonl").read_bytes() == before


def test_links_foreign_files_and_folders_below_are_not_touched(tmp_path: Path) -> None:
    place = old_store(tmp_path / "store")
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_bytes(content(run("elsewhere")))
    folder = tmp_path / "store"
    (folder / "link.jsonl").symlink_to(elsewhere)
    (folder / "foreign.jsonl").write_text('{"started":"2020-01-01T00:00:00Z"}\n')
    (folder / "newer.jsonl").write_bytes(content(run("newer")).replace(b'"schema":1', b'"schema":9'))
    (folder / "torn.jsonl.gz").write_bytes(gzip.compress(content(run("torn")))[:-20])
    (folder / "reference").mkdir()
    (folder / "reference" / "kept.jsonl").write_bytes(content(run("kept")))
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl*") if "old" not in path.name}
    outcomes = {done.name: done.outcome for done in compacted(place)}
    assert outcomes == {"link.jsonl": "left", "old.jsonl": "compacted"}
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl*") if "old" not in path.name} == before


def test_a_run_whose_start_is_unknown_has_no_age(tmp_path: Path) -> None:
    file = run("old")
    file = msgspec.structs.replace(file, run=msgspec.structs.replace(file.run, started="?"))
    (tmp_path / "old.jsonl").write_bytes(content(file))
    assert compacted(location(tmp_path), older_than_s=0) == []


def test_now_is_now() -> None:
    place = location(f"memory://{secrets.token_hex(8)}")
    file = run("young", rows=ROWS)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - DAY_S))
    place.create(
        "young.jsonl", content(msgspec.structs.replace(file, run=msgspec.structs.replace(file.run, started=started)))
    )
    with Index(place) as index:
        assert list(compact(index, 2 * DAY_S)) == []
        assert [done.outcome for done in compact(index, DAY_S / 2)] == ["compacted"]
    assert [entry.name for entry in place.entries()] == ["young.jsonl.gz"]
