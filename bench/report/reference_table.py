"""The tables of results/reference/README.md, made from the run files beside it.

`python -m bench.report.reference_table` writes them into that page of a checkout; what stands around them is written by
hand and kept.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tabulate import tabulate

from bench import records
from bench.analysis.summary import best, series
from bench.errors import UnavailableError
from bench.precision import PRECISIONS
from bench.report.charts.svg import clean, rate, short
from bench.report.numbers import percent
from bench.store.reference import checkout_folder

BEGIN: Final = "<!-- made by python -m bench.report.reference_table -->"
END: Final = "<!-- end of what it made -->"
PAGE: Final = "README.md"
BANDWIDTH: Final = "bandwidth"
_MARKUP: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\|[]*_`"})


def update(page: str, files: Mapping[str, records.RunFile]) -> str:
    """The page with its tables made anew from the run files, by name.

    Raises UnavailableError where the page has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UnavailableError(f"{PAGE}: no line {BEGIN if not begin else END}: the tables have no place")
    return f"{before}{BEGIN}\n\n{tables(files)}\n\n{END}{after}"


def tables(files: Mapping[str, records.RunFile]) -> str:
    """Two tables in markdown, a line a device: how it was measured, and the best that it did at each precision."""
    lines = [(name, file, device) for name, file in sorted(files.items()) for device in file.devices]
    conditions = [_conditions(name, file, device) for name, file, device in lines]
    reached = [_reached(file, device) for _, file, device in lines]
    labels = sorted({label for found in reached for label in found}, key=_place)
    rates = [
        [_device(file, device), *(found.get(label, "–") for label in labels)]
        for (_, file, device), found in zip(lines, reached, strict=True)
    ]
    return "\n\n".join(
        [
            "What was measured:",
            _table(["file", "device", "units", "clock", "software", "measured", "rows"], conditions),
            "The best usable row of each precision, and its share of the rated peak. ± is half the range of the launch "
            "medians, or half the 95 % interval of the median where there was one launch.",
            _table(["device", *(label if label != BANDWIDTH else "memory" for label in labels)], rates),
        ]
    )


def read_folder(folder: Path) -> dict[str, records.RunFile]:
    """The run files of a folder of references, by name. Raises UnavailableError where one can't be read."""
    return {path.name: records.read(path) for path in sorted(folder.glob("*.jsonl"))}


def main() -> int:
    """Write the tables into the checkout's page; 3 where there is no checkout, or no place for them."""
    try:
        folder = checkout_folder()
        page = folder / PAGE
        page.write_text(update(page.read_text("utf-8"), read_folder(folder)), "utf-8")
    except UnavailableError as error:
        print(f"reference_table: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _conditions(name: str, file: records.RunFile, device: records.Device) -> list[str]:
    run, clock = file.run, device.clock
    virtual = f", {_text(device.virtualization)}" if device.virtualization else ""
    memory = f", {short(device.memory_bytes, 'B')}" if device.memory_bytes else ""
    units = f"{device.units.in_use or '?'} × {_text(device.units.kind)}"
    software = [f"torch {run.software.get('torch', '?')}", *(f"driver {one}" for one in [device.driver] if one)]
    rows = _rows(file, device)
    usable = sum(row.status in records.USABLE for row in rows)
    ended = f"; {file.end.reason}" if file.end and file.end.reason else ""
    return [
        f"[{_text(name)}]({name})",
        _device(file, device) + virtual + memory,
        units,
        f"{clock.hz / 1e9:.2f} GHz, {_text(clock.source)}" if clock and clock.hz else "unknown",
        _text(", ".join([*software, f"Python {run.host.get('python', '?')}", str(run.host.get("os", "?"))])),
        _text(f"{run.started[:10]}, {run.suite}, launches: {run.launches}"),
        _text(f"{usable} of {len(rows)} usable{ended}"),
    ]


def _device(file: records.RunFile, device: records.Device) -> str:
    name = f"{device.name} ({device.architecture})" if device.architecture else device.name
    return _text(f"{name} {device.device}" if len(file.devices) > 1 else name)


def _reached(file: records.RunFile, device: records.Device) -> dict[str, str]:
    """Label → "142 ± 2 GFLOPS (69 %)"; the share is left out where the rating is unknown."""
    found = {}
    for one in best(series(_rows(file, device))):
        value = one.series
        share = f" ({percent(value.utilization)})" if value.utilization is not None else ""
        found[one.label] = rate(value.value or 0.0, value.unit, value.low, value.high) + share
    return found


def _rows(file: records.RunFile, device: records.Device) -> list[records.Measurement]:
    return [row for row in file.measurements if (row.device, row.rank) == (device.device, device.rank)]


def _place(label: str) -> tuple[bool, int, str]:
    order = [name.upper() for name in PRECISIONS]
    name = label.partition(" ")[0]
    return label == BANDWIDTH, order.index(name) if name in order else len(order), label


def _text(text: str) -> str:
    """Text of a run file, of which markdown and HTML make nothing else."""
    return clean(text, 160).translate(_MARKUP)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


if __name__ == "__main__":
    sys.exit(main())
