"""Small run files for tests of the store."""

from __future__ import annotations

import msgspec

from bench import records
from tests.factories import device, measurement, run_file

STARTED = "2026-01-{day:02}T00:00:00+00:00"
COMMIT = "3f9a2c7d00000000000000000000000000000000"


def run(
    run_id: str = "20260101T000000Z-00000000",
    *,
    day: int = 1,
    rows: list[records.Measurement] | None = None,
    devices: list[records.Device] | None = None,
    ended: bool = True,
    git: dict[str, object] | None = None,
) -> records.RunFile:
    """A run that began on that day of January 2026: one good GEMM row on a CPU unless given others."""
    file = run_file([measurement()] if rows is None else rows, devices=[device()] if devices is None else devices)
    begun = msgspec.structs.replace(file.run, id=run_id, started=STARTED.format(day=day), git=git)
    return msgspec.structs.replace(file, run=begun, end=file.end if ended else None)


def content(file: records.RunFile) -> bytes:
    """The run as a file's bytes."""
    lines = [file.run, *file.devices, *file.measurements, *file.resumes, *([file.end] if file.end else [])]
    return b"".join(map(records.encode, lines))
