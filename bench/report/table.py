"""The run table and its summary lines: on a terminal of any width, in markdown, in CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from string import ascii_lowercase
from typing import Final

from bench import records
from bench.analysis.summary import Best, Series, best, ceilings, series
from bench.report.numbers import percent, prefix, short_case, with_interval
from bench.report.scenarios import scenario_lines
from bench.report.waterfall import loss_reason, loss_words

Defaults = Mapping[str, Mapping[str, int | str | None]]
"""kernel → the default of each field of its cases: fields at their default are not shown."""

NARROW: Final = 140
"""Columns below which the table leaves out what the summary or the file says as well."""
DROPPED_WHEN_NARROW: Final = ("implementation", "rated", "loss")
TEXT_LEAST: Final = 50
"""Columns that the lines below the table are wrapped to on the narrowest terminal."""
CASE_LEAST: Final = 16
"""Columns that the cases keep on the narrowest terminal."""
RIGHT_ALIGNED: Final = ("rate", "rated", "share")
CSV_COLUMNS: Final = (
    *("id", "device", "launch", "kernel", "case", "precision", "accumulate", "implementation", "data", "cache"),
    *("status", "reason", "operations", "bytes", "median_s", "ci95_low_s", "ci95_high_s", "samples"),
    *("operations_per_s", "bytes_per_s", "rated_operations_per_s", "rated_bytes_per_s", "utilization"),
)
ASCII: Final = str.maketrans({"±": "+-", "−": "-", "×": "x", "–": "-", "…": "...", "·": "*", "≥": ">=", "≤": "<="})


@dataclass(frozen=True)
class Cells:
    """One series as words."""

    kernel: str
    case: str
    precision: str
    implementation: str
    rate: str
    rated: str
    share: str
    loss: str
    status: str
    note: tuple[str, ...]
    """Each a sentence: the terminal prints it once, by a letter."""


HEADERS: Final = Cells(
    "kernel", "case", "precision", "implementation", "rate", "rated", "% of rated", "largest loss", "status", ("note",)
)
SHORT_HEADERS: Final = replace(HEADERS, precision="prec.", share="share")
"""Headers where the table is narrow."""
SOURCE_SHOWN: Final = 150
"""Characters of a rating's source below the table; the run file has all of it."""
NOISY: Final = (
    "noisy: the median is known less closely than ±0.5 %; such a row is ranked all the same, ± says how closely"
)


def terminal(run: records.RunFile, defaults: Defaults, width: int, ascii_only: bool = False) -> str:
    """The whole report for a terminal: what was measured on what, the table, the best of each precision."""
    all_series = _by_kernel(run)
    table, notes = _table(all_series, defaults, width)
    parts = [_headline(run), "", table, ""]
    for line in [
        *notes,
        *([""] if notes else []),
        *_summary(all_series),
        *_scenarios(run),
        *_footnotes(run, all_series),
    ]:
        if line or parts[-1]:  # one empty line, where what would stand between two is not there
            parts += textwrap.wrap(line, max(width, TEXT_LEAST), subsequent_indent="    ") or [""]
    text = "\n".join(parts).rstrip()
    return text.translate(ASCII) if ascii_only else text


def markdown(run: records.RunFile, defaults: Defaults) -> str:
    """The same as GitHub-flavoured markdown."""
    from tabulate import tabulate

    all_series = _by_kernel(run)
    rows = [_fields(cells) for cells in _cells(all_series, defaults)]
    escaped = [[field.replace("|", "\\|") for field in row] for row in rows]
    table = tabulate(escaped, headers=_fields(HEADERS), tablefmt="github", disable_numparse=True)
    summary = "\n".join(f"- {line}" for line in (*_summary(all_series), *scenario_lines(run)) if line)
    notes = "\n".join(_footnotes(run, all_series))
    return f"**{_headline(run)}**\n\n{table}\n\n{summary}\n\n{notes}".rstrip()


def comma_separated(run: records.RunFile) -> str:
    """One line a measurement, unrounded, for a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in run.measurements:
        time, rate, rated, work = row.time, row.rate, row.rated, row.work
        writer.writerow(
            [row.id, row.device, row.launch, row.kernel, short_case(row.case), row.precision, row.accumulate]
            + [row.implementation, row.data, row.cache, row.status, row.reason]
            + ([work.operations, work.bytes] if work else [None] * 2)
            + ([time.median_s, time.ci95_low_s, time.ci95_high_s, time.samples] if time else [None] * 4)
            + ([rate.operations_per_s, rate.bytes_per_s] if rate else [None] * 2)
            + ([rated.operations_per_s, rated.bytes_per_s] if rated else [None] * 2)
            + [row.utilization]
        )
    return out.getvalue().rstrip("\n")


def _by_kernel(run: records.RunFile) -> list[Series]:
    """The run's series, those of one kernel together: a run measures the first case of every kernel first."""
    found = series(run.measurements)
    first_seen = {name: place for place, name in reversed(list(enumerate(one.first.kernel for one in found)))}
    return sorted(found, key=lambda one: (one.unit == "B/s", first_seen[one.first.kernel]))


def _headline(run: records.RunFile) -> str:
    software = run.run.software
    names = "; ".join(_device_words(device) for device in run.devices) or "no device"
    versions = f"torch {software['torch']}" if "torch" in software else "torch unknown"
    drivers = {device.driver for device in run.devices if device.driver}
    return ", ".join([names, versions, *(f"driver {driver}" for driver in sorted(drivers))])


def _device_words(device: records.Device) -> str:
    units = device.units
    of = f" of {units.total}" if units.total and units.total != units.in_use else ""
    plural = "" if units.in_use == 1 else "s"
    count = f", {units.in_use}{of} {units.kind}{plural}" if units.in_use else ""
    architecture = f" ({device.architecture}{count})" if device.architecture else count
    clock = f" at {device.clock.hz / 1e9:.2f} GHz ({device.clock.source})" if device.clock and device.clock.hz else ""
    return f"{device.device}: {device.name}{architecture}{clock}"


def _table(all_series: Sequence[Series], defaults: Defaults, width: int) -> tuple[str, list[str]]:
    """The table and the notes that its last column names by letter: reasons are long, and shared by many rows.

    Where the terminal is narrower than the table, the cases take several lines.
    """
    cells = _cells(all_series, defaults)
    if not cells:
        return "nothing was measured", []
    notes = dict.fromkeys(part for row in cells for part in row.note)
    letters = dict(zip(notes, _letters(), strict=False))
    columns = [name for name in Cells.__dataclass_fields__ if width >= NARROW or name not in DROPPED_WHEN_NARROW]
    body = [
        [getattr(row, name) for name in columns[:-1]] + [" ".join(letters[part] for part in row.note)] for row in cells
    ]
    words = HEADERS if width >= NARROW else SHORT_HEADERS
    headers = [*(getattr(words, name) for name in columns[:-1]), "note"]
    align = ["right" if name in RIGHT_ALIGNED else "left" for name in columns]
    if len({one.first.device for one in all_series}) > 1:
        body = [[one.first.device, *row] for one, row in zip(all_series, body, strict=True)]
        headers, align = ["device", *headers], ["left", *align]
    if width < NARROW:  # the note's letter goes beside the status
        body = [[*row[:-2], f"{row[-2]} {row[-1]}".rstrip()] for row in body]
        headers, align = headers[:-1], align[:-1]
    table = _laid_out(body, headers, align)
    excess = max(map(len, table.split("\n"))) - width
    if excess > 0:
        place = headers.index(HEADERS.case)
        room = max(CASE_LEAST, max(len(row[place]) for row in body) - excess)
        for row in body:
            row[place] = textwrap.fill(row[place], room, break_long_words=False, break_on_hyphens=False)
        table = _laid_out(body, headers, align)
    return table, [f"{letter}  {note}" for note, letter in letters.items()]


def _laid_out(body: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str]) -> str:
    from tabulate import tabulate

    return str(tabulate(body, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True))


def _letters() -> Iterator[str]:
    """a … z, then aa, ab, …"""
    for length in count(1):
        yield from map("".join, product(ascii_lowercase, repeat=length))


def _cells(all_series: Sequence[Series], defaults: Defaults) -> list[Cells]:
    factor, letter = prefix(one.value for one in all_series if one.value and one.unit != "B/s")
    return [_one_row(one, defaults, factor, letter) for one in all_series]


def _one_row(one: Series, defaults: Defaults, factor: float, letter: str) -> Cells:
    if one.unit == "B/s":
        factor, letter = prefix([one.value or 1e9])
    row = one.first
    rate = rated = "–"
    if one.value is not None:
        low, high = (None if bound is None else bound / factor for bound in (one.low, one.high))
        rate = f"{with_interval(one.value / factor, low, high)} {letter}{one.unit}"
    if one.rated:
        rated = with_interval(one.rated / factor, None, None)
    return Cells(
        kernel=row.kernel,
        case=_case_words(row, defaults),
        precision=row.precision,
        implementation=row.implementation,
        rate=rate,
        rated=rated,
        share=percent(one.utilization) if one.value is not None else "–",
        loss=loss_words(one),
        status=one.status,
        note=_note(one),
    )


def _case_words(row: records.Measurement, defaults: Defaults) -> str:
    case = short_case(row.case, defaults.get(row.kernel))
    return f"{row.scenario.entry} ({row.scenario.size}): {case}" if row.scenario else case


def _scenarios(run: records.RunFile) -> list[str]:
    """What each application's step comes to, below what single rows do."""
    found = scenario_lines(run)
    return ["", *found] if found else []


def _note(one: Series) -> tuple[str, ...]:
    """Why the row is as it is, and by which unit it was carried. Noise is in the ± already."""
    reason = "" if one.status == "noisy" else one.reason
    # What the kernel itself loses is the plain case, and says no more than its ratio does.
    loss = "" if loss_words(one).startswith("kernel") else loss_reason(one)
    return tuple(filter(None, (reason, one.carried_by, loss, _sustained_words(one))))


def _sustained_words(one: Series) -> str:
    """How a sustained rate compares with the burst before it, and how it fell; "" for a burst."""
    sustained, time = one.measured.sustained, one.measured.time
    if sustained is None or time is None:
        return ""
    words = f"{sustained.wall_s:.0f} s back to back"
    if sustained.burst_median_s:
        words += f": {percent(sustained.burst_median_s / time.median_s)} of the burst rate"
    if sustained.droop_ratio is not None and sustained.time_constant_s is not None:
        fall = percent(1 - sustained.droop_ratio)
        words += f", fell by {fall} with a time constant of {sustained.time_constant_s:.1f} s"
    return words


def _fields(cells: Cells) -> list[str]:
    return [*(getattr(cells, name) for name in list(Cells.__dataclass_fields__)[:-1]), "; ".join(cells.note)]


def _summary(all_series: Sequence[Series]) -> list[str]:
    found = [(one, f"best {one.label}") for one in best(all_series)]
    found += [(one, f"ceiling {one.label}, measured") for one in ceilings(all_series)]
    several = len({one.device for one, _ in found}) > 1
    return [(f"{one.device}: " if several else "") + _best_line(one, what) for one, what in found]


def _best_line(one: Best, what: str) -> str:
    chosen = one.series
    value = chosen.value or 0.0
    factor, letter = prefix([value])
    low, high = (None if bound is None else bound / factor for bound in (chosen.low, chosen.high))
    figure = f"{with_interval(value / factor, low, high)} {letter}{chosen.unit}"
    where = f"{chosen.first.kernel}, {chosen.first.implementation}"
    if chosen.rated is None:
        why = chosen.first.utilization_reason or "no rating"
        return f"{what}: {figure} ({where}); share of rated n/a: {why}"
    rated = with_interval(chosen.rated / factor, None, None)
    return f"{what}: {figure}, {percent(chosen.utilization)} of the rated {rated} ({where})"


def _footnotes(run: records.RunFile, all_series: Sequence[Series]) -> list[str]:
    lines = [""]
    spreads = sorted({one.spread for one in all_series if one.spread})
    for spread in spreads:
        what = (
            "95 % interval of the median, halved" if spread == "within one launch" else "half the range of the medians"
        )
        lines.append(f"± {spread}: {what}")
    if any(one.status == "noisy" for one in all_series):
        lines.append(NOISY)
    lines += _sources(all_series)
    if run.end is None:
        lines.append("this run has no end: it was killed, or is still going on")
    elif run.end.status != "complete" or run.end.reason:
        lines.append(f"run {run.end.status}: {run.end.reason}")
    if run.end is not None and run.end.exit_code == 4:
        lines.append(_unstable(run.measurements))
    if run.truncated:
        lines.append("an unfinished last line was ignored")
    return lines


def _unstable(rows: Sequence[records.Measurement]) -> str:
    """Why a run that measured everything still ends with exit code 4."""
    timed = [row for row in rows if row.status in records.MEASURED]
    unstable = [row for row in timed if row.status in records.UNSTABLE or row.quarantine]
    return (
        f"unstable (exit code 4): {len(unstable)} of {len(timed)} timed rows were disturbed and are not ranked; "
        "`python -m bench doctor` says what to mend"
    )


def _sources(all_series: Sequence[Series]) -> list[str]:
    """Where the rated figures come from: one line a source, with the precisions that it serves."""
    serves: dict[str, list[str]] = {}
    for one in all_series:
        rated = one.first.rated
        if rated is None or not rated.source:
            continue
        label = "bandwidth" if one.unit == "B/s" else one.first.precision.upper()
        names = serves.setdefault(f"{rated.kind}: {rated.source}", [])
        if label not in names:
            names.append(label)
    return [
        f"rated {', '.join(names)} ({textwrap.shorten(source, SOURCE_SHOWN, placeholder=' …')})"
        for source, names in serves.items()
    ]
