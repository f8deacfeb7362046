"""A comparison on the screen, in markdown and as a document, in each of its states."""

from __future__ import annotations

import json
from dataclasses import replace

from bench.analysis.comparison import Comparison
from bench.analysis.verdicts import SeriesVerdict, SuiteShift, judge_pairs
from bench.report.evidence import explain
from bench.report.verdicts import document, markdown, shared_words, summary, terminal

BASE_S = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99)
SLOWER = replace(
    judge_pairs(BASE_S, [1.2 * t for t in BASE_S], threshold=0.05, series="gemm[m=1] fp32 best cpu"), group="Some CPU"
)
SAME = replace(judge_pairs(BASE_S, BASE_S, threshold=0.05, series="gemm[m=2] fp32 best cpu"), group="Some CPU")
GONE = SeriesVerdict("conv[n=1] fp32 best cpu", "missing", "not_measured", "in the base, not in the new run")
FOUND = Comparison(base="a", new="b", series=(SLOWER, GONE, SAME), measured_rows=32)

GOLDEN = """\
base a → new b
Some CPU: at a launch noise of 0 % no change below 5 % can be called; noise from: the scatter of these pairs
of every series: best cpu

verdict     series            time new / base  95 % interval      threshold  reason
----------  --------------  -----------------  ---------------  -----------  ----------------
regression  gemm[m=1] fp32               1.20  1.20 … 1.20              5 %  slower
missing     conv[n=1] fp32                                                   not_measured
same        gemm[m=2] fp32               1.00  1.00 … 1.00              5 %  within_threshold

regression: gemm[m=1] fp32 best cpu: 20 % slower, above the threshold of 5 %
missing: conv[n=1] fp32 best cpu: in the base, not in the new run

1 regression, 1 missing, 1 same"""


def test_the_terminal_shows_what_can_be_seen_the_table_and_the_reasons() -> None:
    assert terminal(FOUND, 120) == GOLDEN


def test_a_narrow_terminal_wraps_the_names_and_a_plain_one_has_no_other_characters() -> None:
    long = replace(
        SLOWER, series="attention[batch=1,heads=32,kv_heads=8,q_len=4096] fp16/fp32 best burst normal cold cuda"
    )
    text = terminal(replace(FOUND, series=(long, GONE)), 80, ascii_only=True)
    assert text.isascii()
    assert "1.20 ... 1.20" in text


def test_a_comparison_without_a_baseline_says_so() -> None:
    one = SeriesVerdict("gemm[m=1] fp32", "not_comparable", "no_baseline", "no baseline: main")
    text = terminal(Comparison(base=None, new="b", series=(one,), notes=("no baseline: main",)), 100)
    assert text.startswith("base none → new b\n")
    assert "note: no baseline: main" in text
    assert text.endswith("1 not comparable")


def test_a_comparison_without_series_says_so() -> None:
    empty = Comparison(base="a", new="b", series=())
    assert "no series to compare" in terminal(empty, 100)
    assert markdown(empty).startswith("**no series to compare**")
    assert document(empty)["verdict"] == "not_comparable"


def test_an_unstable_machine_is_named_in_the_outcome() -> None:
    found = replace(FOUND, measured_rows=8, unstable_rows=3)
    assert summary(found).endswith("; unstable: 3 of 8 measured rows were disturbed")
    assert document(found)["unstable"] is True


def test_one_event_is_one_row_and_one_sentence() -> None:
    moved = tuple(replace(SLOWER, series=f"gemm[m={i}] fp32", reason="suite_shift") for i in range(6))
    shift = SuiteShift("Some CPU", "slower", tuple(one.series for one in moved), 8, 1.2, "6 of 8 series 20 % slower")
    found = Comparison(base="a", new="b", series=(*moved, SAME), shifts=(shift,))
    text = terminal(found, 120)
    assert text.count("suite_shift") == 2
    assert "6 series of Some CPU" in text
    assert "gemm[m=3]" not in text
    assert "6 regressions, 1 same" in text
    assert len(document(found)["series"]) == 7
    assert document(found)["suite_shifts"][0]["moved"] == 6


def test_what_many_series_share_is_said_once() -> None:
    unclear = [
        replace(SAME, series=f"gemm[m={i}] fp32", verdict="ambiguous", reason="uncertain", text=f"{i} % slower, but …")
        for i in range(3)
    ]
    text = terminal(Comparison(base="a", new="b", series=tuple(unclear)), 120)
    assert "ambiguous: 3 series (uncertain): launches scatter too much to tell" in text


def test_markdown_escapes_what_would_break_its_table() -> None:
    odd = replace(SLOWER, series="gemm[x=a|b] fp32")
    assert "gemm[x=a\\|b] fp32" in markdown(replace(FOUND, series=(odd, SAME)))


def test_the_evidence_of_a_series_has_both_sides_launches() -> None:
    text = explain(SLOWER)
    assert text.startswith("gemm[m=1] fp32 best cpu\n  verdict          regression (slower): 20 % slower")
    assert "1, 1.01, 0.99, 1.02, 0.98, 1, 1.01, 0.99 s; median 1 s, 8 launches" in text
    assert "8 pairs of launches, interleaved" in text
    refused = replace(GONE, verdict="not_comparable", differences=(("torch", "2.13", "2.12"),))
    assert "differs  torch: 2.13 in the base, 2.12 in the new run" in explain(refused)


def test_a_raised_threshold_says_why() -> None:
    noisy = judge_pairs(
        BASE_S, [t * f for t, f in zip(BASE_S, (1.3, 0.9, 1.2, 0.8, 1.3, 0.9, 1.2, 0.8), strict=True)], threshold=0.05
    )
    assert "twice the launch noise, for that is above the 5 % asked for" in explain(replace(noisy, series="x"))


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(document(FOUND), allow_nan=False))["counts"] == {
        "regression": 1,
        "missing": 1,
        "same": 1,
    }


def test_only_words_that_all_names_end_in_are_left_out() -> None:
    assert shared_words(["a[x=1] fp32 best cold cpu", "b[x=2] fp16 torch cold cpu"]) == "cold cpu"
    assert shared_words(["a[x=1] fp32", "b[x=2] fp32"]) == ""
    assert shared_words(["a[x=1] fp32 best"]) == ""
    assert shared_words(["a fp32 best", "a fp32 best"]) == "best"
