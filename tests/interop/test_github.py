"""What GitHub shows: regressions first, within its limits, and nothing in a name that it would obey."""

from __future__ import annotations

import re

import pytest

from bench.interop import comparison, registry
from bench.interop.comparison import Comparison, Verdict
from bench.interop.github_summary import LIMIT_BYTES
from bench.interop.model import ExportOptions
from tests.interop.seeds import a_run, exported

EVIL = "gemm[m=1] `code` | <img src=x> @team ![a](https://x.y) www.x.y #12 <!-- --> *b*"


def compared(name: str, one: Comparison, room_bytes: int | None = None) -> str:
    (file,) = registry.export_comparison(registry.exported(name), one, ExportOptions(room_bytes=room_bytes)).files
    return file.data.decode()


def verdict(name: str, kind: str, ratio: float | None = None, text: str = "") -> Verdict:
    low, high = (None, None) if ratio is None else (ratio - 0.01, ratio + 0.01)
    return Verdict(series=name, verdict=kind, reason="code", text=text, ratio=ratio, ci95_low=low, ci95_high=high)


MIXED = Comparison(
    verdict="regression",
    series=[
        verdict("same", "same", 1.001),
        verdict("small", "regression", 1.1),
        verdict("faster", "improvement", 0.8),
        verdict("unclear", "ambiguous", 1.04, "cannot see less than 9 %"),
        verdict("large", "regression", 1.5),
        verdict("gone", "missing", text="the worker died: signal 11"),
    ],
)


def test_regressions_come_first_the_largest_before_the_others() -> None:
    assert [one.series for one in MIXED.sorted()] == ["large", "small", "gone", "unclear", "faster", "same"]
    lines = compared("github-summary", MIXED).splitlines()
    assert lines[1] == "## Benchmark comparison: regression"
    assert lines[3] == "2 regression, 1 missing, 1 ambiguous, 1 improvement, 1 same"
    table = [line for line in lines if line.startswith("| ")][2:]
    assert table[0] == "| large | +50.0 % (+49.0 … +51.0) | 🔴 regression | code |"
    assert table[3] == "| unclear | +4.0 % (+3.0 … +5.0) | 🟡 ambiguous | cannot see less than 9 % |"


@pytest.mark.parametrize("name", ["github-summary"])
def test_nothing_in_a_name_is_markup_a_mention_or_a_link(name: str) -> None:
    text = compared(name, Comparison(verdict="same", series=[verdict(EVIL, "same", 1.0, EVIL)]))
    (line,) = [line for line in text.splitlines() if line.startswith("| gemm")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 5, "four cells"
    body = line.replace("| ", "").replace("&#", "")
    for sign in ("<", "`", "@t", "](", "://", "www.", "*", "#12", "!["):
        assert sign not in body, sign


def test_a_summary_is_cut_to_what_github_takes_and_says_how_much_is_missing() -> None:
    many = Comparison(
        verdict="regression", series=[*MIXED.series, *(verdict("x" * 500 + str(n), "same", 1.0) for n in range(4000))]
    )
    text = compared("github-summary", many)
    assert len(text.encode()) <= LIMIT_BYTES
    assert "| large |" in text
    shown = text.count("\n| ") - 2
    assert f"{4006 - shown:,} more lines do not fit" in text
    short = compared("github-summary", many, room_bytes=5_000)
    assert len(short.encode()) <= 5_000 and "| large |" in short


def test_a_run_shows_what_is_not_usable_first() -> None:
    text = exported("github-summary", [a_run()])[""].decode()
    table = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert "## Benchmark: 4 of 9 series measured" in text
    assert [re.search(r"\| ([a-z]+)[^|]* \|$", line)[1] for line in table[:5]] == [  # type: ignore[index]  # it matches
        *("wrong", "crashed", "contended", "quarantined", "unsupported")
    ]
    assert "unsupported: no &#124; unit &#60;here&#62;" in table[4]
    assert "| 0.00101 s | 1.98e+12 FLOPS | 49.5 % |" in table[5]


def test_annotations_escape_and_are_ten_of_a_kind_at_most() -> None:
    many = [verdict(f"s{n:02d}, a:b", "regression", 1.1 + n / 100) for n in range(30)]
    lines = compared("github-annotations", Comparison(verdict="regression", series=[*many, *MIXED.series])).splitlines()
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 10
    assert errors[0] == "::error title=regression%3A large::time +50.0 %25 (+49.0 … +51.0); code"
    assert errors[1].startswith("::error title=regression%3A s29%2C a%3Ab::time +39.0 %25")
    assert "23 more" in errors[-1]
    assert [line.partition(" ")[0] for line in lines[10:]] == ["::warning", "::warning", "::notice"]


def test_annotations_of_a_run_are_its_errors_and_doubts_on_one_line_each() -> None:
    lines = exported("github-annotations", [a_run()])[""].decode().splitlines()
    assert [line.partition("%3A")[0] for line in lines] == [
        "::error title=wrong",
        "::error title=crashed",
        "::warning title=contended",
    ]
    assert "signal 11%0Alast words" in lines[1]


def test_nothing_to_say_is_nothing() -> None:
    assert compared("github-annotations", Comparison(verdict="same", series=[verdict("a", "same", 1.0)])) == ""


def test_a_document_of_compare_is_told_from_a_run_file() -> None:
    document = b'{"schema":1,"verdict":"same","series":[{"series":"a","verdict":"same","ratio":1.0,"p":null}]}'
    assert comparison.is_comparison(document)
    assert comparison.read(document).series[0].ratio == 1.0
    assert not comparison.is_comparison(exported("bench", [a_run()])[""])
    assert not comparison.is_comparison(b"\xff\xfe") and not comparison.is_comparison(b"[" * 5000)
