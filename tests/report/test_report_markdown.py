"""A report as markdown: what a CommonMark parser reads back is what was meant, whatever names a run file has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.analysis.report_view import Price, build
from bench.report.charts.svg import printable
from bench.report.report_lines import LONGEST
from bench.report.report_markdown import escaped, markdown
from tests.factories import device, measurement, run_file
from tests.report_views import HOSTILE, STATES, hostile_view, mixed_file

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
APART = "\u200b"


def tokens(text: str) -> list[Token]:
    return PARSER.parse(text)


def structure(text: str) -> list[tuple[str, str]]:
    """Blocks and inline elements, without their texts."""
    found = []
    for token in tokens(text):
        found.append((token.type, token.tag))
        found += [(child.type, child.tag) for child in token.children or () if child.type != "text"]
    return found


def cells(text: str) -> Iterator[str]:
    """The texts of all cells, items and paragraphs, as a reader sees them."""
    for token in tokens(text):
        if token.type == "inline":
            yield "".join(child.content for child in token.children or ()).replace(APART, "")


def table(text: str) -> list[dict[str, str]]:
    """The one table as dictionaries by its headers."""
    flat = [token for token in tokens(text) if token.type in ("tr_open", "inline", "table_close")]
    rows: list[list[str]] = []
    for token in flat[: [token.type for token in flat].index("table_close")]:
        if token.type == "tr_open":
            rows.append([])
        elif rows:
            rows[-1].append("".join(child.content for child in token.children or ()))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


names = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(r"\`*_{}[]()<>#+-.!|&~$@=:/ 19")), min_size=1
)


@settings(max_examples=100)
@given(names)
@example("_a_ b_c __d__")
@example("12. x")
@example("- - -")
@example("---")
@example("5)")
@example("a@b.cd http://x.yz www.x.yz")
def test_any_text_is_read_back_as_it_is(text: str) -> None:
    shown = printable(text).strip()
    for document in (f"- {escaped(printable(text))}\n", f"## {escaped(printable(text))}\n", escaped(printable(text))):
        read = tokens(document)
        inline = [token for token in read if token.type == "inline"]
        assert [child.type for token in inline for child in token.children or ()] == ["text"] * bool(shown)
        assert "".join(child.content for token in inline for child in token.children or ()).replace(APART, "") == shown
        assert not {"code_block", "fence", "hr", "html_block", "ordered_list_open"} & {token.type for token in read}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_leave_the_document_as_it_is(name: str) -> None:
    assert structure(markdown(hostile_view(name), title=name)) == structure(markdown(hostile_view("plain"), title="x"))


@settings(max_examples=25)
@given(names)
def test_any_name_leaves_the_document_as_it_is(name: str) -> None:
    assert structure(markdown(hostile_view(name))) == structure(markdown(hostile_view("plain")))


def test_plain_words_stay_readable_in_the_source() -> None:
    for plain in (
        "137.6 ± 0.4 GFLOPS",
        "torch_compile",
        "2026-01-01T00:00:00+00:00",
        "−18 % (power cap)",
        "m=n=k=1024",
    ):
        assert escaped(plain) == plain


def test_nobody_is_mentioned_and_nothing_links_anywhere() -> None:
    text = markdown(hostile_view("@someone #12 GH-12 https://example.com www.example.com :tada: a@b.cd"))
    seen = "\n".join(
        "".join(c.content for c in token.children or ()) for token in tokens(text) if token.type == "inline"
    )
    for address in (r"@\w", r"#\d", r"GH-\d", r"https?://", r"www\.\w", r":tada:"):
        assert not re.search(address, seen), address


def test_marks_of_direction_are_spelt_out_and_what_is_long_is_cut() -> None:
    assert "\u202e" not in markdown(hostile_view("\u202ea")) and "\\u202e" in "".join(
        cells(markdown(hostile_view("\u202ea")))
    )
    long = markdown(hostile_view("x" * 10_000), title="x" * 10_000)
    assert max(len(word) for cell in cells(long) for word in re.findall("x+", cell)) <= LONGEST


def test_the_table_has_what_was_measured_and_rated_with_the_interval_and_the_share() -> None:
    rows = table(markdown(build([("a", mixed_file())], prices=[Price("some*", 0.5)])))
    gemm = next(row for row in rows if row["Precision"] == "FP32" and row["Kernel"].startswith("gemm"))
    assert gemm["Device"] == "Some CPU" and gemm["Kernel"] == "gemm m=n=k=1000, torch"
    assert (gemm["Measured"], gemm["Rated"], gemm["Share"]) == ("2.00 ± 0.02 TFLOPS", "4.00 TFLOPS (computed)", "50 %")
    assert gemm["Status"] == "ok" and gemm["Per unit of money"] == "14.4 PFLOP"
    assert next(row for row in rows if row["Kernel"].startswith("conv"))["Status"] == "noisy"


def test_what_is_not_ranked_has_no_figure_and_its_reason() -> None:
    text = markdown(build([("a", mixed_file())]))
    rows = table(text)
    failed = next(row for row in rows if row["Precision"] == "FP16")
    assert (failed["Measured"], failed["Share"], failed["Status"]) == ("n/a", "n/a", "not ranked: failed: boom")
    assert next(row for row in rows if row["Precision"] == "bandwidth")["Measured"] == "n/a"
    listed = "\n".join(cells(text))
    assert "invalid: above the peak: FP32 gemm m=n=k=64, torch" in listed
    assert "throttled: thermal slowdown" in listed and "ceiling:" in listed


def test_losses_are_told_in_words() -> None:
    (line,) = [cell for cell in cells(markdown(build([("a", mixed_file())]))) if "power cap" in cell]
    assert line == (
        "Some CPU, FP32 (gemm m=n=k=1000, torch): 50 % of rated: "
        "clock 90 % (2.7 of 3.0 GHz: power cap) × kernel 56 % (what is left)"
    )


def test_many_rows_of_one_reason_are_one_line_that_counts_them() -> None:
    rows = [measurement(case={"m": m}, timed=False, status="failed", reason="boom") for m in range(1, 41)]
    (line,) = [cell for cell in cells(markdown(build([("a", run_file(rows))]))) if cell.startswith("Some CPU: failed")]
    assert "m=6, torch; and 34 more" in line and "m=7" not in line


def test_reasons_that_differ_in_their_numbers_alone_are_one_with_the_ranges() -> None:
    reasons = ("9.5 % of 2 cores, 1,410 MHz, fp16", "44 % of 2 cores, 980 MHz, fp16", "44 % of 2 cores, 980 MHz, fp8")
    rows = [
        measurement(case={"m": place + 1}, status="contended", reason=reason) for place, reason in enumerate(reasons)
    ]
    found = [cell for cell in cells(markdown(build([("a", run_file(rows))]))) if cell.startswith("Some CPU: contended")]
    assert found == [
        "Some CPU: contended: 9.5–44 % of 2 cores, 980–1,410 MHz, fp16: FP32 gemm m=1, torch; FP32 gemm m=2, torch",
        "Some CPU: contended: 44 % of 2 cores, 980 MHz, fp8: FP32 gemm m=3, torch",
    ]


def test_launches_are_counted_where_the_interval_is_their_range() -> None:
    text = markdown(build([("a", mixed_file())]))
    row = next(row for row in table(text) if row["Precision"] == "INT8")
    assert row["Measured"].endswith("TOPS (3 launches)") and row["Share"] == "n/a" and row["Rated"] == "n/a"
    assert "INT8 (gemm m=n=k=1000, torch): share of rated n/a: no rating at int8" in "\n".join(cells(text))


def test_one_line_says_where_it_comes_from() -> None:
    last = list(cells(markdown(build([("run-a", mixed_file())]))))[-1]
    assert "run-a (20260101T000000Z-00000000)" in last and "torch 2.13.0+cpu" in last and "driver 550.54" in last


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_state_is_a_document_in_both_languages(state: str, language: str) -> None:
    text = markdown(STATES[state](), language=language)
    assert text.startswith("## ") and text.endswith("\n") and "None" not in text and "nan" not in text
    assert ("|" in text) == (state not in {"nothing", "no-rows"})


def test_a_title_stands_in_place_of_ours() -> None:
    view = build([("a", run_file([measurement()], devices=[device()]))])
    assert markdown(view, title="Before | after").startswith("## Before &#124; after\n")
