"""An `ab` from its first launch to its verdicts: rehearse, screen all series, measure afresh what matters, judge.

Free of screens and files: launches come from a callable, and whoever watches is told. The rules are in docs/ab.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from bench import records
from bench.ab.evidence import Pairs, Standing, Tally, judged, standings
from bench.ab.futility import LEAST_CHANCE, chance_of_an_answer, hopeless
from bench.ab.known_noise import name_of
from bench.ab.launches import Label, Launch, abba
from bench.ab.rehearsal import Rows, Settled, by_aligned, settle
from bench.ab.sides import Ready
from bench.analysis.comparison import Comparison, Thresholds
from bench.analysis.identity import SeriesKey
from bench.analysis.verdicts import (
    FALSE_DISCOVERY,
    SCREEN_P,
    SCREEN_PAIRS,
    SeriesVerdict,
    by_importance,
    cannot_see_below,
    confirmed,
    launch_noise,
    paired_differences,
    suite_shifts,
    what_can_be_seen,
)
from bench.analysis.words import counted
from bench.errors import UnavailableError

DEAD_ALLOWED: Final = 3
"""Launches of one side that may die and be repeated; one more, and that side can't be measured (ours)."""
MORE_PAIRS: Final = 0.5
"""Of a stage's pairs, how many more are measured for series whose rows were disturbed or quarantined (ours)."""
NOISE_KNOWN: Final = 4
"""Pairs after which the launch noise is told (ours)."""

Launcher = Callable[[Ready, Rows | None], Launch]
"""Launch a side, narrowed to those rows of its plan, or as it is."""


@dataclass(frozen=True)
class Settings:
    """`launches` is that of the first stage, a side; fresh pairs are twice as many."""

    thresholds: Thresholds
    launches: int = SCREEN_PAIRS
    known_noise: Mapping[str, float] = field(default_factory=dict)
    """Launch noise of earlier comparisons (`bench.ab.known_noise`): told beforehand, and no part of a verdict."""


class Observer(Protocol):
    """Whoever watches an `ab`."""

    def message(self, text: str) -> None: ...
    def stage(self, name: str, series: int, pairs: int) -> None: ...
    def launching(self, label: Label) -> None: ...
    def launched(self, launch: Launch) -> None: ...
    def standing(self, pairs: int, standings: Sequence[Standing]) -> None: ...


def compare(sides: tuple[Ready, Ready], settings: Settings, launcher: Launcher, observer: Observer) -> Comparison:
    """Measure both sides in turn and judge every series that both have.

    Raises UnavailableError where a side's launches end without a result again and again.
    """
    session = _Session(sides, settings, launcher, observer)
    settled = session.rehearse()
    found = session.screened_and_confirmed(settled) if settled.rows else {}
    grouped = [replace(one, group=settled.groups[key]) for key, one in found.items()]
    verdicts, shifts = suite_shifts(grouped)
    return Comparison(
        base=sides[0].words,
        new=sides[1].words,
        series=tuple(by_importance([*verdicts, *settled.refused])),
        shifts=tuple(shifts),
        measured_rows=session.tally.measured,
        unstable_rows=session.tally.unstable,
        notes=(*settled.notes, *session.notes),
    )


class _Session:
    """Launches sides in turn, repeats launches that die, and keeps the count."""

    def __init__(self, sides: tuple[Ready, Ready], settings: Settings, launcher: Launcher, observer: Observer) -> None:
        self.sides = sides
        self.settings = settings
        self.launcher = launcher
        self.observer = observer
        self.tally = Tally()
        self.dead: dict[Label, int] = {"A": 0, "B": 0}
        self.notes: list[str] = []

    def rehearse(self) -> Settled:
        """One launch of each side, which counts for nothing: it warms caches and shows what there is to measure."""
        self.observer.stage("rehearsal", 0, 1)
        a, b = self._launched("A", None), self._launched("B", None)
        settled = settle(a, b, self.sides, self.settings.thresholds)
        self.observer.standing(1, [])
        for note in settled.notes:
            self.observer.message(note)
        known = {key: self.settings.known_noise.get(name_of(key.text, settled.groups[key])) for key in settled.rows}
        noises = {key: noise for key, noise in known.items() if noise}
        self._say_what_can_be_seen(noises, settled, "by earlier comparisons here, ")
        return settled

    def screened_and_confirmed(self, settled: Settled) -> dict[SeriesKey, SeriesVerdict]:
        """Every series by a first set of pairs; what these call or leave open, by twice as many fresh ones.

        What stands out only then is a candidate too, and confirmed in its turn: where launches scatter widely nearly
        all of a suite is measured again, and of hundreds some would stand out by chance.
        """
        limits = settled.thresholds
        screen, count = {key: Pairs() for key in settled.rows}, self.settings.launches
        self._measure("screening", settled, list(screen), screen, count, count)
        found = {key: judged(key.text, each, limits[key], "screen") for key, each in screen.items()}
        again = [key for key, one in found.items() if self._worth_another_look(one, limits[key])]
        found |= self._confirmed(_called(found), again, settled)
        return found | self._confirmed(_called({key: found[key] for key in again}), (), settled)

    def _confirmed(
        self, candidates: Mapping[SeriesKey, SeriesVerdict], again: Sequence[SeriesKey], settled: Settled
    ) -> dict[SeriesKey, SeriesVerdict]:
        """Candidates and open series by fresh pairs. Candidates are looked at twice, the first time half-way.

        Each look takes half of the false discoveries that are allowed (docs/ab.md): what the first one confirms is
        done, the rest goes on.
        """
        limits, half, whole = settled.thresholds, self.settings.launches, 2 * self.settings.launches
        evidence = {key: Pairs() for key in (*candidates, *again)}
        done: dict[SeriesKey, SeriesVerdict] = {}
        looks = [half, whole] if candidates else [whole]
        for pairs in looks:
            lacking = [key for key in evidence if key not in done]
            if not lacking:
                break
            self._measure("fresh pairs", settled, lacking, evidence, pairs, whole)
            one_of_two = {
                key: _of_two_looks(judged(key.text, evidence[key], limits[key], "confirm")) for key in candidates
            }
            found = confirmed(list(candidates.values()), list(one_of_two.values()))
            for key, one in zip(candidates, found, strict=True):
                if pairs == whole or one.verdict == candidates[key].verdict:
                    done.setdefault(key, one)
        return done | {key: judged(key.text, evidence[key], limits[key], "again") for key in again}

    def _worth_another_look(self, one: SeriesVerdict, threshold: float) -> bool:
        """Whether an ambiguous series has a chance of an answer from twice as many pairs."""
        if one.verdict != "ambiguous" or len(one.base_s) < 2:
            return False
        differences = paired_differences(one.base_s, one.new_s)
        return chance_of_an_answer(differences, 2 * self.settings.launches, threshold) >= LEAST_CHANCE

    def _measure(
        self,
        name: str,
        settled: Settled,
        keys: Sequence[SeriesKey],
        evidence: Mapping[SeriesKey, Pairs],
        pairs: int,
        planned: int,
    ) -> None:
        """Add to the evidence until each series has so many usable pairs, or half as many launches more gave no more.

        `planned` is how many pairs the stage may come to. Ends early only where no series can come to a verdict any
        more, whatever the pairs to come.
        """
        self.observer.stage(name, len(keys), pairs)
        level = SCREEN_P if name == "screening" else FALSE_DISCOVERY
        tried = max(len(evidence[key].base_s) + len(evidence[key].lost) for key in keys)
        for number, order in enumerate(abba(tried + pairs + int(MORE_PAIRS * pairs))[tried:], start=tried + 1):
            lacking = [key for key in keys if len(evidence[key].base_s) < pairs]
            if not lacking:
                break
            if all(hopeless(evidence[key].differences, planned, settled.thresholds[key], level) for key in lacking):
                self.notes.append(
                    f"{name} ended after {counted(number - 1, 'pair')}: no series could come to a verdict any more"
                )
                break
            files = {label: self._launched(label, self._rows(settled, lacking, label)) for label in order}
            self._add(evidence, lacking, files)
            self.observer.standing(number, standings({key.text: evidence[key] for key in keys}))
            if number == NOISE_KNOWN and name == "screening":
                noises = {key: launch_noise(each.differences) for key, each in evidence.items() if len(each.base_s) > 1}
                self._say_what_can_be_seen(noises, settled)

    def _launched(self, label: Label, rows: Rows | None) -> records.RunFile:
        """A launch that lived; one that died is told and repeated, but not a rehearsal, which dies for a reason."""
        ready = self.sides[0 if label == "A" else 1]
        while True:
            self.observer.launching(label)
            launch = self.launcher(ready, rows)
            self.observer.launched(launch)
            if launch.file is not None:
                return launch.file
            self.dead[label] += 1
            if rows is None or self.dead[label] > DEAD_ALLOWED:
                raise UnavailableError(f"{label}: {ready.words}: a launch ended without a result: {launch.reason}")

    def _rows(self, settled: Settled, keys: Iterable[SeriesKey], label: Label) -> Rows:
        side = 0 if label == "A" else 1
        return {number: held for key in keys for number, held in settled.rows[key][side].items()}

    def _add(
        self, evidence: Mapping[SeriesKey, Pairs], keys: Sequence[SeriesKey], files: Mapping[Label, records.RunFile]
    ) -> None:
        rows = {label: by_aligned(file, self.sides) for label, file in files.items()}
        for key in keys:
            mine = {label: each.get(key, []) for label, each in rows.items()}
            evidence[key].add(mine)
            for each in mine.values():
                self.tally.add(each)

    def _say_what_can_be_seen(self, noises: Mapping[SeriesKey, float], settled: Settled, source: str = "") -> None:
        """One line for the series of middling noise."""
        if not noises:
            return
        key = sorted(noises, key=lambda each: noises[each])[len(noises) // 2]
        visible = cannot_see_below(noises[key], self.settings.launches, threshold=settled.thresholds[key])
        of_what = f" (the middle of {len(noises)} series)" if len(noises) > 1 else ""
        self.observer.message(source + what_can_be_seen(noises[key], visible) + of_what)


def _called(found: Mapping[SeriesKey, SeriesVerdict]) -> dict[SeriesKey, SeriesVerdict]:
    """Those that stand out: candidates."""
    return {key: one for key, one in found.items() if one.verdict in ("regression", "improvement")}


def _of_two_looks(one: SeriesVerdict) -> SeriesVerdict:
    """The verdict with twice its p, Bonferroni's price for looking half-way and at the end; without pairs it is 1."""
    return replace(one, p=1.0 if one.p is None else min(1.0, 2 * one.p))
