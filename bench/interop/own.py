"""Our own run file: written as it stands, and read as from a stranger, with limits on every name and number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bench import records
from bench.errors import UnavailableError
from bench.interop import reading, writing
from bench.interop.importing import Imported, Origin, encoded
from bench.interop.model import Export, ExportOptions, File

RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""What a run id may be: it names a file in the store, and so holds neither a dot nor a slash."""


def export(runs: Sequence[records.RunFile], options: ExportOptions) -> Export:
    """The run file of one run, each line with all of its keys."""
    (run,) = runs
    return Export((File("", encoded(run)),))


def read(data: bytes, origin: Origin) -> list[Imported]:
    """A run file of ours that came from somebody else; its lines stay as they are, unknown keys included.

    An unfinished last line is left out. Raises UnavailableError for anything that `bench.records` would not write.
    """
    text = reading.text_of(data)
    reading.limit_values(text, ",[{")
    # Not splitlines: a text in JSON may hold characters that it takes for the end of a line.
    lines = [f"{line}\n" for line in text.split("\n")[:-1] if line.strip()]
    if not lines:
        raise reading.MalformedError("line 1: is no run record; a run file begins with one")
    reading.limit_rows(len(lines))
    decoded: list[records.Record] = []
    for number, line in enumerate(lines, start=1):
        record, kept = _line(number, line)
        decoded.append(record)
        lines[number - 1] = kept
    run = decoded[0]
    if not isinstance(run, records.Run):
        raise reading.MalformedError("line 1: is no run record; a run file begins with one")
    rows = [one for one in decoded if isinstance(one, records.Measurement)]
    for number, row in enumerate(decoded[1:], start=2):
        if isinstance(row, records.Run):
            raise reading.MalformedError(f"line {number}: is a second run record; a run file holds one")
    if not any(row.status in records.USABLE for row in rows):
        raise UnavailableError("the file: has no usable row")
    ends = [one for one in decoded if isinstance(one, records.End)]
    file = records.RunFile(
        run=run,
        devices=[one for one in decoded if isinstance(one, records.Device)],
        measurements=rows,
        trials=[one for one in decoded if isinstance(one, records.Trial)],
        resumes=[one for one in decoded if isinstance(one, records.Resume)],
        end=ends[-1] if ends else None,
    )
    return [Imported(file, "".join(lines).encode())]


def _line(number: int, line: str) -> tuple[records.Record, str]:
    """One record and the line to keep, once its values, depth and names are within the limits.

    The line stays as it is where it reads; one with a NaN, or with a key that comes twice, is written anew.
    """
    place = f"line {number}"
    try:
        node = reading.parsed(line)
        _check_names(node.value)
        if number == 1:
            _check_head(node)
        record: records.Record = msgspec.convert(node.value, records.Record)
    except reading.MalformedError as error:
        raise reading.MalformedError(f"{place}: {error}") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise reading.MalformedError(
            f"{place}: is no record of a run file: {reading.cleaned(str(error)[:300])}"
        ) from None

    try:
        records.decode(line)
    except (msgspec.DecodeError, UnicodeError):
        return record, writing.json_bytes(node.value, indent=None).decode()
    return record, line


def _check_head(node: reading.Node) -> None:
    if not isinstance(node.value, dict) or node.get("type").value != "run":
        raise reading.MalformedError("is no run record; a run file begins with one")
    schema = node.get("schema").value
    if not isinstance(schema, int) or schema > records.SCHEMA:
        raise reading.MalformedError(
            f"schema: is {reading.shown(schema)}; this version reads up to {records.SCHEMA}: update suanli-bench"
        )
    identifier = node.get("id").value
    if not isinstance(identifier, str) or not RUN_ID.fullmatch(identifier):
        raise node.get("id").wrong("letters, digits, - and _ (at most 100)")
    reading.moment(node.get("started").required("a time"))


def _check_names(value: Any) -> None:
    """Raises MalformedError for a key or text with control characters, or longer than a reason may be."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending += one.keys()
            pending += one.values()
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, str) and (len(one) > MAX_TEXT or UNSAFE.search(one)):
            raise reading.MalformedError(f"{reading.shown(one)}: has control characters, or more than {MAX_TEXT:,}")


MAX_TEXT: Final = 100_000
"""Characters of a reason: a crashed worker's last words may be long."""
UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for tab and newline, which a reason may hold, and lone surrogates."""
