"""What people decide about a store's runs: named baselines and accepted changes, as small files beside the runs.

A note is written once, under a name of its own, and never changed: a later one overrides it. So many processes write
without locks, and what was decided before can still be read.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

from bench import records
from bench.errors import UnavailableError, UsageError
from bench.store.folder import Location

SCHEMA: Final = 1
FOLDER: Final = "notes"
LARGEST_BYTES: Final = 1 << 20
"""A note is a kilobyte; what is larger than this is not a note."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
RESERVED: Final = frozenset({"latest"})


class Baseline(msgspec.Struct, frozen=True, kw_only=True, tag="baseline", tag_field="type"):
    """A name for a run; `run` null takes the name away."""

    schema: int = SCHEMA
    name: str
    run: str | None
    """The run's id."""
    file: str | None = None
    """The name of its file when the baseline was set: tells two files of one id apart."""
    commit: str | None = None
    written: str = ""
    """When, ISO 8601, UTC, to the microsecond."""


class AcceptedChange(msgspec.Struct, frozen=True, kw_only=True, tag="accepted-change", tag_field="type"):
    """A change point that somebody has looked at and takes as the new normal: the series' baseline restarts there."""

    schema: int = SCHEMA
    series: str
    """`SeriesKey.text`."""
    class_id: str
    run_id: str
    """The first run after the change."""
    commit_before: str | None = None
    """The last commit measured before the change, and …"""
    commit: str | None = None
    """… the first one measured after it: the change lies between them."""
    before_s: float
    """Median of the segment before, seconds a call."""
    after_s: float
    p: float | None = None
    reason: str = ""
    accepted: str = ""
    """When, ISO 8601, UTC, to the microsecond; set by `accept` where it is empty."""


Note: TypeAlias = Baseline | AcceptedChange
_DECODER: Final[msgspec.json.Decoder[Note]] = msgspec.json.Decoder(Note)


@dataclass
class Notes:
    """All notes of a store, the overridden ones left out."""

    baselines: dict[str, Baseline] = field(default_factory=dict)
    """By name."""
    accepted: list[AcceptedChange] = field(default_factory=list)
    """Oldest first."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(file, reason) of what lies among the notes and is none."""

    def warning(self) -> str | None:
        """One line about the skipped files; None where there are none."""
        if not self.skipped:
            return None
        name, reason = self.skipped[0]
        more = f", and {len(self.skipped) - 1} more" if len(self.skipped) > 1 else ""
        return f"notes skipped: {name!a}: {reason}{more}"


def read(location: Location) -> Notes:
    """Every note in force. Of two about the same thing the later counts, by time and then by their random names.

    What isn't a note is skipped and listed; one of a newer schema raises UnavailableError, because what it says could
    change which run is meant.
    """
    notes = Notes()
    found: list[tuple[str, str, Note]] = []
    for entry in location.entries(FOLDER):
        if not entry.name.endswith(".json") or entry.name.startswith("."):
            continue
        if entry.size_bytes > LARGEST_BYTES:
            notes.skipped.append((entry.name, "too large for a note"))
            continue
        try:
            note = decode(location.read(f"{FOLDER}/{entry.name}"), location.join(f"{FOLDER}/{entry.name}"))
        except FileNotFoundError:
            continue
        except ValueError as error:
            notes.skipped.append((entry.name, str(error)))
            continue
        found.append((note.written if isinstance(note, Baseline) else note.accepted, entry.name, note))
    changes: dict[tuple[str, str, str], AcceptedChange] = {}
    for _, _, note in sorted(found, key=lambda item: item[:2]):
        if isinstance(note, Baseline):
            notes.baselines.pop(note.name, None)
            if note.run is not None:
                notes.baselines[note.name] = note
        else:
            key = (note.series, note.class_id, note.run_id)
            changes.pop(key, None)
            changes[key] = note
    notes.accepted = list(changes.values())
    return notes


def decode(data: bytes, shown: str) -> Note:
    """One note. ValueError for what is none, UnavailableError for a newer schema; `shown` names it in the latter."""
    try:
        head: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    schema = head.get("schema") if isinstance(head, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ValueError("not a note: no schema")
    if schema > SCHEMA:
        raise UnavailableError(f"{shown} has schema {schema}; this version reads up to {SCHEMA}: update suanli-bench")
    try:
        return _DECODER.decode(data)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"not a note: {error}") from None


def set_baseline(
    name: str, run_id: str, location: Location, *, file: str | None = None, commit: str | None = None
) -> Baseline:
    """Give a run a name, which may have been another's. Raises UsageError for a name that can't be one."""
    check_name(name)
    note = Baseline(name=name, run=run_id, file=file, commit=commit, written=_now())
    _write(note, location)
    return note


def clear_baseline(name: str, location: Location) -> None:
    """Take a name away. Its earlier notes stay, and say nothing any more."""
    _write(Baseline(name=name, run=None, written=_now()), location)


def accept(change: AcceptedChange, location: Location) -> AcceptedChange:
    """Record an accepted change; returns it as written, with its time."""
    note = change if change.accepted else msgspec.structs.replace(change, accepted=_now())
    _write(note, location)
    return note


def accepted(location: Location) -> list[AcceptedChange]:
    """The accepted changes in force, oldest first; one for each series, class and first run after the change."""
    return read(location).accepted


def check_name(name: str) -> None:
    """Raise UsageError where a baseline can't be called that: it must not be taken for a path, and not say "latest"."""
    if name in RESERVED or name.endswith((".jsonl", ".gz")) or not NAME.fullmatch(name):
        raise UsageError(
            f"NAME: {name!a} can't name a baseline; allowed are up to 64 letters, digits, '.', '_', '+' and '-',"
            " beginning with a letter or digit, no run file's name, and not 'latest'"
        )


def _write(note: Note, location: Location) -> None:
    data = msgspec.json.format(msgspec.json.encode(note), indent=1) + b"\n"
    # The run id's form: time, so that a listing is in order, and random bits, so that two writers never meet.
    location.create(f"{FOLDER}/{records.run_id()}{secrets.token_hex(4)}.json", data)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
