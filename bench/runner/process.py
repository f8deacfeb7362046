"""The parent's handle on a worker process: start it, ask it, notice its death, end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from bench.runner.protocol import Channel, EndOfStream, Progress, Reply, Request, Stop

START_TIMEOUT_S: Final = 300.0  # importing torch from a cold network disk and waking eight GPUs takes minutes
STOP_TIMEOUT_S: Final = 5.0
_TRACE: Final = ("frame #", "Exception raised from")
"""How the lines begin that torch's C++ prints after what went wrong."""
OUTPUT_KEPT_BYTES: Final = 64 * 1024
"""Of what the worker prints: a kernel may print megabytes, and only the end of it explains a death."""
WATCH_S: Final = 0.25
"""How often the parent looks at the worker's memory: the page faults of 0.25 s are at most about a gigabyte."""


class WorkerDied(Exception):
    """The worker ended without an answer; the message says by which signal or exit code."""


class MemoryExceeded(Exception):
    """The worker took more memory than it may have; the message says how much."""


class Worker:
    """One worker process, started at once. Its stdout and stderr are drained and their last lines kept."""

    def __init__(self, threads: int | None = None, memory_limit_bytes: int | None = None) -> None:
        """Start it with that many threads; `memory_limit_bytes` is what it and its children may hold in memory."""
        self._memory_limit_bytes = memory_limit_bytes
        to_worker_read, to_worker_write = os.pipe()
        to_parent_read, to_parent_write = os.pipe()
        environment = dict(os.environ)
        if threads is not None:
            # Read by OpenMP and MKL when they are loaded, before torch.set_num_threads can be called.
            environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.runner.worker", str(to_worker_read), str(to_parent_write)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(to_worker_read, to_parent_write),
            env=environment,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        os.close(to_worker_read)
        os.close(to_parent_write)
        self._channel = Channel(to_parent_read, to_worker_write, expects=Reply)
        self._ended = False
        self._output = bytearray()
        self._drain = threading.Thread(target=self._keep_output, daemon=True)
        self._drain.start()

    def ask(self, request: Request, timeout_s: float, on_progress: Callable[[Progress], None] | None = None) -> Reply:
        """Send a request and wait for its answer; Progress messages go to `on_progress`.

        Raises WorkerDied when the worker ends first, TimeoutError after `timeout_s` and MemoryExceeded when it takes
        more memory than it may; in each case the worker is of no further use.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._channel.send(request)
            while True:
                reply = self._next(deadline)
                if not isinstance(reply, Progress):
                    return reply
                if on_progress:
                    on_progress(reply)
        except EndOfStream:
            raise WorkerDied(self._epitaph()) from None

    def _next(self, deadline: float) -> Reply:
        """The next message, the worker's memory watched while waiting for it."""
        while True:
            remaining_s = max(0.0, deadline - time.monotonic())
            try:
                reply: Reply = self._channel.receive(min(remaining_s, WATCH_S))
            except TimeoutError:
                if remaining_s <= WATCH_S:
                    raise
                self._watch_memory()
            else:
                return reply

    def _watch_memory(self) -> None:
        if self._memory_limit_bytes is None:
            return
        held_bytes = _resident_bytes(self._process.pid)
        if held_bytes > self._memory_limit_bytes:
            raise MemoryExceeded(
                f"the worker held {held_bytes / 1e9:.3g} GB, over the limit of {self._memory_limit_bytes / 1e9:.3g} GB"
            )

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def output(self) -> str:
        """The end of what the worker wrote to its stdout and stderr."""
        return self._output.decode(errors="replace")

    def stop(self) -> None:
        """End the worker: ask, then kill. Harmless when it has ended already."""
        if self._ended:
            return
        with contextlib.suppress(EndOfStream, subprocess.TimeoutExpired):
            self._channel.send(Stop())
            self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the worker and whatever it has started, now. Harmless when it has ended already."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._drain.join(timeout=1.0)
        self._channel.close()

    def _keep_output(self) -> None:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while chunk := os.read(fd, 1 << 16):
            self._output += chunk
            del self._output[:-OUTPUT_KEPT_BYTES]

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the worker closed its pipe"
        self._drain.join(timeout=1.0)
        lines = (line.strip() for line in reversed(self.output.splitlines()))
        last = next((line for line in lines if line and not line.startswith(_TRACE)), "")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"worker died: {how}" + (f" ({last[:200]})" if last else "")


def _resident_bytes(pid: int) -> int:
    """Memory that a process and its children hold; 0 when it has gone."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    held = 0
    for member in family:
        with contextlib.suppress(psutil.Error):
            held += int(member.memory_info().rss)
    return held
