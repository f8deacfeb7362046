"""The lines below the run table that say what an application's step comes to."""

from __future__ import annotations

from bench.report import table
from bench.report.scenarios import scenario_lines
from tests import factories
from tests.scenario_rows import PLANNED, row, run


def test_a_whole_scenario_has_a_rate_a_share_and_what_it_is_over() -> None:
    rows = [row("a"), row("b", median_s=2e-3), row("c", median_s=4e-3)]
    rows += [row("a", "int8", 0.5e-3), row("b", "int8", 0.5e-3)]
    assert scenario_lines(run(*rows)) == [
        "toy (tiny), BF16: 462 GFLOPS (5.54 GB/s), 23 % of the rated 2000, over all 3 calls",
        "toy (tiny), INT8: 2.00 TOPS (24.0 GB/s), 100 % of the rated 2.00, over the 2 of 3 calls that have it",
        "toy (tiny), INT8 is 2.50 × as fast as BF16 over the 2 calls measured at both",
    ]


def test_an_incomplete_one_names_what_is_missing_and_has_no_figure_of_its_own() -> None:
    lines = scenario_lines(run(row("a"), row("b", status="out_of_memory", reason="too large", timed=False)))
    assert lines[0] == (
        "toy (tiny), BF16: incomplete, 2 of 3 calls missing: b (out_of_memory); c (not measured); "
        "not the scenario's figure, the others alone: 1.00 TFLOPS (12.0 GB/s), 50 % of the rated 2.00"
    )
    assert lines[1] == "toy (tiny), INT8: incomplete, 2 of 2 calls missing: a, b (not measured)"


def test_without_a_rating_the_share_is_open() -> None:
    rows = [row(entry, rated=None) for entry in PLANNED.entries]
    assert "share of rated n/a" in scenario_lines(run(*rows))[0]


def test_table_and_markdown_carry_them_and_name_the_calls() -> None:
    file = run(row("a"), row("b"), row("c"))
    for text in (table.terminal(file, {}, 160), table.markdown(file, {})):
        assert "a (tiny): n=97" in text
        assert "toy (tiny), BF16: 1.00 TFLOPS" in text
    plain = factories.run_file([factories.measurement()])
    assert "(tiny)" not in table.terminal(plain, {}, 160)
