"""A comparison as a table for a terminal, as markdown and as the JSON document; `evidence` has one series in full.

`compare` and `ab` print the same things from the same `Comparison`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

from bench.analysis.comparison import Comparison
from bench.analysis.verdicts import VERDICTS, SeriesVerdict, SuiteShift, change, what_can_be_seen
from bench.report.numbers import decimals, percent
from bench.stats.robust import median

SCHEMA: Final = 1
"""Of the JSON document; raised when a key changes its meaning or goes."""
TEXT_LEAST: Final = 50
"""Columns that lines of text are wrapped to on the narrowest terminal."""
SERIES_LEAST: Final = 22
"""Columns that the names of series keep on the narrowest terminal."""
KEPT_WORDS: Final = 2
NARROW: Final = 110
"""Columns below which the table leaves out the threshold and shortens its headers."""
HEADERS: Final = ("verdict", "series", "time new / base", "95 % interval", "threshold", "reason")
ASCII: Final = str.maketrans({"±": "+-", "−": "-", "×": "x", "–": "-", "…": "...", "·": "*", "→": "->", "µ": "u"})
NOT_LISTED: Final = ("same",)
"""Verdicts whose sentence below the table would say nothing new."""
GENERAL: Final = {
    "uncertain": "launches scatter too much to tell",
    "near_threshold": "a change, but it can't be told on which side of the threshold it lies",
    "below_noise": "more than asked about, but not above twice the launch noise",
    "one_launch": "a single launch a side can't tell a change from the noise between launches",
    "one_of_many": "it stands out, but among so many series one may do so by chance",
    "not_confirmed": "a first measurement stood out, a fresh one did not confirm it",
    "too_few_launches": "fewer than seven pairs of launches can't show a change",
}
"""Reasons that many series share, each with figures of its own: what is said of all of them."""
SHIFT_WORDS: Final = "It is the machine, its driver or clock, or what all kernels share"


def terminal(comparison: Comparison, width: int, ascii_only: bool = False) -> str:
    """The whole comparison for a terminal of `width` columns: what can be seen, the table, the reasons, the outcome."""
    wrapped = max(width, TEXT_LEAST)
    lines = [*_headlines(comparison), "", _table(comparison, width), "", *_reasons(comparison), *_notes(comparison), ""]
    parts = []
    for line in [*lines, summary(comparison)]:
        # The table is laid out already.
        parts += [line] if "\n" in line else textwrap.wrap(line, wrapped, subsequent_indent="    ") or [""]
    text = "\n".join(_without_double_blanks(parts))
    return text.translate(ASCII) if ascii_only else text


def markdown(comparison: Comparison) -> str:
    """The same as GitHub-flavoured markdown, for a job summary or a comment."""
    from tabulate import tabulate

    rows = [[field.replace("|", "\\|") for field in row] for row in _rows(comparison)]
    # Two blanks at a line's end: a line break.
    parts = [f"**{summary(comparison)}**", "  \n".join(_headlines(comparison))]
    if rows:
        parts.append(tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True))
    parts += ["\n".join(f"- {line}" for line in [*_reasons(comparison), *_notes(comparison)])]
    return "\n\n".join(part for part in parts if part)


def document(comparison: Comparison) -> dict[str, Any]:
    """The JSON document of `compare` and `ab`: ratio is time new / time base, changes are shares, times seconds."""
    return {
        "schema": SCHEMA,
        "base": comparison.base,
        "new": comparison.new,
        "verdict": comparison.verdict,
        "unstable": comparison.unstable,
        "measured_rows": comparison.measured_rows,
        "unstable_rows": comparison.unstable_rows,
        "counts": counts(comparison),
        "suite_shifts": [_shift(one) for one in comparison.shifts],
        "notes": list(comparison.notes),
        "series": [_series(one) for one in comparison.series],
    }


def counts(comparison: Comparison) -> dict[str, int]:
    """How many series have each verdict, the worst first; only those that occur."""
    verdicts = [one.verdict for one in comparison.series]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}


def summary(comparison: Comparison) -> str:
    """ "1 regression, 2 ambiguous, 27 same", and whether the machine was steady enough to say so."""
    names = {"not_comparable": "not comparable", "regression": "regression", "improvement": "improvement"}
    words = []
    for verdict, count in counts(comparison).items():
        plural = "s" if verdict in ("regression", "improvement") and count != 1 else ""
        words.append(f"{count} {names.get(verdict, verdict)}{plural}")
    text = ", ".join(words) or "no series to compare"
    if comparison.unstable:
        text += f"; unstable: {comparison.unstable_rows} of {comparison.measured_rows} measured rows were disturbed"
    return text


def _headlines(comparison: Comparison) -> list[str]:
    shared = shared_words([one.series for one in comparison.series])
    words = [f"of every series: {shared}"] if shared else []
    return [f"base {comparison.base or 'none'} → new {comparison.new}", *_visible(comparison), *words]


def shared_words(names: Sequence[str]) -> str:
    """The last words that all names have, so that a table need not repeat them: "best burst normal cold cpu".

    Kernel, case and precision always stay: the first two words.
    """
    if len(names) < 2:
        return ""
    ends = [name.split(" ")[KEPT_WORDS:][::-1] for name in names]
    alike = list(takewhile(lambda words: len(set(words)) == 1, zip(*ends, strict=False)))
    return " ".join(words[0] for words in reversed(alike))


def _visible(comparison: Comparison) -> list[str]:
    """What these figures can show, before what they show: for each class the middle series and the noisiest."""
    lines = []
    for group in dict.fromkeys(one.group for one in comparison.series):
        known = [
            (one.launch_noise, one.cannot_see_below, one.noise_source)
            for one in comparison.series
            if one.group == group and one.launch_noise is not None and one.cannot_see_below is not None
        ]
        if not known:
            continue
        noises, visible = [noise for noise, _, _ in known], [least for _, least, _ in known]
        line = f"{group}: {what_can_be_seen(median(noises), median(visible))}"
        ends = [percent(min(visible)), percent(max(visible))]
        if ends[0] != ends[1]:
            line += f" (middle of {len(known)} series; {ends[0]} in the quietest, {ends[1]} in the noisiest)"
        lines.append(f"{line}; noise from: {', '.join(dict.fromkeys(source for _, _, source in known))}")
    return lines


def _table(comparison: Comparison, width: int) -> str:
    """The table; on a narrow terminal without the thresholds, and the names over several lines."""
    rows = _rows(comparison)
    if not rows:
        return "no series to compare"
    headers, align = list(HEADERS), ["left", "left", "right", "left", "right", "left"]
    if width < NARROW:
        headers[2], headers[3] = "ratio", "95 %"
        place = headers.index("threshold")
        for row in (*rows, headers, align):
            del row[place]
    excess = max(map(len, _laid_out(rows, headers, align).split("\n"))) - width
    if excess > 0:
        room = max(SERIES_LEAST, max(len(row[1]) for row in rows) - excess)
        for row in rows:
            row[1] = textwrap.fill(row[1], room, break_on_hyphens=False)
    return _laid_out(rows, headers, align)


def _laid_out(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str]) -> str:
    from tabulate import tabulate

    return str(tabulate(rows, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True))


def _rows(comparison: Comparison) -> list[list[str]]:
    """One row a series, those of a suite shift together in one."""
    shared = shared_words([one.series for one in comparison.series])
    rows = [
        [shift_verdict(one), f"{len(one.series)} series of {one.group}", f"{one.ratio:.3g}", "", "", "suite_shift"]
        for one in comparison.shifts
    ]
    rows += [
        [
            one.verdict,
            one.series.removesuffix(shared).rstrip(),
            figure(one),
            interval(one),
            percent(one.threshold) if one.threshold else "",
            one.reason,
        ]
        for one in comparison.series
        if one.reason != "suite_shift"
    ]
    return rows


def shift_verdict(one: SuiteShift) -> str:
    """The verdict of the series of a shift."""
    return "regression" if one.direction == "slower" else "improvement"


def figure(one: SeriesVerdict) -> str:
    """The ratio to the digit that its interval leaves in doubt, two decimals at least."""
    if one.ratio is None:
        return ""
    return f"{one.ratio:.{_digits(one)}f}"


def interval(one: SeriesVerdict) -> str:
    if one.ci95_low is None or one.ci95_high is None:
        return ""
    digits = _digits(one)
    return f"{one.ci95_low:.{digits}f} … {one.ci95_high:.{digits}f}"


def _digits(one: SeriesVerdict) -> int:
    if one.ratio is None or one.ci95_low is None or one.ci95_high is None:
        return 3
    return max(2, min(4, decimals(one.ratio, (one.ci95_high - one.ci95_low) / 2)))


def _reasons(comparison: Comparison) -> list[str]:
    """The shifts, and a sentence for every series that is not simply the same; what is said of several once."""
    told: dict[tuple[str, str], list[SeriesVerdict]] = {}
    for one in comparison.series:
        if one.verdict not in NOT_LISTED and one.reason != "suite_shift":
            notes = "".join(f" ({note})" for note in one.notes)
            general = one.reason if one.reason in GENERAL else f"{one.text}{notes}"
            told.setdefault((one.verdict, general), []).append(one)
    lines = [f"suite_shift: {one.text}. {SHIFT_WORDS}" for one in comparison.shifts]
    for (verdict, text), those in told.items():
        if len(those) == 1:
            lines.append(
                f"{verdict}: {those[0].series}: {those[0].text}{''.join(f' ({note})' for note in those[0].notes)}"
            )
        else:
            lines.append(f"{verdict}: {len(those)} series ({those[0].reason}): {GENERAL.get(text, text)}")
    return lines


def _notes(comparison: Comparison) -> list[str]:
    weak = any(": weak" in one.evidence for one in comparison.series)
    advice = (
        ["single launches are weak evidence: measure with --launches 3 or more, or both sides in turn with `ab`"]
        if weak
        else []
    )
    return [*(f"note: {note}" for note in comparison.notes), *advice]


def _series(one: SeriesVerdict) -> dict[str, Any]:
    return {
        "series": one.series,
        "verdict": one.verdict,
        "reason": one.reason,
        "ratio": one.ratio,
        "ci95_low": one.ci95_low,
        "ci95_high": one.ci95_high,
        "text": one.text,
        "p": one.p,
        "threshold": one.threshold,
        "threshold_asked": one.threshold_asked,
        "launch_noise": one.launch_noise,
        "noise_source": one.noise_source,
        "cannot_see_below": one.cannot_see_below,
        "evidence": one.evidence,
        "base_launches": one.base_launches,
        "new_launches": one.new_launches,
        "base_s": list(one.base_s),
        "new_s": list(one.new_s),
        "class": one.group,
        "differences": [{"field": name, "base": base, "new": new} for name, base, new in one.differences],
        "notes": list(one.notes),
    }


def _shift(one: SuiteShift) -> dict[str, Any]:
    return {
        "class": one.group,
        "direction": one.direction,
        "change": change(one.ratio),
        "ratio": one.ratio,
        "moved": len(one.series),
        "judged": one.judged,
        "series": list(one.series),
    }


def _without_double_blanks(lines: Sequence[str]) -> Iterator[str]:
    before = ""
    for line in lines:
        if line or before:
            yield line
        before = line
