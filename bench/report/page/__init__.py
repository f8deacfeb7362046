"""The HTML page of a report: one self-contained file, from a view to text. What a file says is only ever text in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

import bench
from bench.analysis.fleet import Fleet
from bench.analysis.report_view import ReportView
from bench.report.charts.svg import printable
from bench.report.page import evidence, fleet, sections
from bench.report.page.wording import Defaults
from bench.report.report_words import CATALOGUE, LANGUAGES, say
from bench.report.templating import environment, frame

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

SHORT: Final = 120
"""Characters of a name in tables and lists; the evidence and the run's own card have all of it."""
ADDRESS: Final = re.compile(r"\b(?:https?://)?(?:[\w-]+\.)+(?:com|org|net|io|cn|eu)/[\w./@%~+#?&=-]*[\w/]")
"""A web address inside a rating's source, with or without its scheme; never any other scheme."""
COMMIT: Final = re.compile(r"^(https://github\.com/[\w.-]+/[\w.-]+)@([0-9a-f]{7,40})$")
"""How sources name a repository at a commit."""
SCRIPT_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(
    view: ReportView,
    *,
    language: str = "en",
    defaults: Defaults | None = None,
    files: Sequence[str] = (),
    title: str = "",
    many: Fleet | None = None,
) -> str:
    """The whole page, first in `language`; the reader can switch. `defaults`: kernel → fields that names leave out.

    `title` stands in place of ours, the same in every language.
    `files`: the addresses of the view's run files beside the page, in the order of `DeviceView.file`; none where they
    do not lie there. `many`: the verdicts on the devices that were measured together, for the part on fleets.

    Raises UnavailableError where Jinja2 is absent, KeyError for a language that the catalogue lacks.
    """
    page = sections.page(view, language, defaults or {}, files, many)
    data = evidence.payload(view, defaults or {}, files)
    return _rendered("report.html.j2", page, data, language, printable(title), called="title", first="results")


def render_fleet(many: Fleet, *, language: str = "en", title: str = "") -> str:
    """A page on a fleet alone, first in `language`; `title` stands in place of ours.

    Raises UnavailableError where Jinja2 is absent, KeyError for a language that the catalogue lacks.
    """
    found = fleet.section(many, language)
    sections_of = {f"fleet.{part}": found[part] for part in ("map", "kinds", "spread", "devices")}
    page = {"fleet": found, "sections": ["fleet.sick", *(name for name, there in sections_of.items() if there)]}
    data: dict[str, Any] = {"devices": [], "files": [], "rows": [], "texts": []}
    return _rendered("fleet.html.j2", page, data, language, printable(title), called="fleet.title", first="fleet")


def _rendered(
    name: str, page: dict[str, Any], data: dict[str, Any], language: str, title: str, *, called: str, first: str
) -> str:
    """A template in the frame of every page; `called` is the key of its title, `first` where skipping leads to."""
    return (
        _environment()
        .get_template(name)
        .render(
            page=page,
            title=title,
            called=called,
            first=first,
            language=language,
            languages=LANGUAGES,
            version=bench.__version__,
            data=_markup(embedded({"words": CATALOGUE, **data})),
            t=_translated(language),
            say=lambda key: say(key, language),
            **frame("report.js", "report.css", "report_chart.css", "report_chart_fleet.css"),
        )
    )


def embedded(data: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char, escaped in SCRIPT_ESCAPES.items():
        text = text.replace(char, escaped)
    return text


def linked(text: str) -> Markup:
    """Text with its web addresses as links, everything escaped."""
    parts, at = [], 0
    for found in ADDRESS.finditer(text):
        address = found[0] if found[0].startswith("http") else f"https://{found[0]}"
        address = COMMIT.sub(r"\1/tree/\2", address)
        parts += [
            escape(text[at : found.start()]),
            f'<a href="{escape(address)}" rel="noreferrer">{escape(found[0])}</a>',
        ]
        at = found.end()
    return _markup("".join([*parts, escape(text[at:])]))


def _translated(language: str) -> Callable[..., Markup]:
    """`t(key, …)` of the template: our words in an element that the page's script can switch."""

    def translated(key: str, **values: object) -> Markup:
        shown = {name: printable(str(value)) for name, value in values.items()}
        args = f' data-args="{escape(json.dumps(shown, ensure_ascii=False))}"' if shown else ""
        return _markup(f'<span data-i18n="{escape(key)}"{args}>{escape(say(key, language, **shown))}</span>')

    return translated


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= SHORT else f"{shown[: SHORT - 1]}…"


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    # Only of what this module has escaped or written itself.
    return Markup(text)


@cache
def _environment() -> jinja2.Environment:
    return environment(linked=linked, short=_short)
