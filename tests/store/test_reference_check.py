"""What keeps a run from being a reference result is said in a sentence each; what ships is fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bench import records
from bench.store.reference import reference_runs
from bench.store.reference_check import problems
from tests.factories import device
from tests.store.reference_runs import HOST, fit, row


def ended(file: records.RunFile, **changes: Any) -> records.RunFile:
    assert file.end is not None
    return msgspec.structs.replace(file, end=msgspec.structs.replace(file.end, **changes))


@pytest.mark.parametrize("path", reference_runs(), ids=lambda path: path.name)
def test_what_ships_is_fit(path: Any) -> None:
    assert problems(records.read(path), path.name, path.read_text("utf-8")) == []


def test_a_fit_run_has_no_problem() -> None:
    assert problems(fit(), "cpu-some-cpu-zen3-2c-torch2.13.0-20260101.jsonl") == []


def test_a_slow_a_noisy_and_a_failed_row_are_no_problem() -> None:
    rows = [row(rated=None), row(status="noisy", reason="x"), row(timed=False, status="failed", reason="x")]
    assert problems(fit(*rows)) == []


GIT = {"commit": "3f9a2c7d00" * 4, "branch": "main", "dirty": False}
BAD: dict[str, Callable[[], records.RunFile]] = {
    "end: the last line": lambda: msgspec.structs.replace(fit(), truncated=True),
    "end: the run has no end line": lambda: msgspec.structs.replace(fit(), end=None),
    "end: the run is interrupted": lambda: ended(fit(), status="interrupted"),
    "end: it counts 2 ok, and the rows are 1 ok": lambda: ended(fit(), counts={"ok": 2}),
    "provenance: imported": lambda: fit(method_version=0),
    "provenance: bench_version": lambda: fit(bench_version=""),
    "provenance: torch's version": lambda: fit(software={}),
    "provenance: `host` does not say python": lambda: fit(host={**HOST, "python": ""}),
    "provenance: no suite": lambda: fit(suite=None),
    "provenance: started 'yesterday'": lambda: fit(started="yesterday"),
    "provenance: no git commit": lambda: fit(command=["bench", "run"]),
    "provenance: git commit 'main'": lambda: fit(git={**GIT, "commit": "main"}),
    "provenance: measured in a checkout with": lambda: fit(git={**GIT, "dirty": True}),
    "host: it is named": lambda: fit(host={**HOST, "name": "node17"}),
    "host: a device or a row": lambda: fit(devices=[device(host="node17")]),
    "host: a device or a row names it": lambda: fit(row(host="node17")),
    "host: cpu has a unique_id": lambda: fit(devices=[device(unique_id="f00d")]),
    "device: the run describes none": lambda: fit(devices=[]),
    "device: cpu has no product": lambda: fit(devices=[device(name=" ")]),
    "device: how many units cpu": lambda: fit(devices=[device(units=records.Units(kind="core", in_use=None))]),
    "device: where the clock of cpu": lambda: fit(devices=[device(clock=None)]),
    "device: 2 products": lambda: fit(devices=[device(), device(device="cuda:0", name="Some GPU")]),
    "device: rows of 'cuda:1'": lambda: fit(row(), row(device="cuda:1")),
    "rows: 1 invalid, the first 00001: too fast": lambda: fit(*[row()] * 9, row(status="invalid", reason="too fast")),
    "rows: none is ok or noisy": lambda: fit(row(timed=False, status="failed", reason="x")),
    "rows: more than a quarter": lambda: fit(row(), row(status="throttled", reason="x")),
    "rows: rate or time is missing: 1": lambda: fit(row(), row(rate=None)),
    "rows: usable without a check": lambda: fit(row(check=None)),
    "rows: usable without a check that passed": lambda: fit(
        row(check=records.Check(error=1.0, tolerance=0.1, passed=False))
    ),
    "rows: data that no application": lambda: fit(row(data="zeros")),
    "rows: telemetry neither": lambda: fit(row(telemetry=None)),
    "rows: telemetry neither with a source": lambda: fit(row(telemetry={"window_s": 1.0})),
}


@pytest.mark.parametrize("begins", BAD)
def test_what_is_wrong_is_one_sentence(begins: str) -> None:
    (problem,) = problems(BAD[begins]())
    assert problem.startswith(begins)
    assert "\n" not in problem


def test_a_clean_commit_is_provenance() -> None:
    assert problems(fit(git=GIT, command=["bench", "run"])) == []


def test_the_name_is_held_to_the_rule_where_it_is_known() -> None:
    (problem,) = problems(fit(), "mine.jsonl")
    assert problem == "name: the rule makes it cpu-some-cpu-zen3-2c-torch2.13.0-20260101.jsonl"


@pytest.mark.parametrize("folder", ["/home/li/runs", "/Users/li", "/root/x", r"C:\\Users\\li"])
def test_a_folder_of_the_owner_is_found_anywhere_in_the_file(folder: str) -> None:
    (problem,) = problems(fit(), text=f'{{"type":"run"}}\n{{"reason":"cannot open {folder}/a"}}\n')
    assert problem.startswith("host: names a folder of its owner: ")
    assert problems(fit(), text='{"reason":"GB/s, /usr/lib, home/x"}') == []


def test_every_kind_of_problem_is_explained_to_contributors(checkout: Any) -> None:
    page = (checkout / "docs" / "contributing-results.md").read_text("utf-8")
    assert all(f"| `{begins.partition(':')[0]}` |" in page for begins in [*BAD, "schema: ", "name: "])
