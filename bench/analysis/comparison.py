"""Two run files compared: what each series says, and what the whole amounts to.

Pure. `bench.ab` puts its paired verdicts into the same `Comparison`, so that both have one table and one document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bench import records
from bench.analysis import observed
from bench.analysis.cycles import in_cycles
from bench.analysis.identity import by_series, usable
from bench.analysis.pairing import Pair, Rows, not_judged, pairs, timed
from bench.analysis.stored import ASSUMED_CPU, ASSUMED_OTHER, Launches, believed, judge_stored, launch_noises
from bench.analysis.verdicts import (
    THRESHOLD_FREE,
    THRESHOLD_STEADY,
    SeriesVerdict,
    SuiteShift,
    Verdict,
    by_importance,
    suite_shifts,
    worst,
)
from bench.stats.robust import median

FREE_CLOCKS: Final = frozenset({"cpu", "mps"})
"""Kinds of device whose clock nobody can hold: theirs is the wider threshold."""
UNSTABLE_SHARE: Final = 0.25
"""Of the measured rows: beyond it the comparison is unstable (design, exit code 4)."""
LEAST_CLOCK_ROWS: Final = 5
"""Rows whose canaries together tell a processor's clock: single ones scatter by 14 % (`bench.analysis.validity`)."""
COMPARED: Final = frozenset({"regression", "improvement", "same", "ambiguous", "quarantined"})
"""Verdicts of series that both runs have, of one class."""


@dataclass(frozen=True)
class Thresholds:
    """The smallest change to be called, as a share: from the command line, else by kernel, else for all, else ours."""

    asked: float | None = None
    by_kernel: Mapping[str, float] = field(default_factory=dict)
    default: float | None = None

    def of(self, kernel: str, device: str) -> float:
        """The threshold of a kernel's series on a kind of device: 3 % where clocks can be held, else 5 %."""
        ours = THRESHOLD_FREE if device in FREE_CLOCKS else THRESHOLD_STEADY
        layers = (self.asked, self.by_kernel.get(kernel), self.default)
        return next((value for value in layers if value is not None), ours)


@dataclass(frozen=True)
class Comparison:
    """What every renderer draws from. `base` and `new` name the two sides; no base is None."""

    base: str | None
    new: str
    series: tuple[SeriesVerdict, ...]
    """The worst first."""
    shifts: tuple[SuiteShift, ...] = ()
    measured_rows: int = 0
    unstable_rows: int = 0
    """Of the measured rows, those that were disturbed: throttled, contended, invalid or quarantined."""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all series."""
        return worst(self.series)

    @property
    def unstable(self) -> bool:
        """Whether more than a quarter of the measured rows were disturbed."""
        return self.unstable_rows > UNSTABLE_SHARE * self.measured_rows


def exit_code(
    comparison: Comparison, fail_on: Sequence[str] = ("regression",), *, require_baseline: bool = False
) -> int:
    """The contract's exit code: 5 no baseline where one is required, 4 unstable, 1, 3 nothing comparable, else 0.

    1 is for a regression, always, and for any verdict that `fail_on` names.
    """
    measured = [one for one in comparison.series if one.verdict != "missing"]
    baseless = bool(measured) and all(one.reason == "no_baseline" for one in measured)
    if require_baseline and (baseless or comparison.base is None):
        return 5
    if comparison.base is None:
        return 0
    if comparison.unstable:
        return 4
    found = {one.verdict for one in comparison.series}
    if found & {"regression", *fail_on}:
        return 1
    return 0 if found & COMPARED else 3


def compare(base: records.RunFile, new: records.RunFile, thresholds: Thresholds) -> Comparison:
    """The verdict of every series that either run has, but for those that neither supports."""
    both = list(pairs(base, new))
    verdicts = [verdict for pair in both if (verdict := not_judged(pair)) is not None]
    ready = [(pair, pair.launches) for pair in both if pair.launches is not None]
    # A run that was taken up again keeps its id and is another than its copy from before.
    one = base.run.id == new.run.id and base.measurements == new.measurements
    verdicts += _same_run(ready) if one else _judged(ready, base, new, thresholds)
    marked, shifts = suite_shifts(verdicts)
    measured = timed([row for pair in both if pair.base and pair.new for row in (*pair.base, *pair.new)])
    return Comparison(
        base=base.run.id,
        new=new.run.id,
        series=tuple(by_importance(marked)),
        shifts=tuple(shifts),
        measured_rows=len(measured),
        unstable_rows=sum(row.status in records.UNSTABLE or bool(row.quarantine) for row in measured),
        notes=(*_unfinished(base, "base"), *_unfinished(new, "new run")),
    )


def without_baseline(new: records.RunFile, why: str) -> Comparison:
    """A run that there is nothing to compare with: every series says so."""
    verdicts = [
        SeriesVerdict(key.text, "not_comparable", "no_baseline", why)
        for key, rows in by_series(new).items()
        if timed(rows)
    ]
    return Comparison(base=None, new=new.run.id, series=tuple(by_importance(verdicts)), notes=(why,))


def _judged(
    ready: Sequence[tuple[Pair, Launches]], base: records.RunFile, new: records.RunFile, thresholds: Thresholds
) -> list[SeriesVerdict]:
    """Every pair judged: class by class for the noise, then all together for what so many series show by chance."""
    ordered = sorted(ready, key=lambda one: one[0].group)
    found = []
    for group in dict.fromkeys(pair.group for pair, _ in ordered):
        alike = [(pair, launches) for pair, launches in ordered if pair.group == group]
        assumed = ASSUMED_CPU if alike[0][0].key.device in FREE_CLOCKS else ASSUMED_OTHER
        noises = launch_noises([launches for _, launches in alike], assumed)
        for (pair, launches), noise in zip(alike, noises, strict=True):
            threshold = thresholds.of(pair.key.kernel, pair.key.device)
            verdict = judge_stored(launches, noise, threshold=threshold, series=pair.text)
            found.append(replace(verdict, group=group))
    return [
        in_cycles(one, _clock_hz(pair.base, base), _clock_hz(pair.new, new))
        for one, (pair, _) in zip(believed(found), ordered, strict=True)
    ]


def _same_run(ready: Sequence[tuple[Pair, Launches]]) -> list[SeriesVerdict]:
    """A run beside itself: the same by definition, where one launch a side would have shown nothing."""
    text = "both sides are the same run"
    return [
        SeriesVerdict(
            pair.text, "same", "same_run", text, ratio=1.0, base_s=launches.base_s, new_s=launches.new_s, evidence=text
        )
        for pair, launches in ready
    ]


def _clock_hz(rows: Rows, file: records.RunFile) -> float | None:
    """The clock over a series' usable rows as sampled; of a processor that hides it, the run's canaries together."""
    good = [row for row in rows if usable(row)]
    sampled = [hz for row in good if (hz := observed.quantity(row.telemetry, observed.CLOCK))]
    if sampled:
        return median(sampled)
    alike = [row for row in file.measurements if usable(row) and good and row.device == good[0].device]
    seen = [hz for row in alike if (hz := observed.clock_hz(row.telemetry))]
    return median(seen) if len(seen) >= LEAST_CLOCK_ROWS else None


def _unfinished(file: records.RunFile, side: str) -> list[str]:
    if file.end is not None and file.end.status == "complete":
        return []
    why = file.end.reason or file.end.status if file.end else "it has no end"
    return [f"the {side} is not complete: {why}"]
