"""Making old runs small: raw samples thinned, the file compressed, everything else kept to the letter."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Literal

import msgspec

from bench import records
from bench.errors import UnavailableError
from bench.stats.robust import quantile
from bench.store.digest import seconds
from bench.store.folder import SUFFIXES, Entry, Location
from bench.store.index import printable

QUANTILES: Final = 21
"""What `samples_s` is thinned to: minimum, 5 %, 10 %, … maximum. Quartiles and median are among them exactly, and the
5 % points are as far into the tails as the hundred or so samples of a usual row can tell."""
SLICES: Final = 61
"""What a series over time is thinned to: a point a second of a minute's run, first and last slice among them."""
SETTLED_S: Final = 86_400.0
"""A run without an end is left alone until its file has not changed for a day at least: it may be measuring."""

Outcome = Literal["compacted", "would compact", "left"]


@dataclass(frozen=True)
class Compaction:
    """What became of one run file that is older than the age asked for."""

    name: str
    outcome: Outcome
    reason: str
    """Why it was left as it is; "" otherwise."""
    before_bytes: int
    after_bytes: int


def compact(
    location: Location, older_than_s: float, *, dry_run: bool = False, now_s: float | None = None
) -> Iterator[Compaction]:
    """Thin and compress each run begun more than `older_than_s` seconds ago, one after the other; younger ones are
    passed over, and so is what doesn't read as a run.

    Of each row, `samples_s` becomes 21 quantiles and a sustained row's series 61 slices; `samples_thinned` on the row
    says how many there were. A file is replaced in one step and only when the new one is there; what is done already
    stays as it is, and an interrupted compaction is finished by the next.
    """
    now_s = time.time() if now_s is None else now_s
    for entry in _candidates(location):
        try:
            content = _content(location, entry)
        except FileNotFoundError:
            continue
        started_s, ended = _times(content)
        if started_s is None or started_s > now_s - older_than_s:
            continue
        quiet_s = now_s - (entry.modified_s if entry.modified_s is not None else started_s)
        if not ended and quiet_s < max(SETTLED_S, older_than_s):
            yield _left(entry, "has no end, and may still be written")
        elif entry.link:
            yield _left(entry, "is a symbolic link")
        else:
            done = _compacted(location, entry, content, dry_run)
            if done is not None:
                yield done


def thinned(line: bytes) -> bytes:
    """A line of a run file with its raw samples thinned; the same bytes where there is nothing to thin.

    All else, keys of later versions included, keeps its value and its place.
    """
    if b'"measurement"' not in line:
        return line
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(row, dict) or row.get("type") != "measurement":
        return line
    kept = _thin_samples(row) | _thin_series(row)
    if not kept:
        return line
    row["samples_thinned"] = {**(row.get("samples_thinned") or {}), **kept}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _thin_samples(row: dict[str, Any]) -> dict[str, Any]:
    samples = _numbers(row.get("samples_s"))
    if len(samples) <= QUANTILES:
        return {}
    row["samples_s"] = [quantile(samples, step / (QUANTILES - 1)) for step in range(QUANTILES)]
    return {"samples_s": {"from": len(samples), "to": f"{QUANTILES} quantiles, 0 to 100 %"}}


def _thin_series(row: dict[str, Any]) -> dict[str, Any]:
    """A sustained row's slices, evenly thinned: their order is what they tell."""
    sustained = row.get("sustained")
    if not isinstance(sustained, dict):
        return {}
    ends, values = _numbers(sustained.get("ends_s")), _numbers(sustained.get("per_call_s"))
    if len(ends) != len(values) or len(ends) <= SLICES:
        return {}
    kept = [round(step * (len(ends) - 1) / (SLICES - 1)) for step in range(SLICES)]
    sustained["ends_s"], sustained["per_call_s"] = [ends[i] for i in kept], [values[i] for i in kept]
    return {"sustained": {"from": len(ends), "to": f"{SLICES} slices, evenly"}}


def _numbers(values: object) -> list[float]:
    """A list of finite numbers as it is; an empty one for anything else."""
    if isinstance(values, list) and all(isinstance(v, int | float) and isfinite(v) for v in values):
        return values
    return []


def _candidates(location: Location) -> list[Entry]:
    """Every file that is named as a run is, raw and compressed."""
    return [e for e in location.entries() if e.name.endswith(SUFFIXES) and not e.name.startswith(".")]


def _content(location: Location, entry: Entry) -> bytes:
    """The file's text, not compressed; empty where it can't be read."""
    data = location.read(entry.name)
    if not entry.name.endswith(".gz"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return b""


def _times(content: bytes) -> tuple[float | None, bool]:
    """When a run began, None for what isn't one; and whether its last whole line is an end."""
    lines = [line for line in content[: content.rfind(b"\n") + 1].splitlines() if line.strip()]
    try:
        first, last = records.decode(lines[0]), json.loads(lines[-1])
    except (IndexError, ValueError, RecursionError, msgspec.MsgspecError):
        return None, False
    if not isinstance(first, records.Run) or first.schema > records.SCHEMA:
        return None, False
    started_s = seconds(first.started)
    return (started_s or None), isinstance(last, dict) and last.get("type") == "end"


def _compacted(location: Location, entry: Entry, content: bytes, dry_run: bool) -> Compaction | None:
    """Write the small form and remove the raw one; None where it is small already."""
    lines = content.splitlines(keepends=True)
    small = b"".join(thinned(line) if line.endswith(b"\n") else line for line in lines)
    compressed = entry.name.endswith(".gz")
    if compressed and small == content:
        return None
    # No time in the header: the same content gives the same bytes, whoever compresses it and whenever.
    data = gzip.compress(small, mtime=0)
    if dry_run:
        return Compaction(entry.name, "would compact", "", entry.size_bytes, len(data))
    target = entry.name if compressed else f"{entry.name}.gz"
    try:
        location.replace(target, data, entry.modified_s)
        if not compressed:
            if _stamp(location, entry.name) not in (entry.stamp, None):
                # Taken up again while we read it: the raw file counts, and the small one is out of date.
                location.remove(target)
                return _left(entry, "was written to meanwhile")
            location.remove(entry.name)
    except UnavailableError as error:
        return _left(entry, printable(str(error)))
    return Compaction(entry.name, "compacted", "", entry.size_bytes, len(data))


def _stamp(location: Location, name: str) -> str | None:
    return next((entry.stamp for entry in location.entries() if entry.name == name), None)


def _left(entry: Entry, reason: str) -> Compaction:
    return Compaction(entry.name, "left", reason, entry.size_bytes, entry.size_bytes)
