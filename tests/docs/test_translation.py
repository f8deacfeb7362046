"""README.zh-CN.md says what README.md says: the same commands, tables, figures and links, in the same order."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
OTHERS = ("README.md", "README.zh-CN.md")
"""The links between the two."""


@pytest.fixture(scope="module")
def english(checkout: Path) -> str:
    return (checkout / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def chinese(checkout: Path) -> str:
    return (checkout / "README.zh-CN.md").read_text("utf-8")


def sections(text: str) -> list[str]:
    """The text between headings, shell blocks left out."""
    return re.split(r"^#+ .*$", FENCE.sub("", text), flags=re.MULTILINE)


def tables(text: str) -> list[list[int]]:
    """Columns of each row of each table."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", FENCE.sub("", text), flags=re.MULTILINE)
    return [[row.replace("\\|", "").count("|") - 1 for row in table.splitlines()] for table in found]


def links(text: str) -> list[str]:
    return [one for one in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)) if one not in OTHERS]


def test_each_leads_to_the_other(english: str, chinese: str) -> None:
    assert "[简体中文](README.zh-CN.md)" in english
    assert "[English](README.md)" in chinese


def test_the_headings_are_as_many_and_as_deep(english: str, chinese: str) -> None:
    depths = [re.findall(r"^(#+) ", FENCE.sub("", text), flags=re.MULTILINE) for text in (english, chinese)]
    assert depths[0] == depths[1]


def test_the_commands_and_what_they_print_are_the_same(english: str, chinese: str) -> None:
    assert FENCE.findall(english)
    assert FENCE.findall(chinese) == FENCE.findall(english)


def test_the_words_in_backquotes_are_the_same(english: str, chinese: str) -> None:
    quoted = [[sorted(re.findall(r"`[^`]+`", part)) for part in sections(text)] for text in (english, chinese)]
    assert quoted[1] == quoted[0]


def test_the_tables_have_the_same_shapes(english: str, chinese: str) -> None:
    assert tables(english)
    assert tables(chinese) == tables(english)


def test_the_figures_of_each_section_are_the_same(english: str, chinese: str) -> None:
    found = [
        [Counter(re.findall(r"[0-9]+(?:[.-][0-9]+)*", part)) for part in sections(text)] for text in (english, chinese)
    ]
    assert found[1] == found[0]


def test_the_links_lead_to_the_same_places_in_the_same_order(english: str, chinese: str) -> None:
    assert links(chinese) == links(english)


def test_it_is_chinese(chinese: str) -> None:
    prose = re.sub(r"`[^`]+`|\[[^\]]*\]\([^)]*\)", "", "\n".join(sections(chinese)))
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 1000
