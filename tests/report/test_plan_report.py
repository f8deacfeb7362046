"""The capability report: chapters in order, each basis named, what is unknown called so, hand-computed shares."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bench.analysis.capacity import Asked, Figure, Known, Plan, need, plan
from bench.analysis.capacity_seen import Energy, Link, Presence, RatedLink, Seen
from bench.report.plan import document
from bench.report.plan_report import markdown
from tests.report_views import HOSTILE

T = 10**12
SEEN = Seen(
    links=(Link("some_operation", "fp32", 8, 2, 10**8, 300e9, 450e9, "run one"),),
    presence=(Presence("run one", "2026-01-01T00:00:00+00:00", 8, 7),),
    energy=(Energy("gemm", "fp16", 1.25e12, "run one"),),
    rated_link=RatedLink("NVLink 4", 900e9, "a data sheet"),
)


def known(*works: str) -> Known:
    """400 T rated and 300 T measured at fp16; 200 T over each of the works."""
    figures = [
        Figure("rated", "fp16", "", Fraction(400 * T), "data sheet"),
        Figure("measured", "fp16", "", Fraction(300 * T), "best row of run one"),
        *(Figure("effective", "fp16", work, Fraction(200 * T), f"scenario {work} (full)") for work in works),
    ]
    return Known(tuple(figures), Fraction(700), "the rated TDP of the devices")


def planned(known_: Known, seen: Seen = SEEN, **asked: Any) -> Plan:
    entry = Asked(**({"name": "site", "kind": "installed", "count": 100, "device": "chip"} | asked))
    return replace(plan([entry], {"chip": known_}), seen={"chip": seen})


def chapters(text: str) -> dict[str, str]:
    parts = re.split(r"^## \d\. (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(chapter: str) -> list[list[str]]:
    """The rows of its table, without head and rule."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in chapter.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_every_chapter_says_what_is_known_and_on_which_basis() -> None:
    found = chapters(markdown(planned(known("llm_pretrain", "chat_decode"), price=Fraction(1000), currency="CNY")))
    assert list(found) == [
        "Scale by precision",
        "Interconnect",
        "Training and inference effectiveness",
        "Availability",
        "Energy and cost",
    ]
    scale, link, effect, present, energy = found.values()
    assert [row[3:] for row in cells(scale)] == [
        ["rated", "fp16", "–", "40 P"],
        ["measured", "fp16", "–", "30 P"],
        ["effective", "fp16", "llm_pretrain", "20 P"],
        ["effective", "fp16", "chat_decode", "20 P"],
    ]
    assert "rated, chip: NVLink 4, 900 GB/s of one device, both directions together (a data sheet)" in link
    (row,) = cells(link)
    assert row[:6] == ["chip", "some_operation", "fp32", "8", "2", "100,000,000 B"]
    assert row[6:] == ["300 GB/s", "450 GB/s (66.7 % of it)", "run one"]
    assert "no computing power" in link and "unknown" not in link
    training, inference = cells(effect)
    source = "count as given × scenario llm_pretrain (full)"
    assert training[1:] == ["training", "llm_pretrain", "fp16", "20 P", "≈66.7 %", "50 %", source]
    assert inference[1] == "inference or other application"
    assert "7 of 8 devices delivered a row that counts (run run one" in present
    assert "over time: unknown" in present
    assert "rated or given, at full power all year: site: power 70 kW (the rated TDP of the devices)" in energy
    assert "613.2 MWh in a year" in energy
    assert "measured, chip: 1.25 T operations per joule at fp16, gemm, of one device under load" in energy
    assert "100000 CNY" in energy and "2500 CNY per rated P at fp16" in energy


def test_what_is_unknown_is_called_unknown_in_each_chapter() -> None:
    found = chapters(markdown(planned(Known(), Seen(), count=None, nameplate=Fraction(120 * 1000 * T))))
    assert "measured and effective: not known" in found["Scale by precision"]
    assert "the nameplate names no precision" in found["Scale by precision"]
    assert found["Interconnect"].count("unknown") == 2
    assert found["Training and inference effectiveness"].count("unknown") == 2
    assert found["Availability"].count("unknown") == 1
    energy = found["Energy and cost"]
    assert "rated or given: unknown for site" in energy and "measured, chip: unknown" in energy
    assert "cost: unknown" in energy


def test_a_kernel_is_no_application() -> None:
    chapter = chapters(markdown(planned(known("kernel gemm"))))["Training and inference effectiveness"]
    assert [row[1] for row in cells(chapter)] == ["kernel, no application"]
    assert "training: unknown" in chapter and "inference and other applications: unknown" in chapter
    assert "a kernel stands for no application" in chapter


def test_a_share_is_of_the_same_precision_only() -> None:
    figures = (*known("llm_pretrain").figures, Figure("effective", "int8", "chat_decode", Fraction(T), "a run"))
    chapter = chapters(markdown(planned(Known(figures))))["Training and inference effectiveness"]
    assert [row[5:7] for row in cells(chapter)] == [["≈66.7 %", "50 %"], ["unknown", "unknown"]]


def test_how_many_are_needed_stands_with_the_basis_that_was_asked_for() -> None:
    one = need("chip", known("llm_pretrain"), Fraction(10**17), "effective", "fp16", "llm_pretrain")
    assert one is not None
    text = markdown(replace(planned(known("llm_pretrain")), needs=(one,)))
    assert "100 P effective at fp16, llm_pretrain: 500 of chip" in text


def test_the_document_has_rated_and_measured_under_their_own_keys() -> None:
    (entry,) = document(planned(known("llm_pretrain")))["devices"]
    json.dumps(entry, allow_nan=False)
    assert entry["device"] == "chip"
    assert entry["interconnect"]["rated"]["bytes_per_s_bidirectional"] == 900e9
    (link,) = entry["interconnect"]["measured"]
    assert (link["bus_bytes_per_s"], link["rated_bytes_per_s"], link["ranks"]) == (300e9, 450e9, 8)
    assert entry["availability"]["measured_at_one_moment"][0]["delivered"] == 7
    assert entry["energy"]["measured"][0]["operations_per_j"] == 1.25e12
    (empty,) = document(planned(Known(), Seen()))["devices"]
    assert empty["interconnect"] == {"rated": None, "measured": []}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_ever_text(name: str) -> None:
    def shape(called: str) -> list[str]:
        seen = Seen(
            links=(Link(called, "fp32", 8, 1, None, 1e9, None, called),),
            presence=(Presence(called, called, 1, 1),),
            energy=(Energy(called, "fp16", 1e9, called),),
            rated_link=RatedLink(called, 1e9, called),
        )
        figures = (*known().figures, Figure("effective", "fp16", called, Fraction(T), called))
        found = planned(Known(figures), seen, name=called)
        text = markdown(replace(found, seen={called: seen}))
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        return [each.type for one in tokens for each in (one, *(one.children or ())) if each.type != "softbreak"]

    assert [one for one in shape(name) if one != "text"] == [one for one in shape("plain") if one != "text"]
