"""The run file as it grows: every record on the disk before the next is measured, and the same in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from bench import records


class Journal:
    """Writes the run and device lines at once, then rows as they come, then the end."""

    def __init__(
        self, writer: records.Writer, run: records.Run, devices: Sequence[records.Device], started: float
    ) -> None:
        self._writer = writer
        self._started = started
        self.file = records.RunFile(run=run, devices=list(devices))
        writer.write(run)
        for device in devices:
            writer.write(device)

    def add(self, row: records.Measurement) -> None:
        """Write one finished row."""
        self._writer.write(row)
        self.file.measurements.append(row)

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
