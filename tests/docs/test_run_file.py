"""docs/run-file.md and its schema say what bench/records.py writes: no key more, none less."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench import records, schema

LINES = {cls.__name__.lower(): cls for cls in schema.LINES}
NESTED = {"time": records.Time, "rated": records.Rated}


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "run-file.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """The text under the heading `## title`, up to the next heading of any level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^#|\Z)", page, flags=re.M | re.S)
    assert found, f"no section {title}"
    return found.group(1)


def table_keys(text: str) -> list[str]:
    """The names in backquotes in the first column of the section's table."""
    return [key for row in re.findall(r"^\|([^|]*)\|", text, flags=re.M) for key in re.findall(r"`(\w+)`", row)]


def keys(cls: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(cls)]


def test_the_published_schema_is_the_generated_one(checkout: Path) -> None:
    published = (checkout / "docs" / "run-file.schema.json").read_text(encoding="utf-8")
    assert published == schema.text(), "run: python -m bench.schema > docs/run-file.schema.json"


@pytest.mark.parametrize("line", LINES)
def test_every_key_of_a_line_is_documented_in_its_order(page: str, line: str) -> None:
    assert table_keys(section(page, line)) == keys(LINES[line])


@pytest.mark.parametrize("name", NESTED)
def test_every_key_of_the_larger_nested_objects_is_documented(page: str, name: str) -> None:
    paragraph = re.search(rf"\*\*{name}\*\*: (.*?)(?=\n\n|\Z)", page, flags=re.S)
    assert paragraph
    assert set(keys(NESTED[name])) <= set(re.findall(r"`(\w+)`", paragraph.group(1)))


@pytest.mark.parametrize(
    ("row", "cls"),
    [
        ("check", records.Check),
        ("work", records.Work),
        ("executed", records.Executed),
        ("rate", records.Rate),
        ("losses", records.Loss),
        ("units", records.Units),
        ("clock", records.Clock),
    ],
)
def test_every_key_of_the_smaller_ones_is_in_its_row(page: str, row: str, cls: type[msgspec.Struct]) -> None:
    line = re.search(rf"^\| `{row}` \|(.*)$", page, flags=re.M)
    assert line
    assert set(keys(cls)) <= set(re.findall(r"`(\w+)`", line.group(1)))


def test_every_status_is_documented_by_precedence(page: str) -> None:
    table = re.search(r"^### statuses\n(.*?)(?=^#)", page, flags=re.M | re.S)
    assert table
    assert tuple(table_keys(table.group(1))) == records.STATUSES


def test_every_line_type_is_listed(page: str) -> None:
    assert set(LINES) <= set(re.findall(r"^\| \[(\w+)\]", page, flags=re.M))
