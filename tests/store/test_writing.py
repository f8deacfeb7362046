"""Many processes put runs into one store and none is lost, nor is a reader disturbed."""

from __future__ import annotations

import gzip
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.store import location, put
from bench.store.index import Index
from tests.store.stores import content, run

WRITERS = 8
RUNS_EACH = 100 if os.environ.get("BENCH_SOAK") else 12
"""The whole hundred in the soak environment; the same race in a second everywhere else."""

WRITE = """
import sys
from pathlib import Path
import msgspec
from bench import records
from bench.store import location, put
store, source, runs = sys.argv[1:]
file = records.read(Path(source))
for _ in range(int(runs)):
    begun = msgspec.structs.replace(file.run, id=records.run_id())
    lines = [begun, *file.devices, *file.measurements, file.end]
    print(put(b"".join(map(records.encode, lines)), location(store)), flush=True)
"""


def test_eight_processes_lose_no_run_and_a_reader_meanwhile_never_fails(tmp_path: Path) -> None:
    source, store = tmp_path / "source.jsonl", tmp_path / "store"
    source.write_bytes(content(run()))
    command = [sys.executable, "-c", WRITE, str(store), str(source), str(RUNS_EACH)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WRITERS)]
    seen: list[int] = []
    while any(writer.poll() is None for writer in writers):
        with Index(location(store)) as index:
            assert index.skipped == []
            runs = index.runs()
            seen.append(len(runs))
            for entry in runs[-2:]:
                assert index.open_run(entry).end is not None
    written = [name for writer in writers for name in (writer.communicate()[0]).split()]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert len(set(written)) == WRITERS * RUNS_EACH
    assert seen == sorted(seen)
    with Index(location(store)) as index:
        assert {entry.name for entry in index.runs()} == set(written)
        assert len(list(index.points())) == WRITERS * RUNS_EACH
    assert not list(store.glob(".*.tmp"))


def test_two_runs_of_one_id_both_stay(tmp_path: Path) -> None:
    place = location(tmp_path)
    first, second = (put(content(run("same", day=day)), place) for day in (1, 2))
    assert first == "same.jsonl"
    assert second.startswith("same-")
    with Index(place) as index:
        assert [entry.started[:10] for entry in index.runs()] == ["2026-01-01", "2026-01-02"]


def test_putting_a_run_again_leaves_one(tmp_path: Path) -> None:
    place = location(tmp_path)
    assert put(content(run()), place) == put(content(run()), place)
    assert len(place.run_files()) == 1


@pytest.mark.parametrize("run_id", ["../../escape", "a/b", "", ".hidden", "-rf", "x" * 300, "a\nb", "Ω", "\x1b[2J"])
def test_a_hostile_run_id_becomes_no_path(tmp_path: Path, run_id: str) -> None:
    (tmp_path / "store").mkdir()
    name = put(content(run(run_id)), location(tmp_path / "store"))
    assert [path.name for path in (tmp_path / "store").iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert records.read(tmp_path / "store" / name).run.id == run_id


def test_a_compressed_run_stays_compressed(tmp_path: Path) -> None:
    source = tmp_path / "run.jsonl.gz"
    source.write_bytes(gzip.compress(content(run("a"))))
    assert put(source, location(tmp_path / "store")) == "a.jsonl.gz"


def test_a_run_reaches_a_store_behind_a_url() -> None:
    pytest.importorskip("fsspec")
    place = location(f"memory://{secrets.token_hex(8)}")
    put(content(run("a")), place)
    with Index(place) as index:
        assert [entry.id for entry in index.runs()] == ["a"]


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", b"not json\n", b"\x1f\x8bnot gzip", content(run()).replace(b'"schema":1', b'"schema":99')]
)
def test_what_is_no_run_is_refused_and_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnavailableError, match="the run file"):
        put(data, location(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"absent\.jsonl"):
        put(tmp_path / "absent.jsonl", location(tmp_path))
