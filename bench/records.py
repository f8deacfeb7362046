"""The run file: JSON Lines, one object a line, append-only; its schema, how it is read and how it is written.

Line types: `run`, `device`, `trial`, `measurement`, `resume`, `end`. Times are seconds, rates operations or bytes per
second, memory bytes, clocks Hz; the unit is in the name. What was not measured is null. A written line is never
rewritten, so keys that this version doesn't know stay in the file (`lines` hands them on); a newer schema is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias, cast, get_args

import msgspec

from bench.errors import UnavailableError
from bench.kernel import Role

SCHEMA = 1
COMPRESSED: Final = ".gz"
"""Suffix of a run file that `results compact` compressed."""
PATTERNS: Final = ("*.jsonl", "*.jsonl.gz")
"""What run files are called."""

Status: TypeAlias = Literal[
    "unsupported",
    "wrong",
    "crashed",
    "timeout",
    "out_of_memory",
    "failed",
    "invalid",
    "contended",
    "throttled",
    "noisy",
    "ok",
]
STATUSES: tuple[Status, ...] = get_args(Status)
"""Every status, by precedence."""
UtilizationOf: TypeAlias = Literal["operations", "bytes"]
USABLE: tuple[Status, ...] = ("ok", "noisy")
"""Statuses whose rows are ranked and compared."""
UNSTABLE: tuple[Status, ...] = ("throttled", "contended", "invalid")
"""Statuses that make a run unstable when more than a quarter of the measured rows have them (exit 4)."""
MEASURED: tuple[Status, ...] = (*USABLE, *UNSTABLE)
"""Statuses of rows that were timed."""


class Check(msgspec.Struct, kw_only=True):
    """Relative (Frobenius) error of the output against the reference, and what was allowed."""

    error: float | None
    tolerance: float
    passed: bool


class Work(msgspec.Struct, kw_only=True):
    """Nominal operations of one call, and bytes read plus written."""

    operations: int
    bytes: int


class Executed(msgspec.Struct, kw_only=True):
    """What the hardware executed where it is not the nominal work, and whose rating the unit has."""

    operations: int
    precision: str
    note: str = ""


class Time(msgspec.Struct, kw_only=True):
    """Seconds per call over the samples of one launch; the interval is that of the median within this launch.

    A run of ours has all of it but the interval. Of an imported one only the median is sure to be known.
    """

    median_s: float
    q1_s: float | None
    q3_s: float | None
    min_s: float | None
    mean_s: float | None
    stdev_s: float | None
    ci95_low_s: float | None
    ci95_high_s: float | None
    samples: int | None
    calls_per_sample: int | None
    timer: Literal["event", "event-busy", "graph", "host", "imported"]
    stop: Literal["interval", "iqr", "noise-stable", "budget", "imported"]


class Rate(msgspec.Struct, kw_only=True):
    """From the median time."""

    operations_per_s: float | None = None
    bytes_per_s: float | None = None


class Rated(msgspec.Struct, kw_only=True):
    """The rated peak that a rate is set against. `kind` "undisclosed" carries no figure."""

    kind: Literal["datasheet", "computed", "user", "undisclosed"]
    operations_per_s: float | None = None
    bytes_per_s: float | None = None
    source: str = ""
    clock_hz: float | None = None


class Loss(msgspec.Struct, kw_only=True):
    """One factor of the utilisation."""

    factor: Literal["units", "clock", "memory", "launch", "kernel"]
    ratio: float
    why: str


class Sustained(msgspec.Struct, kw_only=True):
    """Calls back to back: the time per call of each slice, and how far the rate fell."""

    wall_s: float
    calls: int
    ends_s: list[float]
    """End of each slice, from the start; at most 600, evenly thinned, as `per_call_s`."""
    per_call_s: list[float]
    burst_median_s: float | None = None
    """Seconds per call of a short burst before, in the same process and cache state."""
    droop_ratio: float | None = None
    """Final rate over initial; below 1 the rate fell."""
    time_constant_s: float | None = None
    """When all but 1/e of the fall had happened; null where it did not fall beyond its noise."""


class ScenarioEntry(msgspec.Struct, kw_only=True):
    """Which call of which application a row is, and how many such calls a step of it has."""

    suite: str
    size: Literal["tiny", "full"]
    """full: the application's own sizes; tiny: some of them divided, for a processor."""
    entry: str
    weight: int


class PlannedScenario(msgspec.Struct, kw_only=True):
    """A scenario as one device is asked for it: what has to be measured before its figure is whole."""

    device: str
    suite: str
    size: Literal["tiny", "full"]
    title: str
    step: str
    """What one step is, of which the weights count the calls."""
    entries: dict[str, list[str]]
    """Entry → the precisions that it is asked for at."""


class Run(msgspec.Struct, kw_only=True, tag="run", tag_field="type"):
    """The first line: what was asked for, by which software, where."""

    schema: int = SCHEMA
    id: str
    started: str
    command: list[str]
    bench_version: str
    method_version: int
    suite: str | None
    seed: int
    launches: int = 1
    implementation: str = "best"
    """As asked for: "best", "all" or a name. Where it is "best", a series is of the best and not of the one chosen."""
    budget_s: float | None = None
    git: dict[str, Any] | None = None
    host: dict[str, Any] = {}
    software: dict[str, str] = {}
    environment: dict[str, str] = {}
    pinning: dict[str, Any] | None = None
    pages: dict[str, Any] | None = None
    scenarios: list[PlannedScenario] = []
    """For a suite of scenarios: each one asked for, by device."""


class Units(msgspec.Struct, kw_only=True):
    """The compute units that a device has in use: affinity, quota and slices respected."""

    kind: str
    """multiprocessor, compute unit, core, …"""
    in_use: int | None
    total: int | None = None
    why: str = ""
    """Why fewer are in use than there are: "affinity mask", "cgroup quota 1.5", "MIG 1g.10gb"."""


class Clock(msgspec.Struct, kw_only=True):
    """A device's clock and how it is known."""

    hz: float | None
    source: str
    """"model table", "cpufreq", "measured (dependent multiply chain)", "nvml", …"""


class PcieLink(msgspec.Struct, kw_only=True):
    """A device's PCI Express link: what the device is made for, and what it has where it is plugged in."""

    gt_per_s: float
    """1e9 transfers a second and lane at the highest speed that the device is made for: 32 is PCIe 5.0."""
    lanes: int
    gt_per_s_here: float | None = None
    """The highest speed that device and slot have in common; null when unknown. Idle devices slow their links down, so
    the speed of the moment says nothing."""
    lanes_here: int | None = None
    """Lanes in use; null when unknown."""
    source: str = ""


class Device(msgspec.Struct, kw_only=True, tag="device", tag_field="type"):
    """Identity of one device, its units in use and the ratings used for it."""

    device: str
    """As the user names it: "cuda:0", "cpu"."""
    kind: str
    """torch's device type."""
    name: str
    host: str = ""
    rank: int = 0
    ranks: int = 1
    """How many ranks measured at once, this one among them; 1 where each measured alone."""
    vendor: str = ""
    architecture: str = ""
    capability: list[int] | None = None
    isa: list[str] = []
    units: Units
    memory_bytes: int | None = None
    caches: dict[str, int] = {}
    """Bytes by level: "l1d", "l2", "llc"."""
    driver: str | None = None
    runtime: str | None = None
    unique_id: str | None = None
    """Hash of the device's serial or UUID: tells two cards apart, names none."""
    pci_id: str | None = None
    """"10de:2330": vendor and device."""
    pcie: PcieLink | None = None
    """Its link to the host; null where it has none or nothing tells."""
    virtualization: str | None = None
    mig: str | None = None
    power_limit_w: float | None = None
    ecc: bool | None = None
    clock: Clock | None = None
    precisions: dict[str, str] = {}
    """Precision → the unit that executes it natively ("AMX-INT8", "tensor core", "FP32 FMA"); absent: not native."""
    ratings: dict[str, Rated] = {}
    """"fp16/fp32" (precision/accumulation) or "bandwidth" → the rating used."""
    rating_name: str | None = None
    """The one row of the tables that the device matched; null when none did."""
    details: dict[str, Any] = {}


class Measurement(msgspec.Struct, kw_only=True, tag="measurement", tag_field="type"):
    """One case of one kernel at one precision by one implementation in one launch."""

    id: str
    device: str
    host: str
    rank: int
    launch: int
    kernel: str
    case: dict[str, int | str]
    precision: str
    accumulate: str | None
    implementation: str
    role: Role | None = None
    """What the kernel's figure is for; null in files of earlier versions, where `utilization_of` tells of bandwidth."""
    mode: Literal["burst", "sustained"]
    data: str
    cache: Literal["cold", "warm", "not-applicable"]
    status: Status
    reason: str
    also: list[str] = []
    quarantine: list[str] = []
    check: Check | None = None
    work: Work | None = None
    executed: Executed | None = None
    time: Time | None = None
    samples_s: list[float] | None = None
    rate: Rate | None = None
    rated: Rated | None = None
    utilization: float | None = None
    utilization_of: UtilizationOf | None = None
    utilization_reason: str | None = None
    losses: list[Loss] | None = None
    telemetry: dict[str, Any] | None = None
    spent_s: dict[str, float] = {}
    """Wall time of this row by phase: inputs, reference, check, screen, warmup, timed, …"""
    screened: list[dict[str, Any]] = []
    """For "best": what the other implementations reached in the short screening, or why they were left out."""
    sustained: Sustained | None = None
    cache_reason: str = ""
    """Why the caches were in the state that `cache` names: "21 copies of the inputs in turn (168 MiB)"."""
    warnings: list[str] = []
    scenario: ScenarioEntry | None = None
    """For a suite of scenarios: which call of which application this is."""
    hosts: int = 1
    """Machines that took part in it: more than one only for what several ranks measured together."""


class Trial(msgspec.Struct, kw_only=True, tag="trial", tag_field="type"):
    """One short look of the finder at one case: roughly how fast it is, unchecked. For choosing, never for a figure."""

    number: int
    device: str
    kernel: str
    case: dict[str, int | str]
    precision: str
    implementation: str
    stage: str
    """Why it was looked at: "design", "model", "neighbour", "random", "again" or "confirm"."""
    status: Status
    reason: str = ""
    call_s: float | None = None
    """Seconds per call, the median of one short look; null where it did not run."""
    rate: Rate | None = None
    spent_s: float = 0.0
    """Wall time of the look, set-up included."""


class Resume(msgspec.Struct, kw_only=True, tag="resume", tag_field="type"):
    """A run taken up again."""

    resumed: str
    command: list[str]


class End(msgspec.Struct, kw_only=True, tag="end", tag_field="type"):
    """How the run ended."""

    status: Literal["complete", "interrupted", "failed"]
    counts: dict[str, int]
    exit_code: int
    wall_s: float | None = None
    reason: str = ""


Record: TypeAlias = Run | Device | Trial | Measurement | Resume | End


class RunFile(msgspec.Struct, kw_only=True):
    """A whole run file, read."""

    run: Run
    devices: list[Device] = []
    measurements: list[Measurement] = []
    trials: list[Trial] = []
    resumes: list[Resume] = []
    end: End | None = None
    truncated: bool = False
    """Whether an unfinished last line was ignored."""

    def device(self, name: str) -> Device | None:
        """The device of that name, if the file has it."""
        return next((d for d in self.devices if d.device == name), None)


def run_id() -> str:
    """A new run id: UTC time plus random bits, never a "next number", so that many writers never meet."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def now() -> str:
    """The time now, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def encode(record: Record) -> bytes:
    """One line of the run file, newline included. Every key of the record is written; NaN and Infinity become null."""
    return msgspec.json.encode(record) + b"\n"


def decode(line: bytes | str) -> Record:
    """Read one line. Raises msgspec.ValidationError or msgspec.DecodeError on anything else."""
    return _DECODER.decode(line)


_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def counts(measurements: list[Measurement]) -> dict[str, int]:
    """How many measurements have each status, in order of precedence; only those that occur."""
    tally = Counter(m.status for m in measurements)
    return {status: tally[status] for status in STATUSES if tally[status]}


def exit_code(measurements: list[Measurement]) -> int:
    """The contract's exit code of a finished run: 3 nothing usable, 4 more than a quarter unstable, else 0."""
    measured = [m for m in measurements if m.status in MEASURED]
    unstable = [m for m in measured if m.status in UNSTABLE or m.quarantine]
    if measured and len(unstable) * 4 > len(measured):
        return 4
    return 0 if any(m.status in USABLE for m in measured) else 3


class Writer:
    """Appends records to a run file, each line flushed to the disk before the next is measured.

    A new file by default, and never over an existing one; with `append` an existing one, whose unfinished last line
    is cut off.
    """

    def __init__(self, path: Path, append: bool = False) -> None:
        self.path = path
        if append and path.suffix == COMPRESSED:
            raise UnavailableError(f"--resume: {path} is compressed (`results compact`): no row can be added to it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": a run never writes over another one's file.
            self._file = open(path, "r+b" if append else "xb", buffering=0)  # noqa: SIM115  # open for the whole run
            if append:
                self._file.truncate(self._file.read().rfind(b"\n") + 1)
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            argument = "--resume" if append else "--out"
            raise UnavailableError(f"{argument}: cannot write {path}: {error.strerror or error}") from error

    def write(self, record: Record) -> None:
        """Append one line and hand it to the disk; a line that does not fit is taken back whole."""
        start = self._file.tell()
        data = memoryview(encode(record))
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
                self._file.seek(start)
            raise UnavailableError(f"{self.path}: cannot write: {error.strerror or error}") from error

    def close(self) -> None:
        self._file.close()


def find(path: Path) -> Path:
    """The run file meant by a path: itself, or a folder's newest. Raises UnavailableError where there is none."""
    if not path.is_dir():
        return path
    found = []
    for file in (file for pattern in PATTERNS for file in path.glob(pattern) if file.is_file()):
        with contextlib.suppress(OSError):  # compressed since the listing, and so called otherwise
            found.append((file.stat().st_mtime, file))
    if not found:
        raise UnavailableError(f"no run file ({', '.join(PATTERNS)}) in {path}")
    return max(found)[1]


def lines(path: Path) -> Iterator[bytes]:
    """The complete lines of a run file as they stand. Raises UnavailableError where it can't be read."""
    try:
        with _open(path) as file:
            for line in file:
                if line.endswith(b"\n") and line.strip():
                    yield line
    except (OSError, EOFError, zlib.error) as error:
        raise UnavailableError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read(path: Path) -> RunFile:
    """Read a run file. An unfinished last line is ignored; anything foreign or newer raises UnavailableError."""
    records = list(_records(path))
    if not records or not isinstance(records[0], Run):
        raise UnavailableError(f"{path} is not a run file: its first line is not a run record")
    ends = [r for r in records if isinstance(r, End)]
    return RunFile(
        run=records[0],
        devices=[r for r in records if isinstance(r, Device)],
        measurements=[r for r in records if isinstance(r, Measurement)],
        trials=[r for r in records if isinstance(r, Trial)],
        resumes=[r for r in records if isinstance(r, Resume)],
        end=ends[-1] if ends else None,
        truncated=_unfinished(path),
    )


def _records(path: Path) -> Iterator[Record]:
    for number, line in enumerate(lines(path), start=1):
        if number == 1:
            _refuse_foreign(path, line)
        try:
            yield decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnavailableError(f"{path}: line {number} is not a record of a run file: {error}") from error


def _refuse_foreign(path: Path, first: bytes) -> None:
    """A clear word for files that are not ours, or that are too new for us."""
    try:
        head = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError):
        head = None
    if not isinstance(head, dict) or head.get("type") != "run":
        raise UnavailableError(f"{path} is not a run file: its first line is not a run record")
    schema = head.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UnavailableError(f"{path} has schema {schema}; this version reads up to {SCHEMA}: update suanli-bench")


def _open(path: Path) -> IO[bytes]:
    """The file, or its compressed form where only that is left: people and notes go on using the name that it had."""
    try:
        return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == COMPRESSED else open(path, "rb")
    except FileNotFoundError:
        if path.suffix == COMPRESSED or not path.name:
            raise
        return cast(IO[bytes], gzip.open(path.with_name(path.name + COMPRESSED), "rb"))


def _unfinished(path: Path) -> bool:
    with _open(path) as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
