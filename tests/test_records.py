"""The run file: what is written reads back, what is broken, foreign or too new is refused in one line."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records, schema
from bench.errors import BenchError, UnavailableError
from bench.records import Check, Device, End, Loss, Measurement, Rate, Rated, Resume, Run, Status, Time, Units, Work

MEASUREMENT_KEYS = (
    "type id device host rank launch kernel case precision accumulate implementation mode data cache "
    "status reason also quarantine check work time samples_s rate rated utilization utilization_of utilization_reason "
    "losses telemetry"
)
"""The contract's table: every measurement has all of these, null where nothing was measured."""

RUN = Run(
    id="20260101T000000Z-00000000",
    started="2026-01-01T00:00:00Z",
    command=["bench", "run"],
    bench_version="0.1.0",
    method_version=1,
    suite="quick",
    seed=0,
)
DEVICE = Device(device="cpu", kind="cpu", name="A processor", units=Units(kind="core", in_use=2))
END = End(status="complete", counts={"ok": 1}, exit_code=0)

PUBLISHED = jsonschema.Draft202012Validator(schema.json_schema())

finite = st.floats(allow_nan=False, allow_infinity=False)
optional = st.none() | finite
words = st.text(max_size=12)
integers = st.integers(min_value=0, max_value=2**53)


def measurement(status: Status = "ok", **changes: Any) -> Measurement:
    """A bare measurement of that status."""
    given_: dict[str, Any] = {
        "id": "m1",
        "device": "cpu",
        "host": "here",
        "rank": 0,
        "launch": 0,
        "kernel": "gemm",
        "case": {"m": 8, "n": 8, "k": 8},
        "precision": "fp32",
        "accumulate": "fp32",
        "implementation": "mm",
        "mode": "burst",
        "data": "normal",
        "cache": "cold",
        "status": status,
        "reason": "" if status == "ok" else "because",
    }
    return Measurement(**given_ | changes)


def full_measurements() -> st.SearchStrategy[Measurement]:
    """Measurements with every nested object present or absent and any finite numbers in them."""
    times = st.builds(
        Time,
        **{f"{name}_s": finite for name in ("median", "q1", "q3", "min", "mean", "stdev")},
        ci95_low_s=optional,
        ci95_high_s=optional,
        samples=integers,
        calls_per_sample=integers,
        timer=st.sampled_from(["event", "event-busy", "graph", "host"]),
        stop=st.sampled_from(["interval", "iqr", "noise-stable", "budget"]),
    )
    kinds = st.sampled_from(["datasheet", "computed", "user", "undisclosed"])
    factors = st.sampled_from(["units", "clock", "memory", "launch", "kernel"])
    return st.builds(
        measurement,
        status=st.sampled_from(records.STATUSES),
        reason=words,
        also=st.lists(words, max_size=3),
        case=st.dictionaries(words, st.integers(min_value=-(2**63), max_value=2**63 - 1) | words, max_size=4),
        check=st.none() | st.builds(Check, error=optional, tolerance=finite, passed=st.booleans()),
        work=st.none() | st.builds(Work, operations=integers, bytes=integers),
        time=st.none() | times,
        samples_s=st.none() | st.lists(finite, max_size=5),
        rate=st.none() | st.builds(Rate, operations_per_s=optional, bytes_per_s=optional),
        rated=st.none() | st.builds(Rated, kind=kinds, operations_per_s=optional, source=words, clock_hz=optional),
        utilization=optional,
        losses=st.none() | st.lists(st.builds(Loss, factor=factors, ratio=finite, why=words), max_size=5),
    )


def write(path: Path, *rows: records.Record) -> Path:
    """A run file at `path`, written as the runner writes it."""
    writer = records.Writer(path)
    for row in rows:
        writer.write(row)
    writer.close()
    return path


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A complete small run file."""
    return write(tmp_path / "run.jsonl", RUN, DEVICE, measurement(), END)


# --- what is written reads back ---------------------------------------------------------------------------------------


@given(full_measurements())
def test_a_measurement_reads_back_as_it_was_written(row: Measurement) -> None:
    line = records.encode(row)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert records.decode(line) == row


@given(full_measurements())
def test_every_written_measurement_satisfies_the_published_schema(row: Measurement) -> None:
    PUBLISHED.validate(json.loads(records.encode(row)))


@pytest.mark.parametrize("row", [RUN, DEVICE, Resume(resumed="2026-01-01T00:00:00Z", command=["bench"]), END])
def test_every_other_line_satisfies_the_published_schema(row: records.Record) -> None:
    PUBLISHED.validate(json.loads(records.encode(row)))


def test_the_schema_refuses_a_line_without_one_of_its_keys() -> None:
    line = json.loads(records.encode(measurement()))
    del line["utilization_reason"]
    with pytest.raises(jsonschema.ValidationError):
        PUBLISHED.validate(line)


def test_a_measurement_has_every_key_of_the_contract_even_where_nothing_was_measured() -> None:
    line = json.loads(records.encode(measurement("unsupported")))
    assert set(line) >= set(MEASUREMENT_KEYS.split())
    assert line["time"] is None
    assert line["utilization"] is None


def test_time_has_every_key_of_the_contract() -> None:
    contract = "median_s q1_s q3_s min_s mean_s stdev_s ci95_low_s ci95_high_s samples calls_per_sample timer stop"
    assert [f.name for f in msgspec.structs.fields(Time)] == contract.split()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_hold_becomes_null(number: float) -> None:
    line = records.encode(measurement(utilization=number, check=Check(error=number, tolerance=0.1, passed=False)))
    read = json.loads(line, parse_constant=pytest.fail)
    assert read["utilization"] is None
    assert read["check"]["error"] is None
    assert records.decode(line) == measurement(check=Check(error=None, tolerance=0.1, passed=False))


def test_a_whole_file_reads_back_in_its_parts(finished: Path) -> None:
    run = records.read(finished)
    assert run.run == RUN
    assert run.devices == [DEVICE]
    assert run.measurements == [measurement()]
    assert run.end == END
    assert not run.truncated
    assert run.device("cpu") == DEVICE
    assert run.device("cuda:0") is None


def test_the_last_end_of_a_resumed_run_counts(tmp_path: Path) -> None:
    stopped = End(status="interrupted", counts={}, exit_code=130)
    resume = Resume(resumed="2026-01-02T00:00:00Z", command=["bench", "run", "--resume", "run.jsonl"])
    run = records.read(write(tmp_path / "run.jsonl", RUN, stopped, resume, measurement(), END))
    assert run.end == END
    assert run.resumes == [resume]


# --- what is broken, foreign or too new -------------------------------------------------------------------------------


def test_a_run_that_was_killed_reads_without_its_end(tmp_path: Path) -> None:
    run = records.read(write(tmp_path / "run.jsonl", RUN, DEVICE, measurement()))
    assert run.end is None
    assert len(run.measurements) == 1


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_an_unfinished_last_line_is_ignored(finished: Path, cut: int) -> None:
    finished.write_bytes(finished.read_bytes()[:-cut])
    run = records.read(finished)
    assert run.truncated
    assert run.end is None
    assert run.measurements == [measurement()]


@given(data=st.data())
def test_a_file_cut_anywhere_reads_or_is_refused_in_one_line(data: st.DataObject) -> None:
    whole = b"".join(map(records.encode, (RUN, DEVICE, measurement(), END)))
    cut = data.draw(st.integers(min_value=0, max_value=len(whole)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_bytes(whole[:cut])
        if b"\n" not in whole[:cut]:
            with pytest.raises(UnavailableError):
                records.read(path)
        else:
            assert records.read(path).run == RUN


FOREIGN = {
    "empty": b"",
    "only blank lines": b"\n\n\n",
    "plain text": b"a shopping list\nmilk\n",
    "binary": bytes(range(256)) + b"\n",
    "not UTF-8": b'{"type":"run","id":"\xff\xfe"}\n',
    "another program's JSON Lines": b'{"name":"x","value":1}\n',
    "a JSON document": b'[{"type":"run"}]\n',
    "a number": b"7\n",
    "measurements before the run": records.encode(measurement()) + records.encode(RUN),
    "a run record without its keys": b'{"type":"run","schema":1}\n',
    "a run without a schema": b'{"type":"run","id":"x"}\n',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_refused_in_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnavailableError) as refused:
        records.read(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 3
    assert path.read_bytes() == content


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_reader_fail_otherwise(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.jsonl"
        path.write_bytes(content)
        with pytest.raises(BenchError):
            records.read(path)


def test_a_newer_schema_is_refused_with_the_way_out(finished: Path) -> None:
    head, rest = finished.read_bytes().split(b"\n", 1)
    newer = json.loads(head) | {"schema": records.SCHEMA + 1}
    finished.write_bytes(json.dumps(newer).encode() + b"\n" + rest)
    with pytest.raises(UnavailableError, match=rf"schema {records.SCHEMA + 1}.*up to {records.SCHEMA}.*update"):
        records.read(finished)


def test_a_broken_line_in_the_middle_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(records.encode(RUN) + b'{"type":"measurement"}\n' + records.encode(END))
    with pytest.raises(UnavailableError, match="line 2"):
        records.read(path)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"absent\.jsonl"):
        records.read(tmp_path / "absent.jsonl")


def test_a_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=str(tmp_path)):
        records.read(tmp_path)


def test_unknown_keys_are_read_past_and_stay_in_the_lines(finished: Path) -> None:
    head, rest = finished.read_bytes().split(b"\n", 1)
    marked = json.dumps(json.loads(head) | {"from_the_future": 1}).encode()
    finished.write_bytes(marked + b"\n" + rest)
    assert records.read(finished).run == RUN
    assert json.loads(next(records.lines(finished)))["from_the_future"] == 1


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_run_never_writes_over_a_file_that_exists(finished: Path) -> None:
    before = finished.read_bytes()
    with pytest.raises(UnavailableError, match="--out"):
        records.Writer(finished)
    assert finished.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(finished: Path) -> None:
    with pytest.raises(UnavailableError, match=r"run\.jsonl"):
        records.Writer(finished / "below" / "a-file.jsonl")


def test_each_line_is_on_the_disk_before_the_next_is_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.jsonl"
    writer = records.Writer(path)
    writer.write(RUN)
    assert records.read(path).run == RUN
    writer.write(measurement())
    assert len(records.read(path).measurements) == 1
    writer.close()


def test_run_ids_differ_and_sort_by_time() -> None:
    ids = {records.run_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(name[8] == "T" and name[15] == "Z" for name in ids)


# --- what a run amounts to --------------------------------------------------------------------------------------------


def rows(**counts: int) -> list[Measurement]:
    """So many measurements of each status."""
    return [measurement(status) for status, count in counts.items() for _ in range(count)]  # type: ignore[arg-type]  # keywords are statuses


@pytest.mark.parametrize(
    ("measurements", "code"),
    [
        (rows(ok=1), 0),
        (rows(noisy=1), 0),
        (rows(ok=1, wrong=9, unsupported=9, failed=9, out_of_memory=9, crashed=9, timeout=9), 0),
        (rows(), 3),
        (rows(unsupported=5), 3),
        (rows(wrong=1, failed=1, out_of_memory=1), 3),
        (rows(ok=3, throttled=1), 0),  # exactly a quarter is not more than a quarter
        (rows(ok=2, throttled=1), 4),
        (rows(ok=5, noisy=1, throttled=1, contended=1), 0),
        (rows(ok=5, noisy=1, throttled=1, contended=1, invalid=1), 4),
        (rows(ok=2, throttled=1, unsupported=90), 4),  # rows that were never timed don't dilute the share
        (rows(invalid=1), 4),
        ([*rows(ok=2), measurement(quarantine=["steal 9 %"])], 4),
        ([*rows(ok=3), measurement(quarantine=["steal 9 %"])], 0),
    ],
)
def test_exit_code_follows_the_contract(measurements: list[Measurement], code: int) -> None:
    assert records.exit_code(measurements) == code


def test_counts_holds_what_occurs_in_order_of_precedence() -> None:
    assert list(records.counts(rows(ok=2, unsupported=1, noisy=3)).items()) == [
        ("unsupported", 1),
        ("noisy", 3),
        ("ok", 2),
    ]
