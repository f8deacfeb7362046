"""Carries a plan out: one worker a launch; every finished row is rated and written before the next is asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from bench import METHOD_VERSION, __version__, plugins, records
from bench.analysis.energy import with_energy
from bench.analysis.losses import explain
from bench.analysis.roofline import measured_bandwidth
from bench.analysis.utilization import rate_row
from bench.analysis.validity import above_ceiling, judge
from bench.errors import BenchError
from bench.kernel import Role
from bench.runner import host, plan
from bench.runner.clocks import ClockLock, labelled
from bench.runner.journal import Journal
from bench.runner.process import MemoryExceeded, WorkerDied
from bench.runner.protocol import Measure, Measured, Progress, Refused
from bench.runner.session import Observer, Prepared, describe, new_worker
from bench.telemetry.reasons import kind_of

ROW_BUDGET_S: Final = {"quick": 3.0, "standard": 4.0, "full": 6.0}
"""Most seconds that one row is given, so that a short plan doesn't stretch to fill a long budget (ours)."""
SCENARIO_ROW_BUDGET_S: Final = 4.0
"""The same for the rows of a scenario."""
DISTURBED: Final = ("throttled", "contended")
RETRY_PAUSES_S: Final = (0.5, 2.0)
"""Pauses before a disturbed row is measured again: twice, each longer (method, quarantine)."""
ROW_TIMEOUT_FACTOR: Final = 20.0
ROW_TIMEOUT_MINIMUM_S: Final = 180.0
"""A row that takes longer than max(minimum, factor × its budget) is hung: its worker is killed."""
RANK_WAITS: Final = 3
"""How often a row of several ranks may wait as long as a rank is waited for: to meet, to make a group, in a call."""


def execute(
    prepared: Prepared, path: Path, observer: Observer, earlier: records.RunFile | None = None
) -> records.RunFile:
    """Measure the plan and write the run file line by line; returns what it then holds.

    With `earlier`, what the file at `path` holds already, only the rows that it lacks are measured and appended.
    Ctrl-C ends the run cleanly: the file gets an `end` line with status interrupted, and KeyboardInterrupt goes on up.
    """
    lock = ClockLock(prepared.devices[0] if len(prepared.devices) == 1 else None, prepared.options.lock_clocks_mhz)
    with lock:
        return _execute(prepared, path, observer, earlier)


def _execute(prepared: Prepared, path: Path, observer: Observer, earlier: records.RunFile | None) -> records.RunFile:
    if earlier is None:
        journal = Journal.new(path, run_record(prepared, path), prepared.devices, prepared.started)
    else:
        journal = Journal.resume(path, earlier, command_words(prepared), prepared.started)
    observer.started(prepared.devices, prepared.rows)
    campaign = _Campaign(prepared, journal, observer)
    try:
        for watch in prepared.watches.values():
            watch.start(idle=prepared.options.mode == "sustained")
        campaign.run()
        campaign.worker.stop()
        journal.end("complete", campaign.left_out())
    except KeyboardInterrupt as stop:
        journal.end("interrupted", str(stop) or "interrupted by the user", exit_code=130)
        raise
    except BenchError as error:
        journal.end("failed", str(error), exit_code=error.exit_code)
        raise
    finally:
        campaign.worker.kill()
        for watch in prepared.watches.values():
            watch.stop()
        journal.close()
    return journal.file


def run_record(prepared: Prepared, path: Path) -> records.Run:
    """The first line of the run file at `path`."""
    options = prepared.options
    return records.Run(
        id=path.stem,
        started=records.now(),
        command=command_words(prepared),
        bench_version=__version__,
        method_version=METHOD_VERSION,
        suite=None if options.selection.cases else options.selection.suite,
        seed=options.seed,
        launches=prepared.launches,
        implementation=options.selection.implementation,
        budget_s=prepared.budget_s,
        git=host.git_state(options.anonymize),
        host=host.host(options.anonymize),
        software=prepared.software,
        environment=host.environment(options.anonymize),
        pinning=prepared.pinning,
        pages=host.page_settings(),
        scenarios=prepared.scenarios,
    )


def command_words(prepared: Prepared) -> list[str]:
    """The command line as the run file keeps it."""
    options = prepared.options
    return ["bench", *map(_without_folder if options.anonymize else str, options.command)]


def _without_folder(word: str) -> str:
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (Path(value).name if "/" in value else value)


class _Campaign:
    """The loop over launches and rows: shares the budget out, replaces a dead worker, keeps to the launch's winner."""

    def __init__(self, prepared: Prepared, journal: Journal, observer: Observer) -> None:
        self.prepared = prepared
        self.journal = journal
        self.observer = observer
        self.worker = prepared.worker
        self.worker_is_gone = False
        self.done = 0
        self.winners: dict[tuple[str, str, str, str], str] = {}
        self.held = {row.id: row for row in journal.file.measurements}
        """Rows that an earlier part of the run has measured: by number, which the plan fixes."""

    def run(self) -> None:
        """Every row of every launch, until the budget is spent."""
        for launch in range(self.prepared.launches):
            if launch and not self._launch_is_held(launch):
                self.worker.stop()
                self.worker_is_gone = True
            for device in self.prepared.devices:
                for item in self.prepared.items[device.device]:
                    if self._remaining_s() <= 0 and f"{self.done + 1:05d}" not in self.held:
                        return
                    self._row(device, item, launch)

    def measure(self, device: records.Device, item: plan.Item) -> None:
        """The next row alone, by a worker that lives afterwards."""
        self._row(device, item, 0)
        self._need_worker()

    def _launch_is_held(self, launch: int) -> bool:
        """Whether an earlier part of the run has measured every row of the launch."""
        per_launch = self.prepared.rows // self.prepared.launches
        return sum(row.launch == launch for row in self.held.values()) == per_launch

    def left_out(self) -> str:
        """What the budget left no time for; "" when everything was measured."""
        missing = self.prepared.rows - self.done
        return f"the budget was spent: {missing} of {self.prepared.rows} rows not measured" if missing else ""

    def _row(self, device: records.Device, item: plan.Item, launch: int) -> None:
        self.done += 1
        held = self.held.get(self._id())
        if held is not None:
            self._remember(device, item, held)
            return
        self.observer.row_started(self.done, item, launch)
        request = self._request(device, item, launch)
        if item.candidates:
            row = self._undisturbed(request, item, device)
        else:
            row = self._believed(_not_measured(request, item, device, "unsupported", _reasons(item)), item)
        row.screened.extend(
            {"implementation": name, "status": "unsupported", "reason": reason} for name, reason in item.unsupported
        )
        row = msgspec.structs.replace(row, scenario=item.scenario)
        self._remember(device, item, row)
        self.journal.add(row)
        self.observer.row_done(row)

    def _id(self) -> str:
        return f"{self.done:05d}"

    def _remember(self, device: records.Device, item: plan.Item, row: records.Measurement) -> None:
        """Launches of one series measure one implementation: the first one chooses, the others keep to it."""
        if row.status in records.MEASURED and len(item.candidates) > 1:
            self.winners.setdefault(_series(device, item), row.implementation)

    def _request(self, device: records.Device, item: plan.Item, launch: int) -> Measure:
        options = self.prepared.options
        chosen = self.winners.get(_series(device, item))
        return Measure(
            id=self._id(),
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
            sustain_s=options.sustain_s,
        )

    def _undisturbed(self, request: Measure, item: plan.Item, device: records.Device) -> records.Measurement:
        """The row, measured again after a growing pause where it was disturbed and nobody else's time is needed."""
        row = self._believed(self._measured(request, item, device), item)
        for pause_s in RETRY_PAUSES_S[: self.prepared.options.retries]:
            if (
                row.status not in DISTURBED
                or request.mode == "sustained"
                or self._is_together(item)  # the others would not come to it again
                or not self._spare(request.budget_s + pause_s)
            ):
                break
            self.observer.phase("again", row.reason)
            time.sleep(pause_s)
            # A single right one was not screened: only the row has its name.
            right = {row.implementation, *(each["implementation"] for each in row.screened if each["status"] == "ok")}
            candidates = [name for name in request.implementations if name in right]
            request = msgspec.structs.replace(request, implementations=candidates)
            again = self._believed(self._measured(request, item, device), item)
            again.screened.extend(each for each in row.screened if each["implementation"] not in candidates)
            again.warnings.append(f"measured again: the time before it was {row.status} ({row.reason})")
            row = again
        return row

    def _spare(self, seconds: float) -> bool:
        """Whether so much is left beyond what the rows still to come may want."""
        wanted_s = self._most_s() * (self.prepared.rows - self.done)
        return self._remaining_s() - wanted_s > seconds

    def _measured(self, request: Measure, item: plan.Item, device: records.Device) -> records.Measurement:
        """The row; asked of a new worker, while there is time, without a candidate that took the last one down."""
        fallen: list[tuple[str, records.Measurement]] = []
        while True:
            row, culprit = self._asked(request, item, device)
            left = [name for name in request.implementations if name != culprit]
            # The other ranks of a row that is measured together would not come to it again.
            if not culprit or not left or self._is_together(item) or self._remaining_s() <= 0:
                break
            # A second one that takes so long: it is the row that is slow, or the device, and no candidate's fault.
            if row.status == "timeout" and any(one.status == "timeout" for _, one in fallen):
                break
            if not self._worker_is_back():
                break
            fallen.append((culprit, row))
            request = msgspec.structs.replace(request, implementations=left)
            self.observer.phase("again", f"without {culprit}: {row.reason}")
        for name, one in fallen:
            row.screened.append({"implementation": name, "status": one.status, "reason": one.reason})
            row.warnings.append(f"measured again without {name}: {one.status} ({one.reason})")
        if fallen and row.status not in records.MEASURED:
            last = f"{culprit}: {row.reason}" if culprit else row.reason
            reasons = [*(f"{name}: {one.reason}" for name, one in fallen), last]
            status = min((row.status, *(one.status for _, one in fallen)), key=records.STATUSES.index)
            row = msgspec.structs.replace(row, implementation=item.label, status=status, reason="; ".join(reasons))
        return row

    def _asked(self, request: Measure, item: plan.Item, device: records.Device) -> tuple[records.Measurement, str]:
        """The row as the worker has it, and the candidate at which the worker or its device was lost; "" for none."""
        culprit = ""

        def on_progress(progress: Progress) -> None:
            nonlocal culprit
            culprit = progress.detail if progress.detail in request.implementations else ""
            self.observer.phase(progress.phase, progress.detail)

        back_to_back_s = request.sustain_s if request.mode == "sustained" else 0.0
        patience_s = max(ROW_TIMEOUT_MINIMUM_S, ROW_TIMEOUT_FACTOR * request.budget_s) + back_to_back_s
        together = self.prepared.options.together
        if together is not None and self._is_together(item):
            patience_s += RANK_WAITS * together.limit_s
        timeout_s = self.prepared.options.case_timeout_s or patience_s
        self._need_worker()
        try:
            reply = self.worker.ask(request, timeout_s, on_progress)
        except WorkerDied as death:
            row = _not_measured(request, item, device, "crashed", str(death))
            self._give_up_worker()
        except TimeoutError:
            row = _not_measured(request, item, device, "timeout", f"no result after {timeout_s:g} s")
            self._give_up_worker()
        except MemoryExceeded as error:
            row = _not_measured(request, item, device, "out_of_memory", str(error))
            self._give_up_worker()
        else:
            if isinstance(reply, Measured):
                if reply.device_lost:
                    self._give_up_worker()
                # The worker knows neither its host's name as the run file may say it, nor its rank.
                row = msgspec.structs.replace(self._watched(reply), host=device.host, rank=device.rank)
                return row, culprit if reply.device_lost else ""
            reason = reply.message if isinstance(reply, Refused) else f"unexpected answer {type(reply).__name__}"
            row, culprit = _not_measured(request, item, device, "failed", reason), ""
        return row, culprit

    def _is_together(self, item: plan.Item) -> bool:
        """Whether all ranks measure the row together."""
        return item.role is Role.COLLECTIVE and self.prepared.options.together is not None

    def _watched(self, reply: Measured) -> records.Measurement:
        """The row with what telemetry says of its window."""
        if reply.window_s is None:
            return reply.measurement
        watch = self.prepared.watches[reply.measurement.device]
        sustained = reply.measurement.sustained
        telemetry = watch.of_row(reply.window_s, reply.canaries, sustained.wall_s if sustained else None)
        return with_energy(msgspec.structs.replace(reply.measurement, telemetry=telemetry))

    def _believed(self, row: records.Measurement, item: plan.Item) -> records.Measurement:
        """The row set against its rating, judged by its telemetry, and its losses named."""
        denominators = self.prepared.denominators[row.device]
        row = judge(rate_row(row, item.role, denominators), denominators=denominators, kind_of=kind_of)
        so_far = self.journal.file.measurements
        losses = explain(
            row,
            role=item.role,
            denominators=denominators,
            bandwidth_bytes_per_s=measured_bandwidth(so_far, row.device, row.cache),
            memory_bytes_per_s=measured_bandwidth(so_far, row.device, "cold"),
        )
        warnings = [*row.warnings, *filter(None, [above_ceiling(row, so_far)])]
        row = msgspec.structs.replace(row, losses=losses, warnings=warnings)
        mhz = self.prepared.options.lock_clocks_mhz
        return row if mhz is None else labelled(row, mhz)

    def _give_up_worker(self) -> None:
        """End the worker; the next row that needs one starts another, after this row is on the disk."""
        self.worker.kill()
        self.worker_is_gone = True

    def _worker_is_back(self) -> bool:
        """Whether there is a worker again. Where none can be had, it is the next row that says why, after this one."""
        try:
            self._need_worker()
        except BenchError:
            self._give_up_worker()
            return False
        return True

    def _need_worker(self) -> None:
        if not self.worker_is_gone:
            return
        self.worker_is_gone = False
        self.worker = new_worker(self.prepared.options)
        described = describe(self.worker, self.prepared.options)
        for watch in self.prepared.watches.values():
            watch.new_launch(described.canaries)

    def _remaining_s(self) -> float:
        budget = self.prepared.budget_s
        return float("inf") if budget is None else budget - (time.monotonic() - self.prepared.started)

    def _most_s(self) -> float:
        """The most that one row is given, however much is left."""
        options = self.prepared.options
        return options.row_budget_s or ROW_BUDGET_S.get(options.selection.suite, SCENARIO_ROW_BUDGET_S)

    def _share_s(self) -> float:
        """An equal share of what is left for each row that is left, up to the most that one is given."""
        held_later = sum(int(number) > self.done for number in self.held)
        rows_left = self.prepared.rows - self.done + 1 - held_later
        return min(self._most_s(), max(0.0, self._remaining_s()) / rows_left)


def measure_more(prepared: Prepared, journal: Journal, observer: Observer) -> None:
    """Measure the first device's items that the journal has no row for, into a journal that its caller keeps open.

    Rows are numbered on from those that it holds: for plans that grow while they are carried out. A worker that died is
    replaced, and `prepared.worker` is the one that lives.
    """
    device = prepared.devices[0]
    campaign = _Campaign(prepared, journal, observer)
    campaign.done = len(journal.file.measurements)
    campaign.held = {}
    try:
        for item in prepared.items[device.device][campaign.done :]:
            campaign.measure(device, item)
    finally:
        prepared.worker = campaign.worker


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
        role=item.role,
        mode=request.mode,
        data=request.data,
        cache=request.cache or "not-applicable",
        status=status,
        reason=reason,
        work=_nominal_work(request),
    )


def _nominal_work(request: Measure) -> records.Work | None:
    """None where the kernel isn't installed or does not know the case: a scenario may name either."""
    installed = plugins.load()
    if plan.case_reason(installed, request.kernel, request.case):
        return None
    work = installed.kernel(request.kernel).work(request.case, request.precision)
    return records.Work(operations=work.operations, bytes=work.bytes)
