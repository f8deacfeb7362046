"""A simulated device: a host clock, a stream that runs behind it, events and graphs, all in exact numbers.

It stands in for hardware only where the choice of a timer and its arithmetic are tested; `tests/gpu` times real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class Mark:
    """An event of the simulated stream."""

    def __init__(self, device: Simulated) -> None:
        self._device = device
        self.at_s = 0.0

    def record(self) -> None:
        self._device.host_s += self._device.event_s
        self.at_s = max(self._device.stream_s, self._device.host_s)

    def query(self) -> bool:
        return self.at_s <= self._device.host_s


@dataclass
class Simulated:
    """A backend. `host_s` is the host's clock, `stream_s` when the stream will have done all that it holds."""

    has_events: bool = True
    supports_graphs: bool = True
    can_sleep: bool = True
    capture_error: Exception | None = None
    torch_device: str = "cpu"
    host_s: float = 0.0
    stream_s: float = 0.0
    event_s: float = 1e-6
    read_s: float = 50e-9
    """What reading the clock costs."""
    log: list[str] = field(default_factory=list)
    _captured: list[float] | None = None

    def clock(self) -> int:
        self.host_s += self.read_s
        return round(self.host_s * 1e9)

    def enqueue(self, seconds: float, launch_s: float, what: str) -> None:
        """Work of `seconds` on the device that takes the host `launch_s` to hand over."""
        if self._captured is not None:
            self._captured.append(seconds)
            self.log.append(f"capture {what}")
            return
        self.host_s += launch_s
        self.stream_s = max(self.stream_s, self.host_s) + seconds
        self.log.append(what)

    def call(self, seconds: float, launch_s: float = 5e-6, what: str = "call") -> Callable[[], None]:
        """A call of the work: asynchronous where there are events, else done when it returns."""

        def run() -> None:
            self.enqueue(seconds, launch_s, what)
            if not self.has_events:
                self.host_s = max(self.host_s, self.stream_s)

        return run

    def synchronize(self) -> None:
        self.host_s = max(self.host_s, self.stream_s)

    def event(self) -> Mark:
        return Mark(self)

    def elapsed_s(self, start: Mark, end: Mark) -> float:
        return end.at_s - start.at_s

    def capture(self, fn: Callable[[], object]) -> Callable[[], None]:
        if self.capture_error:
            raise self.capture_error
        self._captured = []
        fn()
        total, self._captured = sum(self._captured), None
        return lambda: self.enqueue(total, 10e-6, "replay")

    def busy_sleep(self, seconds: float) -> None:
        self.enqueue(seconds, 1e-6, "sleep")

    def memory_free_bytes(self) -> int | None:
        return None

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)
