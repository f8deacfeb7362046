"""Which devices of a fleet are sick: each against the others of its kind, its history and its rating. Pure.

A device is slow where two rules agree: the robust z of its median time, and the one-sided distance between the
distributions of its samples and its kind's. Everything is relative to the kind (product, memory, slice), so mixed
fleets work; nothing is drawn at random, so the same files give the same answer. Method: docs/fleet.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Final, Literal

from bench import records
from bench.analysis.fleet_merge import FAILED, LEVELS, Cell, DeviceId, Member, Merger, Series
from bench.analysis.fleet_reasons import SlowSeries, why_slow
from bench.analysis.fleet_rules import Limits, Rules
from bench.analysis.fleet_spread import Compared, Distribution, distributions
from bench.analysis.words import percent, plural
from bench.kernel import Role
from bench.stats.robust import MAD_TO_SIGMA, mad, median, quantile_of_sorted

Status = Literal["sick", "unjudged", "healthy"]
Rule = Literal["failed", "device", "series", "history", "rating"]
STATUSES: Final[tuple[Status, ...]] = ("sick", "unjudged", "healthy")
RULES: Final[tuple[Rule, ...]] = ("failed", "device", "series", "history", "rating")
"""In the order in which they are told."""

Past = Callable[[str, Mapping[str, str]], Sequence[float]]
"""(series, comparison class) → seconds a call of its stored runs, good ones only."""


@dataclass(frozen=True)
class Finding:
    """One rule that a device broke."""

    rule: Rule
    series: str
    """The series that shows it most; "" where none does."""
    relative_time: float | None
    """Time over that of its kind (its history, for `history`): 1.1 is 10 % slower."""
    robust_z: float | None
    distance: float | None
    """One-sided distance of the samples, natural logarithm."""
    reason: str


@dataclass(frozen=True)
class DeviceVerdict:
    """What is said of one device."""

    host: str
    rank: int
    device: str
    run: str
    """The run's id, where the host has no name to tell devices apart by."""
    sku: str
    status: Status
    reason: str
    """"" for healthy."""
    relative_time: float | None
    """Median over its series of time over its kind's; None where nothing was timed."""
    robust_z: float | None
    distance: float | None
    utilization: float | None
    """The best of its compute rows."""
    series: int
    """How many series it was judged by."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Kind:
    """The devices of one kind (SKU) together; times relative to their median device."""

    sku: str
    devices: int
    judged: int
    sick: int
    spread: float | None
    """Robust standard deviation between devices, natural logarithm; None below two."""
    quantiles: tuple[float, ...]
    """Relative time of the fastest, the quartiles and the slowest: five figures, or none."""
    fastest: str
    slowest: str
    series: int
    note: str = ""


@dataclass(frozen=True)
class Fleet:
    """The whole answer."""

    devices: tuple[DeviceVerdict, ...]
    """By host, rank and device."""
    kinds: tuple[Kind, ...]
    runs: int
    rows: int
    distributions: tuple[Distribution, ...] = ()
    """Kind by kind: over all series of a device first, then the most telling case of each kernel and precision."""

    @property
    def sick(self) -> tuple[DeviceVerdict, ...]:
        """The sick devices, the slowest first."""
        found = [one for one in self.devices if one.status == "sick"]
        return tuple(sorted(found, key=lambda one: -(one.relative_time or 0.0)))


@dataclass(frozen=True)
class _Seen:
    """One series on one device, against its kind."""

    number: int
    relative: float
    """ln(time / the kind's)."""
    z: float
    distance: float
    spreads: float
    """The distance over the kind's spread of signed distances."""
    shift: float
    """The signed distance: mean over the deciles of ln(own / the kind's)."""


def judge(merged: Merger, rules: Rules, past: Past | None = None) -> Fleet:
    """Judge every device that was merged; `past` gives stored runs to compare with, where there are any."""
    by_sku: dict[str, list[Member]] = {}
    for identity in sorted(merged.members):
        member = merged.members[identity]
        by_sku.setdefault(member.sku, []).append(member)
    verdicts: list[DeviceVerdict] = []
    kinds: list[Kind] = []
    spread: list[Distribution] = []
    for sku in sorted(by_sku):
        group = _Group(by_sku[sku], merged.series, rules, past)
        its = group.verdicts()
        verdicts += its
        kinds.append(group.summary(sku, its))
        spread += distributions(sku, group.overall, group.compared, [one.key for one in merged.series], rules)
    verdicts.sort(key=lambda one: (one.host, one.rank, one.device, one.run))
    return Fleet(tuple(verdicts), tuple(kinds), len(merged.runs), merged.rows, tuple(spread))


def exit_code(fleet: Fleet) -> int:
    """1 where a device is sick, 3 where none could be judged, else 0."""
    if fleet.sick:
        return 1
    return 0 if any(one.status == "healthy" for one in fleet.devices) else 3


def name_of(one: DeviceVerdict) -> str:
    """A device in one line: "node3 rank 5 cuda:5"."""
    return f"{one.host or one.run} rank {one.rank} {one.device}"


class _Group:
    """The devices of one kind, set against each other once."""

    def __init__(self, members: Sequence[Member], series: Sequence[Series], rules: Rules, past: Past | None) -> None:
        self.members = members
        self.series = series
        self.rules = rules
        self.past = past
        self.few = len(members) < rules.neighbours.few
        self.seen: dict[DeviceId, list[_Seen]] = {member.id: [] for member in members}
        self.timed: dict[int, int] = {}
        """Series → how many devices have a time of it."""
        self.compared: dict[int, Compared] = {}
        self.holders: dict[int, list[tuple[Member, Cell]]] = {}
        for member in members:
            for number, cell in member.cells.items():
                self.holders.setdefault(number, []).append((member, cell))
        for number in sorted(self.holders):
            self._compare(number)
        self._together()
        self.shares = {member.id: self._best_share(member) for member in members}
        least_s = rules.rating.least_time_s
        self.believed_shares = {member.id: self._best_share(member, least_s) for member in members}

    def _compare(self, number: int) -> None:
        """One series over all devices: how far each is from the kind."""
        timed = [(member, cell, time) for member, cell in self.holders[number] if (time := cell.log_time) is not None]
        if not timed:
            return
        # What is throttled is judged, but is no measure for the others where there are any.
        good = [one for one in timed if one[1].status in records.USABLE] or timed
        neighbours = self.rules.neighbours
        self.timed[number] = len(timed)
        if len(timed) < neighbours.few:
            _, cell, centre = min(good, key=lambda one: one[2])
            reference, scale = cell.deciles, neighbours.assumed_spread
        else:
            times = [time for _, _, time in good]
            centre, scale = median(times), max(MAD_TO_SIGMA * mad(times), neighbours.least_spread)
            reference = [median(column) for column in zip(*(cell.deciles for _, cell, _ in good), strict=True)]
        apart = [[own - its for own, its in zip(cell.deciles, reference, strict=True)] for _, cell, _ in timed]
        shifts = [sum(each) / len(LEVELS) for each in apart]
        unit = scale if len(timed) < neighbours.few else max(MAD_TO_SIGMA * mad(shifts), neighbours.least_spread)
        for (member, _, time), each, shift in zip(timed, apart, shifts, strict=True):
            distance = sum(max(0.0, one) for one in each) / len(LEVELS)
            seen = _Seen(number, time - centre, (time - centre) / scale, distance, distance / unit, shift)
            self.seen[member.id].append(seen)
        self.compared[number] = Compared(tuple(time - centre for _, _, time in timed), 0.0, 0.0, scale, unit)

    def _together(self) -> None:
        """Each device over all its series: the median of what they say, and its z among the devices."""
        said = {key: seen for key, seen in self.seen.items() if seen}
        self.relative = {key: median([one.relative for one in seen]) for key, seen in said.items()}
        self.distance = {key: median([one.distance for one in seen]) for key, seen in said.items()}
        shifts = [median([one.shift for one in seen]) for seen in said.values()]
        values = list(self.relative.values())
        self.spread = MAD_TO_SIGMA * mad(values) if len(values) > 1 else None
        self.middle = median(values) if values else 0.0
        if len(values) < self.rules.neighbours.few:
            centre = min(values, default=0.0)
            scale = unit = self.rules.neighbours.assumed_spread
        else:
            centre, least = self.middle, self.rules.neighbours.least_spread
            scale, unit = (max(MAD_TO_SIGMA * mad(each), least) for each in (values, shifts))
        self.z = {key: (value - centre) / scale for key, value in self.relative.items()}
        self.spreads = {key: distance / unit for key, distance in self.distance.items()}
        self.overall = Compared(tuple(values), centre, self.middle, scale, unit)

    def _best_share(self, member: Member, least_time_s: float = 0.0) -> float | None:
        """The best utilisation of its compute rows, of those times at least, at precisions that it has natively."""
        native = member.record.precisions if member.record is not None else {}
        shares = [
            cell.utilization
            for number, cell in member.cells.items()
            if cell.utilization is not None
            and self.series[number].role is Role.COMPUTE
            and (cell.log_time is None or exp(cell.log_time) >= least_time_s)
            and (not native or self.series[number].key.precision in native)
        ]
        return max(shares, default=None)

    def verdicts(self) -> list[DeviceVerdict]:
        """What is said of each device, in the order of the members."""
        return [self._verdict(member) for member in self.members]

    def _verdict(self, member: Member) -> DeviceVerdict:
        found = [*self._failures(member), *self._slow(member), *self._history(member), *self._rating(member)]
        host, rank, device, run = member.id
        seen = self.seen[member.id]
        status: Status = "sick" if found else "healthy"
        reason = found[0].reason if found else ""
        if not found and (why := self._why_unjudged(member)):
            status, reason = "unjudged", why
        relative = self.relative.get(member.id)
        return DeviceVerdict(
            host=host,
            rank=rank,
            device=device,
            run=run,
            sku=member.sku,
            status=status,
            reason=reason,
            relative_time=None if relative is None else exp(relative - self.middle),
            robust_z=self.z.get(member.id),
            distance=self.distance.get(member.id),
            utilization=self.shares[member.id],
            series=len(seen),
            findings=tuple(found),
        )

    def _why_unjudged(self, member: Member) -> str:
        """Why nothing can be said of a device that broke no rule; "" where something can."""
        if not member.cells:
            return "no row of its own: it measured only together with others"
        if not self.seen[member.id]:
            words = sorted({f"{cell.status} ({cell.reason})" for cell in member.cells.values()})
            return "no row that can be judged" + (f": {words[0]}" if words else "")
        alone = all(self.timed[one.number] < 2 for one in self.seen[member.id])
        rated = self.believed_shares[member.id] is not None and self.rules.rating.least_share > 0
        if alone and not rated and not any(self._stored(member, one.number) for one in self.seen[member.id]):
            with_what = "row long enough for its rating" if self.shares[member.id] is not None else "rating"
            return f"no neighbour of its kind, no stored run and no {with_what} to compare it with"
        return ""

    def _failures(self, member: Member) -> list[Finding]:
        """Rows that failed here and nowhere else, or a device that has not one that was timed."""
        failed = {number: cell for number, cell in member.cells.items() if cell.status in FAILED}
        if not self.seen[member.id] and (failed or not (member.cells or member.together)):
            cell = next(iter(failed.values()), None)
            why = f"{cell.status}: {cell.reason}" if cell else "it is in the run and has no row"
            return [Finding("failed", "", None, None, None, f"measured nothing: {why}")]
        here = []
        for number, cell in sorted(failed.items()):
            others = [other for its, other in self.holders[number] if its.id != member.id]
            if cell.lost or sum(other.status in records.USABLE for other in others) * 2 > len(others):
                here.append((number, cell))
        if not here:
            return []
        number, cell = here[0]
        more = f" (and {len(here) - 1} more {plural('series', 1)})" if len(here) > 1 else ""
        where = "" if cell.lost else " here and passes on most of its kind"
        reason = f"{self.series[number].text} is {cell.status}{where}{more}: {cell.reason}"
        return [Finding("failed", self.series[number].text, None, None, None, reason)]

    def _slow(self, member: Member) -> list[Finding]:
        """Slow over all its series, else in one of them."""
        seen = self.seen[member.id]
        if not seen:
            return []
        worst = max(seen, key=lambda one: (one.distance, -one.number))
        z, distance = self.z[member.id], self.distance[member.id]
        if _beyond(z, distance, self.spreads[member.id], self.rules.device):
            # As the verdict's own time: over the median device where the words say so.
            relative = self.relative[member.id] - (0.0 if self.few else self.middle)
            slower = f"{percent(exp(relative) - 1)} slower than {self._reference_words()}"
            slower += f" over {len(seen)} series" if len(seen) > 1 else ""
            return [self._finding("device", member, worst, relative, z, distance, slower)]
        if _beyond(worst.z, worst.distance, worst.spreads, self.rules.series):
            slower = f"{percent(exp(worst.relative) - 1)} slower than {self._reference_words()}"
            slower += f" in {self.series[worst.number].text}"
            return [self._finding("series", member, worst, worst.relative, worst.z, worst.distance, slower)]
        return []

    def _reference_words(self) -> str:
        return "the fastest of its kind" if self.few else "the median of its kind"

    def _finding(
        self, rule: Rule, member: Member, worst: _Seen, relative: float, z: float, distance: float, slower: str
    ) -> Finding:
        cell = member.cells[worst.number]
        others = [other for its, other in self.holders[worst.number] if its.id != member.id]
        why = why_slow(SlowSeries(cell, others, self.series[worst.number].role))
        text = self.series[worst.number].text
        return Finding(rule, text, exp(relative), z, distance, f"{why}; {slower}" if why else slower)

    def _stored(self, member: Member, number: int) -> list[float]:
        """ln(seconds a call) of the series' stored runs, where there are enough."""
        if self.past is None or not member.class_fields:
            return []
        values = [log(value) for value in self.past(self.series[number].text, member.class_fields) if value > 0]
        return values if len(values) >= self.rules.history.points else []

    def _history(self, member: Member) -> list[Finding]:
        """Slower than the stored runs of its class, in the median over the series that have enough of them."""
        if self.past is None:
            return []
        found = []
        for one in self.seen[member.id]:
            values = self._stored(member, one.number)
            time = member.cells[one.number].log_time
            if values and time is not None:
                centre = median(values)
                scale = max(MAD_TO_SIGMA * mad(values), self.rules.neighbours.assumed_spread)
                found.append((time - centre, (time - centre) / scale, one.number, len(values)))
        if not found:
            return []
        relative = median([change for change, *_ in found])
        z = median([z for _, z, *_ in found])
        if z < self.rules.history.robust_z or relative < log(1 + self.rules.history.slowdown):
            return []
        _, _, number, points = max(found)
        reason = f"{percent(exp(relative) - 1)} slower than the stored runs of its class ({points} of the worst series)"
        return [Finding("history", self.series[number].text, exp(relative), z, None, reason)]

    def _rating(self, member: Member) -> list[Finding]:
        """Below the least share of its rating, unless that holds for its kind as a whole, whose kernels it may be."""
        share, least = self.believed_shares[member.id], self.rules.rating.least_share
        if share is None or share >= least or self._kind_below_rating():
            return []
        reason = f"delivers {percent(share)} of its rating at best, less than {percent(least)}"
        return [Finding("rating", "", None, None, None, reason)]

    def _kind_below_rating(self) -> bool:
        known = [share for share in self.believed_shares.values() if share is not None]
        return not self.few and bool(known) and median(known) < self.rules.rating.least_share

    def summary(self, sku: str, verdicts: Sequence[DeviceVerdict]) -> Kind:
        """The kind as a whole."""
        judged = sorted(
            (one for one in verdicts if one.relative_time is not None), key=lambda one: one.relative_time or 0
        )
        times = [one.relative_time or 0.0 for one in judged]
        note = ""
        if self._kind_below_rating():
            known = [share for share in self.believed_shares.values() if share is not None]
            note = f"the median device delivers {percent(median(known))} of its rating at best: the kind, or the rating"
        return Kind(
            sku=sku,
            devices=len(verdicts),
            judged=len(judged),
            sick=sum(one.status == "sick" for one in verdicts),
            spread=self.spread,
            quantiles=tuple(quantile_of_sorted(times, p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)) if times else (),
            fastest=name_of(judged[0]) if judged else "",
            slowest=name_of(judged[-1]) if judged else "",
            series=len(self.holders),
            note=note,
        )


def _beyond(z: float, distance: float, spreads: float, limits: Limits) -> bool:
    return z >= limits.robust_z and distance >= limits.distance and spreads >= limits.distance_spreads
