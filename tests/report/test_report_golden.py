"""What every format of a report looks like in every state. After a change that is meant, write the files anew:

    UPDATE_GOLDEN=1 python -m pytest tests/report/test_report_golden.py

and read the difference before it is committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

import bench
from bench.analysis.report_view import ReportView
from bench.report import report_json
from bench.report.report_csv import comma_separated
from bench.report.report_markdown import markdown
from bench.report.report_table import terminal
from tests.report_views import STATES

GOLDEN: Final = Path(__file__).resolve().parent / "golden"
RECORDS: Final = ("evidence", "run", "device", "end")
"""Whole records of the run file, which have tests of their own: the golden files name them only."""


def of_document(view: ReportView) -> str:
    """The JSON document without what the run file's own contract pins."""

    def reduced(item: dict[str, Any]) -> dict[str, Any]:
        return {key: "…" if key in RECORDS and isinstance(value, dict) else value for key, value in item.items()}

    found = json.loads(report_json.text(view, title="A title"))
    return json.dumps(
        {key: [reduced(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value
         for key, value in found.items()},
        indent=1, ensure_ascii=False,
    ) + "\n"  # fmt: skip


FORMATS: Final[dict[str, Callable[[ReportView], str]]] = {
    "md": markdown,
    "zh.md": lambda view: markdown(view, language="zh", title="服务器"),
    "csv": comma_separated,
    "json": of_document,
    "txt": lambda view: terminal(view, 120, title="A title") + "\n",
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("state", STATES)
def test_every_format_in_every_state_is_as_it_was_read(
    state: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "__version__", "0")
    path, text = GOLDEN / f"report-{state}.{suffix}", FORMATS[suffix](STATES[state]())
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    assert path.read_bytes().decode() == text, f"{path.name}: see the module's first lines where the change is meant"
