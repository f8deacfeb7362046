"""The screen while a run goes on, on stderr: a live bar on a terminal, a plain line a row elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from bench import records
from bench.analysis.summary import series
from bench.analysis.words import counted
from bench.cli.log_lines import LogLines
from bench.report.numbers import percent, prefix, short_case, with_interval
from bench.report.table import Defaults
from bench.runner.plan import Item


class Progress(Protocol):
    """A run's observer that is opened before the run and closed after it."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def message(self, text: str) -> None: ...
    def started(self, devices: Sequence[records.Device], rows: int) -> None: ...
    def row_started(self, number: int, item: Item, launch: int) -> None: ...
    def phase(self, phase: str, detail: str) -> None: ...
    def row_done(self, row: records.Measurement) -> None: ...


def progress(defaults: Defaults) -> Progress:
    """The live bar where stderr is a terminal, else plain lines."""
    return LiveProgress(defaults) if sys.stderr.isatty() else PlainProgress(defaults)


class PlainProgress(LogLines):
    """One line a finished row: for logs and pipes."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._number = 0
        self._rows = 0

    def started(self, devices: Sequence[records.Device], rows: int) -> None:
        """The plan is known."""
        self._rows = rows
        names = ", ".join(f"{device.device} ({device.name})" for device in devices)
        self.message(f"{counted(rows, 'row')} on {names}")

    def row_started(self, number: int, item: Item, launch: int) -> None:
        """Nothing yet: the line comes with the result."""
        self._number = number

    def phase(self, phase: str, detail: str) -> None:
        """Too fine for a log."""

    def row_done(self, row: records.Measurement) -> None:
        """The finished row in one line."""
        self.message(f"[{self._number}/{self._rows}] {_row_words(row, self._defaults)}")


class LiveProgress:
    """A bar with the row in flight, its phase and how long still; finished rows scroll by above it."""

    def __init__(self, defaults: Defaults) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._defaults = defaults
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._row = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def message(self, text: str) -> None:
        """One line above the bar."""
        self._print(text)

    def started(self, devices: Sequence[records.Device], rows: int) -> None:
        """The plan is known: the bar gets its length."""
        self._bar.update(self._task, total=rows)
        for device in devices:
            self._print(f"{device.device}: {device.name}")

    def row_started(self, number: int, item: Item, launch: int) -> None:
        """Show the row in flight."""
        case = short_case(item.case, self._defaults.get(item.kernel))
        again = f" launch {launch + 1}" if launch else ""
        self._row = f"{item.kernel} {case} {item.precision}{again}"
        self._bar.update(self._task, description=self._row, completed=number - 1)

    def phase(self, phase: str, detail: str) -> None:
        """Show how far the row has come."""
        self._bar.update(self._task, description=f"{self._row} · {phase} {detail}".rstrip())

    def row_done(self, row: records.Measurement) -> None:
        """Let the finished row scroll by."""
        self._bar.advance(self._task)
        self._print(_row_words(row, self._defaults))

    def _print(self, text: str) -> None:
        from rich.text import Text

        self._bar.console.print(Text(text))


def _row_words(row: records.Measurement, defaults: Defaults) -> str:
    (one,) = series([row])
    what = f"{row.kernel} {short_case(row.case, defaults.get(row.kernel))} {row.precision} {row.implementation}"
    if one.value is None:
        return f"{what}: {row.status}: {row.reason}"
    factor, letter = prefix([one.value])
    low, high = (None if bound is None else bound / factor for bound in (one.low, one.high))
    rate = f"{with_interval(one.value / factor, low, high)} {letter}{one.unit}"
    share = f"{percent(one.utilization)} of rated" if one.utilization else "not rated"
    return f"{what}: {rate}, {share}, {row.status}"


def kernel_defaults() -> dict[str, dict[str, Any]]:
    """The default of each field of each installed kernel's cases."""
    from bench import plugins

    return {
        name: {spec.name: spec.default for spec in kernel.fields} for name, kernel in plugins.load().kernels.items()
    }
