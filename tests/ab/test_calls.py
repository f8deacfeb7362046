"""benchmarks/ab_calls.py counts what `ab` says and holds it against what is promised."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def calls(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ab_calls", checkout / "benchmarks" / "ab_calls.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ab_calls", module)  # where dataclasses look a class's module up
    spec.loader.exec_module(module)
    return module


def promise(calls: ModuleType, monkeypatch: pytest.MonkeyPatch, which: int, ends: Sequence[tuple[int, str]]) -> bool:
    """Whether the promise of that experiment holds where its repeats end with those exit codes and verdicts."""
    left = iter(ends)

    def compared(slow: float, cases: Sequence[str]) -> tuple[int, dict[str, Any] | None]:
        code, verdict = next(left)
        document = {"unstable": code == 4, "verdict": verdict, "series": [{"launch_noise": 0.05}]}
        return code, None if verdict == "failed" else document

    monkeypatch.setattr(calls, "compared", compared)
    experiment = calls.experiments()[which]
    for _ in ends:
        experiment.repeat()
    assert experiment.name in calls.table([experiment])
    held: bool = experiment.holds(experiment)
    return held


CALLED, LEFT, SAME = (1, "regression"), (0, "ambiguous"), (0, "same")


@pytest.mark.parametrize(
    ("which", "ends", "holds"),
    [
        (0, [*[SAME] * 12, *[LEFT] * 7, CALLED], True),
        (0, [*[SAME] * 18, CALLED, CALLED], False),
        (1, [*[CALLED] * 18, LEFT, (4, "regression")], True),
        (1, [*[CALLED] * 17, *[LEFT] * 3], False),
        (2, [*[CALLED] * 5, *[LEFT] * 14, (4, "ambiguous")], True),
        (2, [*[CALLED] * 19, SAME], False),
        (2, [*[CALLED] * 19, (3, "failed")], False),
    ],
    ids=["one alarm", "two alarms", "18 of 20", "17 of 20", "called or open", "the same", "failed"],
)
def test_a_promise_holds_or_not(
    calls: ModuleType, monkeypatch: pytest.MonkeyPatch, which: int, ends: list[tuple[int, str]], holds: bool
) -> None:
    assert promise(calls, monkeypatch, which, ends) is holds
