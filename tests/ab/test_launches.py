"""One launch: its order among others, its command line, and what is said of one that gave nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ab.launches import abba, command, launch
from tests.ab.simulated import side


@given(st.integers(1, 60))
def test_a_steady_drift_meets_both_sides_alike(pairs: int) -> None:
    order = [label for pair in abba(pairs) for label in pair]
    assert "".join(order[:8]) == "ABBAABBA"[: 2 * pairs]
    places = {label: [place for place, one in enumerate(order) if one == label] for label in "AB"}
    assert len(places["A"]) == len(places["B"]) == pairs
    assert abs(sum(places["A"]) - sum(places["B"])) == (pairs % 2), (
        "the mean place of both is the same, an odd pair aside"
    )


def test_a_launch_is_a_run_narrowed_to_its_rows() -> None:
    ready = replace(side("implementation:torch", "B"), arguments=("--implementation", "torch"))
    words = command(ready, ["--kernel", "gemm"], Path("out.jsonl"), {7: "", 2: "torch"}, 0.6)
    assert words[1:8] == ["-m", "bench", "run", "--kernel", "gemm", "--implementation", "torch"]
    assert words[words.index("--rows") + 1] == "2=torch,7"
    assert words[words.index("--row-budget") + 1] == "0.6"
    assert words[words.index("--launches") + 1] == "1"
    assert words[-2:] == ["--out", "out.jsonl"]


def test_a_side_too_old_to_be_narrowed_measures_everything() -> None:
    ready = replace(side("git:v0", "A"), narrows=False)
    words = command(ready, ["--kernel", "gemm"], Path("out.jsonl"), {2: "torch"}, 0.6)
    assert not {"--rows", "--row-budget", "--budget"} & set(words)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("import sys; sys.exit('bench: --device: no such device')", "exit code 1: --device: no such device"),
        ("import sys; sys.exit(3)", "exit code 3: it said nothing"),
        ("pass", "exit code 0: it said nothing"),
        ("open('out.jsonl', 'w').write('nonsense\\n')", "its run file does not read"),
        ("import time; time.sleep(60)", "no end after 1 s"),
    ],
    ids=["signal", "its own words", "silent", "no file", "another file", "too long"],
)
def test_a_launch_that_gave_nothing_says_why(tmp_path: Path, code: str, reason: str) -> None:
    ready = replace(side("env:", "A"), folder=tmp_path, environment={})
    out = tmp_path / "out.jsonl"
    done = launch(ready, [sys.executable, "-c", code], out, 1.0 if "sleep" in code else 60.0)
    assert done.file is None and reason in done.reason
    assert out.with_suffix(".log").exists(), "what it said is kept beside its place"


def test_a_program_that_can_not_be_started_says_why(tmp_path: Path) -> None:
    ready = replace(side("env:", "A"), folder=tmp_path)
    assert "cannot be started" in launch(ready, ["/no/such/python"], tmp_path / "out.jsonl", 5.0).reason
