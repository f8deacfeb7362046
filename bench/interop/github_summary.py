"""Markdown for a GitHub job summary: what broke first, and cut to what GitHub takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import records
from bench.interop import comparison, junit, model, writing
from bench.interop.comparison import Comparison, Verdict
from bench.interop.markdown import cell, row, table
from bench.interop.model import Export, ExportOptions, File, Point

LIMIT_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB a step and drops the whole summary where there is more."""
MARKER: Final = "<!-- suanli-bench -->"
"""Hidden: whoever puts the summary into a comment finds an earlier one by it."""
SYMBOLS: Final = {
    "regression": "🔴",
    "improvement": "🟢",
    "same": "⚪",
    "ambiguous": "🟡",
    "quarantined": "⚫",
    "not_comparable": "⚫",
    "missing": "🟠",
}
URGENCY: Final[tuple[junit.Outcome, ...]] = ("failure", "error", "skipped", "passed")
DIGITS: Final = 4
"""Significant digits of a figure beside its range."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """A run: what is not usable first, then rate and share of the rated peak of each series."""
    (run,) = runs
    found = {point.name: point for point in model.points(run)[0]}
    series = model.named_series(run)
    bad = [(_urgency(rows), name, model.why_unusable(rows)) for name, _, rows in series if name not in found]
    bad.sort(key=lambda one: one[0])
    devices = ", ".join(cell(f"{device.device}: {device.name}") for device in run.devices) or "no device"
    head = [MARKER, f"## Benchmark: {len(found)} of {len(series)} series measured", "", devices, ""]
    lines = [row([f"{SYMBOLS['missing']} {cell(name)}", "", "", "", cell(why)]) for _, name, why in bad]
    lines += [_of_point(point) for point in found.values()]
    body = table(("benchmark", "time", "rate", "of rated", "note"), ("left", "right", "right", "right", "left"))
    return Export((File("", cut([*head, *body], lines, options.room_bytes)),))


def export_comparison(one: Comparison, options: ExportOptions) -> Export:
    """A comparison: one line of verdicts, then the table, regressions first."""
    counts = {verdict: sum(series.verdict == verdict for series in one.series) for verdict in comparison.ORDER}
    said = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.items() if count)
    head = [MARKER, f"## Benchmark comparison: {cell(one.verdict)}", "", said or "nothing was compared", ""]
    body = table(("benchmark", "change of time (95 % interval)", "verdict", "note"), ("left", "right", "left", "left"))
    return Export(
        (File("", cut([*head, *body], [_of_verdict(series) for series in one.sorted()], options.room_bytes)),)
    )


def cut(head: Sequence[str], lines: Sequence[str], room_bytes: int | None) -> bytes:
    """As many of the lines as fit below the head, and how many do not."""
    room = min(LIMIT_BYTES, LIMIT_BYTES if room_bytes is None else room_bytes)
    note_bytes = 200
    left = room - sum(_length(line) for line in head) - note_bytes
    kept: list[str] = []
    for line in lines:
        left -= _length(line)
        if left < 0:
            break
        kept.append(line)
    missing = len(lines) - len(kept)
    note = ["", f"{missing:,} more lines do not fit into a job summary; `bench compare` and `bench show` print all."]
    return writing.text_bytes("\n".join([*head, *kept, *(note if missing else [])]))


def _urgency(rows: Sequence[records.Measurement]) -> int:
    """What is wrong before what broke, before what was disturbed; what this device can't do comes last."""
    worst = min(rows, key=lambda row: records.STATUSES.index(row.status)).status
    return len(URGENCY) if worst == "unsupported" else URGENCY.index(junit.OF_STATUS[worst])


def _of_point(point: Point) -> str:
    share = "" if point.utilization is None else f"{100 * point.utilization:.1f} %"
    rate = f"{point.rate:.{DIGITS}g} {point.unit}" if point.rate else ""
    spread = ""
    if point.interval_s:
        low, high = point.interval_s
        spread = f"{low:.{DIGITS}g} … {high:.{DIGITS}g} s"
    note = spread if point.row.status == "ok" else "; ".join(filter(None, (point.row.status, spread)))
    return row([cell(point.name), f"{point.median_s:.{DIGITS}g} s", rate, share, cell(note)])


def _of_verdict(one: Verdict) -> str:
    verdict = f"{SYMBOLS.get(one.verdict, '')} {cell(one.verdict.replace('_', ' '))}".strip()
    return row([cell(one.series), cell(comparison.change_words(one)), verdict, cell(one.words)])


def _length(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + 1
