"""Short looks at points of a space by the search's worker, which is replaced where a kernel takes it down."""

from __future__ import annotations

import time
from typing import Final

from bench import records
from bench.errors import UnavailableError
from bench.runner.process import MemoryExceeded, WorkerDied
from bench.runner.protocol import Refused, Tried, Try
from bench.runner.session import describe, new_worker
from bench.search.request import Search
from bench.search.space import Point

LOOK_S: Final = 0.05
"""Wall time that a look times (ours): on a shared machine a tenth of a second is hardly steadier."""
MOST_LOST: Final = 5
"""Looks that may take their worker down; then something is wrong that no other shape mends (ours)."""


class Looker:
    """Looks at one point at a time."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._lost = 0

    def look(self, point: Point, *, number: int, stage: str, timeout_s: float) -> records.Trial:
        """The record of one look. Raises UnavailableError once too many workers were lost."""
        search = self._search
        options = search.prepared.options
        wanted = Try(
            device=search.device.device,
            kernel=search.kernel.name,
            case=search.space.case(point),
            precision=search.request.precision,
            implementation=search.space.implementation(point),
            data=options.data,
            cache=options.cache,
            seed=options.seed,
            look_s=LOOK_S,
        )
        tried = self._tried(wanted, timeout_s)
        return records.Trial(
            number=number,
            device=wanted.device,
            kernel=wanted.kernel,
            case=wanted.case,
            precision=wanted.precision,
            implementation=wanted.implementation,
            stage=stage,
            status=tried.status,
            reason=tried.reason,
            call_s=tried.call_s,
            rate=self._rate(wanted, tried.call_s),
            spent_s=tried.spent_s,
        )

    def _tried(self, wanted: Try, timeout_s: float) -> Tried:
        """The worker's answer; one that dies is replaced, and its look is a failed one."""
        started = time.monotonic()
        status: records.Status
        try:
            reply = self._search.prepared.worker.ask(wanted, timeout_s)
        except WorkerDied as death:
            status, reason = "crashed", str(death)
        except TimeoutError:
            status, reason = "timeout", f"no result after {timeout_s:.3g} s"
        except MemoryExceeded as error:
            status, reason = "out_of_memory", str(error)
        else:
            if isinstance(reply, Tried):
                if reply.device_lost:
                    self._new_worker(reply.reason)
                return reply
            reason = reply.message if isinstance(reply, Refused) else f"unexpected answer {type(reply).__name__}"
            return Tried(status="failed", reason=reason, spent_s=time.monotonic() - started)
        spent_s = time.monotonic() - started
        self._new_worker(reason)
        return Tried(status=status, reason=reason, spent_s=spent_s)

    def _new_worker(self, reason: str) -> None:
        prepared = self._search.prepared
        prepared.worker.kill()
        self._lost += 1
        if self._lost > MOST_LOST:
            raise UnavailableError(f"the worker was lost {self._lost} times; the last time: {reason}")
        prepared.worker = new_worker(prepared.options)
        described = describe(prepared.worker, prepared.options)
        for watch in prepared.watches.values():
            watch.new_launch(described.canaries)

    def _rate(self, wanted: Try, call_s: float | None) -> records.Rate | None:
        if not call_s:
            return None
        work = self._search.kernel.work(wanted.case, wanted.precision)
        return records.Rate(
            operations_per_s=work.operations / call_s if work.operations else None,
            bytes_per_s=work.bytes / call_s if work.bytes else None,
        )
