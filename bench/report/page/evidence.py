"""The data block of the page: every row with all that its figure rests on, in words that the script only places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from bench.analysis import observed
from bench.analysis.report_view import ReportView, Row, operations_per_j, quantiles
from bench.report.charts import svg
from bench.report.charts.svg import printable
from bench.report.numbers import percent, short_case
from bench.report.page.beside import quantiles_shown
from bench.report.page.wording import Defaults, case_of, cut, figure_of, rated_of, share_of

UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


class Texts:
    """Sentences that many rows share, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where the text stands in `all`."""
        return self._places.setdefault(printable(text), len(self._places))

    @property
    def all(self) -> list[str]:
        return list(self._places)


def payload(view: ReportView, defaults: Defaults, files: Sequence[str] = ()) -> dict[str, Any]:
    """The devices' labels and run files, the rows, and the sentences that rows name by their place."""
    texts = Texts()
    places = {one.key: place for place, one in enumerate(view.devices)}
    most = quantiles_shown(view)
    return {
        "devices": [cut(one.label) for one in view.devices],
        "files": [files[one.file] if files and one.file is not None else "" for one in view.devices],
        "rows": [_row(row, view, places[row.device], defaults, texts, most) for row in view.rows],
        "texts": texts.all,
    }


def _row(
    row: Row, view: ReportView, place: int, defaults: Defaults, texts: Texts, most_quantiles: int
) -> dict[str, Any]:
    """One row; single letters, because a page has hundreds: values first, their words beside them."""
    one, shown, rated = row.series, quantiles(row.quantiles_s, most_quantiles), rated_of(row)
    factor, unit = time_unit(row.quantiles_s[-1] if row.quantiles_s else 1.0)
    return {
        "k": row.key,
        "d": place,
        "K": printable(row.evidence.kernel),
        "c": case_of(row, defaults),
        "p": row.label,
        "i": cut(row.evidence.implementation),
        "s": one.status,
        "e": cut(row.excluded),
        "v": one.value,
        "f": figure_of(row),
        "R": one.rated,
        "r": rated,
        "u": one.utilization,
        "U": share_of(one.utilization),
        "L": [[loss.factor, percent(loss.ratio), texts.place(loss.why)] for loss in row.losses or ()],
        "F": [[key, texts.place(text)] for key, text in facts(row, view, rated) if text],
        # One text: a large page has a hundred thousand of them, and the script reads those of the row looked at.
        "q": " ".join(["%.5g"] * len(shown)) % tuple(value / factor for value in shown),
        "qu": unit,
        "n": len(row.evidence.samples_s or ()),
    }


def facts(row: Row, view: ReportView, rated: str) -> Iterator[tuple[str, str]]:
    """(key of the fact's name, its words) of all that is known of a row; "" is unknown. `rated`: the rated figure."""
    one, measured = row.series, row.evidence
    yield "fact.why", row.excluded
    yield "fact.reason", one.reason if row.ranked else ""
    yield "fact.also", ", ".join(dict.fromkeys(word for each in one.rows for word in each.also))
    yield "fact.case", short_case(measured.case)
    yield "fact.implementation", measured.implementation
    yield "fact.mode", f"{measured.mode}, {measured.data}, {measured.cache}"
    yield "fact.carried", one.carried_by
    if one.low is not None and one.high is not None:
        yield "fact.interval", f"{svg.rate(one.low, one.unit)} … {svg.rate(one.high, one.unit)} ({one.spread})"
    yield from _timing(row)
    if measured.check is not None:
        yield "fact.check", "–" if measured.check.error is None else f"{measured.check.error:.2g}"
        yield "fact.tolerance", f"{measured.check.tolerance:.2g}"
    if measured.work is not None:
        operations = f"{svg.short(measured.work.operations, 'OP')}, " if measured.work.operations else ""
        yield "fact.work", f"{operations}{svg.short(measured.work.bytes, 'B')}"
    yield from _telemetry(row)
    if measured.rated is not None:
        clock = f" @ {measured.rated.clock_hz / 1e6:,.0f} MHz" if measured.rated.clock_hz else ""
        yield "fact.rating", f"{rated} ({measured.rated.kind}){clock}".strip()
        yield "fact.source", measured.rated.source
    for warning in measured.warnings:
        yield "fact.warning", warning
    run = view.device(row.device).run
    if run is not None:
        yield "fact.versions", ", ".join(f"{name} {version}" for name, version in run.software.items())
        yield "fact.run", run.id


def _timing(row: Row) -> Iterator[tuple[str, str]]:
    time = row.evidence.time
    if time is None:
        return
    factor, unit = time_unit(time.median_s)
    yield "fact.time", f"{time.median_s / factor:.4g} {unit}"
    calls = f" × {time.calls_per_sample}" if time.calls_per_sample and time.calls_per_sample > 1 else ""
    yield "fact.samples", f"{time.samples or len(row.evidence.samples_s or ())}{calls}"
    yield "fact.timer", f"{time.timer}, {time.stop}"
    yield "fact.launches", str(len(row.series.rows))


def _telemetry(row: Row) -> Iterator[tuple[str, str]]:
    telemetry = row.evidence.telemetry
    clock_hz = observed.clock_hz(telemetry)
    power_w = observed.quantity(telemetry, "power_w")
    temperature_c = observed.quantity(telemetry, "temperature_c")
    yield "fact.clock", f"{clock_hz / 1e6:,.0f} MHz" if clock_hz else ""
    yield "fact.power", f"{power_w:.0f} W" if power_w is not None else ""
    yield "fact.temperature", f"{temperature_c:.0f} °C" if temperature_c is not None else ""
    yield "fact.throttle", ", ".join(observed.throttle_words(telemetry))
    per_j = operations_per_j(row)
    yield "fact.energy", svg.short(per_j) if per_j else ""


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit of time, as (seconds, name), that suits a time."""
    return next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
