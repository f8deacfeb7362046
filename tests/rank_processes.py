"""For tests of real ranks: what they leave behind, on the disk and as processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from bench import records

PATIENCE_S = 280.0
"""Far more than anything here takes: a busy machine is no failure."""


def left_behind(folder: Path, timeout_s: float = 30.0) -> list[list[str]]:
    """Processes that worked in that folder and are still there, after as long as they may take to end."""
    until = time.monotonic() + timeout_s
    while found := [process.info["cmdline"] for process in _working_in(folder)]:
        if time.monotonic() > until:
            return found
        time.sleep(0.2)
    return []


def wait_for_rows(folder: Path, ranks: Sequence[int]) -> None:
    """Until each of these ranks has a row in its own file, beside all.jsonl in that folder, and has handed it over."""
    until = time.monotonic() + PATIENCE_S
    while not all(b'"type":"measurement"' in _bytes(own_file(folder, rank)) for rank in ranks):
        if time.monotonic() > until:
            pytest.fail(f"no row of each of the ranks {ranks} in {PATIENCE_S:g} s")
        time.sleep(0.1)
    time.sleep(1.0)  # from the disk to the others


def own_file(folder: Path, rank: int) -> Path:
    """A rank's own run file, beside all.jsonl in that folder."""
    return folder / "all.ranks" / f"all-rank{rank:05d}.jsonl"


def by_rank(run: records.RunFile) -> dict[int, list[records.Measurement]]:
    """The rows of each rank that has any."""
    found: dict[int, list[records.Measurement]] = {}
    for row in run.measurements:
        found.setdefault(row.rank, []).append(row)
    return found


def measured(rows: Sequence[records.Measurement]) -> list[records.Measurement]:
    """Those that were timed."""
    return [row for row in rows if row.status in records.MEASURED]


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _working_in(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd", "status"])
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
