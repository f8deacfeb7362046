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

from bench.errors import UnavailableError
from bench.stats.robust import quantile
from bench.store.folder import Entry, Location
from bench.store.index import Index, printable

QUANTILES: Final = 21
"""What `samples_s` is thinned to: minimum, 5 %, 10 %, … maximum. Quartiles and median are among them exactly, and the
5 % points are as far into the tails as the hundred or so samples of a usual row can tell."""
SLICES: Final = 61
"""What a series over time is thinned to: a point a second of a minute's run, first and last slice among them."""
SETTLED_S: Final = 86_400.0
"""A run without an end is left alone until its file has not changed for a day at least: it may be measuring."""

EXTRA_FIELD: Final = 4
"""FEXTRA, the flag of a gzip header that has an extra field."""
MARK: Final = b"SB\x02\x00" + bytes([QUANTILES, SLICES])
"""That extra field: two letters of ours, the length of what follows, and what was thinned to how many."""

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
    index: Index, older_than_s: float, *, dry_run: bool = False, now_s: float | None = None
) -> Iterator[Compaction]:
    """Thin and compress each run begun more than `older_than_s` seconds ago, one after the other; younger ones are
    passed over, and so is what doesn't read as a run.

    Of each row, `samples_s` becomes 21 quantiles and a sustained row's series 61 slices; `samples_thinned` on the row
    says how many there were. A file is replaced in one step and only when the new one is there; what is done already
    stays as it is, and an interrupted compaction is finished by the next.
    """
    now_s = time.time() if now_s is None else now_s
    location = index.location
    for run in index.runs():
        # A run that wrote no start has no age.
        if run.started_s <= 0 or run.started_s > now_s - older_than_s:
            continue
        entry = location.entry(run.name)
        if entry is None:
            continue
        try:
            data = location.read(run.name)
            if _is_marked(data):
                continue
            content = gzip.decompress(data) if run.name.endswith(".gz") else data
        except (FileNotFoundError, EOFError, zlib.error, gzip.BadGzipFile):
            continue  # gone or torn since it was indexed
        quiet_s = now_s - (entry.modified_s if entry.modified_s is not None else run.started_s)
        if not _ended(content) and quiet_s < max(SETTLED_S, older_than_s):
            yield _left(entry, "has no end, and may still be written")
        elif entry.link:
            yield _left(entry, "is a symbolic link")
        else:
            yield _compacted(location, entry, content, dry_run)


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


def _ended(content: bytes) -> bool:
    """Whether the last whole line is an end: a run that was taken up again has an earlier one, and is being written."""
    lines = [line for line in content[: content.rfind(b"\n") + 1].splitlines() if line.strip()]
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError, RecursionError):
        return False
    return isinstance(last, dict) and last.get("type") == "end"


def _compacted(location: Location, entry: Entry, content: bytes, dry_run: bool) -> Compaction:
    """Write the small form and remove the raw one."""
    lines = content.splitlines(keepends=True)
    data = _compressed(b"".join(thinned(line) if line.endswith(b"\n") else line for line in lines))
    if dry_run:
        return Compaction(entry.name, "would compact", "", entry.size_bytes, len(data))
    target = f"{entry.name.removesuffix('.gz')}.gz"
    try:
        location.replace(target, data, entry.modified_s)
        if target != entry.name:
            now = location.entry(entry.name)
            if now is not None and now.stamp != entry.stamp:
                # Taken up again while we read it: the raw file counts, and the small one is out of date.
                location.remove(target)
                return _left(entry, "was written to meanwhile")
            location.remove(entry.name)
    except UnavailableError as error:
        return _left(entry, printable(str(error)))
    return Compaction(entry.name, "compacted", "", entry.size_bytes, len(data))


def _compressed(content: bytes) -> bytes:
    """The content as gzip, our mark in its header, where every reader of gzip passes over it (RFC 1952, 2.3.1.1)."""
    # No time in the header: the same content gives the same bytes, whoever compresses it and whenever.
    data = gzip.compress(content, mtime=0)
    flags = bytes([data[3] | EXTRA_FIELD])
    return data[:3] + flags + data[4:10] + len(MARK).to_bytes(2, "little") + MARK + data[10:]


def _is_marked(data: bytes) -> bool:
    """Whether a file was compacted by the same rules, so that it need not be looked through again."""
    return data[:2] == b"\x1f\x8b" and bool(data[3] & EXTRA_FIELD) and data[12 : 12 + len(MARK)] == MARK


def _left(entry: Entry, reason: str) -> Compaction:
    return Compaction(entry.name, "left", reason, entry.size_bytes, entry.size_bytes)
