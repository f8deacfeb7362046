"""What timing needs of a device: a structural type that `bench.devices` fulfils and that tests fulfil with a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Event(Protocol):
    """A mark in the device's stream, as torch.Event and torch.cuda.Event."""

    def record(self) -> Any:
        """Put the mark behind what the stream holds now."""
        ...

    def query(self) -> bool:
        """Whether the device has come to the mark."""
        ...


class Backend(Protocol):
    """One device as the timers see it. Times are seconds."""

    @property
    def torch_device(self) -> str:
        """What `torch.device()` takes."""
        ...

    @property
    def has_events(self) -> bool:
        """Whether `event` and `elapsed_s` work."""
        ...

    @property
    def supports_graphs(self) -> bool:
        """Whether `capture` works."""
        ...

    @property
    def can_sleep(self) -> bool:
        """Whether `busy_sleep` works."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given."""
        ...

    def event(self) -> Event:
        """A new timing event."""
        ...

    def elapsed_s(self, start: Any, end: Any) -> float:
        """Seconds on the device between two recorded events; both have been reached."""
        ...

    def capture(self, fn: Callable[[], object]) -> Callable[[], object]:
        """Record what `fn` enqueues into a graph; the result replays it."""
        ...

    def busy_sleep(self, seconds: float) -> None:
        """Enqueue work that keeps the stream busy for about `seconds` without touching memory."""
        ...

    def memory_free_bytes(self) -> int | None:
        """Bytes of memory that are free now; None where nobody knows."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether the error says that memory ran out."""
        ...
