"""`show --explain`: each timed series has its chain and bars, each precision its roofline; also by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.analysis.losses import explain as explain_losses
from bench.analysis.losses import of_file
from bench.analysis.summary import series
from bench.analysis.utilization import Denominators
from bench.kernel import Role
from bench.ratings import DeviceRatings, load
from bench.report.explain import explain
from bench.report.waterfall import loss_reason, loss_words
from tests.conftest import Cli
from tests.factories import device, measurement, run_file

DEFAULTS = {"gemm": {"batch": 1}}
RATED = records.Rated(kind="datasheet", operations_per_s=989e12, source="a data sheet", clock_hz=1.83e9)
CARD = device(
    device="cuda:0",
    kind="cuda",
    name="Some GPU",
    units=records.Units(kind="multiprocessor", in_use=132, total=132),
    clock=None,
    ratings={"bf16/fp32": RATED, "bandwidth": records.Rated(kind="datasheet", bytes_per_s=3.35e12, source="a sheet")},
    rating_name="Some GPU",
)


def capped(share: float = 640 / 989, **changes: Any) -> records.Measurement:
    """A BF16 product on a card whose power cap holds its clock at 1,410 of 1,830 MHz."""
    operations = 2 * 8192**3
    rate = share * 989e12
    clock = {"median": 1.41e9, "min": 1.4e9, "max": 1.42e9, "samples": 30, "source": "nvml"}
    fields: dict[str, Any] = {
        "device": "cuda:0",
        "precision": "bf16",
        "case": {"m": 8192, "n": 8192, "k": 8192},
        "operations": operations,
        "bytes_": 3 * 2 * 8192**2,
        "median_s": operations / rate,
        "low_s": None,
        "high_s": None,
        "rated": None,
    }
    row = measurement(**(fields | changes))
    row.rated, row.utilization, row.utilization_of = RATED, share, "operations"
    row.telemetry = {"clock_hz": clock, "throttle": {"share": {"sw_power_cap": 0.83}, "source": "nvml"}}
    return row


def stream(bytes_per_s: float = 3e12) -> records.Measurement:
    return measurement(
        device="cuda:0",
        kernel="triad",
        bytes_=2**31,
        operations=2**28,
        median_s=2**31 / bytes_per_s,
        low_s=None,
        high_s=None,
        rated=None,
        utilization_of="bytes",
        cache="not-applicable",
        utilization_reason="no rating of the memory",
    )


def with_losses(row: records.Measurement, **known: Any) -> records.Measurement:
    against = Denominators(CARD, DeviceRatings(CARD.rating_name, CARD.ratings, CARD.name), load())
    known = {"bandwidth_bytes_per_s": None} | known
    row.losses = explain_losses(row, role=Role.COMPUTE, denominators=against, **known)
    return row


def test_the_chain_reads_from_the_rated_figure_to_the_measured_one() -> None:
    text = explain(run_file([capped(), stream()], devices=[CARD]), DEFAULTS, 200)
    assert "rated 989 → units – → clock 1,830→1,410 MHz (power cap) 762 → memory – → kernel 84 % → 640 TFLOPS" in text


def test_every_factor_has_its_bar_and_its_reason() -> None:
    lines = explain(run_file([capped(), stream()], devices=[CARD]), DEFAULTS, 200).splitlines()
    bar = {words[0]: line for line in lines if (words := line.split()) and "█" in line}
    assert list(bar) == ["rated", "units", "clock", "memory", "kernel"]
    full = [bar[name].count("█") for name in ("rated", "clock", "kernel")]
    assert full == [40, round(40 * 1410 / 1830), round(40 * 640 / 989)]
    assert all(bar[name].count("█") + bar[name].count("░") <= 40 for name in bar)
    assert bar["clock"].endswith("1,830 → 1,410 MHz: power cap in 83 % of samples")
    assert bar["clock"].count("░") == 40 - full[1]


def test_a_gain_does_not_push_the_bars_out_of_their_columns() -> None:
    row = capped()
    assert row.telemetry is not None
    row.telemetry["clock_hz"]["median"] = 2 * 1.83e9
    text = explain(run_file([row], devices=[CARD]), DEFAULTS, 200)
    assert "clock 1,830→3,660 MHz 1978 →" in text, "a clock that was not held down has no cause for it"
    lines = text.splitlines()
    assert max(line.count("█") for line in lines) == 40
    assert next(line for line in lines if line.startswith("  rated ") and "█" in line).count("█") == 20


def test_the_roofline_stands_measured_beside_rated() -> None:
    text = explain(run_file([capped(), stream()], devices=[CARD]), DEFAULTS, 200)
    assert "roofline of cuda:0, bf16 with fp32 accumulation, data in memory" in text
    assert "measured  640 TFLOPS, 3.00 TB/s, bound by compute from 213 operations per byte" in text
    assert "rated     989 TFLOPS, 3.35 TB/s, bound by compute from 295 operations per byte" in text
    (case,) = [line for line in text.splitlines() if line.startswith("  gemm ")]
    assert case.split()[-6:] == ["2,731", "compute", "640", "T", "100", "%"]


def test_a_measured_ceiling_is_the_roof_and_says_so() -> None:
    ceiling = capped(share=800 / 989, kernel="peak", case={"chains": 1536}, role=Role.CEILING)
    text = explain(run_file([capped(), stream(), ceiling], devices=[CARD]), DEFAULTS, 200)
    assert "measured  800 TFLOPS, 3.00 TB/s, bound by compute from 267 operations per byte (peak: the ceiling)" in text
    assert "roofline" not in explain(run_file([ceiling], devices=[CARD]), DEFAULTS, 200)
    (case,) = [line for line in text.splitlines() if line.startswith("  gemm ")]
    assert case.split()[-6:] == ["2,731", "compute", "800", "T", "80", "%"]


def test_a_rows_warnings_stand_below_its_bars() -> None:
    lines = explain(run_file([capped(warnings=["1.25 × the ceiling"])], devices=[CARD]), DEFAULTS, 200).splitlines()
    assert "  warning: 1.25 × the ceiling" in lines


def test_without_a_bandwidth_the_bound_is_unknown_and_not_guessed() -> None:
    text = explain(run_file([capped()], devices=[CARD]), DEFAULTS, 200)
    assert "measured  640 TFLOPS, bandwidth n/a\n" in text
    assert "memory unknown (no bandwidth was measured here)" in " ".join(text.split())
    (case,) = [line for line in text.splitlines() if line.startswith("  gemm ")]
    assert case.split()[-3:] == ["n/a", "n/a", "n/a"]


def test_a_series_without_a_rating_says_why() -> None:
    assert "share of rated n/a: no rating of the memory" in explain(run_file([stream()], devices=[CARD]), DEFAULTS, 200)


def test_a_run_in_which_nothing_was_measured_says_so() -> None:
    rows = [measurement(status="failed", reason="no", timed=False)]
    assert explain(run_file(rows), DEFAULTS, 100) == "nothing was measured, so nothing is to be explained"


def test_of_several_launches_the_middle_one_is_explained() -> None:
    rows = [capped(share, launch=launch) for launch, share in enumerate((0.2, 0.5, 0.4))]
    text = explain(run_file(rows, devices=[CARD]), DEFAULTS, 200)
    assert "torch, launch 3 of 3" in text and "396 TFLOPS" in text


@pytest.mark.parametrize("width", [20, 60, 100, 200])
def test_ascii_output_has_no_other_characters_and_keeps_its_reasons(width: int) -> None:
    text = explain(run_file([capped(), stream()], devices=[CARD]), DEFAULTS, width, ascii_only=True)
    assert text.isascii()
    assert "power cap" in " ".join(text.split())


def test_what_the_row_stored_stands_until_the_file_knows_more() -> None:
    stored = with_losses(capped(), launch_share=0.1)
    without = run_file([stored], devices=[CARD])
    assert of_file(stored, without, load()) == stored.losses
    now = of_file(stored, run_file([stored, stream()], devices=[CARD]), load())
    assert now is not None
    assert [loss.factor for loss in now] == ["units", "clock", "memory", "launch", "kernel"]
    assert next(loss.ratio for loss in now if loss.factor == "launch") == pytest.approx(0.9)


def test_the_table_gets_the_largest_loss_in_a_word_and_its_reason() -> None:
    (one,) = series([with_losses(capped())])
    assert loss_words(one) == "clock −23 %"
    assert loss_reason(one) == "1,830 → 1,410 MHz: power cap in 83 % of samples"
    (unexplained,) = series([measurement()])
    assert loss_words(unexplained) == "" and loss_reason(unexplained) == ""
    (untimed,) = series([measurement(status="failed", reason="no", timed=False)])
    assert loss_words(untimed) == ""


def test_nothing_lost_is_no_loss() -> None:
    row = measurement(losses=[records.Loss(factor="kernel", ratio=0.999, why="99.9 %")])
    (one,) = series([row])
    assert loss_words(one) == "" and loss_reason(one) == ""


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    run = run_file([capped(), stream()], devices=[CARD])
    writer = records.Writer(path)
    for record in (run.run, *run.devices, *run.measurements, run.end):
        assert record is not None
        writer.write(record)
    writer.close()
    return path


def test_the_command_prints_the_table_and_the_explanation_below(cli: Cli, stored: Path) -> None:
    result = cli("show", str(stored), "--explain")
    assert result.code == 0, result.err
    table, _, explanation = result.out.partition("where the rest of the rated figure went")
    assert "% of rated" in table and "kernel 84 % → 640 TFLOPS" in explanation and "roofline of cuda:0" in explanation
    assert "kernel 84 %" not in cli("show", str(stored)).out


def test_explaining_has_one_format(cli: Cli, stored: Path) -> None:
    result = cli("show", str(stored), "--explain", "--format", "csv")
    assert result.code == 2 and "--explain" in result.err and "csv" in result.err
