"""What one pytest session measured: a run of one launch, its run file, and its comparison with a baseline.

A process is one launch, however many rounds it takes: `--bench-append` collects the launches of several sessions.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest

from bench import records, store
from bench.analysis.comparison import Comparison, compare
from bench.analysis.identity import comparison_class, differences, key_of
from bench.errors import UnavailableError, UsageError
from bench.pytest_plugin.context import (
    IMPLEMENTATION,
    case_of,
    command,
    default_results,
    limits,
    out_file,
    run_record,
    software,
)
from bench.pytest_plugin.measuring import Asked, Place, device_name, place, rated, role_of, shortcut, timed
from bench.pytest_plugin.recording import budget_s, uninstrumented
from bench.report import table, verdicts
from bench.store.folder import Folder
from bench.timing import Timing

INTERRUPTED: Final = 2
"""pytest's exit status after Ctrl-C."""
DATA: Final = "given"
"""The inputs are the test's own."""


class BenchWarning(pytest.PytestWarning):
    """A verdict that fails no test and that somebody should see."""


class Session:
    """The measurements of one session. UsageError and UnavailableError from the options that can't be met."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._started = time.monotonic()
        self._store = store.location(config.getoption("bench_results") or default_results(config))
        self._out = out_file(config)
        self._limits = limits(config)
        self.baseless = ""
        """Why there is nothing to compare with, where a comparison was asked for."""
        self._base = self._baseline()
        self._earlier = self._append_to()
        self._places: dict[str, Place] = {}
        self._items: dict[str, pytest.Item] = {}
        self._comparison: Comparison | None = None
        self._written: list[str] = []
        self.cut_short = False
        """Whether pytest stopped before all tests had run."""
        self.trouble = ""
        """Why the run file could not be written."""
        run = self._earlier.run if self._earlier else run_record(config)
        self._launch = 1 + max((row.launch for row in self._earlier.measurements), default=-1) if self._earlier else 0
        self.file = records.RunFile(run=run)
        """What this session measured; earlier sessions' rows are in the file alone."""

    def measured(
        self, item: pytest.Item, asked: Asked, device: str | None, benchmark: Any
    ) -> tuple[records.Measurement, Place, Timing]:
        """Measure a test's call; its row joins the run."""
        where = self._place(device_name(asked, device))
        with uninstrumented():
            timing, plan, telemetry = timed(asked, where, budget_s(benchmark))
        summary = timing.to_time()
        known = bool(asked.operations or asked.bytes)
        warning = shortcut(asked, where)
        row = records.Measurement(
            id=f"{self._first_id() + len(self.file.measurements):05d}",
            device=where.device.device,
            host=where.device.host,
            rank=where.device.rank,
            launch=self._launch,
            kernel=item.nodeid.partition("[")[0],
            case=case_of(item),
            precision=asked.precision,
            accumulate=asked.accumulate,
            implementation=IMPLEMENTATION,
            role=role_of(asked),
            mode="burst",
            data=DATA,
            cache=timing.cache,
            cache_reason=plan.why,
            status="ok" if timing.reached_target else "noisy",
            reason=timing.noise_reason,
            work=records.Work(operations=asked.operations, bytes=asked.bytes) if known else None,
            time=summary,
            samples_s=timing.thinned_samples_s(),
            rate=records.Rate(
                operations_per_s=asked.operations / summary.median_s if asked.operations else None,
                bytes_per_s=asked.bytes / summary.median_s if asked.bytes else None,
            ),
            telemetry=telemetry,
            spent_s=timing.spent_s,
            warnings=[*timing.warnings, *([warning] if warning else [])],
        )
        row = rated(row, where)
        self.file.measurements.append(row)
        self._items[key_of(row, self.file.run).text] = item
        return row, where, timing

    def judge(self) -> None:
        """Compare with the baseline: a regression fails its test, what is ambiguous is a warning of its test."""
        if self.baseless:
            self._warn(None, f"--bench-compare: {self.baseless}: nothing was compared")
        if self._base is None:
            return
        new = self._whole("complete")
        keys = {key_of(row, self.file.run) for row in self.file.measurements}
        new.measurements = [row for row in new.measurements if key_of(row, new.run) in keys]
        # Of the baseline only what this session measured: tests that were not selected are not missing.
        rows = [row for row in self._base.measurements if key_of(row, self._base.run) in keys]
        base = msgspec.structs.replace(self._base, measurements=rows)
        self._comparison = compare(base, new, self._limits)
        if self._comparison.unstable:
            self._warn(None, "more than a quarter of the rows were disturbed: no test fails; measure again")
        for one in self._comparison.series:
            item = self._items.get(one.series) or self._items.get(one.series.rpartition(" (")[0])
            words = f"{one.verdict}: {one.text} [{one.reason}; {one.evidence or one.series}]"
            if item is None or one.verdict in ("same", "improvement"):
                continue
            if one.verdict == "regression" and not self._comparison.unstable:
                self._fail(item, f"{words}, against {self._config.getoption('bench_compare')}")
            else:
                self._warn(item, words)

    def finish(self, exitstatus: int) -> None:
        """End the run and write it wherever it was asked for."""
        for each in self._places.values():
            each.watch.stop()
        ending = self._whole("interrupted" if self.cut_short else "complete", by_user=exitstatus == INTERRUPTED).end
        assert ending is not None
        resumed = records.Resume(resumed=records.now(), command=command(self._config))
        head: list[records.Record] = [resumed] if self._earlier else [self.file.run]
        lines = [*head, *self._new_devices(), *self.file.measurements, ending]
        whole = b"".join(map(records.encode, lines))
        if self._out is not None:
            writer = records.Writer(self._out, append=self._earlier is not None)
            for line in lines:
                writer.write(line)
            writer.close()
            self._written.append(str(self._out))
            whole = self._out.read_bytes()
        elif beside := self._config.getoption("benchmark_json"):
            # pytest-benchmark 4 has opened it already.
            path = Path(beside if isinstance(beside, str | Path) else beside.name).with_suffix(".jsonl")
            Folder(path.parent).replace(path.name, whole)
            self._written.append(str(path))
        if self._config.getoption("bench_save"):
            self._written.append(self._store.join(store.put(whole, self._store)))

    def summary(self, width: int) -> Iterator[str]:
        """Lines for the end of the session's output."""
        plain = "utf" not in (getattr(sys.stdout, "encoding", "") or "").lower()
        if self.baseless:
            yield f"--bench-compare: {self.baseless}"
        if self.file.measurements:
            ended = msgspec.structs.replace(self.file, end=self._whole("complete").end)
            yield from table.terminal(ended, {}, width, ascii_only=plain).splitlines()
        if self._comparison is not None:
            yield ""
            yield from verdicts.terminal(self._comparison, width, ascii_only=plain).splitlines()
        for path in self._written:
            yield f"run file: {path}"
        if self.trouble:
            yield f"error: {self.trouble}"

    def _baseline(self) -> records.RunFile | None:
        """The run to compare with. A name that the store does not know is no baseline yet; a path has to exist."""
        reference = self._config.getoption("bench_compare")
        if reference is None:
            return None
        from bench.store.index import Index
        from bench.store.references import find, path_of, resolve

        argument = "--bench-compare"
        if "://" in reference:
            return records.read(resolve(reference, self._store, argument))
        path = self._config.invocation_params.dir / reference
        if path.exists() or "/" in reference or os.sep in reference or reference.endswith((".jsonl", ".jsonl.gz")):
            try:
                return records.read(records.find(path))
            except UnavailableError as error:
                raise UnavailableError(f"{argument}: {error}") from error
        with Index(self._store) as index:
            entry = find(reference, index, argument)
        if entry is None:
            self.baseless = f"no baseline: {reference!r} is no run, baseline or commit in {self._store.text}"
            return None
        return records.read(path_of(entry, self._store))

    def _append_to(self) -> records.RunFile | None:
        """What the run file holds that this session is to be added to."""
        append = self._config.getoption("bench_append")
        if append and self._out is None:
            raise UsageError("--bench-append: needs --bench-out FILE, the run file to add to")
        if self._out is None or not self._out.exists():
            return None
        if not append:
            raise UsageError(
                f"--bench-out: {self._out} exists; --bench-append adds this session to it as another launch"
            )
        earlier = records.read(self._out)
        if earlier.run.implementation != IMPLEMENTATION:
            raise UsageError(f"--bench-append: {self._out} is no run of pytest: only its sessions can be added to it")
        return earlier

    def _place(self, name: str) -> Place:
        if name not in self._places:
            found = place(name)
            if found.device.device not in self._places:
                self._admit(found)
            self._places[name] = self._places.setdefault(found.device.device, found)
        return self._places[name]

    def _admit(self, found: Place) -> None:
        """The device joins the run; with --bench-append it has to be what earlier launches were measured on."""
        import torch

        if not self.file.run.pinning:
            self.file.run.software = software()
            self.file.run.pinning = {
                "torch_threads": torch.get_num_threads(),
                "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            }
        self.file.devices.append(found.device)
        before = self._earlier.device(found.device.device) if self._earlier else None
        if self._earlier is None or before is None:
            return
        run = msgspec.structs.replace(
            run_record(self._config), software=software(), pinning={"torch_threads": torch.get_num_threads()}
        )
        now = comparison_class(msgspec.structs.replace(self._earlier, run=run), found.device)
        apart = differences(comparison_class(self._earlier, before), now)
        if apart:
            words = "; ".join(f"{name}: {old} there, {new} here" for name, old, new in apart)
            raise UsageError(f"--bench-append: {self._out} is of another kind of machine or software: {words}")

    def _new_devices(self) -> list[records.Device]:
        earlier = self._earlier
        return [one for one in self.file.devices if earlier is None or earlier.device(one.device) is None]

    def _first_id(self) -> int:
        return 1 + (len(self._earlier.measurements) if self._earlier else 0)

    def _whole(self, status: Literal["complete", "interrupted"], *, by_user: bool = False) -> records.RunFile:
        """The run as its file will read: earlier launches, this one, and its end."""
        earlier = self._earlier
        rows = [*(earlier.measurements if earlier else []), *self.file.measurements]
        end = records.End(
            status=status,
            counts=records.counts(rows),
            exit_code=130 if by_user else records.exit_code(rows),
            wall_s=time.monotonic() - self._started,
            reason="" if status == "complete" else "pytest stopped before all tests had run",
        )
        devices = [*(earlier.devices if earlier else []), *self._new_devices()]
        return records.RunFile(run=self.file.run, devices=devices, measurements=rows, end=end)

    def _fail(self, item: pytest.Item, words: str) -> None:
        """Report a test that has run already as failed; it counts as that alone."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            passed = terminal.stats.get("passed", [])
            terminal.stats["passed"] = [one for one in passed if one.nodeid != item.nodeid]
        call = pytest.CallInfo.from_call(lambda: pytest.fail(words, pytrace=False), when="call")
        # Not by the hook: plugins look into fixtures there, which are gone by now.
        report = pytest.TestReport.from_item_and_call(item, call)
        item.ihook.pytest_runtest_logreport(report=report)

    def _warn(self, item: pytest.Item | None, words: str) -> None:
        """A warning in pytest's own summary of them, under the test's name."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn_explicit(BenchWarning(words), None, str(item.path if item else "pytest"), 0)
        for one in caught:
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": one,
                    "when": "runtest",
                    "nodeid": item.nodeid if item else "",
                    "location": None,
                }
            )
