"""The parent's side of a run: one worker a launch; every finished row is rated and written before the next is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from bench import METHOD_VERSION, __version__, plugins, records
from bench.analysis.utilization import Denominators, rate_row
from bench.devices import view
from bench.errors import BenchError, UnavailableError, UsageError
from bench.ratings import Tables, cpu_microarchitecture, load, ratings_for
from bench.runner import host, plan
from bench.runner.journal import Journal
from bench.runner.process import START_TIMEOUT_S, Worker, WorkerDied
from bench.runner.protocol import Describe, Described, Measure, Measured, Progress, Refused

ROW_BUDGET_S: Final = {"quick": 3.0, "standard": 6.0, "full": 10.0}
"""Most seconds that one row is given, so that a short plan doesn't stretch to fill a long budget (ours)."""
DEFAULT_BUDGET_S: Final = {"quick": 100.0, "standard": None, "full": None}
"""Wall time of a whole run where the user names none: quick ends within two minutes, start-up included."""
STANDARD_CPU_LAUNCHES: Final = 3
"""Launches of a CPU's standard suite: on one machine launches differed by 14–33 % while each was tight within."""
ROW_TIMEOUT_FACTOR: Final = 20.0
ROW_TIMEOUT_MINIMUM_S: Final = 180.0
"""A row that takes longer than max(minimum, factor × its budget) is hung: its worker is killed."""


@dataclass(frozen=True)
class Options:
    """What a run was asked to do, checked."""

    selection: plan.Selection
    device: str = "auto"
    mode: Literal["burst", "sustained"] = "burst"
    data: str = "normal"
    cache: Literal["cold", "warm"] | None = None
    launches: int | None = None
    threads: int | None = None
    seed: int = 0
    budget_s: float | None = None
    ratings: tuple[Path, ...] = ()
    anonymize: bool = False
    command: tuple[str, ...] = ()


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
    launches: int
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
    worker = Worker(options.threads)
    try:
        described = _described(worker, options)
        devices, denominators = _rated(described.devices, tables, options.anonymize)
        items = {
            device.device: plan.items(options.selection, installed, view(device), list(device.precisions))
            for device in devices
        }
    except BaseException:
        worker.kill()
        raise
    return Prepared(
        options=options,
        worker=worker,
        devices=devices,
        denominators=denominators,
        items=items,
        launches=_launches(options, devices),
        software=described.software,
        pinning=described.pinning,
        budget_s=options.budget_s or DEFAULT_BUDGET_S[options.selection.suite],
        started=started,
    )


def _described(worker: Worker, options: Options) -> Described:
    try:
        reply = worker.ask(Describe(selection=options.device, threads=options.threads), START_TIMEOUT_S)
    except WorkerDied as death:
        raise UnavailableError(f"--device {options.device}: {death}") from None
    except TimeoutError:
        raise UnavailableError(f"--device {options.device}: no answer from torch in {START_TIMEOUT_S:.0f} s") from None
    if isinstance(reply, Refused):
        raise (UsageError if reply.exit_code == UsageError.exit_code else UnavailableError)(reply.message)
    assert isinstance(reply, Described)
    return reply


def _rated(
    found: Sequence[records.Device], tables: Tables, anonymize: bool
) -> tuple[list[records.Device], dict[str, Denominators]]:
    """The devices with their architecture and ratings filled in, and what their rows are set against."""
    devices, denominators = [], {}
    for device in found:
        architecture = cpu_microarchitecture(device.details) if device.kind == "cpu" else None
        named = msgspec.structs.replace(device, architecture=architecture or device.architecture)
        if anonymize:
            named = msgspec.structs.replace(named, host=host.ANONYMOUS, unique_id=None)
        ratings = ratings_for(named, tables)
        rated = msgspec.structs.replace(named, ratings=dict(ratings.peaks), rating_name=ratings.name)
        devices.append(rated)
        denominators[rated.device] = Denominators(rated, ratings, tables)
    return devices, denominators


def _launches(options: Options, devices: Sequence[records.Device]) -> int:
    if options.launches is not None:
        return options.launches
    on_cpu = all(device.kind == "cpu" for device in devices)
    return STANDARD_CPU_LAUNCHES if on_cpu and options.selection.suite != "quick" else 1


def execute(prepared: Prepared, path: Path, observer: Observer) -> records.RunFile:
    """Measure the plan and write the run file line by line; returns what was written.

    Ctrl-C ends it cleanly: the file gets an `end` line with status interrupted, and KeyboardInterrupt goes on up.
    """
    journal = Journal(records.Writer(path), _run_record(prepared, path), prepared.devices, prepared.started)
    observer.started(prepared.devices, prepared.rows)
    campaign = _Campaign(prepared, journal, observer)
    try:
        campaign.run()
        journal.end("complete", campaign.left_out())
    except KeyboardInterrupt:
        journal.end("interrupted", "interrupted by the user", exit_code=130)
        raise
    except BenchError as error:
        journal.end("failed", str(error), exit_code=error.exit_code)
        raise
    finally:
        campaign.worker.kill()
        journal.close()
    return journal.file


def _run_record(prepared: Prepared, path: Path) -> records.Run:
    options = prepared.options
    return records.Run(
        id=path.stem,
        started=records.now(),
        command=["bench", *map(_without_folder if options.anonymize else str, options.command)],
        bench_version=__version__,
        method_version=METHOD_VERSION,
        suite=None if options.selection.cases else options.selection.suite,
        seed=options.seed,
        launches=prepared.launches,
        budget_s=prepared.budget_s,
        git=None if options.anonymize else host.git_state(),
        host=host.host(options.anonymize),
        software=prepared.software,
        environment=host.environment(options.anonymize),
        pinning=prepared.pinning,
        pages=host.page_settings(),
    )


def _without_folder(word: str) -> str:
    return Path(word).name if "/" in word else word


class _Campaign:
    """The loop over launches and rows: shares the budget out, replaces a dead worker, keeps to the launch's winner."""

    def __init__(self, prepared: Prepared, journal: Journal, observer: Observer) -> None:
        self.prepared = prepared
        self.journal = journal
        self.observer = observer
        self.worker = prepared.worker
        self.done = 0
        self.winners: dict[tuple[str, str, str, str], str] = {}

    def run(self) -> None:
        """Every row of every launch, until the budget is spent."""
        for launch in range(self.prepared.launches):
            if launch:
                self._restart()
            for device in self.prepared.devices:
                for item in self.prepared.items[device.device]:
                    if self._remaining_s() <= 0:
                        return
                    self._row(device, item, launch)

    def left_out(self) -> str:
        """What the budget left no time for; "" when everything was measured."""
        missing = self.prepared.rows - self.done
        return f"the budget was spent: {missing} of {self.prepared.rows} rows not measured" if missing else ""

    def _row(self, device: records.Device, item: plan.Item, launch: int) -> None:
        self.done += 1
        self.observer.row_started(self.done, item, launch)
        request = self._request(device, item, launch)
        if not item.candidates:
            row = _not_measured(request, item, device, "unsupported", _reasons(item))
        else:
            row = self._measured(request, item, device)
        row.screened.extend(
            {"implementation": name, "status": "unsupported", "reason": reason} for name, reason in item.unsupported
        )
        row = rate_row(row, item.role, self.prepared.denominators[device.device])
        if row.status in records.MEASURED and len(item.candidates) > 1:
            self.winners[_series(device, item)] = row.implementation
        self.journal.add(row)
        self.observer.row_done(row)

    def _request(self, device: records.Device, item: plan.Item, launch: int) -> Measure:
        options = self.prepared.options
        # Launches of one series measure one implementation: the first one chooses, the others keep to it.
        chosen = self.winners.get(_series(device, item))
        return Measure(
            id=f"{self.done:05d}",
            device=device.device,
            kernel=item.kernel,
            case=dict(item.case),
            precision=item.precision,
            implementations=[chosen] if chosen else list(item.candidates),
            mode=options.mode,
            data=options.data,
            cache=options.cache,
            seed=options.seed,
            launch=launch,
            budget_s=self._share_s(),
        )

    def _measured(self, request: Measure, item: plan.Item, device: records.Device) -> records.Measurement:
        def on_progress(progress: Progress) -> None:
            self.observer.phase(progress.phase, progress.detail)

        timeout_s = max(ROW_TIMEOUT_MINIMUM_S, ROW_TIMEOUT_FACTOR * request.budget_s)
        try:
            reply = self.worker.ask(request, timeout_s, on_progress)
        except WorkerDied as death:
            row = _not_measured(request, item, device, "crashed", str(death))
            self._restart()
        except TimeoutError:
            row = _not_measured(request, item, device, "timeout", f"no result after {timeout_s:.0f} s")
            self._restart()
        else:
            if isinstance(reply, Measured):
                return reply.measurement
            reason = reply.message if isinstance(reply, Refused) else f"unexpected answer {type(reply).__name__}"
            row = _not_measured(request, item, device, "failed", reason)
        return row

    def _restart(self) -> None:
        self.worker.kill()
        self.worker = Worker(self.prepared.options.threads)
        _described(self.worker, self.prepared.options)

    def _remaining_s(self) -> float:
        budget = self.prepared.budget_s
        return float("inf") if budget is None else budget - (time.monotonic() - self.prepared.started)

    def _share_s(self) -> float:
        """An equal share of what is left for each row that is left, up to the suite's most."""
        rows_left = self.prepared.rows - self.done + 1
        most = ROW_BUDGET_S[self.prepared.options.selection.suite]
        return min(most, max(0.0, self._remaining_s()) / rows_left)


def _series(device: records.Device, item: plan.Item) -> tuple[str, str, str, str]:
    return (device.device, item.kernel, repr(sorted(item.case.items())), item.precision)


def _reasons(item: plan.Item) -> str:
    """Why no implementation takes the row: one reason where all agree, else each with its name."""
    distinct = list(dict.fromkeys(reason for _, reason in item.unsupported))
    if len(distinct) == 1:
        return distinct[0]
    return "; ".join(reason if name in reason else f"{name}: {reason}" for name, reason in item.unsupported)


def _not_measured(
    request: Measure, item: plan.Item, device: records.Device, status: records.Status, reason: str
) -> records.Measurement:
    work = plugins.load().kernel(request.kernel).work(request.case, request.precision)
    names = request.implementations
    return records.Measurement(
        id=request.id,
        device=request.device,
        host=device.host,
        rank=device.rank,
        launch=request.launch,
        kernel=request.kernel,
        case=request.case,
        precision=request.precision,
        accumulate=None,
        implementation=names[0] if len(names) == 1 else item.label,
        mode=request.mode,
        data=request.data,
        cache=request.cache or "not-applicable",
        status=status,
        reason=reason,
        work=records.Work(operations=work.operations, bytes=work.bytes),
    )
