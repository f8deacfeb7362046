"""Workflow commands of GitHub Actions: an error for a regression or a wrong result, a warning for what is doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from bench import records
from bench.interop import comparison, junit, model, writing
from bench.interop.comparison import Comparison, Verdict
from bench.interop.model import Export, ExportOptions, File

Level = Literal["error", "warning", "notice"]

LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "notice")
SHOWN_PER_LEVEL: Final = 10
"""GitHub shows so many of a level and step, and drops the others without a word."""
OF_OUTCOME: Final[dict[junit.Outcome, Level]] = {"failure": "error", "error": "error", "skipped": "warning"}
OF_VERDICT: Final[dict[str, Level]] = {
    "regression": "error",
    "missing": "warning",
    "quarantined": "warning",
    "not_comparable": "warning",
    "ambiguous": "warning",
    "improvement": "notice",
}


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """A run: what is wrong or could not be measured; a series that is merely unsupported here is no news."""
    (run,) = runs
    found: list[tuple[Level, str, str]] = []
    measured = {point.name for point in model.points(run)[0]}
    for name, _, rows in model.named_series(run):
        worst = min(rows, key=lambda row: records.STATUSES.index(row.status))
        level = OF_OUTCOME.get(junit.OF_STATUS[worst.status])
        if level == "error" or (level is not None and name not in measured and worst.status != "unsupported"):
            found.append((level, f"{worst.status}: {name}", model.why_unusable(rows)))
    return Export((File("", commands(found)),))


def export_comparison(one: Comparison, options: ExportOptions) -> Export:
    """A comparison: the largest changes first, since only ten of each level are shown."""
    found = [(OF_VERDICT[series.verdict], *_words(series)) for series in one.sorted() if series.verdict in OF_VERDICT]
    return Export((File("", commands(found)),))


def commands(found: Sequence[tuple[Level, str, str]]) -> bytes:
    """(level, title, message) as commands, the first of each level; the last shown one says how many more there are."""
    lines: list[str] = []
    for level in LEVELS:
        some = [(title, message) for one, title, message in found if one == level]
        if len(some) > SHOWN_PER_LEVEL:
            more = len(some) - SHOWN_PER_LEVEL + 1
            some = [*some[: SHOWN_PER_LEVEL - 1], (f"{more} more", f"{more} more of this kind; see the job summary")]
        lines += [f"::{level} title={_property(title)}::{_message(message)}" for title, message in some]
    return writing.text_bytes("\n".join(lines)) if lines else b""


def _words(one: Verdict) -> tuple[str, str]:
    change = comparison.change_words(one)
    return f"{one.verdict.replace('_', ' ')}: {one.series}", f"time {change}" + (f"; {one.words}" if one.words else "")


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
