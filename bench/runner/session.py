"""What a run was asked to do, and its preparation: a worker, the devices with their ratings, the plan.

Carrying the plan out is `bench.runner.campaign`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from bench import plugins, records
from bench.analysis.utilization import Denominators
from bench.devices import cgroup, view
from bench.errors import UnavailableError, UsageError
from bench.kernel import SUITES
from bench.ratings import Tables, cpu_microarchitecture, load, ratings_for
from bench.runner import host, plan
from bench.runner.process import START_TIMEOUT_S, MemoryExceeded, Worker, WorkerDied
from bench.runner.protocol import Describe, Described, Refused, Together
from bench.runner.watch import Watch
from bench.runner.watch import described as watched
from bench.telemetry import Opened, open_sources
from bench.telemetry.canary import Canary

DEFAULT_BUDGET_S: Final = {"quick": 100.0}
"""Wall time of a whole run where the user names none: quick ends within two minutes, start-up included."""
MEMORY_SHARE: Final = 0.9
"""Of the memory that is free when a worker starts, what it may come to hold before it is ended (ours)."""
STANDARD_CPU_LAUNCHES: Final = 3
"""Launches of a CPU's standard suite: on one machine launches differed by 14–33 % while each was tight within."""


@dataclass(frozen=True)
class Options:
    """What a run was asked to do, checked."""

    selection: plan.Selection
    device: str = "auto"
    mode: Literal["burst", "sustained"] = "burst"
    sustain_s: float = 10.0
    data: str = "normal"
    cache: Literal["cold", "warm"] | None = None
    launches: int | None = None
    threads: int | None = None
    seed: int = 0
    budget_s: float | None = None
    row_budget_s: float | None = None
    """Most seconds that one row is given; None: the suite's own (`bench.runner.campaign`)."""
    retries: int = 2
    """How often a disturbed row is measured again, at most."""
    lock_clocks_mhz: int | None = None
    case_timeout_s: float | None = None
    memory_limit_bytes: int | None = None
    ratings: tuple[Path, ...] = ()
    anonymize: bool = False
    command: tuple[str, ...] = ()
    rank: int = 0
    local_rank: int | None = None
    """Of a run by many ranks (`bench.runner.ranks`): which one this is on its node."""
    together: Together | None = None
    """The other ranks, where all measure at once."""
    neighbours: int = 1
    """Workers on this node that share its memory, this one included."""
    most_threads: int | None = None
    """Of a rank that measures no processor: CPU threads that leave the others of its node theirs."""


class Observer(Protocol):
    """Whoever watches a run: the screen, a log."""

    def message(self, text: str) -> None: ...
    def started(self, devices: Sequence[records.Device], rows: int) -> None: ...
    def row_started(self, number: int, item: plan.Item, launch: int) -> None: ...
    def phase(self, phase: str, detail: str) -> None: ...
    def row_done(self, row: records.Measurement) -> None: ...


@dataclass
class Prepared:
    """A run that has a worker, devices with their ratings, and a plan; nothing is measured or written yet."""

    options: Options
    worker: Worker
    devices: list[records.Device]
    denominators: dict[str, Denominators]
    items: dict[str, list[plan.Item]]
    scenarios: list[records.PlannedScenario]
    launches: int
    watches: dict[str, Watch]
    software: dict[str, str]
    pinning: dict[str, Any]
    budget_s: float | None
    started: float

    @property
    def rows(self) -> int:
        """Number of rows that the run will have."""
        return sum(map(len, self.items.values())) * self.launches


def prepare(options: Options, observer: Observer) -> Prepared:
    """Check the request, start a worker, learn what is here and lay out the plan.

    Raises UsageError for what can't be meant and UnavailableError for what isn't there.
    """
    started = time.monotonic()
    installed = plugins.load()
    for warning in installed.warnings:
        observer.message(f"warning: {warning}")
    plan.check(options.selection, installed)
    tables = load(options.ratings)
    observer.message("starting the worker: it imports torch and looks at the device")
    worker = new_worker(options)
    try:
        described = describe(worker, options)
        opened = {device.device: open_sources(device) for device in described.devices}
        found = [_with_best_clock(device, described.canaries) for device in described.devices]
        devices, denominators = _rated(found, tables, opened, options)
        items = {
            device.device: plan.items(options.selection, installed, view(device), list(device.precisions))
            for device in devices
        }
        if options.selection.rows:
            items = plan.narrowed(items, options.selection.rows)
        _refuse_nothing(items, options)
    except BaseException:
        worker.kill()
        raise
    watches = {name: Watch(each) for name, each in opened.items()}
    for watch in watches.values():
        watch.new_launch(described.canaries)
    return Prepared(
        options=options,
        worker=worker,
        devices=devices,
        denominators=denominators,
        items=items,
        scenarios=[one for device in devices for one in plan.planned(options.selection, device.device, view(device))],
        launches=_launches(options, devices),
        watches=watches,
        software=described.software,
        pinning=described.pinning,
        budget_s=options.budget_s or _default_budget_s(options),
        started=started,
    )


def _default_budget_s(options: Options) -> float | None:
    return DEFAULT_BUDGET_S.get(options.selection.suite) if options.mode == "burst" else None


def _refuse_nothing(items: Mapping[str, Sequence[plan.Item]], options: Options) -> None:
    """A plan without a row is a request that can't be meant."""
    if not any(items.values()):
        kernels = ", ".join(options.selection.kernels or ("the kernels",))
        suite, implementation = options.selection.suite, options.selection.implementation
        raise UsageError(
            f"--kernel {kernels}: no case in --suite {suite} for --implementation {implementation}; "
            "try --suite standard or a --case of your own"
        )


def new_worker(options: Options) -> Worker:
    """A worker that may hold what memory is free now, less a reserve for everybody else, or what the user allows."""
    import psutil

    free_bytes = min(psutil.virtual_memory().available, cgroup.limits().memory_bytes or sys.maxsize)
    return Worker(options.threads, options.memory_limit_bytes or int(free_bytes * MEMORY_SHARE / options.neighbours))


def describe(worker: Worker, options: Options) -> Described:
    try:
        request = Describe(
            selection=options.device,
            threads=options.threads,
            local_rank=options.local_rank,
            together=options.together,
            most_threads=options.most_threads,
        )
        reply = worker.ask(request, START_TIMEOUT_S)
    except (WorkerDied, MemoryExceeded) as death:
        raise UnavailableError(f"--device {options.device}: {death}") from None
    except TimeoutError:
        raise UnavailableError(f"--device {options.device}: no answer from torch in {START_TIMEOUT_S:.0f} s") from None
    if isinstance(reply, Refused):
        raise (UsageError if reply.exit_code == UsageError.exit_code else UnavailableError)(reply.message)
    assert isinstance(reply, Described)
    return reply


def _with_best_clock(device: records.Device, canaries: Sequence[Canary]) -> records.Device:
    """A processor whose clock was measured, with the highest clock of the canaries where that is higher.

    A busy neighbour only ever slows the chain, and a rating from a slowed clock would flatter every row.
    """
    clock = device.clock
    highest_hz = max((canary.clock_hz or 0.0 for canary in canaries), default=0.0)
    if device.kind != "cpu" or clock is None or clock.hz is None or not clock.source.startswith("measured"):
        return device
    if highest_hz <= clock.hz:
        return device
    return msgspec.structs.replace(device, clock=records.Clock(hz=highest_hz, source=clock.source))


def _rated(
    found: Sequence[records.Device], tables: Tables, opened: Mapping[str, Opened], options: Options
) -> tuple[list[records.Device], dict[str, Denominators]]:
    """The devices with host, architecture and ratings filled in, and what their rows are set against."""
    devices, denominators = [], {}
    for device in found:
        architecture = cpu_microarchitecture(device.details) if device.kind == "cpu" else None
        named = msgspec.structs.replace(
            device,
            host=host.name(options.anonymize),
            rank=options.rank,
            unique_id=None if options.anonymize else device.unique_id,
            architecture=architecture or device.architecture,
            details=watched(device, opened[device.device]),
        )
        ratings = ratings_for(named, tables)
        rated = msgspec.structs.replace(named, ratings=dict(ratings.peaks), rating_name=ratings.name)
        devices.append(rated)
        denominators[rated.device] = Denominators(rated, ratings, tables)
    return devices, denominators


def _launches(options: Options, devices: Sequence[records.Device]) -> int:
    if options.launches is not None:
        return options.launches
    on_cpu = all(device.kind == "cpu" for device in devices)
    return STANDARD_CPU_LAUNCHES if on_cpu and options.selection.suite in SUITES[1:] else 1
