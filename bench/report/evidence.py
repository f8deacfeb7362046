"""One series of a comparison with all that its verdict rests on: for `--explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bench.analysis.verdicts import SeriesVerdict, what_can_be_seen
from bench.analysis.words import counted
from bench.report.numbers import percent
from bench.report.verdicts import ASCII, figure, interval
from bench.stats.robust import median

UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))


def explain(one: SeriesVerdict, ascii_only: bool = False) -> str:
    """The evidence for one series: the launches of both sides, interval, thresholds, noise, class."""
    facts = [(name, value) for name, value in _facts(one) if value]
    width = max(len(name) for name, _ in facts)
    text = "\n".join([one.series, *(f"  {name:<{width}}  {value}" for name, value in facts)])
    return text.translate(ASCII) if ascii_only else text


def _facts(one: SeriesVerdict) -> Iterator[tuple[str, str]]:
    yield "verdict", f"{one.verdict} ({one.reason}): {one.text}"
    if one.ratio is not None:
        yield "time new / base", " ".join(filter(None, (figure(one), interval(one) and f"95 % {interval(one)}")))
    if one.p is not None:
        yield "one-sided p", f"{one.p:.2g}"
    yield "threshold", _threshold_words(one)
    if one.launch_noise is not None:
        yield "launch noise", f"{percent(one.launch_noise)} ({one.noise_source})"
        yield "can be seen", what_can_be_seen(one.launch_noise, one.cannot_see_below)
    yield "evidence", one.evidence
    unit, letter = _unit([*one.base_s, *one.new_s])
    yield "base", _launches(one.base_s, unit, letter)
    yield "new", _launches(one.new_s, unit, letter)
    yield "class", one.group
    for name, base, new in one.differences:
        yield "differs", f"{name}: {base} in the base, {new} in the new run"
    for note in one.notes:
        yield "note", note


def _threshold_words(one: SeriesVerdict) -> str:
    if one.threshold is None or one.threshold_asked is None:
        return ""
    if one.threshold > one.threshold_asked:
        asked = percent(one.threshold_asked)
        return f"{percent(one.threshold)}: twice the launch noise, for that is above the {asked} asked for"
    return percent(one.threshold)


def _launches(times_s: Sequence[float], unit: float, letter: str) -> str:
    if not times_s:
        return ""
    shown = ", ".join(f"{time / unit:.4g}" for time in times_s)
    return f"{shown} {letter}; median {median(times_s) / unit:.4g} {letter}, {counted(len(times_s), 'launch')}"


def _unit(times_s: Sequence[float]) -> tuple[float, str]:
    largest = max(times_s, default=1.0)
    unit, letter = next((unit, letter) for unit, letter in UNITS if largest >= unit)
    return unit or 1e-9, letter
