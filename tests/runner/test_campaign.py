"""A row of several candidates: what becomes of it where one takes its worker down, and who is asked again.

The worker is played, so that each end of a row can be had at will; test_worker_death.py has real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.kernel import Role
from bench.runner import campaign
from bench.runner.plan import Item, Selection
from bench.runner.process import WorkerDied
from bench.runner.protocol import Measure, Measured, Progress
from bench.runner.session import Options
from tests.factories import device, measurement, run_file

DEATH = "worker died: signal SIGSEGV"
Fates = dict[str, str]


class Played:
    """Workers that do with each candidate what `fates` says: right, disturbed at first, failed, hang or death."""

    def __init__(self, fates: Fates) -> None:
        self.fates = fates
        self.asked: list[list[str]] = []

    def ask(self, request: Measure, timeout_s: float, on_progress: Callable[[Progress], None]) -> Measured:
        names = request.implementations
        self.asked.append(names)
        screened: list[dict[str, Any]] = []
        right = []
        for name in names:
            on_progress(Progress(phase="check", detail=name))
            if self.fates[name] == "death":
                raise WorkerDied(DEATH)
            if self.fates[name] == "hang":
                raise TimeoutError
            if self.fates[name] == "failed":
                screened.append({"implementation": name, "status": "failed", "reason": "no luck"})
            else:
                right.append(name)
        if not right:
            reason = "; ".join(f"{name}: no luck" for name in names)
            alone = names[0] if len(names) == 1 else "best"
            return Measured(measurement=row(alone, status="failed", reason=reason, screened=screened, timed=False))
        if len(right) > 1:
            screened += [{"implementation": name, "status": "ok", "screened_s": 1e-3} for name in right]
        status, self.fates[right[0]] = ("contended" if self.fates[right[0]] == "disturbed" else "ok"), "right"
        return Measured(measurement=row(right[0], status=status, screened=screened))

    def kill(self) -> None: ...


def row(implementation: str, **changes: Any) -> records.Measurement:
    return measurement(implementation=implementation, warnings=[], **changes)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[records.Measurement, list[list[str]]]]:
    """`run({"a": "death", …})`: the row as it is written, and who was asked for it each time."""

    def one(fates: Fates, workers: int = 9, budget_s: float | None = None) -> tuple[records.Measurement, list[Any]]:
        played = Played(dict(fates))
        started = [1]

        def another(_: Options) -> Played:
            started[0] += 1
            return played

        def described(*_: Any) -> SimpleNamespace:
            if started[0] > workers:
                raise UnavailableError("--device cuda: there is none")
            return SimpleNamespace(canaries=[])

        monkeypatch.setattr(campaign, "new_worker", another)
        monkeypatch.setattr(campaign, "describe", described)
        monkeypatch.setattr(campaign, "RETRY_PAUSES_S", (0.0, 0.0))
        monkeypatch.setattr(campaign._Campaign, "_believed", lambda self, row, item: row)
        here = device()
        item = Item("gemm", Role.COMPUTE, {"m": 8}, "fp32", "best", tuple(fates), ())
        prepared: Any = SimpleNamespace(
            worker=played,
            options=Options(selection=Selection(), row_budget_s=0.1),
            items={here.device: [item]},
            devices=[here],
            watches={here.device: SimpleNamespace(new_launch=lambda canaries: None)},
            rows=1,
            launches=1,
            budget_s=budget_s,
            started=0.0,
        )
        monkeypatch.setattr(campaign, "_nominal_work", lambda request: None)
        journal: Any = SimpleNamespace(file=run_file([]))
        journal.add = journal.file.measurements.append
        nobody: Any = SimpleNamespace(
            row_started=lambda *_: None, phase=lambda *_: None, row_done=lambda *_: None, message=lambda *_: None
        )
        campaign._Campaign(prepared, journal, nobody)._row(here, item, 0)
        (written,) = journal.file.measurements
        return written, played.asked

    return one


def left_out(found: records.Measurement) -> dict[str, str]:
    return {each["implementation"]: each["status"] for each in found.screened if each["status"] != "ok"}


Run = Callable[..., tuple[records.Measurement, list[list[str]]]]


def test_who_takes_the_worker_down_is_left_out_and_the_row_says_why(run: Run) -> None:
    found, asked = run({"a": "death", "b": "right", "c": "right"})
    assert asked == [["a", "b", "c"], ["b", "c"]]
    assert (found.status, found.implementation, left_out(found)) == ("ok", "b", {"a": "crashed"})
    assert found.warnings == [f"measured again without a: crashed ({DEATH})"]


def test_where_none_is_right_the_row_has_the_worst_status_and_each_ones_reason(run: Run) -> None:
    found, asked = run({"a": "death", "b": "failed"})
    assert asked == [["a", "b"], ["b"]]
    assert (found.status, found.implementation) == ("crashed", "best")
    assert found.reason == f"a: {DEATH}; b: no luck"
    every, asked = run({"a": "death", "b": "death"})
    assert asked == [["a", "b"], ["b"]]
    assert (every.status, every.reason) == ("crashed", f"a: {DEATH}; b: {DEATH}")


def test_one_that_is_alone_is_not_asked_again(run: Run) -> None:
    found, asked = run({"a": "death"})
    assert asked == [["a"]]
    assert (found.status, found.implementation, found.reason, found.warnings) == ("crashed", "a", DEATH, [])


def test_where_no_worker_starts_any_more_the_row_is_kept_as_it_was(run: Run) -> None:
    found, asked = run({"a": "death", "b": "right"}, workers=1)
    assert asked == [["a", "b"]]
    assert (found.status, found.reason, found.screened) == ("crashed", DEATH, [])


def test_one_that_hangs_is_left_out_and_after_a_second_one_nobody_is_asked_again(run: Run) -> None:
    found, asked = run({"a": "hang", "b": "right"})
    assert asked == [["a", "b"], ["b"]]
    assert (found.status, left_out(found)) == ("ok", {"a": "timeout"})
    found, asked = run({"a": "hang", "b": "hang", "c": "right"})
    assert asked == [["a", "b", "c"], ["b", "c"]]
    assert found.status == "timeout" and found.reason.count("no result after") == 2


def test_when_the_budget_is_spent_nobody_is_asked_again(run: Run) -> None:
    found, asked = run({"a": "death", "b": "right"}, budget_s=0.0)
    assert asked == [["a", "b"]] and found.status == "crashed"


@pytest.mark.parametrize("other", ["death", "failed"])
def test_a_disturbed_row_is_measured_again_with_the_single_one_that_was_right(run: Run, other: str) -> None:
    found, asked = run({"a": other, "b": "disturbed"})
    assert asked[-1] == ["b"] and asked.count(["a", "b"]) == 1
    assert (found.status, found.implementation) == ("ok", "b")
    assert left_out(found) == {"a": "crashed" if other == "death" else "failed"}
    assert any("the time before it was contended" in warning for warning in found.warnings)


def test_a_disturbed_row_is_measured_again_with_all_that_were_right(run: Run) -> None:
    found, asked = run({"a": "disturbed", "b": "right", "c": "failed"})
    assert asked == [["a", "b", "c"], ["a", "b"]]
    assert (found.status, left_out(found)) == ("ok", {"c": "failed"})
