"""Pairs of launches of one series, gathered: what counts, what was lost and why, and how often rows were disturbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp

from bench import records
from bench.ab.launches import Label
from bench.analysis import observed
from bench.analysis.cycles import in_cycles
from bench.analysis.identity import launch_medians
from bench.analysis.verdicts import SeriesVerdict, Stage, judge_pairs, paired_differences
from bench.stats.robust import median
from bench.stats.signed_rank import signed_rank_p


@dataclass
class Pairs:
    """Evidence of one series in one stage: seconds a call, `base_s[i]` and `new_s[i]` launched one after the other."""

    base_s: list[float] = field(default_factory=list)
    new_s: list[float] = field(default_factory=list)
    base_hz: list[float] = field(default_factory=list)
    new_hz: list[float] = field(default_factory=list)
    """The clock of each launch's rows, where it was sampled."""
    lost: list[str] = field(default_factory=list)
    """Why pairs did not count, in the order in which they were lost."""
    lost_reason: str = "quarantined"
    """The reason code of the last of them."""

    @property
    def differences(self) -> list[float]:
        """ln(new/base); of none yet []."""
        return paired_differences(self.base_s, self.new_s) if self.base_s else []

    def add(self, rows: Mapping[Label, Sequence[records.Measurement]]) -> None:
        """One more pair: each side's rows of this series in its launch."""
        times = {label: list(launch_medians(mine).values()) for label, mine in rows.items()}
        if times["A"] and times["B"]:
            self.base_s.append(times["A"][0])
            self.new_s.append(times["B"][0])
            self.base_hz += _clock_hz(rows["A"])
            self.new_hz += _clock_hz(rows["B"])
            return
        bad: Label = "B" if times["A"] else "A"
        self.lost_reason, why = _why_lost(rows[bad])
        self.lost.append(f"{bad}: {why}")


@dataclass
class Tally:
    """Rows over all launches: for the verdict "unstable"."""

    measured: int = 0
    unstable: int = 0

    def add(self, rows: Sequence[records.Measurement]) -> None:
        """Count the rows that were timed, and of them those that were disturbed."""
        timed = [row for row in rows if row.status in records.MEASURED]
        self.measured += len(timed)
        self.unstable += sum(row.status in records.UNSTABLE or bool(row.quarantine) for row in timed)


@dataclass(frozen=True)
class Standing:
    """One series after some pairs: for the screen, not a verdict."""

    series: str
    pairs: int
    slower: int
    """Pairs in which B took longer."""
    ratio: float
    p: float
    """One-sided, of the direction in which it has moved so far: how often equal sides would look like that."""


def standings(evidence: Mapping[str, Pairs]) -> list[Standing]:
    """How each series stands; those without a pair yet left out."""
    return [
        Standing(text, len(found), sum(value > 0 for value in found), exp(median(found)), _p(found))
        for text, pairs in evidence.items()
        if (found := pairs.differences)
    ]


def _p(differences: Sequence[float]) -> float:
    return signed_rank_p(differences if median(differences) >= 0 else [-value for value in differences])


def judged(series: str, pairs: Pairs, threshold: float, stage: Stage) -> SeriesVerdict:
    """A series' verdict by its pairs; "quarantined" where none counts, "ambiguous" where a clock explains a change."""
    if not pairs.base_s:
        why = f"none of {len(pairs.lost)} pairs of launches counts; the last: {(pairs.lost or ['none'])[-1]}"
        return SeriesVerdict(series, "quarantined", pairs.lost_reason, why)
    found = judge_pairs(pairs.base_s, pairs.new_s, threshold=threshold, stage=stage, series=series)
    if pairs.lost:
        found = replace(found, notes=(*found.notes, f"pairs that did not count: {len(pairs.lost)} ({pairs.lost[-1]})"))
    sampled = len(pairs.base_hz) == len(pairs.new_hz) == len(pairs.base_s)
    return in_cycles(found, median(pairs.base_hz), median(pairs.new_hz)) if sampled else found


def _clock_hz(rows: Sequence[records.Measurement]) -> list[float]:
    """The sampled clock of a launch's rows; none on a processor, whose canary's single readings scatter by 14 %."""
    found = [hz for row in rows if (hz := observed.quantity(row.telemetry, observed.CLOCK))]
    return [median(found)] if found else []


def _why_lost(rows: Sequence[records.Measurement]) -> tuple[str, str]:
    """Reason code and words."""
    if not rows:
        return "not_measured", "not measured"
    row = rows[0]
    if row.status in records.USABLE:
        return "quarantined", "; ".join(row.quarantine)
    return row.status, f"{row.status} ({row.reason})"
