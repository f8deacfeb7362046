"""Whether a timed row may be believed: `invalid`, `contended` or `throttled` by its telemetry, and what quarantines it.

Pure. What a source did not say is unknown: it gives no verdict and never passes for clean, but is listed in the row's
telemetry under `unknown`. Whether a row reached its precision (`noisy`) is decided where it is timed, and kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from bench import records
from bench.analysis import observed
from bench.analysis.roofline import is_ceiling, measured_ceiling
from bench.analysis.utilization import PLAUSIBLE, Denominators
from bench.analysis.words import mhz, percent, plural
from bench.precision import PRECISIONS
from bench.ratings import clock_adjusted_peak

KindOf: TypeAlias = Callable[[str], str]
"""Throttle reason → its kind, as `bench.telemetry.reasons.kind_of` tells: given, for analysis is beside telemetry."""

SLOW_CLOCK: Final = 0.75
"""Of the rated boost clock: below, a sample is throttled (nvbench's discard threshold)."""
STEAL: Final = 0.05
"""Largest share of the CPU time that a hypervisor may give to others (method, quarantine)."""
OTHERS_CPUS: Final = 0.2
"""Of one CPU, the most that other processes may take (ours). CPUs and not a share: a kernel whose threads wait for each
other is held up by one busy core of many. On two CPUs it is two clock ticks of a sample of 0.1 s, above rounding."""
CANARY_OFF: Final = 0.15
"""How far a canary's reading, clock or units, may be below the best of its launch. The method proposed 3 % of the units
and 5 % of the clock; on a virtual machine of two CPUs that was otherwise idle, single readings of a few milliseconds
scattered by up to 9 % (units, best of five) and 14 % (clock), and two in three rows were accused."""
WHO_TAKES: Final = "by a neighbour, or by our own threads that share a core"
EXPLAINED_SHARE: Final = 0.5
"""Of the samples, in how many a reason has to hold to explain their median (ours)."""
LEAST_CLOCK_SAMPLES: Final = 10
"""Below, the highest clock seen is too likely not the highest there was to call a rate impossible by it (ours)."""

TROUBLE: Final = frozenset({"thermal", "hardware", "power_brake"})
"""Kinds of throttle reasons that make a row `throttled` however seldom they were set."""
EXPLAINED: Final = frozenset({"power_cap", "current", "setting"})
"""Kinds that a low clock may have: limits that a device is meant to run at, and a clock that somebody set. Method §5
names the power cap; the others are no more of an accident than that. They go into the loss breakdown."""


@dataclass(frozen=True)
class Finding:
    """One thing that telemetry says against a row. Without a status it quarantines alone."""

    reason: str
    status: records.Status | None = None
    quarantines: bool = True


def judge(row: records.Measurement, *, denominators: Denominators, kind_of: KindOf) -> records.Measurement:
    """The row with the status, `also` and `quarantine` that its telemetry calls for; to be asked after `rate_row`.

    `row.telemetry` is as `bench.telemetry.summarize` gives it, with the launch's best canary under `canary_reference`
    (`observed.canary_reference`) where one was run; `kind_of` is `bench.telemetry.reasons.kind_of`.
    The first status by precedence wins with its reasons; the others stand in `also`, their reasons in `warnings`. Rows
    that were not timed come back as they are. Judging twice changes nothing.
    """
    if row.status not in records.MEASURED:
        return row
    found = list(findings(row, denominators, kind_of))
    reasons: dict[records.Status, list[str]] = {row.status: [row.reason] if row.reason else []}
    for finding in found:
        if finding.status is not None and not (finding.status == row.status and finding.reason in row.reason):
            reasons.setdefault(finding.status, []).append(finding.reason)
    hold = {*reasons, *(status for status in records.STATUSES if status in row.also)} - {"ok"}
    status, *also = sorted(hold, key=records.STATUSES.index) or ["ok"]
    beside = [f"{name}: {reason}" for name in also for reason in reasons.get(name, [])]
    return msgspec.structs.replace(
        row,
        status=status,
        reason="; ".join(_distinct(reasons.get(status, []))),
        also=list(also),
        quarantine=_distinct([*row.quarantine, *(finding.reason for finding in found if finding.quarantines)]),
        warnings=_distinct([*row.warnings, *beside]),
        telemetry=None if row.telemetry is None else {**row.telemetry, "unknown": unknown(row, denominators.device)},
    )


def findings(row: records.Measurement, denominators: Denominators, kind_of: KindOf) -> Iterator[Finding]:
    """Everything that the row's telemetry says against it, in order of precedence."""
    device = denominators.device
    yield from _too_fast(row, denominators)
    if device.kind == "cpu":
        yield from _canary(row)
    yield from _others(row, device)
    yield from _throttled(row, device, kind_of)
    errors = observed.quantity(row.telemetry, "ecc_errors", "rise")
    if errors:
        yield Finding(f"memory errors (ECC) during the row: {errors:.0f}")


def unknown(row: records.Measurement, device: records.Device) -> list[str]:
    """What nothing could tell of the row, so that it is not judged by it."""
    checks: dict[str, object] = {
        "throttle": observed.throttle_shares(row.telemetry),
        "steal_share": observed.share(row.telemetry, "steal_share"),
    }
    if device.kind == "cpu":
        checks["busy_share_other"] = observed.share(row.telemetry, "busy_share_other")
        checks["canary"] = _taken(row)
    else:
        checks |= {name: observed.quantity(row.telemetry, name) for name in (observed.CLOCK, "other_processes")}
    return [name for name, value in checks.items() if value is None]


def above_ceiling(row: records.Measurement, rows: Sequence[records.Measurement]) -> str:
    """A warning where a row's rate exceeds, by more than its interval, the ceiling that `rows` have measured; else "".

    Set against the ceiling of the unit that executed it, with the operations executed. `rows` are the run's so far: a
    ceiling that is measured later says nothing here.
    """
    if row.time is None or row.work is None or row.utilization_of == "bytes" or is_ceiling(row):
        return ""
    precision, accumulate, operations = row.precision, row.accumulate, row.work.operations
    if row.executed is not None:
        precision, operations = row.executed.precision, row.executed.operations
        accumulate = PRECISIONS[precision].accumulate
    ceiling = measured_ceiling(rows, row.device, precision, accumulate)
    slowest = operations / (row.time.ci95_high_s or row.time.median_s)
    if ceiling is None or slowest <= ceiling:
        return ""
    times = operations / row.time.median_s / ceiling
    return (
        f"{times:.2f} × the measured {precision} ceiling of {ceiling / 1e12:.4g} T/s: the ceiling was measured at a "
        "lower clock or on busy cores, or less was executed than is counted"
    )


def _too_fast(row: records.Measurement, denominators: Denominators) -> Iterator[Finding]:
    """A rate above what the executing unit can do at the highest clock that was seen.

    Only where the driver samples the clock: a processor's is inferred, and `rate_row` has judged by the highest known.
    """
    highest_hz = observed.quantity(row.telemetry, observed.CLOCK, "max")
    samples = observed.quantity(row.telemetry, observed.CLOCK, "samples") or 0
    if row.status == "invalid" or row.time is None or row.work is None or row.utilization_of == "bytes":
        return
    if denominators.device.kind == "cpu" or not highest_hz or samples < LEAST_CLOCK_SAMPLES:
        return
    key, operations = f"{row.precision}/{row.accumulate}", row.work.operations
    if row.executed is not None:
        key = f"{row.executed.precision}/{PRECISIONS[row.executed.precision].accumulate}"
        operations = row.executed.operations
    peak = clock_adjusted_peak(denominators.device, key, highest_hz, denominators.tables)
    if peak and operations / row.time.median_s > PLAUSIBLE * peak:
        times = operations / row.time.median_s / peak
        reason = (
            f"{times:.2f} × the {key} peak at the {mhz(highest_hz)} MHz observed: rating row, or cache, or less work?"
        )
        yield Finding(reason, "invalid", quarantines=False)


def _canary(row: records.Measurement) -> Iterator[Finding]:
    """What a burst of known work before and after the row says of the clock and of who shares the units."""
    # A moved clock quarantines and no more: stolen time slows the chain too. On a loaded virtual machine readings 0.2 s
    # apart differed by up to 14 %, and what is contention must not be called `invalid` for it.
    clocks = [hz for hz in observed.canary(row.telemetry, "clock_hz") if hz]
    if clocks and max(clocks) - min(clocks) > CANARY_OFF * max(clocks):
        yield Finding(f"the clock changed during the row: {' → '.join(map(mhz, clocks))} MHz")
    slower, lost = _fell(row, "clock_hz"), _taken(row)
    if lost is not None and lost > CANARY_OFF:
        yield Finding(f"{percent(lost)} of the FMA units were taken {WHO_TAKES}", "contended")
    if slower is not None and slower > CANARY_OFF:
        yield Finding(f"the clock was {percent(slower)} below the best of this launch")
    fell = _fell(row, "fma_flops_all")
    if fell is not None and fell > CANARY_OFF and (lost is None or lost <= CANARY_OFF):
        why = "the clock is unknown" if slower is None else "with the clock"
        yield Finding(f"the canary was {percent(fell)} below the best of this launch ({why})")


def _taken(row: records.Measurement) -> float | None:
    """Share of the FMA units, on all threads, that the row's canary missed per clock cycle: what others took.

    Per cycle, so that a slow clock alone takes nothing and does not hide a neighbour either. The better of before and
    after: a canary is a look of milliseconds, and two virtual CPUs that share a core for so long are no neighbour of
    a row that lasts seconds. Of 139 rows the worse look accused 34, the better 5, and those 5 were slow. None where a
    clock or a rate of either, or the launch's best, is unknown.
    """
    best_flops = observed.canary_best(row.telemetry, "fma_flops_all")
    best_hz = observed.canary_best(row.telemetry, "clock_hz")
    if not best_flops or not best_hz:
        return None
    readings = zip(
        observed.canary(row.telemetry, "fma_flops_all"), observed.canary(row.telemetry, "clock_hz"), strict=True
    )
    shares = [1 - flops / hz / (best_flops / best_hz) for flops, hz in readings if flops is not None and hz]
    return min(shares, default=None)


def _fell(row: records.Measurement, what: str) -> float | None:
    """By which share the better of the canary's readings is below the best of the launch; None where unknown."""
    best = observed.canary_best(row.telemetry, what)
    known = [reading for reading in observed.canary(row.telemetry, what) if reading is not None]
    return 1 - max(known) / best if best and known else None


def _others(row: records.Measurement, device: records.Device) -> Iterator[Finding]:
    """Other work on the device or on the cores."""
    steal = observed.share(row.telemetry, "steal_share")
    if steal is not None and steal > STEAL:
        yield Finding(f"the hypervisor gave {percent(steal)} of the CPU time to others", "contended")
    if device.kind != "cpu":
        processes = observed.quantity(row.telemetry, "other_processes", "max")
        if processes:
            count = round(processes)
            yield Finding(f"{count} other {'process' if count == 1 else 'processes'} on the device", "contended")
        return
    busy = observed.share(row.telemetry, "busy_share_other")
    if busy is not None and device.units.in_use and busy * device.units.in_use > OTHERS_CPUS:
        cores = f"{device.units.in_use} {plural(device.units.kind, device.units.in_use)}"
        yield Finding(f"other processes took {percent(busy)} of the {cores}", "contended")


def _throttled(row: records.Measurement, device: records.Device, kind_of: KindOf) -> Iterator[Finding]:
    shares = observed.throttle_shares(row.telemetry)
    words = ", ".join(observed.throttle_words(row.telemetry))
    ratio = _of_boost(row, device)
    trouble = any(kind_of(reason) in TROUBLE for reason in shares or {})
    slow = ratio is not None and ratio < SLOW_CLOCK and not _explained(shares, kind_of)
    if not trouble and not slow:
        return
    cause = words or ("the source does not say why" if shares is None else "no throttle reason was set")
    fell = f"clock fell to {percent(ratio)} of boost: " if ratio is not None and ratio < 1 else ""
    yield Finding(fell + cause, "throttled")


def _explained(shares: Mapping[str, float] | None, kind_of: KindOf) -> bool:
    """Whether limits that a device is meant to run at held it, and nothing else, in most samples."""
    causes = {reason: share for reason, share in (shares or {}).items() if kind_of(reason) != "idle"}
    kinds = {kind_of(reason) for reason in causes}
    return bool(kinds) and kinds <= EXPLAINED and max(causes.values()) >= EXPLAINED_SHARE


def _of_boost(row: records.Measurement, device: records.Device) -> float | None:
    """The clock over the one that the device should have; None where either is unknown.

    A GPU: the median over the row, of the rating's clock. A processor's turbo hangs on how many cores work, so its own
    best of this launch is what it should have, by the canary.
    """
    if device.kind == "cpu":
        fell = _fell(row, "clock_hz")
        return None if fell is None else 1 - fell
    seen_hz = observed.quantity(row.telemetry, observed.CLOCK)
    boost_hz = (row.rated.clock_hz if row.rated else None) or (device.clock.hz if device.clock else None)
    return seen_hz / boost_hz if seen_hz and boost_hz else None


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
