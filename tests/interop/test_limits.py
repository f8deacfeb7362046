"""Files that are made to hurt: too large, too deep, too many, too long; each is one line and costs little."""

from __future__ import annotations

import pytest

from bench.errors import UnavailableError
from bench.interop import reading
from tests.interop.seeds import dumped, imported


def refused(data: bytes, name: str = "bmf") -> str:
    with pytest.raises(UnavailableError) as caught:
        imported(name, data)
    words = str(caught.value)
    assert len(words) < 500 and words.isprintable()
    return words


def test_a_large_file_is_refused_before_it_is_decoded() -> None:
    assert refused(b" " * (reading.MAX_BYTES + 1)) == "the file: is larger than 64 MiB, which is the limit"


@pytest.mark.parametrize("name", ["bmf", "csv", "otava", "bench"])
def test_many_values_are_refused_before_there_are_objects(name: str) -> None:
    words = refused(b"[" + b"{}," * reading.MAX_VALUES + b"0]", name)
    assert "limit" in words


@pytest.mark.parametrize("depth", [reading.MAX_DEPTH + 2, 900, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(depth: int, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    words = refused(opening * depth + b"1" + closing * depth)
    assert "nested deeper than 32" in words


def test_what_is_deep_in_a_field_that_nobody_reads_is_refused_as_well() -> None:
    inner: object = 1
    for _ in range(40):
        inner = [inner]
    assert "nested deeper" in refused(dumped({"a": {"latency": {"value": 1}}, "b": inner}))


def test_long_names_are_refused_and_shown_short() -> None:
    words = refused(dumped({"x" * 2000: {"latency": {"value": 1}}}))
    assert "is longer than 1,000 characters" in words


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\u202eb", "a\x00b", "a\ud800b", "a\x9bb"])
def test_control_characters_never_reach_a_terminal_or_a_file(name: str) -> None:
    (one,) = imported("bmf", dumped({name: {"latency": {"value": 1}}}))
    assert one.run.measurements[0].kernel in ("a\ufffdb", "a\ufffd[31mb")
    refused(dumped({"a": {"latency": {"value": name}}}))
    refused(dumped({name: 3}))


def test_more_rows_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ROWS", 10)
    data = dumped({f"x{number}": {"latency": {"value": 1}} for number in range(11)})
    assert "more than 10 measurements" in refused(data)


def test_more_runs_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RUNS", 3)
    benches = [{"name": "a", "unit": "s", "value": 1}]
    history = {"entries": {"s": [{"date": number, "benches": benches} for number in range(4)]}}
    assert "the limit is 3" in refused(dumped(history), "github-action-benchmark")
    lines = "".join(f"{number},1\n" for number in range(4))
    assert "the limit is 3" in refused(f"time,a (s)\n{lines}".encode(), "otava")


def test_digits_without_end_are_no_number_and_no_hang() -> None:
    refused(b'{"a": {"latency": {"value": ' + b"9" * 5_000_000 + b"}}}")
    refused(b'{"a": {"latency": {"value": "' + b"9" * 5_000_000 + b'"}}}')


def test_parameters_without_end_are_refused() -> None:
    params = {f"p{number}": number for number in range(100)}
    stats = {"median": 1}
    document = {"benchmarks": [{"name": "a", "params": params, "stats": stats}]}
    assert "more than 64 parameters" in refused(dumped(document), "pytest-benchmark")


def test_a_product_of_parameters_that_is_larger_than_the_file_is_refused() -> None:
    row = [[1.0], [list(range(50)) for _ in range(20)]]
    document = {"version": 2, "result_columns": ["result", "params"], "results": {"a.time_b": row}}
    assert "combinations, and there are 1 results" in refused(dumped(document), "asv")


@pytest.mark.parametrize("date", [1e300, -1e300, "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", [1], True])
def test_impossible_dates_are_named(date: object) -> None:
    document = {"datetime": date, "benchmarks": [{"name": "a", "stats": {"median": 1}}]}
    assert refused(dumped(document), "pytest-benchmark").startswith("datetime: ")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("github-action-benchmark", b"\n" * 2_000_000),
        ("github-action-benchmark", b'[{"name":"a","value":1,"unit":"' + b" " * 900 + b'x"}' + b"]"),
        ("otava", b"time," + b",".join(b"%d" % n + b" " * 900 + b"x" for n in range(500)) + b"\n1" + b",1" * 500),
        ("asv", dumped({"version": 2, "results": {f"{n}" + ".time_callx" * 90: [[1], []] for n in range(500)}})),
        ("pytest-benchmark", dumped({"benchmarks": [], "datetime": " " * 5_000_000 + "x"})),
    ],
)
def test_what_is_long_takes_no_longer_than_it_is(name: str, data: bytes) -> None:
    """Patterns that look for a beginning in every place would take hours; this would be a hang."""
    refused(data, name)
