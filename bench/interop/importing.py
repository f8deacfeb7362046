"""How the rows of a foreign file become a run of ours: what is known is kept, what is not is null, and none is guessed.

An imported run has method version 0: it was not measured by our method, and is compared with its like only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bench import __version__, records
from bench.errors import UnavailableError
from bench.interop import reading
from bench.interop.figures import Figures, rate_of, thinned, time_of, why_impossible
from bench.interop.naming import UNKNOWN, named

METHOD_VERSION: Final = 0
"""Of runs that were not measured by us."""
NO_RATING: Final = "imported: the file has no rating of the device"


@dataclass(frozen=True)
class Origin:
    """Where imported bytes come from: told by the caller, since nothing in the file is to be trusted with it."""

    format: str
    file: str
    """The file's name without its folder, as the user gave it."""
    imported: str
    """When, ISO 8601, UTC: the time of a run whose file has none."""
    unit: str | None = None
    """The unit of values whose file names none (`--unit`)."""


@dataclass(frozen=True)
class Imported:
    """One run of a foreign file, as it goes into the store."""

    run: records.RunFile
    data: bytes
    """The run file's bytes."""


@dataclass
class Head:
    """What a foreign file says of a run as a whole."""

    version: str | None = None
    """Of the format or of the tool that wrote it."""
    started: datetime | None = None
    git: dict[str, Any] | None = None
    host: dict[str, Any] = field(default_factory=dict)
    """name, os, kernel, arch, python: only what the file has."""
    software: dict[str, str] = field(default_factory=dict)
    device_name: str | None = None
    device_names: dict[str, str] = field(default_factory=dict)
    """By the device, where the file has more than one."""
    implementation: str = "all"
    """As the run was asked for, where the file is an export of ours that says so."""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Builder:
    """Collects the rows of one run."""

    origin: Origin
    head: Head
    rows: list[records.Measurement] = field(default_factory=list)

    def add(
        self,
        name: str,
        figures: Figures | str,
        case: Mapping[str, int | str] | None = None,
        launch: int = 0,
        status: records.Status = "unsupported",
    ) -> None:
        """One benchmark in one launch: its figures, or why it has none and the status that this is."""
        self.add_fields(named(name, case), figures, launch, status)

    def add_fields(
        self, fields: Mapping[str, Any], figures: Figures | str, launch: int = 0, status: records.Status = "unsupported"
    ) -> None:
        """The same with the fields that say what was measured, as `named` has them."""
        reason = figures if isinstance(figures, str) else why_impossible(figures.median_s)
        if not isinstance(figures, str) and reason:
            status = "failed"
        time = None if isinstance(figures, str) or reason else time_of(figures)
        known = figures if time is not None and isinstance(figures, Figures) else Figures(None)
        self.rows.append(
            records.Measurement(
                id=f"{len(self.rows) + 1:05d}",
                host=str(self.head.host.get("name") or UNKNOWN),
                rank=0,
                launch=launch,
                **fields,
                status="ok" if time is not None else status,
                reason=reason,
                work=known.work,
                time=time,
                samples_s=thinned(known.samples_s) if known.samples_s else None,
                rate=rate_of(known.work, time) if time is not None else None,
                utilization_of="bytes" if known.bandwidth else None,
                utilization_reason=NO_RATING,
                cache_reason=f"imported from {self.origin.format}",
                warnings=list(known.warnings),
            )
        )
        reading.limit_rows(len(self.rows))

    def build(self, content: bytes, number: int = 0) -> Imported:
        """The run. `content` and `number` make its id: the same file gives the same id again."""
        head, origin = self.head, self.origin
        started = head.started.isoformat(timespec="seconds") if head.started else origin.imported
        run = records.Run(
            id=_run_id(started, content, number),
            started=started,
            command=["bench", "import", "--from", origin.format],
            bench_version=__version__,
            method_version=METHOD_VERSION,
            suite=None,
            seed=0,
            launches=max((row.launch for row in self.rows), default=0) + 1,
            implementation=head.implementation,
            git=head.git,
            host=head.host | {"imported": self._provenance(content)},
            software=head.software,
        )
        end = records.End(
            status="complete",
            counts=records.counts(self.rows),
            exit_code=records.exit_code(self.rows),
            reason=f"imported from {origin.format}",
        )
        file = records.RunFile(run=run, devices=self._devices(), measurements=self.rows, end=end)
        return Imported(run=file, data=encoded(file))

    def _provenance(self, content: bytes) -> dict[str, Any]:
        return {
            "format": self.origin.format,
            "version": self.head.version,
            "file": self.origin.file,
            "sha256": hashlib.sha256(content).hexdigest(),
            "started": "from the file" if self.head.started else "unknown: that of the import",
        }

    def _devices(self) -> list[records.Device]:
        names = dict.fromkeys(row.device for row in self.rows)
        return [
            records.Device(
                device=name,
                kind=name.partition(":")[0],
                name=self.head.device_names.get(name) or self.head.device_name or UNKNOWN,
                host=str(self.head.host.get("name") or UNKNOWN),
                units=records.Units(kind=UNKNOWN, in_use=None),
                details=self.head.details,
            )
            for name in names
        ]


def finished(builders: Sequence[Builder], content: bytes) -> list[Imported]:
    """The runs of a file. Raises UnavailableError where none of all rows has a time: nothing is worth keeping."""
    reading.limit_runs(len(builders))
    reading.limit_rows(sum(len(one.rows) for one in builders))
    rows = [row for one in builders for row in one.rows]
    if not any(row.status in records.USABLE for row in rows):
        first = f"; {reading.short(rows[0].kernel)}: {reading.short(rows[0].reason)}" if rows else ""
        raise UnavailableError(f"the file: has no benchmark with a time or rate ({len(rows)} without{first})")
    return [one.build(content, number) for number, one in enumerate(builders) if one.rows]


def encoded(file: records.RunFile) -> bytes:
    """A run file's bytes, line by line in their order."""
    lines: list[records.Record] = [file.run, *file.devices, *file.measurements, *file.resumes]
    return b"".join(map(records.encode, [*lines, *([file.end] if file.end else [])]))


def _run_id(started: str, content: bytes, number: int) -> str:
    """As `records.run_id`, from the content instead of chance: importing a file twice is noticed."""
    digest = hashlib.sha256(f"{number}\n".encode() + hashlib.sha256(content).digest()).hexdigest()
    when = datetime.fromisoformat(started)
    return f"{when:%Y%m%dT%H%M%SZ}-{digest[:8]}"
