"""What is exported and imported again is the same series with the same digits; no text or unit is an error."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import records
from bench.analysis.identity import by_series, launch_medians
from bench.errors import UnavailableError
from bench.interop import figures, naming, reading, tables, units
from tests.factories import measurement, run_file
from tests.interop.seeds import exported, imported

TIMES = st.floats(1e-12, 1e6, allow_nan=False)
WORDS = st.text("abcdefgxyz_-0123456789", min_size=1, max_size=12)
CASES = st.dictionaries(
    WORDS, st.integers(-(10**17), 10**17) | WORDS.filter(lambda word: not naming.INTEGER.fullmatch(word)), max_size=4
)
PRECISIONS = st.sampled_from([("fp32", "fp32"), ("fp16", "fp32"), ("int8", "int32"), ("int8", "mixed")])

EXACT = {
    "pytest-benchmark": "",
    "asv": "results",
    "csv": "",
    "otava": "",
    "github-action-benchmark": "smaller",
    "bench": "",
}
"""Formats in seconds, and which of their files has the times: every digit comes back."""
EXAMPLES = 30
"""Runs of each format and property; each takes milliseconds."""
SCALED = {"bmf": "", "google-benchmark": ""}
"""Formats in nanoseconds: the multiplication and the division round."""


@st.composite
def runs(draw: st.DrawFn) -> records.RunFile:
    """Up to four series of up to four launches."""
    rows = []
    names = draw(st.lists(st.tuples(WORDS, CASES, PRECISIONS, WORDS), min_size=1, max_size=4, unique_by=str))
    for kernel, case, (precision, accumulate), implementation in names:
        for launch, median_s in enumerate(draw(st.lists(TIMES, min_size=1, max_size=4))):
            what: dict[str, Any] = {"kernel": kernel, "case": case, "precision": precision, "accumulate": accumulate}
            rows.append(
                measurement(**what, implementation=implementation, launch=launch, median_s=median_s, samples_s=None)
            )
    file = run_file(rows)
    file.run.implementation = draw(st.sampled_from(["all", "best"]))
    file.run.git = {"commit": "0123456789abcdef", "branch": "main", "dirty": False}
    return file


def times(file: records.RunFile) -> dict[str, list[float]]:
    """Seconds a call of each launch by the series' name."""
    return {key.text: list(launch_medians(rows).values()) for key, rows in by_series(file).items()}


def there_and_back(name: str, run: records.RunFile, which: str) -> records.RunFile:
    files = exported(name, [run])
    (data,) = [data for path, data in files.items() if path == which or (which == "results" and "-suanli" in path)]
    (one,) = imported(name, data)
    return one.run


@pytest.mark.parametrize("name", ["pytest-benchmark", "csv", "bench"])
@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_every_launch_comes_back_with_all_of_its_digits(name: str, run: records.RunFile) -> None:
    before, after = times(run), times(there_and_back(name, run, EXACT[name]))
    assert after == before


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_every_series_comes_back_with_its_median(name: str, run: records.RunFile) -> None:
    before, after = times(run), times(there_and_back(name, run, EXACT[name]))
    assert {key: _median(values) for key, values in after.items()} == {
        key: _median(values) for key, values in before.items()
    }


@pytest.mark.parametrize("name", SCALED)
@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_a_change_of_unit_costs_the_last_digit_at_most(name: str, run: records.RunFile) -> None:
    before, after = times(run), times(there_and_back(name, run, SCALED[name]))
    assert set(after) == set(before)
    for key, values in before.items():
        assert _median(after[key]) == pytest.approx(_median(values), rel=1e-15)


@settings(max_examples=EXAMPLES)
@given(run=runs())
def test_rates_come_back_as_rates(run: records.RunFile) -> None:
    (one,) = imported("github-action-benchmark", exported("github-action-benchmark", [run])["bigger"])
    for key, rows in by_series(run).items():
        (row,) = [row for back, (row,) in by_series(one.run).items() if back.text == key.text]
        assert row.rate is not None
        expected = 2_000_000_000 / _median(list(launch_medians(rows).values()))
        assert row.rate.operations_per_s == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [*EXACT, *SCALED])
@pytest.mark.parametrize("value", ["-0", "-07", "007", "1_0", "٣", "+3", 0, -7, 10**17])
def test_only_what_is_written_as_an_integer_comes_back_as_one(name: str, value: int | str) -> None:
    run = run_file([measurement(case={"n": value}, median_s=1.0)])
    run.run.git = {"commit": "0123456789abcdef", "branch": "main", "dirty": False}
    assert set(times(there_and_back(name, run, (EXACT | SCALED)[name]))) == set(times(run))


@given(samples=st.lists(TIMES, min_size=1, max_size=40))
def test_samples_of_one_launch_come_back_through_pytest_benchmark(samples: list[float]) -> None:
    run = run_file([measurement(median_s=_median(samples), samples_s=samples)])
    (one,) = imported("pytest-benchmark", exported("pytest-benchmark", [run])[""])
    (row,) = one.run.measurements
    assert row.samples_s == samples
    assert row.time is not None and row.time.samples == len(samples)


@given(samples=st.lists(st.floats(allow_nan=True), max_size=30))
def test_statistics_of_samples_are_in_order_whatever_the_samples(samples: list[float]) -> None:
    found = figures.of_samples([sample for sample in samples if math.isfinite(sample)])
    if found.median_s is None:
        return
    assert found.min_s is not None and found.q1_s is not None and found.q3_s is not None and found.mean_s is not None
    assert found.min_s <= found.q1_s <= found.median_s <= found.q3_s
    assert found.stdev_s is None or found.stdev_s >= 0


@given(count=st.integers(0, 5000), most=st.integers(2, 1000))
def test_thinning_keeps_the_ends_and_the_order(count: int, most: int) -> None:
    samples = [float(number) for number in range(count)]
    kept = figures.thinned(samples, most)
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert not count or (kept[0], kept[-1]) == (samples[0], samples[-1])


@given(rows=st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_a_table_gives_back_every_text(rows: list[list[str]]) -> None:
    data = tables.written(("a", "b"), rows)
    _, lines = tables.read(data.decode())
    found = [[cells[name].value if name in cells else None for name in ("a", "b")] for _, cells in lines]

    def expected(text: str) -> str | None:
        plain = text.replace("\r", " ").encode("utf-8", "replace").decode()
        return plain if plain.strip() else None

    assert found == [row for row in ([expected(text) for text in row] for row in rows) if any(row)]


@given(value=st.floats(1e-9, 1e9), prefix=st.sampled_from(["", "k", "M", "G", "T", "P"]))
@pytest.mark.parametrize(
    ("base", "kind"), [("FLOP/s", "operations"), ("OPS", "operations"), ("B/s", "bytes"), ("iter/s", "calls")]
)
def test_a_rate_is_the_reciprocal_of_its_time(value: float, prefix: str, base: str, kind: str) -> None:
    unit = units.parse(prefix + base)
    assert unit is not None and unit.kind == kind
    found = figures.of_value(value, prefix + base)
    assert isinstance(found, figures.Figures) and found.median_s is not None
    amount = {"operations": found.work.operations, "bytes": found.work.bytes}[kind] if found.work else 1
    assert amount / found.median_s == pytest.approx(value * unit.factor)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("s", 1), ("ms", 1e-3), ("msec", 1e-3), ("µs", 1e-6), ("us/iter", 1e-6), ("ns/op", 1e-9), ("ns/iter", 1e-9)],
)
def test_times_have_many_names(text: str, seconds: float) -> None:
    assert units.parse(text) == units.Unit("time", seconds)


@pytest.mark.parametrize("text", ["", "Megabytes", "%", "points", "bps", "Gbps", "s s", "x/s", "/s", "per op"])
def test_what_is_neither_time_nor_rate_is_no_unit(text: str) -> None:
    assert units.parse(text) is None


@given(text=st.text(max_size=60))
def test_any_text_is_a_name_and_never_an_error(text: str) -> None:
    fields = naming.named(text)
    assert fields["kernel"] == text or naming.OUR_NAME.fullmatch(text)
    units.parse(text)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        reading.document(data)
    except UnavailableError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_a_shell_on_windows_writes_is_read(encoding: str) -> None:
    (one,) = imported("bmf", '{"é": {"latency": {"value": 1000}}}'.encode(encoding))
    assert one.run.measurements[0].kernel == "é"


def _median(values: list[float]) -> float:
    from statistics import median

    return median(values)
