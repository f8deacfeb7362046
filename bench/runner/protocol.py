"""What parent and worker say to each other: JSON lines over two private pipes, one tagged struct a line.

The worker's own stdout and stderr are not part of it: a kernel may print what it likes.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Literal, TypeAlias

import msgspec

from bench import records
from bench.telemetry.canary import Canary


class Together(msgspec.Struct, kw_only=True, frozen=True):
    """Which of how many ranks this is, and where they meet for what they can only measure together."""

    rank: int
    ranks: int
    address: str
    port: int
    """Of the store that the run has open."""
    job: str
    """Sets the run's keys in that store apart from anybody else's."""
    limit_s: float
    """How long a rank waits for the others, at most."""


class Describe(msgspec.Struct, kw_only=True, tag="describe"):
    """Which devices are there? The worker imports torch and answers with Described or Refused."""

    selection: str
    threads: int | None = None
    local_rank: int | None = None
    """The number of this rank on its node: of several devices of a type it means the one of that number."""
    together: Together | None = None
    """The other ranks, where all measure at once."""
    most_threads: int | None = None
    """CPU threads for what goes with measuring an accelerator: answers are worked out beside other ranks."""


class Measure(msgspec.Struct, kw_only=True, tag="measure"):
    """Measure one row; the worker answers with any number of Progress and one Measured."""

    id: str
    device: str
    kernel: str
    case: dict[str, int | str]
    precision: str
    implementations: list[str]
    """Candidates by name: several are screened and the fastest right one is measured."""
    mode: Literal["burst", "sustained"] = "burst"
    data: str = "normal"
    cache: Literal["cold", "warm"] | None = None
    """None: cold where that is cheap."""
    seed: int = 0
    launch: int = 0
    budget_s: float = 5.0
    sustain_s: float = 10.0
    """Wall time of a sustained measurement."""


class Try(msgspec.Struct, kw_only=True, tag="try"):
    """One short look at one case by one implementation, unchecked; the worker answers with one Tried."""

    device: str
    kernel: str
    case: dict[str, int | str]
    precision: str
    implementation: str
    data: str = "normal"
    cache: Literal["cold", "warm"] | None = None
    seed: int = 0
    look_s: float = 0.05
    """Wall time of the timed part, one call at least."""


class Stop(msgspec.Struct, kw_only=True, tag="stop"):
    """No more work: the worker ends."""


class Described(msgspec.Struct, kw_only=True, tag="described"):
    """The devices that the selection names, and the software that the worker runs on."""

    devices: list[records.Device]
    software: dict[str, str]
    pinning: dict[str, Any]
    canaries: list[Canary] = []
    """On a CPU: what the cores can do before anything is measured, the first reference of the launch."""


class Refused(msgspec.Struct, kw_only=True, tag="refused"):
    """A request that could not be met; `exit_code` is the contract's."""

    message: str
    exit_code: int


class Progress(msgspec.Struct, kw_only=True, tag="progress"):
    """Which phase the row in flight has reached."""

    phase: str
    detail: str = ""


class Measured(msgspec.Struct, kw_only=True, tag="measured"):
    """The finished row, without rating: the parent sets it against one."""

    measurement: records.Measurement
    window_s: tuple[float, float] | None = None
    """Start and end of the timed calls by time.monotonic()."""
    canaries: list[Canary] = []
    """On a CPU: just before the timed calls and just after."""
    device_lost: bool = False
    """The device no longer answers this process (a sticky CUDA error, a broken group): a new worker is needed."""


class Tried(msgspec.Struct, kw_only=True, tag="tried"):
    """What a short look saw."""

    status: records.Status
    reason: str = ""
    call_s: float | None = None
    spent_s: float = 0.0
    """Wall time of the look, set-up included."""
    device_lost: bool = False


Request: TypeAlias = Describe | Measure | Try | Stop
Reply: TypeAlias = Described | Refused | Progress | Measured | Tried

_ENCODER = msgspec.json.Encoder()


class EndOfStream(Exception):
    """The other side has gone."""


class Channel:
    """One end of a pair of pipes. Blocking, one message a line, either side notices when the other is gone."""

    def __init__(self, read_fd: int, write_fd: int, expects: Any) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._decoder = msgspec.json.Decoder(expects)
        self._buffer = bytearray()

    def send(self, message: Request | Reply) -> None:
        """Write one message whole. Raises EndOfStream when nobody reads."""
        data = memoryview(_ENCODER.encode(message) + b"\n")
        try:
            while data:
                data = data[os.write(self._write_fd, data) :]
        except BrokenPipeError:
            raise EndOfStream from None

    def receive(self, timeout_s: float | None = None) -> Any:
        """The next message; TimeoutError after `timeout_s`, EndOfStream when the other side has gone."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (newline := self._buffer.find(b"\n")) < 0:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._read_fd], [], [], remaining)[0]:
                raise TimeoutError
            chunk = os.read(self._read_fd, 1 << 16)
            if not chunk:
                raise EndOfStream
            self._buffer += chunk
        line = bytes(self._buffer[:newline])
        del self._buffer[: newline + 1]
        return self._decoder.decode(line)

    def close(self) -> None:
        """Close both pipes."""
        for fd in (self._read_fd, self._write_fd):
            os.close(fd)
