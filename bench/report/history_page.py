"""Histories as a static site: one self-contained page, or a folder with a page a series; works from a file, offline.

Every name and number reaches the page through Jinja2's autoescape; script and style are fixed and named by their hash
in the page's content policy, so that nothing else can run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.analysis.history import History
from bench.errors import UnavailableError
from bench.report import history_chart
from bench.report.history import (
    change_words,
    commit_words,
    day,
    not_used,
    signed_percent,
    suspicion_words,
    time_words,
)
from bench.report.templating import environment, frame
from bench.store.index import printable

if TYPE_CHECKING:
    import jinja2

INDEX: Final = "index.html"
SERIES_FOLDER: Final = "series"
SPARK_VALUES: Final = 60
"""Newest values that the list's small line shows."""
Classes = Mapping[str, Mapping[str, str]]
NO_CLASSES: Final[Classes] = {}


@dataclass(frozen=True)
class Row:
    """A series in the list."""

    anchor: str
    """Names its page or section; the same whenever the same series is drawn again."""
    name: str
    class_id: str
    runs: int
    newest: str
    day: str
    change: str
    change_kind: str
    change_day: str
    suspected: bool
    spark: str


def write_file(histories: Sequence[History], path: Path, classes: Classes = NO_CLASSES) -> None:
    """Everything on one page. `classes`: id → the fields of a comparison class, to be shown.

    Raises UnavailableError where it can't be written or Jinja2 is absent.
    """
    template = _environment().get_template("history_page.html.j2")
    rows = [row_of(one) for one in histories]
    sections = zip(rows, (view_of(one, classes) for one in histories), strict=True)
    _write(path, template.render(rows=rows, sections=sections, **_frame()))


def write_folder(histories: Iterable[History], folder: Path, classes: Classes = NO_CLASSES) -> None:
    """`index.html` and a page a series beside it; one series is held at a time.

    Raises UnavailableError where it can't be written or Jinja2 is absent.
    """
    page = _environment().get_template("history_series.html.j2")
    rows = []
    for one in histories:
        row = row_of(one)
        rows.append(row)
        _write(
            folder / SERIES_FOLDER / f"{row.anchor}.html", page.render(row=row, view=view_of(one, classes), **_frame())
        )
    index = _environment().get_template("history_index.html.j2")
    _write(folder / INDEX, index.render(rows=rows, folder=SERIES_FOLDER, **_frame()))


def row_of(one: History) -> Row:
    """A series in a few words."""
    last = one.changes[-1] if one.changes else None
    kind = (
        "" if last is None else "accepted" if last.status == "accepted" else "slower" if last.change > 0 else "faster"
    )
    values = one.values_s
    return Row(
        anchor=anchor_of(one),
        name=printable(one.series),
        class_id=printable(one.class_id[:8]),
        runs=len(one.points),
        newest=time_words(values[-1]) if values else "–",
        day=day(one.points[-1].started),
        change=f"{signed_percent(last.change)}{history_chart.STATUS_SIGNS.get(last.status, '')}" if last else "",
        change_kind=kind,
        change_day=day(one.used[last.index].started) if last else "",
        suspected=one.suspected,
        spark=history_chart.spark_path(values[-SPARK_VALUES:]) if values else "",
    )


def view_of(one: History, classes: Classes = NO_CLASSES) -> dict[str, Any]:
    """What the template of one series draws from."""
    unit = history_chart.unit_of_history(one)
    fields = classes.get(one.class_id, {})
    return {
        "chart": history_chart.chart(one),
        "summary": history_chart.summary(one),
        "size": {"width": history_chart.WIDTH, "height": history_chart.HEIGHT},
        "frame": {
            "left": history_chart.LEFT,
            "right": history_chart.WIDTH - history_chart.RIGHT,
            "top": history_chart.TOP,
            "bottom": history_chart.HEIGHT - history_chart.BOTTOM,
        },
        "notes": [change_words(change, one.used[change.index].started) for change in one.changes]
        + list(filter(None, [suspicion_words(one)])),
        "class_id": printable(one.class_id),
        "device": printable(fields.get("device", "")),
        "fields": [(printable(name), printable(value)) for name, value in fields.items()],
        "points": [
            {
                "started": printable(point.started),
                "run": printable(point.run_id),
                "commit": commit_words(point.commit),
                "time": "–" if point.value_s is None else time_words(point.value_s, unit),
                "why": not_used(point),
            }
            for point in one.points
        ],
    }


def anchor_of(one: History) -> str:
    """A name for links and files: it can hold no path and meets no other, whatever the series is called."""
    text = f"{one.series}\0{one.class_id}".encode("utf-8", "surrogatepass")
    return f"s{hashlib.sha256(text).hexdigest()[:20]}"


@cache
def _environment() -> jinja2.Environment:
    return environment()


def _frame() -> Mapping[str, Any]:
    return frame("history.js", "history.css")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UnavailableError(f"--output: cannot write {path}: {error.strerror or error}") from error
