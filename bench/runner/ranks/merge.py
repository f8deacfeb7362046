"""What the ranks of a run have measured as one run file. Writing it apart, pure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench import records
from bench.errors import BenchError, UnavailableError
from bench.kernel import Role
from bench.runner.ranks.leader import Heard
from bench.store.temporary import beside, sweep, sweep_runs

UNKNOWN_DEVICE = "unknown"


def merged(
    run_id: str, heard: Sequence[Heard], *, leader: int, how: Mapping[str, Any], ended: str = "", wall_s: float
) -> records.RunFile:
    """One run file of all ranks: their devices, their rows, and a row with the reason for each rank that was lost.

    The run's line is the leader's, or of the first that got as far; `how` goes into its `pinning` as `ranks`. `ended`
    says what cut the run short. Raises UnavailableError with the reasons where no rank laid out a plan.
    """
    ready = [each for each in heard if each.ready]
    if not ready:
        raise UnavailableError("no rank could measure: " + "; ".join(_ends(heard)))
    head = next((each for each in ready if each.rank == leader), ready[0])
    assert head.ready is not None
    ranks = {**how, "world": len(heard), "leader": leader, "affinity": {each.rank: _cpus(each) for each in ready}}
    pinning = {**(head.ready.run.pinning or {}), "ranks": ranks}
    run = msgspec.structs.replace(head.ready.run, id=run_id, pinning=pinning, scenarios=_scenarios(ready))
    rows = [msgspec.structs.replace(row, id=f"r{each.rank}-{row.id}") for each in heard for row in each.rows]
    # The plan's order, so that what is cut off after a row is the same for all; stable, so ranks follow in order.
    rows.sort(key=lambda row: row.id.partition("-")[2])
    pattern = next((row for each in heard for row in (each.in_flight, *each.rows) if row is not None), None)
    rows = _together_once(rows)
    timed = {_asked(row): row for row in rows if row.time is not None}
    rows += [row for each in heard if (row := _lost_row(each, pattern, timed)) is not None]
    status: Literal["complete", "interrupted"] = "interrupted" if ended else "complete"
    return records.RunFile(
        run=run,
        devices=[device for each in heard for device in _devices(each)],
        measurements=rows,
        end=records.End(
            status=status,
            counts=records.counts(rows),
            exit_code=130 if ended else records.exit_code(rows),
            wall_s=wall_s,
            reason="; ".join(filter(None, [ended, *_ends(heard)])),
        ),
    )


def shared_devices(heard: Iterable[Heard]) -> list[str]:
    """A sentence for each accelerator that several ranks measured at once: the launcher gave them no device each."""
    owners: dict[tuple[str, str], list[int]] = {}
    for each in heard:
        for device in each.ready.devices if each.ready else ():
            if device.kind != "cpu" and device.unique_id:
                owners.setdefault((device.host, device.unique_id), []).append(each.rank)
    return [
        f"ranks {', '.join(map(str, ranks))} on {host} measured one and the same device: give each rank one of its own"
        for (host, _), ranks in owners.items()
        if len(ranks) > 1
    ]


def write(path: Path, file: records.RunFile) -> None:
    """Write a whole run file, or none: a reader never meets half of it, and one that is there stays.

    Raises UnavailableError where it can't be written.
    """
    assert file.end is not None
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        sweep_runs(path.parent)
        try:
            with open(temporary, "xb") as out:
                every: list[records.Record] = [file.run, *file.devices, *file.measurements, file.end]
                for record in every:
                    out.write(records.encode(record))
                out.flush()
                os.fsync(out.fileno())
            if path.exists():
                raise UnavailableError(f"--out: {path} exists already; a run never writes over another")
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except OSError as error:
        raise UnavailableError(f"--out: cannot write {path}: {error.strerror or error}") from error


def written(path: Path, file: records.RunFile) -> records.RunFile | None:
    """The run file at `path`, where a leader that was lost had written it before it could say so: it has all the rows
    of `file`. None where there is none, or somebody else's."""
    if not path.exists():
        return None
    with contextlib.suppress(BenchError):
        there = records.read(path)
        rows = {row.id: row for row in there.measurements}
        ours = [row for row in file.measurements if row.time is not None]
        if ours and there.end is not None and all(rows.get(row.id) == row for row in ours):
            return there
    return None


def _together_once(rows: Sequence[records.Measurement]) -> list[records.Measurement]:
    """Of a row that all ranks measured together the lowest rank's, where it has one status at all: it is one row, with
    the same samples at each. Where they differ, and where it could not be measured, each rank's stays."""
    groups: dict[tuple[str, bool], list[records.Measurement]] = {}
    for row in rows:
        groups.setdefault((row.id.partition("-")[2], row.role is Role.COLLECTIVE), []).append(row)
    dropped: set[str] = set()
    for (_, together), group in groups.items():
        alike = {(row.status, tuple(row.samples_s or ())) for row in group}
        if together and len(alike) == 1 and group[0].status in records.MEASURED:
            dropped |= {row.id for row in group[1:]}
    return [row for row in rows if row.id not in dropped]


def _cpus(each: Heard) -> Any:
    assert each.ready is not None
    return (each.ready.run.pinning or {}).get("affinity")


def _scenarios(ready: Sequence[Heard]) -> list[records.PlannedScenario]:
    """Each scenario once for every device name: ranks whose device has the same name have the same plan of it."""
    found = {(one.device, one.suite): one for each in ready if each.ready for one in each.ready.run.scenarios}
    return list(found.values())


def _devices(each: Heard) -> list[records.Device]:
    if each.ready:
        return each.ready.devices
    fate = each.fate.reason if each.fate else ""
    return [
        records.Device(
            device=UNKNOWN_DEVICE,
            kind="",
            name=f"unknown: {each.where} {fate}".rstrip(),
            host=each.hello.shown_host if each.hello else "",
            rank=each.rank,
            units=records.Units(kind="", in_use=None),
        )
    ]


def _asked(row: records.Measurement) -> tuple[object, ...]:
    return (row.kernel, repr(sorted(row.case.items())), row.precision, row.mode, row.data)


def _lost_row(
    each: Heard, pattern: records.Measurement | None, timed: Mapping[tuple[object, ...], records.Measurement]
) -> records.Measurement | None:
    """The row that a lost rank was at, or one as the others have it, with what became of the rank.

    Of the series of those who could time it, so that it is seen to fail where others pass. None where the rank ended by
    itself, or where nobody came as far as a row.
    """
    if each.fate is None or each.fate.status is None:
        return None
    done = {row.id for row in each.rows}
    at = each.in_flight if each.in_flight is not None and each.in_flight.id not in done else None
    like = at or each.in_flight or pattern
    if like is None:
        return None
    device = _devices(each)[0]
    twin = timed.get(_asked(like), like)
    return records.Measurement(
        id=f"r{each.rank}-lost",
        device=like.device if like.rank == each.rank else device.device,
        host=device.host,
        rank=each.rank,
        launch=like.launch,
        kernel=like.kernel,
        case=like.case,
        precision=like.precision,
        accumulate=twin.accumulate,
        implementation=twin.implementation,
        role=like.role,
        mode=like.mode,
        data=like.data,
        cache=twin.cache,
        status=each.fate.status,
        reason=f"{each.where}: {each.fate.reason}" + (" (during this row)" if at else ""),
        work=like.work,
        scenario=like.scenario,
    )


def _ends(heard: Sequence[Heard]) -> list[str]:
    """What there is to say of how the ranks ended, those with one reason together."""
    named: dict[str, list[str]] = {}
    for each in heard:
        if each.fate is not None and each.fate.reason:
            named.setdefault(each.fate.reason, []).append(each.where)
    shown = 4
    found = []
    for reason, where in named.items():
        more = f" and {len(where) - shown} more" if len(where) > shown else ""
        found.append(f"{', '.join(where[:shown])}{more}: {reason}")
    return found
