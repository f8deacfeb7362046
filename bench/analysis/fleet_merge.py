"""Many devices' rows gathered line by line: of each row only what judging a device needs is kept.

10,000 devices of 50 rows are a gigabyte of run files, and some hundred megabytes here. No judgement in here
(`bench.analysis.fleet`), and no reading of files.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite, log, nan
from typing import Any, Final

import msgspec

from bench import records
from bench.analysis.identity import GIB, SeriesKey, comparison_class, key_of
from bench.kernel import Role
from bench.stats.robust import quantile_of_sorted

LEVELS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
"""The middle deciles stand for a row's samples. Tails differ between healthy devices by what else the host did, and
made the distance the noisier of the two rules where all nine deciles were in it (docs/fleet.md)."""
FACTORS: Final = ("units", "clock", "memory", "launch", "kernel")
JUDGED: Final = ("ok", "noisy", "throttled")
"""Statuses whose times say something of the device. A card that is throttled is what is looked for; other work on the
device (contended) or a figure that can't be (invalid) is not the device's."""
FAILED: Final = ("wrong", "crashed", "timeout", "out_of_memory", "failed")
LOST: Final = "-lost"
"""How the id of the row ends by which a rank that was lost is told."""
NAMELESS: Final = ("", "anonymous")
"""Hosts that many machines may be called."""

DeviceId = tuple[str, int, str, str]
"""(host, rank, device, run id where the host has no name of its own)."""


class _Loss(msgspec.Struct, gc=False):
    factor: str
    ratio: float


class _Time(msgspec.Struct, gc=False):
    median_s: float
    q1_s: float | None = None
    q3_s: float | None = None


class _Quantity(msgspec.Struct, gc=False):
    median: float | None = None


class _Throttle(msgspec.Struct, gc=False):
    share: dict[str, float] = {}


class _Telemetry(msgspec.Struct, gc=False):
    clock_hz: _Quantity | None = None
    throttle: _Throttle | None = None


class _Row(msgspec.Struct, tag="measurement", tag_field="type", gc=False):
    """The part of a measurement that is looked at; the rest of the line is skipped unread."""

    id: str
    device: str
    host: str
    rank: int
    launch: int
    kernel: str
    case: msgspec.Raw
    precision: str
    accumulate: str | None
    implementation: str
    mode: str
    data: str
    cache: str
    status: records.Status
    reason: str
    role: Role | None = None
    time: _Time | None = None
    samples_s: list[float] | None = None
    utilization: float | None = None
    utilization_of: str | None = None
    losses: list[_Loss] | None = None
    telemetry: _Telemetry | None = None


class _Trial(msgspec.Struct, tag="trial", tag_field="type"):
    pass


class _Resume(msgspec.Struct, tag="resume", tag_field="type"):
    pass


class _End(msgspec.Struct, tag="end", tag_field="type"):
    pass


_DECODER: Final = msgspec.json.Decoder(records.Run | records.Device | _Row | _Trial | _Resume | _End)


@dataclass(slots=True)
class Cell:
    """One series on one device: its launches, summarised."""

    logs: array[float] = field(default_factory=lambda: array("d"))
    """The deciles (`LEVELS`) of ln(seconds a call), launch after launch."""
    medians: array[float] = field(default_factory=lambda: array("d"))
    """ln(median seconds a call), a launch each."""
    factors: array[float] = field(default_factory=lambda: array("d"))
    """The loss factors (`FACTORS`) of the last launch, NaN where unknown; empty where none is."""
    clock_hz: float | None = None
    throttle: dict[str, float] | None = None
    utilization: float | None = None
    status: records.Status = "ok"
    """The first by precedence."""
    reason: str = ""
    lost: bool = False
    """Whether the rank was lost while all were measuring together: no other rank tells whether it should pass."""

    @property
    def log_time(self) -> float | None:
        """ln(seconds a call): the median of the launches; None where nothing was timed that can be judged."""
        return quantile_of_sorted(sorted(self.medians), 0.5) if self.medians else None

    @property
    def deciles(self) -> list[float]:
        """The deciles of ln(seconds a call), the mean of the launches'."""
        launches = len(self.medians)
        return [sum(self.logs[place :: len(LEVELS)]) / launches for place in range(len(LEVELS))]


@dataclass(slots=True)
class Member:
    """One device of the fleet."""

    id: DeviceId
    record: records.Device | None
    sku: str
    """What it is compared with: devices of the same product, memory, slice, and cores in use."""
    class_fields: dict[str, str]
    """Its comparison class, for stored runs; {} where the file does not describe it."""
    cells: dict[int, Cell] = field(default_factory=dict)
    """By the number of the series."""
    together: bool = False
    """Whether a run of it has rows that all its ranks measured together."""


@dataclass
class Series:
    """One series of the fleet."""

    key: SeriesKey
    role: Role
    text: str


class Merger:
    """Takes run files in, one after the other, line by line."""

    def __init__(self) -> None:
        self.members: dict[DeviceId, Member] = {}
        self.series: list[Series] = []
        self.runs: list[str] = []
        self.rows = 0
        self._numbers: dict[tuple[object, ...], int] = {}
        self._by_key: dict[SeriesKey, int] = {}

    def add(self, lines: Iterable[bytes]) -> None:
        """One run file. Raises msgspec.DecodeError (or UnicodeDecodeError) for a line that is no record of one."""
        run: records.Run | None = None
        devices: dict[tuple[int, str], records.Device] = {}
        classes: dict[tuple[object, ...], dict[str, str]] = {}
        together = False
        for line in lines:
            record = _DECODER.decode(line)
            if isinstance(record, records.Run):
                run = record
                self.runs.append(run.id)
            elif isinstance(record, records.Device):
                devices[record.rank, record.device] = record
            elif isinstance(record, _Row) and record.role is Role.COLLECTIVE and not record.id.endswith(LOST):
                # What ranks measured together tells of none of them alone, and is told by one of them for all.
                self.rows, together = self.rows + 1, True
            elif isinstance(record, _Row) and run is not None:
                self._take(record, line, run, devices, classes)
        if run is not None:
            # A device without a row never came as far as measuring: it is one of the fleet all the same.
            for device in devices.values():
                member = self._member(device.host, device.rank, device.device, run, devices, classes)
                member.together |= together

    def _take(
        self,
        row: _Row,
        line: bytes,
        run: records.Run,
        devices: dict[tuple[int, str], records.Device],
        classes: dict[tuple[object, ...], dict[str, str]],
    ) -> None:
        self.rows += 1
        member = self._member(row.host, row.rank, row.device, run, devices, classes)
        cell = member.cells.setdefault(self._number(row, line, run), Cell())
        if not cell.medians or records.STATUSES.index(row.status) < records.STATUSES.index(cell.status):
            cell.status, cell.reason = row.status, row.reason
        cell.lost |= row.role is Role.COLLECTIVE
        if row.time is None or row.status not in JUDGED or not row.time.median_s > 0:
            return
        cell.medians.append(log(row.time.median_s))
        cell.logs.extend(_deciles(row))
        cell.utilization = max(filter(None, (cell.utilization, row.utilization)), default=None)
        if row.losses:
            known = {loss.factor: loss.ratio for loss in row.losses}
            cell.factors = array("d", [known.get(name, nan) for name in FACTORS])
        if row.telemetry is not None:
            clock = row.telemetry.clock_hz
            cell.clock_hz = clock.median if clock else None
            cell.throttle = (row.telemetry.throttle.share or None) if row.telemetry.throttle else None

    def _number(self, row: _Row, line: bytes, run: records.Run) -> int:
        """The number of the row's series."""
        chosen = "" if run.implementation == "best" else row.implementation
        what = (row.precision, row.accumulate, chosen, row.mode, row.data, row.cache, row.device.partition(":")[0])
        short = (row.kernel, bytes(row.case), *what)
        number = self._numbers.get(short)
        if number is None:
            full = records.decode(line)
            assert isinstance(full, records.Measurement)
            key = key_of(full, run)
            number = self._by_key.setdefault(key, len(self.series))
            if number == len(self.series):
                bytes_count = row.role is Role.BANDWIDTH or (row.role is None and row.utilization_of == "bytes")
                role = Role.BANDWIDTH if bytes_count else row.role or Role.COMPUTE
                self.series.append(Series(key, role, key.text))
            self._numbers[short] = number
        return number

    def _member(
        self,
        host: str,
        rank: int,
        device: str,
        run: records.Run,
        devices: dict[tuple[int, str], records.Device],
        classes: dict[tuple[object, ...], dict[str, str]],
    ) -> Member:
        named = "" if host in NAMELESS else host
        identity = (named, rank, device, "" if named else run.id)
        member = self.members.get(identity)
        if member is None:
            record = devices.get((rank, device))
            fields: dict[str, str] = {}
            if record is not None:
                # Of many like devices the class is worked out once: counting those of a name takes all of them.
                kind = (
                    record.name,
                    record.memory_bytes,
                    record.units.in_use,
                    record.mig,
                    record.driver,
                    record.runtime,
                )
                if kind not in classes:
                    file = records.RunFile(run=run, devices=list(devices.values()))
                    classes[kind] = comparison_class(file, record)
                fields = classes[kind]
            member = Member(identity, record, _sku(record), fields)
            self.members[identity] = member
        return member


def _sku(device: records.Device | None) -> str:
    if device is None:
        return "unknown"
    parts: list[Any] = [(device.name if device.kind == "cpu" else device.rating_name or device.name) or "unknown"]
    if device.kind == "cpu":
        # Virtual machines call many processors alike: the architecture tells some of them apart.
        parts += [device.architecture] if device.architecture else []
        parts.append(f"{device.units.in_use or '?'} cores")
    else:
        parts += [f"{round(device.memory_bytes / GIB)} GiB"] if device.memory_bytes else []
        parts += [f"MIG {device.mig}"] if device.mig else []
    return ", ".join(parts)


def _deciles(row: _Row) -> list[float]:
    """The deciles of ln(seconds a call). Without raw samples: of the quartiles, else of the median alone."""
    assert row.time is not None
    samples = [value for value in row.samples_s or () if value > 0 and isfinite(value)]
    if len(samples) < 3:
        known = (row.time.q1_s or row.time.median_s, row.time.median_s, row.time.q3_s or row.time.median_s)
        samples = [value for value in known if value > 0]
    samples.sort()
    return [log(quantile_of_sorted(samples, level)) for level in LEVELS]
