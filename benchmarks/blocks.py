"""The plain loop that several benchmarks time."""

from __future__ import annotations

import time

from bench.devices import Backend
from bench.kernel import Call


def seconds_per_call(device: Backend, call: Call, calls: int) -> float:
    """Seconds per call of so many calls in a row, with nothing of the harness between them."""
    device.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    device.synchronize()
    return (time.perf_counter() - start) / calls
