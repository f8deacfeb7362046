"""How the page writes down a row: its name, its figures, its losses; the same in tables, charts and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from bench.analysis.losses import largest
from bench.analysis.report_view import Row, unit_of
from bench.report.charts import svg
from bench.report.charts.svg import printable
from bench.report.numbers import percent, short_case

if TYPE_CHECKING:
    from markupsafe import Markup

Defaults: TypeAlias = Mapping[str, Mapping[str, int | str | None]]

LEVELS: Final = 10
"""Steps of a heat map's colour."""
NAME: Final = 160
"""Characters of a case's name; its evidence has all of it."""
NOTHING_LOST: Final = 0.005
"""A factor this close to 1 is no loss that a reader can act on."""


def case_of(row: Row, defaults: Defaults) -> str:
    """The case in few words: "m=n=k=1024"."""
    return cut(short_case(row.evidence.case, defaults.get(row.evidence.kernel)))


def name_of(row: Row, defaults: Defaults) -> str:
    """ "gemm m=n=k=1024, torch"."""
    return cut(f"{row.evidence.kernel} {case_of(row, defaults)}, {row.evidence.implementation}")


def figure_of(row: Row) -> str:
    """ "137.6 ± 0.4 GFLOPS"; "" where it was not timed."""
    one = row.series
    return svg.rate(one.value, one.unit, one.low, one.high) if one.value else ""


def rated_of(row: Row) -> str:
    """The rated figure in the same unit; "" where there is none."""
    return svg.rate(row.series.rated, unit_of(row.label)) if row.series.rated else ""


def share_of(ratio: float | None) -> str:
    """A share of the rated peak; "" where it is unknown."""
    return "" if ratio is None else percent(ratio)


def loss_of(row: Row) -> tuple[str, str] | None:
    """The factor that costs most and how much: ("kernel", "−34 %")."""
    worst = largest(row.losses or [])
    return (worst.factor, f"−{percent(1 - worst.ratio)}") if worst and 1 - worst.ratio >= NOTHING_LOST else None


def raw(value: float | None) -> str:
    """A value as the record has it, for sorting and for whoever reads the page back; "" where it is unknown."""
    return "" if value is None else repr(float(value))


def level_of(share: float | None) -> int | None:
    """The step of the heat map's colour; None where the share is unknown."""
    return None if share is None else min(LEVELS - 1, int(share * LEVELS))


def safe(text: str) -> Markup:
    """A chart, which has escaped whatever it shows."""
    from markupsafe import Markup

    return Markup(text)


def cut(text: str, most: int = NAME) -> str:
    """Text of a run file, control marks spelt out, no longer than a line or two."""
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
