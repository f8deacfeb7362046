"""One launch: `python -m bench run` of one side in a fresh process, with a time limit; what it gave, or why nothing.

Ctrl-C during a launch ends it and everything that it has started before KeyboardInterrupt goes on up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import msgspec
import psutil

from bench import records
from bench.ab.sides import Ready
from bench.errors import UnavailableError

Label = Literal["A", "B"]

MEASURED_CODES: Final = (0, 3, 4)
"""Exit codes of `run` that leave a run file whose rows say what happened (3: none usable, 4: many disturbed)."""
POLITE_S: Final = 5.0
"""What an interrupted launch is given to end by itself."""
REASON_LENGTH: Final = 300
LAUNCH_BUDGET_S: Final = 3600.0
"""Where each row has its own share of time the run as a whole needs no limit: a row left out would be a series lost."""


@dataclass(frozen=True)
class Launch:
    """One launch of one side. `file` is None where it died; `reason` then says how."""

    label: Label
    wall_s: float
    path: Path
    file: records.RunFile | None
    reason: str = ""


def abba(pairs: int) -> list[tuple[Label, Label]]:
    """The order within each of so many pairs: AB, BA, AB, …, so that a steady drift meets both sides alike."""
    return [("A", "B") if number % 2 == 0 else ("B", "A") for number in range(pairs)]


def command(
    ready: Ready, run_arguments: Sequence[str], out: Path, rows: Mapping[int, str] | None, row_budget_s: float | None
) -> list[str]:
    """The launch's command line; `rows` (number in that side's plan → implementation or "") narrow it."""
    words = [ready.python, "-m", "bench", "run", *run_arguments, *ready.arguments, "--launches", "1"]
    if ready.narrows and row_budget_s is not None:
        words += ["--row-budget", f"{row_budget_s:g}", "--budget", f"{LAUNCH_BUDGET_S:g}"]
    if ready.narrows and rows:
        numbered = (f"{number}={name}" if name else str(number) for number, name in sorted(rows.items()))
        words += ["--rows", ",".join(numbered)]
    return [*words, "--format", "json", "--out", str(out)]


def launch(ready: Ready, words: Sequence[str], out: Path, timeout_s: float) -> Launch:
    """Run it to its end. A launch that dies, hangs or writes nothing readable is a Launch with the reason."""
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_suffix(".log")
    started = time.monotonic()
    try:
        code = _run(words, ready, log, timeout_s)
    except OSError as error:
        return Launch(ready.label, time.monotonic() - started, out, None, f"cannot be started: {error.strerror}")
    wall_s = time.monotonic() - started
    file, reason = _outcome(code, out, log, timeout_s)
    if file is not None:
        log.unlink(missing_ok=True)
    return Launch(ready.label, wall_s, out, file, reason)


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM, with which CI ends a job, ends an `ab` as Ctrl-C does: with its launches."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(words: Sequence[str], ready: Ready, log: Path, timeout_s: float) -> int | None:
    """Its exit code, or None where the time was up."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            words,
            cwd=ready.folder,
            env=dict(ready.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        return None
    except BaseException:
        _end(process, politely=True)
        raise


def _end(process: subprocess.Popen[bytes], politely: bool = False) -> None:
    """End it and whatever it has started, in sessions of their own too. Harmless when all have ended."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    if politely:
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.send_signal(signal.SIGINT)  # it closes its run file and ends its worker
            process.wait(POLITE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=POLITE_S)


def _outcome(code: int | None, out: Path, log: Path, timeout_s: float) -> tuple[records.RunFile | None, str]:
    if code is None:
        return None, f"no end after {timeout_s:.0f} s"
    if code < 0:
        return None, f"died of {_signal_name(-code)}"
    if code in MEASURED_CODES and out.exists():
        try:
            return records.read(out), ""
        except (UnavailableError, msgspec.MsgspecError) as error:
            return None, f"its run file does not read: {error}"
    return None, f"exit code {code}: {_last_words(log)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(log: Path) -> str:
    try:
        lines = [
            line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
    except OSError:
        lines = []
    return (lines or ["it said nothing"])[-1].removeprefix("bench: ")[:REASON_LENGTH]
