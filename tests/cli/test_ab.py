"""`ab` through the real command line: order, verdicts, exit codes, launches that die, Ctrl-C, and what is refused.

But for the last test a stand-in for the sides' interpreter gives each launch's times, so that the verdict is known.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench import records
from tests.ab.stand_in import interpreter
from tests.conftest import Cli

RUN = ["--", "--device", "cpu", "--kernel", "gemm", "--case", "m=64,n=64,k=64", "--precision", "fp32"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier comparisons have seen is not what these have."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an interrupted `ab` leaves what it has measured."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_unchanged_code_is_the_same_in_abba_order(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B")
    result = cli("ab", a, b, "--threshold", "5%", "--format", "json", *RUN)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert document["verdict"] == "same"
    (series,) = document["series"]
    assert series["verdict"] == "same" and len(series["base_s"]) == len(series["new_s"]) == 8
    assert (tmp_path / "launches").read_text() == "AB" + "ABBA" * 4
    assert "bench: at a launch noise of" in result.err, "what can be seen is said as soon as it is known"
    again = cli("ab", a, b, "--launches", "7", *RUN).err.splitlines()
    (known,) = (
        place for place, line in enumerate(again) if "by earlier comparisons here, at a launch noise of" in line
    )
    assert known < next(place for place, line in enumerate(again) if "screening" in line), "and the next time before"


def test_a_slower_side_is_a_regression_and_exit_1(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B", time_s=1.3e-3)
    result = cli("ab", a, b, *RUN)
    assert result.code == 1, result.err
    assert "regression" in result.out and "1.3" in result.out
    assert len((tmp_path / "launches").read_text()) == 2 + 16 + 16, "what stands out is measured afresh"


def test_what_to_fail_on_can_be_named(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A", noise=0.3), interpreter(tmp_path, "B", noise=0.3)
    result = cli("ab", a, b, "--fail-on", "ambiguous,missing", "--format", "markdown", *RUN)
    assert result.code == 1 and "| ambiguous" in result.out, result.err


def test_the_launches_run_files_are_kept_where_asked(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B")
    result = cli("ab", a, b, "--results", "kept", "--launches", "7", *RUN)
    assert result.code == 0, result.err
    (folder,) = (tmp_path / "kept").iterdir()
    assert str(folder) in result.err
    for label in "AB":
        files = sorted((folder / label).glob("*.jsonl"))
        assert len(files) == 1 + 7 and "rehearsal" in files[0].name
        assert all(len(records.read(file).measurements) == 1 for file in files)
    assert cli("show", str(folder / "A")).code == 0


def test_a_launch_that_dies_is_repeated_and_told(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B", killed=[3])
    result = cli("ab", a, b, "--launches", "7", *RUN)
    assert result.code == 0, result.err
    assert "a launch of B gave nothing: died of SIGKILL" in result.err


def test_a_launch_that_hangs_is_ended_with_all_that_it_started(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A", hangs=[2]), interpreter(tmp_path, "B")
    result = cli("ab", a, b, "--launch-timeout", "5", "--launches", "7", *RUN)
    assert result.code == 0, result.err
    assert "a launch of A gave nothing: no end after 5 s" in result.err
    assert _gone(tmp_path)


def test_a_side_that_can_not_run_is_exit_3_and_one_line_with_its_own_words(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B", fails="--kernel: unknown value 'gemm'")
    result = cli("ab", a, b, *RUN)
    assert result.code == 3 and result.out == ""
    assert result.err.splitlines()[-1].startswith("bench: B: python:")
    assert "--kernel: unknown value 'gemm'" in result.err.splitlines()[-1]


def test_a_disturbed_machine_is_exit_4(cli: Cli, tmp_path: Path) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B", status="contended")
    result = cli("ab", a, b, "--launches", "7", *RUN)
    assert result.code == 4, result.err
    assert "quarantined" in result.out and "contended" in result.out


def test_nothing_usable_on_either_side_is_exit_3(cli: Cli, tmp_path: Path) -> None:
    a, b = (interpreter(tmp_path, label, status="failed") for label in "AB")
    assert cli("ab", a, b, *RUN).code == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_ends_it_with_its_launches_and_130(
    tmp_path: Path, temporary: Path, number: signal.Signals
) -> None:
    a, b = interpreter(tmp_path, "A"), interpreter(tmp_path, "B", hangs=[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "ab", a, b, *RUN],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "launches.pids").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == "" and "Traceback" not in err and "interrupted" in err
    assert _gone(tmp_path)
    (kept,) = temporary.iterdir()
    assert str(kept) in err
    assert len(list(kept.rglob("*.jsonl"))) == 3, "what was measured is on disk"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["main", "env:"], ["A: 'main'", "git:REF"]),
        (["env:", "env:X"], ["B: 'X'", "NAME=VALUE"]),
        (["env:"], ["B"]),
        (["env:", "env:", "--launches", "6"], ["--launches", "'6'", "7"]),
        (["env:", "env:", "--threshold", "5"], ["--threshold", "'5'", "5"]),
        (["env:", "env:", "--fail-on", "slow"], ["--fail-on", "'slow'", "regression"]),
        (["env:", "env:", "--kernel", "gemm"], ["--kernel"]),
        (["env:", "env:", "--", "--kernle", "gemm"], ["--kernle"]),
        (["env:", "env:", "--", "--kernel", "gem"], ["--kernel", "'gem'", "gemm"]),
        (["env:", "env:", "--", "--out", "x.jsonl"], ["--out", "--results"]),
        (["env:", "env:", "--", "--resume=x.jsonl"], ["--resume", "afresh"]),
        (["env:", "env:", "--", "--launches", "3"], ["--launches", "before the --"]),
        (["env:", "env:", "--", "--dry-run"], ["--dry-run"]),
        (["env:", "implementation:torhc", "--", "--kernel", "gemm"], ["'torhc'", "torch"]),
        (
            ["env:", "implementation:torch", "--", "--implementation", "all"],
            ["--implementation", "implementation:torch"],
        ),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_before_anything_is_measured(
    cli: Cli, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    result = cli("ab", *arguments)
    assert result.code == 2, result.err
    assert len(result.err.strip().splitlines()) == 1 and "Traceback" not in result.err
    assert all(word in result.err for word in words), result.err
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_exit_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("ab", "env:", "env:", "--results", "file/deeper", *RUN)
    assert result.code == 3 and "--results" in result.err


def _gone(folder: Path, timeout_s: float = 10.0) -> bool:
    """Whether the launch that hung and its child, in a session of its own, have ended."""
    pids = [int(word) for word in (folder / "launches.pids").read_text().split()]
    deadline = time.monotonic() + timeout_s
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.slow
def test_real_launches_are_narrowed_and_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    """Real launches of this environment, interrupted after the first pair; tests/ab/test_soak.py goes to the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "ab", "env:", "env:X=1", "--results", "kept", *RUN],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while len(_complete(tmp_path)) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, err
    psutil.wait_procs(family, timeout=10)
    assert not [one for one in family if one.is_running()]
    files = [records.read(path) for path in _complete(tmp_path)]
    assert len(files) >= 4
    for file in files:
        assert [row.check is not None and row.check.passed for row in file.measurements] == [True]
    later = [file.run.command for file in files if "--rows" in file.run.command]
    assert len(later) == len(files) - 2, "all but the rehearsal of each side measure what that has chosen"


def _complete(folder: Path) -> list[Path]:
    """The run files of launches that came to their end."""
    found = sorted((folder / "kept").rglob("*.jsonl"))
    return [path for path in found if b'"type":"end","status":"complete"' in path.read_bytes()]
