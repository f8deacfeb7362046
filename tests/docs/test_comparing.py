"""docs/comparing.md lists every reason code, and its exit codes are those of the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.analysis.identity import comparison_class, reason_code
from bench.analysis.verdicts import VERDICTS
from bench.records import UNSTABLE
from bench.report.verdicts import GENERAL
from tests.factories import device, run_file

SOURCES = ("verdicts", "stored", "pairing", "comparison", "cycles")
PAIR = re.compile(rf'"(?:{"|".join(VERDICTS)})", "([a-z_]+)"')
REASON = re.compile(r'reason(?: = |=)"([a-z_]+)"')


@pytest.fixture
def page(checkout: Path) -> str:
    return (checkout / "docs" / "comparing.md").read_text(encoding="utf-8")


def test_every_reason_code_is_listed(checkout: Path, page: str) -> None:
    text = "".join((checkout / "bench" / "analysis" / f"{name}.py").read_text(encoding="utf-8") for name in SOURCES)
    codes = {*PAIR.findall(text), *REASON.findall(text), *GENERAL, *UNSTABLE} - set(VERDICTS)
    assert {"slower", "clock_change", "suite_shift", "one_launch", "no_baseline", "same_run"} <= codes
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_field_of_a_comparison_class_is_listed(page: str) -> None:
    fields = {*comparison_class(run_file([]), device()), *comparison_class(run_file([]), device(kind="cuda"))}
    codes = {reason_code(field) for field in fields}
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_verdict_is_listed_the_worst_first(page: str) -> None:
    table = page.partition("\n## Verdicts\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, flags=re.M)) == VERDICTS
