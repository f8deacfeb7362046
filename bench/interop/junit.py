"""JUnit XML, for a CI's test report: a case a series; numbers stand in the text, since some CIs ignore properties."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree

from bench import records
from bench.analysis.words import counted
from bench.interop import comparison, model
from bench.interop.comparison import Comparison, Verdict
from bench.interop.model import Export, ExportOptions, File, Point

Outcome = Literal["passed", "failure", "error", "skipped"]

ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no place for."""
OF_STATUS: Final[dict[str, Outcome]] = {
    "ok": "passed",
    "noisy": "passed",
    # It computes something else: that is what a test report calls a failure.
    "wrong": "failure",
    "crashed": "error",
    "timeout": "error",
    "out_of_memory": "error",
    "failed": "error",
    "unsupported": "skipped",
    "invalid": "skipped",
    "contended": "skipped",
    "throttled": "skipped",
}
OF_VERDICT: Final[dict[str, Outcome]] = {
    "regression": "failure",
    "missing": "error",
    "ambiguous": "skipped",
    "quarantined": "skipped",
    "not_comparable": "skipped",
    "improvement": "passed",
    "same": "passed",
}


@dataclass(frozen=True)
class Case:
    """One test case."""

    group: str
    name: str
    outcome: Outcome
    kind: str
    """The status or verdict."""
    message: str
    details: str
    seconds: float | None = None
    """Wall time that measuring it took; None where that is unknown."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """A run: wrong results are failures, what could not be measured is an error, what is not to be used is skipped."""
    (run,) = runs
    found = {point.name: point for point in model.points(run)[0]}
    cases = [_of_series(name, rows, found.get(name)) for name, _, rows in model.named_series(run)]
    host = str(run.run.host.get("name") or "")
    return Export((File("", document("bench run", cases, started=run.run.started, host=host)),))


def export_comparison(one: Comparison, options: ExportOptions) -> Export:
    """A comparison: a regression is a failure; ambiguous, quarantined or without a baseline is skipped."""
    return Export((File("", document("bench compare", [_of_verdict(series) for series in one.sorted()])),))


def document(suite_name: str, cases: Sequence[Case], started: str = "", host: str = "") -> bytes:
    """The XML of one suite."""
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.outcome == "failure" for case in cases)),
        "errors": str(sum(case.outcome == "error" for case in cases)),
        "skipped": str(sum(case.outcome == "skipped" for case in cases)),
        "time": f"{sum(case.seconds or 0.0 for case in cases):.3f}",
    }
    root = ElementTree.Element("testsuites", {key: value for key, value in counts.items() if key != "skipped"})
    attributes = {"name": suite_name, **counts}
    # The schema of the timestamp has no zone; ours are UTC.
    attributes |= {"timestamp": started[:19]} if started else {}
    attributes |= {"hostname": _legal(host)} if host else {}
    suite = ElementTree.SubElement(root, "testsuite", attributes)
    for case in cases:
        _append(suite, case)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _append(suite: ElementTree.Element, case: Case) -> None:
    attributes = {"classname": _legal(f"bench.{case.group}"), "name": _legal(case.name)}
    attributes["time"] = f"{case.seconds or 0.0:.3f}"
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if case.outcome == "skipped":
        ElementTree.SubElement(element, "skipped", {"type": case.kind, "message": _legal(case.message)})
    elif case.outcome != "passed":
        problem = ElementTree.SubElement(
            element, case.outcome, {"type": case.kind, "message": _legal(case.message.partition("\n")[0])}
        )
        problem.text = _legal("\n".join(filter(None, (case.message, case.details))))
    if case.details:
        ElementTree.SubElement(element, "system-out").text = _legal(case.details)


def _of_series(name: str, rows: Sequence[records.Measurement], point: Point | None) -> Case:
    worst = min(rows, key=lambda row: records.STATUSES.index(row.status))
    outcome = OF_STATUS[worst.status]
    message = model.why_unusable(rows)
    if outcome in ("passed", "skipped"):
        # Some launches may be disturbed, or all in quarantine: what counts is whether a figure is left.
        outcome = "passed" if point else "skipped"
    return Case(
        group=worst.kernel,
        name=name,
        outcome=outcome,
        kind=worst.status,
        message=message,
        details=_figures(point) if point else "",
        seconds=sum(sum(row.spent_s.values()) for row in rows),
    )


def _figures(point: Point) -> str:
    lines = [f"median of {counted(len(point.launches_s), 'launch')}: {point.median_s:.6g} s a call"]
    if point.interval_s:
        lines.append(f"from {point.interval_s[0]:.6g} to {point.interval_s[1]:.6g} s")
    if point.rate:
        lines.append(f"rate: {point.rate:.4g} {point.unit}")
    if point.utilization is not None:
        lines.append(f"of the rated {point.rated:.4g} {point.unit}: {100 * point.utilization:.1f} %")
    return "\n".join(lines)


def _of_verdict(one: Verdict) -> Case:
    outcome = OF_VERDICT.get(one.verdict, "skipped")
    if outcome == "error" and "baseline" in one.words:
        outcome = "skipped"
    words = comparison.change_words(one)
    return Case(
        group=one.series.partition("[")[0],
        name=one.series,
        outcome=outcome,
        kind=one.verdict,
        message=f"{one.verdict}: {words}" + (f": {one.words}" if one.words else ""),
        details=f"time new / time base: {one.ratio if one.ratio is not None else 'n/a'}\nchange: {words}",
    )


def _legal(text: str) -> str:
    return ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
