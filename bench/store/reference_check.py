"""What a run file has to be before it is shipped as a reference: whole, anonymous, of named hardware, well measured.

Judges a run that was read; what it finds is a list of sentences. Reading, copying and printing are others' business.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench import records
from bench.store.reference_name import file_name, product

ANONYMOUS: Final = ("", "anonymous")
"""Host names that `run --anonymize` leaves."""
HONEST_DATA: Final = ("normal", "uniform")
"""Zeros and ones draw less power than real numbers do: such a rate is no reference."""
_HOME: Final = re.compile(r"(?:/home/|/Users/|/root/|[A-Za-z]:\\+Users\\+)[^\s\"']*")


def problems(file: records.RunFile, name: str | None = None, text: str = "") -> list[str]:
    """Everything that keeps a run from being a reference result, a sentence each; [] where nothing does.

    `name` is what the file is called, None where it gets its name later. `text` is the file as it stands: it is
    searched for folders of its owner.
    """
    found = [*_whole(file), *_provenance(file.run), *_anonymous(file, text), *_devices(file), *_rows(file)]
    if name is not None and file.devices:
        expected = file_name(file)
        if name != expected:
            found.append(f"name: the rule makes it {expected}")
    return found


def _whole(file: records.RunFile) -> Iterator[str]:
    if file.truncated:
        yield "end: the last line is unfinished"
    if file.end is None:
        yield "end: the run has no end line; finish it with `run --resume`"
        return
    if file.end.status != "complete":
        yield f"end: the run is {file.end.status}, not complete"
    counted = records.counts(file.measurements)
    if file.end.counts != counted:
        yield f"end: it counts {_counted(file.end.counts)}, and the rows are {_counted(counted)}"


def _provenance(run: records.Run) -> Iterator[str]:
    if run.method_version < 1:
        yield "provenance: imported from another tool; a reference is measured by `run`"
    if not run.bench_version:
        yield "provenance: bench_version is empty"
    if not run.software.get("torch"):
        yield "provenance: torch's version is missing from `software`"
    for key in ("os", "kernel", "arch", "python"):
        if not run.host.get(key):
            yield f"provenance: `host` does not say {key}"
    if not run.suite:
        yield "provenance: no suite; a choice of one's own compares with nothing: `run --suite standard`"
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", run.started):
        yield f"provenance: started {run.started!a} is no date"
    yield from _commit(run)


def _commit(run: records.Run) -> Iterator[str]:
    """An anonymous run may name no commit: version and method version are what it was measured by."""
    if run.git is None:
        if "--anonymize" not in run.command:
            yield "provenance: no git commit, and the run was not anonymised"
        return
    if not re.fullmatch(r"[0-9a-f]{40,64}", str(run.git.get("commit"))):
        yield f"provenance: git commit {str(run.git.get('commit'))!a} is not a full id"
    if run.git.get("dirty"):
        yield "provenance: measured in a checkout with uncommitted changes"


def _anonymous(file: records.RunFile, text: str) -> Iterator[str]:
    if file.run.host.get("name") not in ANONYMOUS:
        yield "host: it is named; measure with `run --anonymize`"
    elif {*(one.host for one in file.devices), *(row.host for row in file.measurements)} - set(ANONYMOUS):
        yield "host: a device or a row names it; measure with `run --anonymize`"
    for device in file.devices:
        if device.unique_id is not None:
            yield f"host: {device.device} has a unique_id; measure with `run --anonymize`"
    folders = sorted(set(_HOME.findall(text)))
    if folders:
        more = f" (and {len(folders) - 1} more)" if len(folders) > 1 else ""
        yield f"host: names a folder of its owner: {folders[0]!a}{more}"


def _devices(file: records.RunFile) -> Iterator[str]:
    if not file.devices:
        yield "device: the run describes none"
        return
    for device in file.devices:
        if not device.name.strip():
            yield f"device: {device.device} has no product name"
        if device.units.in_use is None:
            yield f"device: how many units {device.device} has in use is not said"
        if device.clock is None or not device.clock.source:
            yield f"device: where the clock of {device.device} is known from is not said"
    products = sorted({product(device) for device in file.devices})
    if len(products) > 1:
        yield f"device: {len(products)} products in one file ({', '.join(products)}); measure each by itself"
    known = {device.device for device in file.devices}
    for name in sorted({row.device for row in file.measurements} - known):
        yield f"device: rows of {name!a}, which no device line describes"


def _rows(file: records.RunFile) -> Iterator[str]:
    rows = file.measurements
    tally = Counter(row.status for row in rows)
    if tally["invalid"]:
        first = next(row for row in rows if row.status == "invalid")
        yield f"rows: {tally['invalid']} invalid, the first {first.id}: {first.reason}"
    code = records.exit_code(rows)
    if code == 3:
        yield "rows: none is ok or noisy"
    elif code == 4:
        yield "rows: more than a quarter is throttled, contended, invalid or in quarantine: measure a quieter machine"
    timed = [row for row in rows if row.status in records.MEASURED]
    yield from _of_rows("rate or time is missing", [row for row in timed if row.time is None or row.rate is None])
    usable = [row for row in rows if row.status in records.USABLE]
    yield from _of_rows("usable without a check that passed", [row for row in usable if not _checked(row)])
    yield from _of_rows("data that no application has", [row for row in timed if row.data not in HONEST_DATA])
    silent = [row for row in timed if not _telemetry_stated(row.telemetry)]
    yield from _of_rows("telemetry neither with a source nor said to be unknown", silent)


def _of_rows(what: str, rows: list[records.Measurement]) -> Iterator[str]:
    if rows:
        yield f"rows: {what}: {len(rows)}, the first {rows[0].id}"


def _checked(row: records.Measurement) -> bool:
    return row.check is not None and row.check.passed


def _telemetry_stated(telemetry: Mapping[str, Any] | None) -> bool:
    """Whether something was observed, with its source, or what is unknown is named."""
    if not telemetry:
        return False
    sourced = any(isinstance(value, Mapping) and value.get("source") for value in telemetry.values())
    return sourced or bool(telemetry.get("unknown"))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"
