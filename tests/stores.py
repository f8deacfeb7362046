"""Stores for tests: run files in a folder, with the series, commits and days that a test names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from bench import records
from tests.factories import measurement, run_file
from tests.histories import FIRST


def write_history(
    folder: Path, series: Mapping[str, Sequence[float]], quarantined: Mapping[int, str] | None = None
) -> None:
    """A run a day: the i-th has each kernel's i-th value (seconds), and commit "000i…", forty digits.

    `quarantined`: number of a run → why all its rows stand in quarantine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for i, values in enumerate(zip(*series.values(), strict=True)):
        rows = [
            measurement(kernel=kernel, median_s=value, id=f"{number:05}")
            for number, (kernel, value) in enumerate(zip(series, values, strict=True))
        ]
        for row in rows:
            row.quarantine = [(quarantined or {})[i]] if i in (quarantined or {}) else []
        file = run_file(rows)
        moment = FIRST + timedelta(days=i)
        run = msgspec.structs.replace(
            file.run,
            id=f"{moment:%Y%m%dT%H%M%SZ}-{i:08x}",
            started=moment.isoformat(),
            git={"commit": f"{i:04}".ljust(40, "a"), "branch": "main", "dirty": False},
        )
        lines = [run, *file.devices, *rows, *filter(None, [file.end])]
        (folder / f"{run.id}.jsonl").write_bytes(b"".join(map(records.encode, lines)))
