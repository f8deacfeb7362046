"""A report as GitHub-flavoured markdown, for a README or a pull request: one table, then sentences.

What a file says is only ever text in it: no markup, no link, nobody mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bench.analysis.report_view import ReportView
from bench.report import report_lines as lines
from bench.report.page.wording import Defaults, cut
from bench.report.report_words import say

EMOJI: Final = r":(?=(?:[\d+-]*[a-z_][\w+-]*|[+-]1|100|1234):)"
"""The first colon of one; a time of day has none."""
SPECIAL: Final = re.compile(
    rf"[\\`*{{}}\[\]<>|~&$@#]|(?<![^\W_])_|_(?![^\W_])|://|www\.|GH-(?=\d)|{EMOJI}", re.IGNORECASE
)
"""Markup, mentions, addresses that would become links, numbers of issues, emoji. An underscore in a word is none."""
LEADING: Final = re.compile(r"^(\d{0,9})([-+=.)](?=\s|$)|[-=](?=[-=\s]*$))")
"""What would make a list, a rule or a heading of a line that begins with it."""
APART: Final = "&#8203;"
"""A zero-width space: between the parts of a mention, an address or an issue's number nobody takes it for one."""
COLUMNS: Final = ("device", "precision", "kernel", "measured", "rated", "share", "status")
RIGHT: Final = ("measured", "rated", "share", "money")


def markdown(view: ReportView, *, title: str = "", language: str = "en", defaults: Defaults | None = None) -> str:
    """The whole report; `title` stands in place of ours. `defaults`: kernel → fields that names leave out."""
    known = defaults or {}
    parts = [f"## {escaped(cut(title)) or say('title', language)}"]
    table = _table(view, known, language)
    parts.append(table or say("lines.empty", language))
    if table:
        notes = (*lines.spread_lines(view, language), *lines.price_lines(view, language))
        parts.append(" ".join([say("lines.note", language), *map(escaped, notes)]))
    for key, found in (
        ("losses", lines.loss_lines(view, known, language)),
        ("scenarios", lines.scenario_lines(view, language)),
        ("excluded", lines.excluded_lines(view, known, language)),
        ("lines.sources", lines.source_lines(view, language)),
    ):
        listed = _list(found)
        parts += [f"### {say(key, language)}", listed] if listed else []
    parts.append(escaped(lines.provenance(view, language)))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """One line of text that stands in markdown as it is: everything special as a character reference."""
    return LEADING.sub(_leading, SPECIAL.sub(_special, text.strip()))


def _special(found: re.Match[str]) -> str:
    special = found[0]
    if special == "://":
        return f"&#58;{APART}//"
    if len(special) > 1:  # www. and GH-
        return f"{special}{APART}"
    apart = APART if special in "@#:" else ""
    return f"&#{ord(special)};{apart}"


def _leading(found: re.Match[str]) -> str:
    return f"{found[1]}&#{ord(found[2])};"


def _list(found: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in found)


def _table(view: ReportView, defaults: Defaults, language: str) -> str:
    """One line a device, precision and kernel; "" of none."""
    from tabulate import tabulate

    keys: Sequence[str] = (*COLUMNS[:-1], *(["money"] if view.prices else []), COLUMNS[-1])
    rows = []
    for one in lines.ordered(view):
        words = lines.figures(view, one, defaults, language)
        status = f"{words.status}: {words.reason}" if words.reason else words.status
        cells = (words.device, words.label, words.name or "–", words.measured, words.rated, words.share)
        rows.append([escaped(cell) for cell in (*cells, *([words.money] if view.prices else []), status)])
    if not rows:
        return ""
    return str(
        tabulate(
            rows,
            headers=[say(f"col.{key}", language) for key in keys],
            tablefmt="pipe",
            colalign=["right" if key in RIGHT else "left" for key in keys],
            disable_numparse=True,
        )
    )
