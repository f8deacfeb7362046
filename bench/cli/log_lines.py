"""What a screen that scrolls has whatever goes on: it needs no opening, and a message is a line on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self


class LogLines:
    """The base of the plain progress of a run and of an `ab`: for logs and pipes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def message(self, text: str) -> None:
        """One line for the reader."""
        print(f"bench: {text}", file=sys.stderr, flush=True)
