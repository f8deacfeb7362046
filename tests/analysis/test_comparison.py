"""Two run files set side by side: what is compared, what is refused and why, and the exit code of the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import records
from bench.analysis.comparison import Comparison, Thresholds, compare, exit_code, without_baseline
from bench.analysis.verdicts import SeriesVerdict
from bench.report.verdicts import document, terminal
from tests.factories import device, measurement, run_file

CARD = {"kind": "cuda", "name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85_000_000_000, "driver": "570.1"}


def launches(*medians_s: float, m: int = 1000, **changes: Any) -> list[records.Measurement]:
    """A row a launch of one series."""
    case = {"m": m, "n": 1000, "k": 1000}
    return [measurement(launch=i, median_s=t, **{"case": case, **changes}) for i, t in enumerate(medians_s)]


def run(rows: list[records.Measurement], name: str, **changes: Any) -> records.RunFile:
    file = run_file(rows, **{key: changes.pop(key) for key in ("devices",) if key in changes})
    file.run = msgspec.structs.replace(file.run, **{"id": name, **changes})
    return file


def both(base: list[records.Measurement], new: list[records.Measurement], **thresholds: Any) -> Comparison:
    return compare(run(base, "base"), run(new, "new"), Thresholds(**thresholds))


def only(comparison: Comparison) -> SeriesVerdict:
    (one,) = comparison.series
    return one


def test_a_slower_series_is_a_regression_and_the_steady_ones_are_the_same() -> None:
    base = [row for m in range(8) for row in launches(1.0, 1.01, 0.99, m=m + 1)]
    new = [row for m in range(8) for row in launches(*((1.3, 1.31, 1.32) if m == 3 else (1.0, 1.01, 0.99)), m=m + 1)]
    found = both(base, new)
    assert [one.verdict for one in found.series] == ["regression", *["same"] * 7]
    assert "m=4," in found.series[0].series
    assert found.verdict == "regression"
    assert found.series[0].group == "Some CPU"
    assert exit_code(found) == 1


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"software": {"torch": "2.12.1"}}, "torch", "torch differs: 2.13 in the base, 2.12 in the new run"),
        ({"method_version": 2}, "method_version", "method version differs: 1 in the base, 2 in the new run"),
        ({"host": {"os": "Darwin"}}, "operating_system", "operating system differs: unknown in the base, Darwin"),
    ],
)
def test_another_class_is_refused_and_the_field_named(change: dict[str, Any], reason: str, said: str) -> None:
    found = compare(run(launches(1.0), "base"), run(launches(2.0), "new", **change), Thresholds())
    one = only(found)
    assert (one.verdict, one.reason, one.ratio) == ("not_comparable", reason, None)
    assert said in one.text
    assert len(one.differences) == 1
    assert exit_code(found) == 3


def test_another_device_or_driver_is_refused() -> None:
    rows = launches(1.0, device="cuda:0")
    base = run(rows, "base", devices=[device(**{"device": "cuda:0", **CARD})])
    for changed, reason in (({"name": "NVIDIA H200"}, "device"), ({"driver": "580.2"}, "driver_major")):
        other = run(rows, "new", devices=[device(**{"device": "cuda:0", **CARD, **changed})])
        assert only(compare(base, other, Thresholds())).reason == reason


def test_two_products_in_one_run_are_two_series() -> None:
    cards = [device(**{"device": "cuda:0", **CARD}), device(**{"device": "cuda:1", **CARD, "name": "NVIDIA A100"})]
    rows = [*launches(1.0, 1.0, device="cuda:0"), *launches(3.0, 3.0, device="cuda:1")]
    found = compare(run(rows, "base", devices=cards), run(rows, "new", devices=cards), Thresholds())
    assert sorted(one.base_s for one in found.series) == [(1.0, 1.0), (3.0, 3.0)]
    assert {one.series.rpartition("(")[2] for one in found.series} == {"NVIDIA H100 80GB HBM3)", "NVIDIA A100)"}
    alone = run(rows[2:], "new", devices=cards)
    gone = compare(run(rows, "base", devices=cards), alone, Thresholds())
    assert sorted(one.verdict for one in gone.series) == ["missing", "same"]


def test_a_series_that_is_gone_is_missing_with_the_reason() -> None:
    crashed = measurement(timed=False, status="crashed", reason="SIGSEGV")
    for new, reason, said in (([], "not_measured", "not in the new run"), ([crashed], "crashed", "crashed (SIGSEGV)")):
        one = only(both(launches(1.0), new))
        assert (one.verdict, one.reason) == ("missing", reason)
        assert said in one.text


def test_a_series_measured_another_way_is_missing_and_the_other_way_is_named() -> None:
    found = both(launches(1.0), launches(1.0, cache="warm"))
    assert {one.verdict for one in found.series} == {"missing", "not_comparable"}
    assert found.series[0].notes == ("the other run has it with cache warm, not cold",)


def test_a_new_series_has_no_baseline() -> None:
    found = both(launches(1.0), [*launches(1.0), *launches(1.0, m=7)])
    assert [(one.verdict, one.reason) for one in found.series] == [
        ("ambiguous", "one_launch"),
        ("not_comparable", "no_baseline"),
    ]


def test_what_neither_side_supports_is_not_spoken_of() -> None:
    unsupported = measurement(timed=False, status="unsupported", reason="no FP16 unit")
    assert both([unsupported], [unsupported]).series == ()


def test_what_failed_on_both_sides_was_never_measured() -> None:
    wrong = measurement(timed=False, status="wrong", reason="off by 3")
    one = only(both([wrong], [wrong]))
    assert (one.verdict, one.reason) == ("not_comparable", "never_measured")


def test_a_series_without_a_clean_launch_is_quarantined() -> None:
    for changes, reason in (
        ({"status": "contended", "reason": "a neighbour"}, "contended"),
        ({"quarantine": ["the clock changed"]}, "quarantined"),
    ):
        found = both(launches(1.0, 1.0), launches(2.0, 2.0, **changes))
        one = only(found)
        assert (one.verdict, one.reason) == ("quarantined", reason)
        assert "new run" in one.text
        assert found.unstable
        assert exit_code(found) == 4


def test_disturbed_launches_are_left_out_and_the_rest_judged() -> None:
    rows = [*launches(1.0, 1.01, 1.0, 0.99), measurement(launch=4, median_s=9.0, status="contended", reason="busy")]
    one = only(both(rows, launches(1.0, 1.01, 1.0, 0.99)))
    assert one.base_s == (1.0, 1.01, 1.0, 0.99)
    assert one.verdict == "same"


def test_a_change_that_the_clock_explains_is_not_called() -> None:
    slow = {"clock_hz": {"median": 1.0e9, "min": 1.0e9, "max": 1.0e9, "samples": 50, "source": "nvml"}}
    fast = {"clock_hz": {"median": 1.3e9, "min": 1.3e9, "max": 1.3e9, "samples": 50, "source": "nvml"}}
    times, slower = (1.0, 1.0, 1.0), (1.3, 1.3, 1.3)
    one = only(both(launches(*times, telemetry=fast), launches(*slower, telemetry=slow)))
    assert (one.verdict, one.reason) == ("ambiguous", "clock_change")
    assert "1,300 to 1,000 MHz" in one.text
    same_clock = only(both(launches(*times, telemetry=fast), launches(*slower, telemetry=fast)))
    assert same_clock.verdict == "regression"
    assert only(both(launches(*times), launches(*slower, telemetry=fast))).verdict == "regression"


def test_canaries_of_many_rows_tell_a_processors_clock() -> None:
    def side(time_s: float, hz: float) -> list[records.Measurement]:
        telemetry = {"canary": [{"clock_hz": hz}, {"clock_hz": hz}]}
        return launches(time_s, time_s, time_s, time_s, time_s, telemetry=telemetry)

    assert only(both(side(1.0, 3e9), side(1.5, 2e9))).reason == "clock_change"
    assert only(both(side(1.0, 3e9), side(1.5, 3e9))).verdict == "regression"


def test_a_run_beside_itself_is_the_same() -> None:
    file = run(launches(1.0), "one")
    one = only(compare(file, file, Thresholds()))
    assert (one.verdict, one.reason, one.ratio) == ("same", "same_run", 1.0)
    resumed = run(launches(1.0, 1.1), "one")
    assert only(compare(file, resumed, Thresholds())).reason == "one_launch"


def test_everything_slower_is_one_event_and_still_fails() -> None:
    base = [row for m in range(10) for row in launches(1.0, 1.01, 0.99, m=m + 1)]
    new = [row for m in range(10) for row in launches(1.4, 1.41, 1.39, m=m + 1)]
    found = both(base, new)
    assert {(one.verdict, one.reason) for one in found.series} == {("regression", "suite_shift")}
    assert len(found.shifts) == 1
    assert exit_code(found) == 1


def test_a_run_that_was_cut_short_says_so() -> None:
    file = run(launches(1.0), "new")
    file.end = None
    assert compare(run(launches(1.0), "base"), file, Thresholds()).notes == (
        "the new run is not complete: it has no end",
    )


@pytest.mark.parametrize(
    ("given", "kernel", "kind", "threshold"),
    [
        ({}, "gemm", "cuda", 0.03),
        ({}, "gemm", "cpu", 0.05),
        ({"default": 0.1}, "gemm", "cuda", 0.1),
        ({"default": 0.1, "by_kernel": {"gemm": 0.02}}, "gemm", "cpu", 0.02),
        ({"default": 0.1, "by_kernel": {"gemm": 0.02}}, "conv", "cpu", 0.1),
        ({"asked": 0.2, "default": 0.1, "by_kernel": {"gemm": 0.02}}, "gemm", "cpu", 0.2),
    ],
)
def test_thresholds_come_in_layers(given: dict[str, Any], kernel: str, kind: str, threshold: float) -> None:
    assert Thresholds(**given).of(kernel, kind) == threshold


def verdicts(*kinds: str, base: str | None = "base", measured: int = 10, unstable: int = 0) -> Comparison:
    series = tuple(SeriesVerdict(str(i), kind, "", "") for i, kind in enumerate(kinds))  # type: ignore[arg-type]  # any kind
    return Comparison(base=base, new="new", series=series, measured_rows=measured, unstable_rows=unstable)


@pytest.mark.parametrize(
    ("kinds", "fail_on", "code"),
    [
        (("same", "improvement"), (), 0),
        (("ambiguous", "same"), (), 0),
        (("ambiguous", "same"), ("ambiguous",), 1),
        (("missing", "same"), (), 0),
        (("missing", "same"), ("missing",), 1),
        (("regression", "same"), (), 1),
        (("regression", "same"), ("missing",), 1),
        (("missing", "not_comparable"), (), 3),
        (("not_comparable",), ("missing",), 3),
        (("quarantined", "same"), (), 0),
    ],
)
def test_exit_codes(kinds: tuple[str, ...], fail_on: tuple[str, ...], code: int) -> None:
    assert exit_code(verdicts(*kinds), fail_on) == code


def test_unstable_is_more_than_a_quarter_and_comes_before_a_regression() -> None:
    assert exit_code(verdicts("regression", measured=8, unstable=2)) == 1
    assert exit_code(verdicts("regression", measured=8, unstable=3)) == 4


def test_no_baseline_is_well_unless_one_is_required() -> None:
    nothing = without_baseline(run(launches(1.0), "new"), "no baseline: main")
    assert [(one.verdict, one.reason) for one in nothing.series] == [("not_comparable", "no_baseline")]
    assert (exit_code(nothing), exit_code(nothing, require_baseline=True)) == (0, 5)
    stranger = both(launches(1.0, kernel="conv"), launches(1.0))
    assert {one.verdict for one in stranger.series} == {"missing", "not_comparable"}
    assert (exit_code(stranger), exit_code(stranger, require_baseline=True)) == (3, 5)


ROWS = st.lists(
    st.builds(
        lambda m, launch, median_s, status, device_, telemetry: measurement(
            case={"m": m},
            launch=launch,
            median_s=median_s,
            low_s=median_s / 2,
            high_s=median_s,
            status=status,
            reason="",
            device=device_,
            timed=status in records.MEASURED,
            telemetry=telemetry,
        ),
        st.integers(1, 3),
        st.integers(0, 3),
        st.floats(1e-300, 1e300),
        st.sampled_from(records.STATUSES),
        st.sampled_from(["cpu", "cuda:0", "nowhere"]),
        st.sampled_from([None, {}, {"clock_hz": {"median": 1e9}}, {"clock_hz": {"median": 5e9}}]),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(ROWS, ROWS)
def test_whatever_two_files_hold_there_is_a_comparison_and_a_document(
    base: list[records.Measurement], new: list[records.Measurement]
) -> None:
    devices = [device(), device(**{"device": "cuda:0", **CARD})]
    found = compare(run(base, "base", devices=devices), run(new, "new", devices=devices), Thresholds())
    assert exit_code(found) in (0, 1, 3, 4)
    assert json.loads(json.dumps(document(found), allow_nan=False))["verdict"] == found.verdict
    assert terminal(found, 80)
    measured = {row.case["m"] for row in (*base, *new) if row.status != "unsupported"}
    assert len({one.series for one in found.series}) == len(found.series) >= len(measured)


def test_launches_of_unchanged_code_are_never_called_on_a_real_machine(checkout: Path) -> None:
    """Three launches of 116 series on a shared virtual machine; one series in four differs by more than 10 %."""
    file = records.read(checkout / "results" / "reference" / "cpu-amd-epyc-zen3-2c-torch2.13.0-20261122.jsonl")
    ratios = []
    for base, new in ((0, 1), (0, 2), (1, 2)):
        sides = [
            msgspec.structs.replace(
                file,
                run=msgspec.structs.replace(file.run, id=str(launch)),
                measurements=[row for row in file.measurements if row.launch == launch],
            )
            for launch in (base, new)
        ]
        found = compare(sides[0], sides[1], Thresholds())
        assert not {"regression", "improvement"} & {one.verdict for one in found.series}
        ratios += [one.ratio for one in found.series if one.ratio is not None]
    assert sum(max(ratio, 1 / ratio) > 1.1 for ratio in ratios) > len(ratios) / 5
