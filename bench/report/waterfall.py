"""The losses of one series as words, as one line and as bars: from the rated figure down to the measured one.

What the factors are and why is `bench.analysis.losses`' business; this only writes them down.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Final

from bench import records
from bench.analysis import observed
from bench.analysis.losses import largest
from bench.analysis.summary import Series
from bench.report.numbers import percent, with_interval

NOTHING_LOST: Final = 0.005
"""A factor this close to 1 is shown as "–": what rounds to 100 % is no loss that a reader can act on."""
BAR: Final = 40
"""Columns of the bar of the largest figure; half of it on a narrow terminal."""
NARROW: Final = 100
LEAST_REASON: Final = 30
"""Columns that a reason gets, however narrow the terminal."""
SOURCE_SHOWN: Final = 60
"""Characters of the rating's source; the run file has all of it."""


def loss_words(one: Series) -> str:
    """The factor that costs a series most, as stored in its row: "clock −23 %"; "" where nothing is known or lost."""
    worst = largest(explained_row(one).losses or [])
    return f"{worst.factor} −{percent(1 - worst.ratio)}" if worst and 1 - worst.ratio >= NOTHING_LOST else ""


def loss_reason(one: Series) -> str:
    """Why that factor is what it is; "" as `loss_words`."""
    worst = largest(explained_row(one).losses or [])
    return worst.why if worst and loss_words(one) else ""


def explained_row(one: Series) -> records.Measurement:
    """The launch that the series' value comes from, or lies next to: losses are those of one launch."""
    timed = [row for row in one.rows if row.time is not None]
    if not timed or one.value is None:
        return one.measured
    return min(timed, key=lambda row: abs((_rate(row, one) or 0.0) - (one.value or 0.0)))


def chain(row: records.Measurement, one: Series, losses: Sequence[records.Loss], factor: float, letter: str) -> str:
    """ "rated 989 → clock 1,830→1,410 MHz (power cap) 762 → memory – → kernel 84 % → 640 TFLOPS".

    `factor` and `letter` are the SI prefix of the figures.
    """
    words = [f"rated {_figure(_rated(row, one), factor)}"]
    for loss, left in zip(losses, _running(row, one, losses)[1:], strict=True):
        if loss.factor == "kernel":
            words += [f"kernel {percent(loss.ratio)}", f"{_figure(left, factor)} {letter}{one.unit}"]
        elif abs(1 - loss.ratio) < NOTHING_LOST:
            words.append(f"{loss.factor} –")
        else:
            words.append(f"{loss.factor} {_short(loss, row)} {_figure(left, factor)}")
    return " → ".join(words)


def bars(row: records.Measurement, one: Series, losses: Sequence[records.Loss], factor: float, width: int) -> list[str]:
    """One line a factor: its name, what it leaves, a bar of that with the part lost shaded, and its reason."""
    running = _running(row, one, losses)
    columns = BAR if width >= NARROW else BAR // 2
    scale = columns / max(running)
    figures = [_figure(value, factor) for value in running]
    digits = max(map(len, figures))
    reasons = [_source(row), *(loss.why for loss in losses)]
    lines = []
    for number, name in enumerate(["rated", *(loss.factor for loss in losses)]):
        before = running[max(0, number - 1)]
        bar = _bar(running[number] * scale, before * scale, columns)
        head = f"  {name:<6}  {figures[number]:>{digits}}  {bar}  "
        room = max(width - len(head), LEAST_REASON)
        first, *more = textwrap.wrap(reasons[number], room) or [""]
        lines += [head + first, *(" " * len(head) + line for line in more)]
    return [line.rstrip() for line in lines]


def _bar(left: float, before: float, columns: int) -> str:
    """What is left in full, what this factor took shaded; at least one column for anything at all."""
    full = min(columns, max(1, round(left)))
    return ("█" * full + "░" * max(0, round(before) - full)).ljust(columns)


def _running(row: records.Measurement, one: Series, losses: Sequence[records.Loss]) -> list[float]:
    """The rated figure and what each factor leaves of it."""
    return list(accumulate((loss.ratio for loss in losses), mul, initial=_rated(row, one)))


def _short(loss: records.Loss, row: records.Measurement) -> str:
    """A factor's cause in a few words: the two clocks with what held them, else its share."""
    seen_hz = observed.clock_hz(row.telemetry)
    if loss.factor != "clock" or not seen_hz or row.rated is None or not row.rated.clock_hz:
        return percent(loss.ratio)
    shares = observed.throttle_shares(row.telemetry) or {}
    cause = f" ({observed.reason_words(next(iter(shares)))})" if shares and loss.ratio < 1 else ""
    return f"{row.rated.clock_hz / 1e6:,.0f}→{seen_hz / 1e6:,.0f} MHz{cause}"


def _source(row: records.Measurement) -> str:
    if row.rated is None:
        return ""
    return textwrap.shorten(f"{row.rated.kind}: {row.rated.source}", SOURCE_SHOWN, placeholder=" …")


def _rated(row: records.Measurement, one: Series) -> float:
    figure = row.rated and (row.rated.bytes_per_s if one.unit == "B/s" else row.rated.operations_per_s)
    return figure or 0.0


def _rate(row: records.Measurement, one: Series) -> float | None:
    if row.rate is None:
        return None
    return row.rate.bytes_per_s if one.unit == "B/s" else row.rate.operations_per_s


def _figure(value: float, factor: float) -> str:
    return with_interval(value / factor, None, None)
