"""The parent's handle on a worker process: start it, ask it, notice its death, end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bench.runner.protocol import Channel, EndOfStream, Progress, Reply, Request, Stop

START_TIMEOUT_S: Final = 300.0  # importing torch from a cold network disk and waking eight GPUs takes minutes
STOP_TIMEOUT_S: Final = 5.0
OUTPUT_KEPT_LINES: Final = 200


class WorkerDied(Exception):
    """The worker ended without an answer; the message says by which signal or exit code."""


class Worker:
    """One worker process, started at once. Its stdout and stderr are drained and their last lines kept."""

    def __init__(self, threads: int | None = None) -> None:
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
        self._output: deque[str] = deque(maxlen=OUTPUT_KEPT_LINES)
        self._drain = threading.Thread(target=self._keep_output, daemon=True)
        self._drain.start()

    def ask(self, request: Request, timeout_s: float, on_progress: Callable[[Progress], None] | None = None) -> Reply:
        """Send a request and wait for its answer; Progress messages go to `on_progress`.

        Raises WorkerDied when the worker ends first and TimeoutError after `timeout_s`; either way the worker is
        of no further use.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._channel.send(request)
            while True:
                reply: Reply = self._channel.receive(max(0.0, deadline - time.monotonic()))
                if not isinstance(reply, Progress):
                    return reply
                if on_progress:
                    on_progress(reply)
        except EndOfStream:
            raise WorkerDied(self._epitaph()) from None

    @property
    def output(self) -> str:
        """The last lines that the worker wrote to its stdout and stderr."""
        return "\n".join(self._output)

    def stop(self) -> None:
        """End the worker: ask, then kill."""
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
        for line in self._process.stdout:
            self._output.append(line.decode(errors="replace").rstrip())

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the worker closed its pipe"
        self._drain.join(timeout=1.0)
        last = next((line for line in reversed(self._output) if line.strip()), "")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"worker died: {how}" + (f" ({last[:200]})" if last else "")
