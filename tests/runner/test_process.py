"""The worker process: it answers, refuses politely, and its death is told by its signal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from bench.runner.process import Worker, WorkerDied
from bench.runner.protocol import Describe, Described, Refused


@pytest.fixture
def worker() -> Iterator[Worker]:
    one = Worker(threads=1)
    yield one
    one.kill()


def test_it_describes_the_device_and_its_software(worker: Worker) -> None:
    reply = worker.ask(Describe(selection="cpu", threads=1), 120.0)
    assert isinstance(reply, Described)
    assert [device.kind for device in reply.devices] == ["cpu"]
    assert "torch" in reply.software and reply.pinning["torch_threads"] == 1
    worker.stop()
    assert not _alive(worker)


def test_an_absent_device_is_refused_with_the_contracts_exit_code(worker: Worker) -> None:
    reply = worker.ask(Describe(selection="cuda:63"), 120.0)
    assert isinstance(reply, Refused)
    assert reply.exit_code == 3 and "cuda" in reply.message


def test_a_killed_worker_is_told_by_its_signal(worker: Worker) -> None:
    os.kill(worker._process.pid, signal.SIGSEGV)
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        worker.ask(Describe(selection="cpu"), 60.0)


def test_a_worker_that_does_not_answer_is_a_timeout(worker: Worker) -> None:
    os.kill(worker._process.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        worker.ask(Describe(selection="cpu"), 0.2)


def _alive(worker: Worker) -> bool:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        if not psutil.pid_exists(worker._process.pid):
            return False
        time.sleep(0.05)
    return True
