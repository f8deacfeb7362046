"""Threads that ask sources at their own pace and keep what was said. They run where nothing is timed: in the parent.

Nothing here raises into the run: a source that fails is retired, and its reason kept.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from bench.telemetry.model import Sample, Source

_KEPT: Final = 1 << 16
"""Samples a source: 20 minutes at 20 ms. What is older belongs to rows that are written."""
_JOIN_S: Final = 2.0
"""A thread that hangs in its driver is left behind: it is a daemon and dies with the process."""


class _Track:
    """One source, its thread and its samples."""

    def __init__(self, source: Source, stopping: threading.Event) -> None:
        self.source = source
        self.retired = ""
        self._stopping = stopping
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self.thread = threading.Thread(target=self._run, name=f"telemetry-{source.name}", daemon=True)

    def between(self, start_s: float, end_s: float) -> list[Sample]:
        kept = self._copy()
        first = bisect.bisect_left(kept, start_s, key=lambda sample: sample.time_s)
        last = bisect.bisect_right(kept, end_s, key=lambda sample: sample.time_s)
        return kept[max(0, first - 1) : last + 1]

    def _copy(self) -> list[Sample]:
        while True:
            try:
                return list(self._samples)
            except RuntimeError:  # The thread appended meanwhile.
                continue

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._samples.append(self.source.sample())
            except Exception as error:
                self.retired = str(error) or type(error).__name__
                return
            # Turns that were missed are not made up for: a burst of questions says nothing new.
            due_s = max(due_s + self.source.period_s, time.monotonic())
            self._stopping.wait(due_s - time.monotonic())


class Sampler:
    """Asks every source in a thread of its own between `start` and `stop`, or for the length of a `with` block."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._stopping = threading.Event()
        self._tracks = [_Track(source, self._stopping) for source in sources]
        self._started = False

    @property
    def sources(self) -> list[Source]:
        """All of them, the retired too."""
        return [track.source for track in self._tracks]

    @property
    def retired(self) -> dict[str, str]:
        """Source → why it was given up during the run."""
        return {track.source.name: track.retired for track in self._tracks if track.retired}

    def start(self) -> None:
        """Begin to sample. Harmless when repeated."""
        if not self._started:
            self._started = True
            for track in self._tracks:
                track.thread.start()

    def window(self, start_s: float, end_s: float) -> dict[str, list[Sample]]:
        """Source → its samples from `start_s` to `end_s` (time.monotonic()), and the one just before and just after.

        The two outside let a counter be interpolated at the window's edges; `summarize` takes nothing else from them.
        The one after is there only if it was taken by now.
        """
        return {track.source.name: track.between(start_s, end_s) for track in self._tracks}

    def stop(self) -> None:
        """End the threads and close their sources. Samples remain. Harmless when repeated."""
        self._stopping.set()
        for track in self._tracks:
            if track.thread.ident is not None:
                track.thread.join(_JOIN_S)
            if track.thread.is_alive():
                track.retired = track.retired or "did not answer any more"
                continue  # Closing a library under a call that runs can crash the process.
            try:
                track.source.close()
            except Exception as error:
                track.retired = track.retired or f"closing it: {error or type(error).__name__}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
