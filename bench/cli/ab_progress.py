"""The screen while an `ab` goes on, on stderr: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from bench.cli.log_lines import LogLines
from bench.report.numbers import duration

if TYPE_CHECKING:
    from bench.ab.evidence import Standing
    from bench.ab.launches import Label, Launch

SHOWN: Final = 12
"""Series in the live table, those that moved most first."""


class Progress(Protocol):
    """An `ab`'s observer that is opened before it and closed after it."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def message(self, text: str) -> None: ...
    def stage(self, name: str, series: int, pairs: int) -> None: ...
    def launching(self, label: Label) -> None: ...
    def launched(self, launch: Launch) -> None: ...
    def standing(self, pairs: int, standings: Sequence[Standing]) -> None: ...


def progress() -> Progress:
    """The live table where stderr is a terminal, else plain lines."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


class _Stage:
    """What both screens know of the stage in hand."""

    def __init__(self) -> None:
        self.name, self.pairs, self.done, self.wall_s, self.launches = "", 0, 0, 0.0, 0

    def begin(self, name: str, pairs: int) -> None:
        """Another stage; what a launch takes is asked anew, for it may measure fewer series."""
        self.name, self.pairs, self.done, self.wall_s, self.launches = name, pairs, 0, 0.0, 0

    def add(self, launch: Launch) -> None:
        """One more launch."""
        self.launches += 1
        self.wall_s += launch.wall_s

    def progress(self) -> str:
        """ "3 of 8 pairs"; those beyond replace pairs whose rows were disturbed."""
        extra = f" and {self.done - self.pairs} more for disturbed ones" if self.done > self.pairs else ""
        return f"{min(self.done, self.pairs)} of {self.pairs} pairs{extra}"

    def left(self) -> str:
        """ "about 40 s left"; "" before the first launch."""
        if not self.launches or self.done >= self.pairs:
            return ""
        return f"about {duration(2 * (self.pairs - self.done) * self.wall_s / self.launches)} left"


class PlainProgress(LogLines):
    """One line a pair: for logs and pipes."""

    def __init__(self) -> None:
        self._stage = _Stage()

    def stage(self, name: str, series: int, pairs: int) -> None:
        """A stage begins."""
        self._stage.begin(name, pairs)
        if series:
            self.message(f"{name}: {series} series in {pairs} pairs of launches")
        else:
            self.message(f"{name}: one launch of each side, which does not count")

    def launching(self, label: Label) -> None:
        """The line comes with the pair."""

    def launched(self, launch: Launch) -> None:
        """Only what went wrong is a line of its own."""
        self._stage.add(launch)
        if launch.reason:
            self.message(f"a launch of {launch.label} gave nothing: {launch.reason}")

    def standing(self, pairs: int, standings: Sequence[Standing]) -> None:
        """How far it is, and what stands out."""
        self._stage.done = pairs
        if self._stage.name == "rehearsal":
            return
        words = [self._stage.progress(), _most_moved(standings), self._stage.left()]
        self.message(f"{self._stage.name} " + " · ".join(filter(None, words)))


class LiveProgress:
    """A table of the series with their ratios so far, the launch in flight below it; messages scroll by above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._stage = _Stage()
        self._standings: Sequence[Standing] = ()
        self._flight, self._since_s = "", time.monotonic()
        self._console = Console(stderr=True)
        self._live = Live(get_renderable=self._shown, console=self._console, transient=True, refresh_per_second=2)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def message(self, text: str) -> None:
        """One line above the table."""
        from rich.text import Text

        self._console.print(Text(text))

    def stage(self, name: str, series: int, pairs: int) -> None:
        """A stage begins: its evidence is its own."""
        self._stage.begin(name, pairs)
        self._standings = ()

    def launching(self, label: Label) -> None:
        """Show which side is in flight."""
        self._flight, self._since_s = label, time.monotonic()

    def launched(self, launch: Launch) -> None:
        """The launch has ended."""
        self._stage.add(launch)
        self._flight = ""
        if launch.reason:
            self.message(f"a launch of {launch.label} gave nothing: {launch.reason}")

    def standing(self, pairs: int, standings: Sequence[Standing]) -> None:
        """Refresh the table."""
        self._stage.done = pairs
        self._standings = standings

    def _shown(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=bool(self._standings))
        for header in ("series", "B / A", "slower in", "p"):
            table.add_column(header, justify="left" if header == "series" else "right")
        for one in _by_size(self._standings)[:SHOWN]:
            table.add_row(Text(one.series), f"{one.ratio:.3f}", f"{one.slower} of {one.pairs}", f"{one.p:.2g}")
        more = len(self._standings) - SHOWN
        flight = f"{self._flight} for {duration(time.monotonic() - self._since_s)}" if self._flight else ""
        where = f"{self._stage.name}: {self._stage.progress()}" if self._stage.name else "making the sides ready"
        words = [where, flight, self._stage.left()]
        lines = [Text(f"… and {more} more series")] if more > 0 else []
        return Group(table, *lines, Text(" · ".join(filter(None, words)), style="dim"))


def _by_size(standings: Sequence[Standing]) -> list[Standing]:
    return sorted(standings, key=lambda one: -abs(one.ratio - 1.0))


def _most_moved(standings: Sequence[Standing]) -> str:
    if not standings:
        return "none counts yet: rows were disturbed"
    one = _by_size(standings)[0]
    of = f" (most of {len(standings)})" if len(standings) > 1 else ""
    return f"B/A {one.ratio:.3f}, slower in {one.slower} of {one.pairs}, p {one.p:.2g}: {one.series}{of}"
