"""`python -m bench devices`."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import add_devices_here
from bench.cli.output import PIPED_WIDTH

if TYPE_CHECKING:
    from bench.ratings import DeviceRatings
    from bench.records import Device, Rated

EXAMPLES = """\
examples:
  python -m bench devices                      everything that torch presents here
  python -m bench devices --device cuda:0      one device
  python -m bench devices --format json        for programs
  python -m bench devices --ratings mine.toml  with ratings of your own

"executed by" names the unit of the device that computes the precision; a dash means that it has none of its own, so
that the precision runs on other units, and may be slower than FP32. "rated peak" is what the vendor states, or what
follows from cores, clock and operations per cycle: dense, without structured sparsity. The table shortens where a
figure is from; json and csv have it whole.
"""


SOURCE_WIDTH_MINIMUM = 24
"""Narrower than that a source is unreadable: a terminal of less than 80 columns wraps instead."""


@dataclass(frozen=True)
class Line:
    """One row of the table: a precision with one accumulation, or the memory bandwidth."""

    key: str
    precision: str
    accumulate: str
    unit: str
    """What executes it natively; "" where the device has nothing of its own."""
    rated: Rated | None
    reason: str
    """Why there is no figure; "" where there is one."""

    @property
    def figure(self) -> float | None:
        """Operations or bytes per second."""
        if self.rated is None:
            return None
        return self.rated.operations_per_s if self.rated.operations_per_s is not None else self.rated.bytes_per_s


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "List the devices here: what each is, which precisions it computes natively and on which unit, and its rated\n"
        "peaks, each with where the figure comes from."
    )
    parser.epilog = EXAMPLES
    add_devices_here(parser)
    parser.add_argument("--format", choices=("table", "json", "markdown", "csv"), default="table")
    parser.add_argument(
        "--ratings", action="append", default=[], type=Path, metavar="FILE", help="TOML that adds or overrides ratings"
    )


def run(args: argparse.Namespace) -> int:
    """Print the devices; 0, or by UnavailableError 3 where the one asked for is absent."""
    from bench.devices import parse_selection

    parse_selection(args.device)
    # Ratings first: a bad file is said at once, before torch takes its second.
    from bench import ratings

    tables = ratings.load(args.ratings)
    from bench.devices import discover

    rated = [rate(device, tables) for device in discover(args.device)]
    if args.format == "json":
        print(json.dumps({"schema": 1, "devices": [as_json(*each) for each in rated]}, indent=2, allow_nan=False))
    elif args.format == "csv":
        print(_csv(rated))
    else:
        print("\n\n".join(_section(device, found, args.format == "markdown") for device, found in rated))
    return 0


def rate(device: Device, tables: Any) -> tuple[Device, DeviceRatings]:
    """The device with its architecture and ratings filled in, and its ratings with their reasons."""
    import msgspec

    from bench.ratings import cpu_microarchitecture, ratings_for

    if device.kind == "cpu":
        architecture = cpu_microarchitecture(device.details) or device.architecture
        device = msgspec.structs.replace(device, architecture=architecture)
    found = ratings_for(device, tables)
    return msgspec.structs.replace(device, ratings=dict(found.peaks), rating_name=found.name), found


def lines(device: Device, found: DeviceRatings) -> list[Line]:
    """The rows of one device: every precision once, other accumulations where they are rated, then the bandwidth."""
    from bench.precision import PRECISIONS

    usual = [f"{name}/{precision.accumulate}" for name, precision in PRECISIONS.items()]
    further = [key for key, rated in found.peaks.items() if key not in usual and key != "bandwidth" and _known(rated)]
    rows = []
    for key in (*usual, *further, "bandwidth"):
        precision, _, accumulate = key.partition("/")
        unit = "memory" if key == "bandwidth" else device.precisions.get(precision, "")
        rated = found.peaks.get(key)
        rows.append(Line(key, precision, accumulate, unit, rated, "" if _known(rated) else found.reason(key)))
    order = {name: place for place, name in enumerate((*PRECISIONS, "bandwidth"))}
    return sorted(rows, key=lambda row: order[row.precision])


def as_json(device: Device, found: DeviceRatings) -> dict[str, Any]:
    """The device's record as in a run file, with the reason for each peak that has no figure."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(device)
    document["unrated"] = {row.key: row.reason for row in lines(device, found) if row.reason}
    return document


def _known(rated: Rated | None) -> bool:
    return rated is not None and rated.kind != "undisclosed"


def _section(device: Device, found: DeviceRatings, markdown: bool) -> str:
    from tabulate import tabulate

    rows = lines(device, found)
    body = [
        [_label(row), row.unit or "–", _peak(row), source] for row, source in zip(rows, _sources(rows), strict=True)
    ]
    head = ["precision", "executed by", "rated peak", "from"]
    if markdown:
        body = [[cell.replace("|", "\\|") for cell in row] for row in body]
        table = tabulate(body, headers=head, tablefmt="github", disable_numparse=True)
        return f"**{_title(device)}**\n\n" + "".join(f"{line}  \n" for line in facts(device)) + f"\n{table}"
    room = _room(head, body)
    table = tabulate(
        [[*row[:-1], "\n".join(textwrap.wrap(row[-1], room))] for row in body],
        headers=head,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left", "right", "left"),
    )
    indented = [*(f"  {line}" for line in facts(device)), *_advice(rows)]
    return "\n".join([_title(device), *indented, "", *(f"  {line}" for line in str(table).split("\n"))])


def _room(head: list[str], body: list[list[str]]) -> int:
    """Columns that the terminal leaves to the last column of a table, indented by two, two between columns."""
    # tabulate makes a column two wider than its heading.
    taken = sum(max(len(heading) + 2, *(len(row[i]) for row in body)) + 2 for i, heading in enumerate(head[:-1]))
    width = shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
    return max(SOURCE_WIDTH_MINIMUM, width - taken - 2)


def _advice(rows: list[Line]) -> list[str]:
    """How to add a rating, once, where the device has none at all."""
    reasons = [row.reason for row in rows if row.reason]
    return [f"  no rating: {reasons[0]}"] if len(reasons) == len(rows) else []


def _title(device: Device) -> str:
    architecture = f" ({device.architecture})" if device.architecture else ""
    return f"{device.device}: {device.name}{architecture}"


def facts(device: Device) -> list[str]:
    """What the device is, in a few lines for a reader."""
    from bench.ratings import host_link

    units = device.units
    plural = "" if (units.total or units.in_use) == 1 else "s"
    of = f" of {units.total}" if units.total not in (None, units.in_use) else ""
    count = f"{units.in_use}{of} {units.kind}{plural}" if units.in_use else ""
    cache = device.caches.get("llc")
    what = [
        count + (f" ({units.why})" if units.why and count else ""),
        f"{device.memory_bytes / 2**30:.1f} GiB memory" if device.memory_bytes else "",
        f"{cache / 2**20:.0f} MiB last-level cache" if cache else "",
        f"{device.power_limit_w:.0f} W" if device.power_limit_w else "",
        {True: "ECC on", False: "ECC off", None: ""}[device.ecc],
        host_link.describe(device.pcie) if device.pcie else "",
    ]
    clock = device.clock
    how = [
        f"clock {clock.hz / 1e9:.2f} GHz, {clock.source}" if clock and clock.hz else "",
        f"clock unknown: {clock.source}" if clock and not clock.hz else "",
        f"virtualisation: {device.virtualization}" if device.virtualization else "",
        f"driver {device.driver}" if device.driver else "",
        device.runtime or "",
        f"torch {device.details['torch']}" if "torch" in device.details else "",
    ]
    return [", ".join(filter(None, what)), "; ".join(filter(None, how))]


def _label(row: Line) -> str:
    from bench.precision import PRECISIONS

    if row.key == "bandwidth":
        return "bandwidth"
    usual = PRECISIONS[row.precision].accumulate
    return row.precision if row.accumulate == usual else f"{row.precision} ({row.accumulate} accumulate)"


def _peak(row: Line) -> str:
    if row.figure is None:
        return "n/a"
    from bench.precision import PRECISIONS
    from bench.report.numbers import decimals, prefix

    unit = "B/s" if row.key == "bandwidth" else PRECISIONS[row.precision].unit
    factor, letter = prefix([row.figure])
    value = row.figure / factor
    return f"{value:.{decimals(value, None)}f} {letter}{unit}"


def _sources(rows: list[Line]) -> list[str]:
    """Where each figure is from, a source that repeats named once.

    Of a computed figure only the formula: the clock and rates behind it are in the JSON and the CSV.
    """
    shown: list[str] = []
    last = ""
    for row in rows:
        rated = row.rated
        source = rated.source if rated else ""
        if rated and rated.kind != "undisclosed":
            source = f"{rated.kind}: {source.partition('; ')[0] if rated.kind == 'computed' else source}"
        shown.append("as above" if source and source == last else source)
        last = source
    return shown


def _csv(rated: list[tuple[Device, DeviceRatings]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["device", "name", "architecture", "precision", "accumulate", "unit", "rated_per_s", "kind", "source"]
    )
    for device, found in rated:
        for row in lines(device, found):
            kind, source = (row.rated.kind, row.rated.source) if row.rated else ("", row.reason)
            figure = "" if row.figure is None else repr(row.figure)
            head = [device.device, device.name, device.architecture, row.precision, row.accumulate, row.unit]
            writer.writerow([*head, figure, kind, source])
    return out.getvalue().rstrip("\n")
