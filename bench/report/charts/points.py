"""Charts of points: the roofline, rate over size, and rate, clock and power over the time of a sustained row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bench.analysis import observed
from bench.analysis.report_view import BANDWIDTH, ReportView, RooflineView, Row, precision_label, unit_of
from bench.analysis.roofline import Ceilings, attainable
from bench.report.charts import svg
from bench.report.charts.bars import label_words
from bench.report.numbers import short_case
from bench.report.report_words import say

HEIGHT: Final = 250
LEFT: Final = 58
RIGHT: Final = 10
TOP: Final = 20
BOTTOM: Final = 36
KERNEL_SHAPES: Final = 6
NAME_CHARACTERS: Final = 160

Name = Callable[[Row], str]


def case_name(row: Row) -> str:
    """A row in few words: "gemm m=n=k=1024, torch"."""
    one = row.evidence
    words = f"{one.kernel} {short_case(one.case)}, {one.implementation}"
    return words if len(words) <= NAME_CHARACTERS else f"{words[: NAME_CHARACTERS - 1]}…"


def roofline(view: ReportView, one: RooflineView, language: str = "en", name: Name = case_name) -> str:
    """Measured ceilings as a line, rated ones dashed, each case a mark whose shape is its kernel's."""
    roof, label = one.roofline, precision_label(one.roofline.precision, one.roofline.accumulate)
    if not one.points:
        return ""
    unit = unit_of(label)
    intensities = [x for _, x, _ in one.points]
    ridges = [c.ridge for c in (roof.measured, roof.rated) if c.ridge]
    peaks = [c.operations_per_s for c in (roof.measured, roof.rated) if c.operations_per_s]
    across = svg.Log([*intensities, *ridges], LEFT, svg.WIDTH - RIGHT)
    up = svg.Log([*(y for _, _, y in one.points), *peaks], HEIGHT - BOTTOM, TOP)
    body = _axes(across, up, unit, "roofline.x", language)
    body += [_ceiling(roof.rated, across, up, "rated-line"), _ceiling(roof.measured, across, up, "measured-line")]
    for row, x, y in one.points:
        words = f"{name(row)}: {svg.rate(y, unit)}, {x:.3g} {'OP' if unit == 'OPS' else 'FLOP'}/B"
        body.append(svg.mark(across(x), up(y), row.key, words, _place(view.kernels, row.evidence.kernel)))

    def alt(language: str) -> str:
        return say(
            "roofline.alt",
            language,
            device=view.device(one.device).label,
            label=label,
            state=say("roofline.warm" if roof.warm else "roofline.cold", language),
            n=len(one.points),
            measured=_words(roof.measured, unit, language),
            rated=_words(roof.rated, unit, language),
        )

    return svg.chart(HEIGHT, body, alt, language, points=True)


def sizes(view: ReportView, device: str, kernel: str, language: str = "en", name: Name = case_name) -> str:
    """Rate over the work of one call, a colour and shape a precision. "" where all ranked cases are of one size."""
    rows = [r for r in view.rows_of(device) if r.evidence.kernel == kernel and r.ranked and size_of(r)]
    labels = [label for label in view.labels if any(row.label == label for row in rows)]
    values = [row.series.value for row in rows if row.series.value]
    if len({size_of(row) for row in rows}) < 2:
        return ""
    across = svg.Log([size_of(row) for row in rows], LEFT, svg.WIDTH - RIGHT)
    up = svg.Log(values, HEIGHT - BOTTOM, TOP)
    bandwidth = all(row.label == BANDWIDTH for row in rows)
    unit = unit_of(labels[0]) if len({unit_of(label) for label in labels}) == 1 else "FLOPS, OPS"
    body = _axes(across, up, unit, "sizes.bytes" if bandwidth else "sizes.x", language)
    for label in labels:
        own = [(size_of(row), row.series.value or 0.0, row) for row in rows if row.label == label]
        best: dict[float, float] = {}
        for size, value, _ in own:
            best[size] = max(value, best.get(size, 0.0))
        points = " ".join(f"{svg.number(across(s))},{svg.number(up(v))}" for s, v in sorted(best.items()))
        series = view.labels.index(label)
        body.append(f'<polyline class="thin s{series % len(svg.MARKERS)}" points="{points}"/>')
        for size, value, row in own:
            words = f"{name(row)}, {label}: {svg.rate(value, unit_of(label))}"
            body.append(svg.mark(across(size), up(value), row.key, words, series))

    def alt(language: str) -> str:
        named = ", ".join(label_words(label, language) for label in labels)
        return say("sizes.alt", language, device=view.device(device).label, kernel=kernel, n=len(values), labels=named)

    return svg.chart(HEIGHT, body, alt, language, points=True)


def sustained(view: ReportView, row: Row, language: str = "en", name: Name = case_name) -> str:
    """The rate over time, and the burst's as a dashed line. "" where the row has no slices."""
    one, unit = row.evidence, unit_of(row.label)
    found, work = one.sustained, one.work
    amount = 0 if work is None else work.bytes if row.label == BANDWIDTH else work.operations
    if found is None or not amount:
        return ""
    pairs = [(end, amount / each) for end, each in zip(found.ends_s, found.per_call_s, strict=False) if each > 0]
    if not pairs:
        return ""
    burst = amount / found.burst_median_s if found.burst_median_s else None
    body = _line(pairs, unit, language, burst)

    def alt(language: str) -> str:
        return say(
            "sustained.alt",
            language,
            device=view.device(row.device).label,
            name=name(row),
            seconds=f"{found.wall_s:.0f}",
            droop=f"{found.droop_ratio:.3f}" if found.droop_ratio is not None else say("na", language),
        )

    return svg.chart(HEIGHT, body, alt, language)


OVER_TIME: Final = {"clock_hz": "Hz", "power_w": "W", "temperature_c": "°C"}
"""What telemetry tells over time of a sustained row, and its unit."""


def over_time(view: ReportView, row: Row, what: str, language: str = "en", name: Name = case_name) -> str:
    """One quantity of telemetry over the time of a sustained row. "" where it has fewer than two readings."""
    pairs = observed.over_time(row.evidence.telemetry, what)
    if len(pairs) < 2 or max(value for _, value in pairs) <= 0:
        return ""
    unit, values = OVER_TIME[what], [value for _, value in pairs]
    body = _line(pairs, unit, language)

    def alt(language: str) -> str:
        return say(
            "over_time.alt",
            language,
            device=view.device(row.device).label,
            name=name(row),
            what=say(f"over_time.{what}", language),
            low=svg.short(min(values), unit),
            high=svg.short(max(values), unit),
        )

    return svg.chart(HEIGHT, body, alt, language)


def _line(pairs: Sequence[tuple[float, float]], unit: str, language: str, level: float | None = None) -> list[str]:
    """Axes and a line of (seconds, value); `level` is drawn across, dashed."""
    across = svg.Linear(max(x for x, _ in pairs) or 1.0, LEFT, svg.WIDTH - RIGHT)
    up = svg.Linear(max([y for _, y in pairs] + ([level] if level else [])), HEIGHT - BOTTOM, TOP)
    body = _axes(across, up, unit, "sustained.x", language, plain_x=True)
    if level:
        body.append(svg.line(LEFT, up(level), svg.WIDTH - RIGHT, up(level), "rated-line"))
    drawn = " ".join(f"{svg.number(across(x))},{svg.number(up(y))}" for x, y in pairs)
    return [*body, f'<polyline class="measured-line" points="{drawn}"/>']


def size_of(row: Row) -> float:
    """Operations of one call, or bytes of a row of bandwidth; 0 where not counted."""
    work = row.evidence.work
    return 0 if work is None else work.bytes if row.label == BANDWIDTH else work.operations


def _axes(
    across: svg.Log | svg.Linear,
    up: svg.Log | svg.Linear,
    unit: str,
    x_words: str,
    language: str,
    plain_x: bool = False,
) -> list[str]:
    bottom = HEIGHT - BOTTOM
    body = [svg.text(0, 10, unit, "soft")]
    for value in up.ticks():
        body.append(svg.line(LEFT, up(value), svg.WIDTH - RIGHT, up(value), "grid"))
        body.append(svg.text(LEFT - 7, up(value) + 4, svg.short(value), "soft", "end"))
    for value in across.ticks():
        body.append(svg.line(across(value), bottom, across(value), bottom + 4, "grid"))
        body.append(
            svg.text(across(value), bottom + 17, f"{value:g}" if plain_x else svg.short(value), "soft", "middle")
        )
    body.append(svg.phrase(svg.WIDTH - RIGHT, HEIGHT - 4, x_words, language, "soft", "end"))
    return body


def _ceiling(ceilings: Ceilings, across: svg.Log, up: svg.Log, kind: str) -> str:
    """Slope and roof inside the frame; only the roof where the bandwidth is unknown."""
    peak, memory = ceilings.operations_per_s, ceilings.bytes_per_s
    if peak is None:
        return ""
    left, right = 10**across.low, 10**across.high
    points = [left, right]
    if memory is not None and ceilings.ridge is not None and left < ceilings.ridge < right:
        points.insert(1, ceilings.ridge)
    floor = 10**up.low
    drawn: list[tuple[float, float]] = []
    for x in points:
        y = attainable(x, peak, memory) if memory is not None else peak
        if y < floor and memory:  # where the slope leaves the frame below
            at, y = floor / memory, floor
        else:
            at = x
        if left <= at <= right:
            drawn.append((across(at), up(min(y, 10**up.high))))
    shown = " ".join(f"{svg.number(x)},{svg.number(y)}" for x, y in drawn)
    return f'<polyline class="{kind}" points="{shown}"/>'


def _words(ceilings: Ceilings, unit: str, language: str) -> str:
    peak, memory = ceilings.operations_per_s, ceilings.bytes_per_s
    known = ([svg.rate(peak, unit)] if peak else []) + ([svg.rate(memory, "B/s")] if memory else [])
    return ", ".join(known) or say("na", language)


def _place(kernels: Sequence[str], kernel: str) -> int:
    return kernels.index(kernel)
