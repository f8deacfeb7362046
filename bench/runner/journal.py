"""The run file as it grows: every record on the disk before the next is measured, and the same in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench import records


class Journal:
    """Writes the run and device lines at once (or a resume line), then rows as they come, then the end."""

    def __init__(self, writer: records.Writer, file: records.RunFile, started: float) -> None:
        self._writer = writer
        self._started = started
        self.file = file

    @classmethod
    def new(cls, path: Path, run: records.Run, devices: Sequence[records.Device], started: float) -> Journal:
        """Begin a run file; raises UnavailableError where it can't be written or exists."""
        writer = records.Writer(path)
        writer.write(run)
        for device in devices:
            writer.write(device)
        return cls(writer, records.RunFile(run=run, devices=list(devices)), started)

    @classmethod
    def resume(cls, path: Path, earlier: records.RunFile, command: list[str], started: float) -> Journal:
        """Take up a run file again: an unfinished last line is cut off, and a `resume` line says where it went on."""
        writer = records.Writer(path, append=True)
        resumed = records.Resume(resumed=records.now(), command=command)
        writer.write(resumed)
        file = msgspec.structs.replace(earlier, resumes=[*earlier.resumes, resumed], end=None, truncated=False)
        return cls(writer, file, started)

    def add(self, row: records.Measurement) -> None:
        """Write one finished row."""
        self._writer.write(row)
        self.file.measurements.append(row)

    def look(self, trial: records.Trial) -> None:
        """Write one short look of the finder."""
        self._writer.write(trial)
        self.file.trials.append(trial)

    def end(
        self, status: Literal["complete", "interrupted", "failed"], reason: str, exit_code: int | None = None
    ) -> None:
        """Write the last line; the exit code follows from the rows unless given."""
        rows = self.file.measurements
        self.file.end = records.End(
            status=status,
            counts=records.counts(rows),
            exit_code=records.exit_code(rows) if exit_code is None else exit_code,
            wall_s=time.monotonic() - self._started,
            reason=reason,
        )
        self._writer.write(self.file.end)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
