"""`--lock-clocks`: given back whatever happens, labelled, and without a share of a rating.

The driver's library is replaced by one that writes down its calls: no card is at hand, and what is tested is that
every lock is followed by its release.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import records
from bench.errors import UnavailableError, UsageError
from bench.runner.clocks import QUARANTINE, ClockLock, labelled
from tests.conftest import Cli
from tests.factories import device, measurement

NVML = """
import os
def note(word):
    with open(os.environ["NVML_LOG"], "a") as log: log.write(word + "\\n")
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlDeviceGetCount(): return 0
def nvmlDeviceGetHandleByPciBusId(address): return address
def nvmlDeviceSetGpuLockedClocks(handle, low, high):
    if os.environ.get("NVML_REFUSES"): raise RuntimeError("Insufficient Permissions")
    note(f"lock {handle} {low} {high}")
def nvmlDeviceResetGpuLockedClocks(handle): note(f"reset {handle}")
"""

GPU = device(kind="cuda", device="cuda:0", vendor="nvidia", name="A card", details={"pci_address": "0000:01:00.0"})


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library's calls, in order; the library is found by every Python that is started from here."""
    (tmp_path / "pynvml.py").write_text(NVML)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("NVML_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_the_clock_is_locked_for_the_run_and_given_back(log: Path) -> None:
    with ClockLock(GPU, 1200):
        assert log.read_text() == "lock 0000:01:00.0 1200 1200\n"
    assert log.read_text().splitlines()[1:] == ["reset 0000:01:00.0"]


def test_it_is_given_back_when_the_run_raises(log: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ClockLock(GPU, 1200):
        raise KeyboardInterrupt
    assert "reset" in log.read_text()


def test_it_is_given_back_when_the_run_is_killed(log: Path, tmp_path: Path) -> None:
    script = tmp_path / "holder.py"
    script.write_text(
        "import time\nfrom bench.runner.clocks import ClockLock\nfrom tests.runner.test_clocks import GPU\n"
        "with ClockLock(GPU, 1200):\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    checkout = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(checkout)])}
    holder = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 20
    while "reset" not in log.read_text():
        assert time.monotonic() < deadline, "the guardian has not given the clock back"
        time.sleep(0.05)


def test_a_refusal_is_told(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVML_REFUSES", "1")
    with pytest.raises(UnavailableError, match="Insufficient Permissions"), ClockLock(GPU, 1200):
        pass
    assert "lock" not in (log.read_text() if log.exists() else "")


def test_nothing_happens_where_nothing_is_asked() -> None:
    with ClockLock(None, None):
        pass


def test_only_an_nvidia_gpu_can_be_locked(cli: Cli) -> None:
    with pytest.raises(UsageError, match="NVIDIA"):
        ClockLock(device(), 1200)
    result = cli("run", "--device", "cpu", "--kernel", "gemm", "--lock-clocks", "1200")
    assert result.code == 2 and "--lock-clocks" in result.err


def test_a_row_at_a_locked_clock_claims_no_share() -> None:
    row = labelled(measurement(telemetry={"clock_hz": {"median": 1.21e9}}), 1200)
    assert row.utilization is None and row.losses is None and "1,200 MHz" in (row.utilization_reason or "")
    assert row.telemetry is not None and row.telemetry["locked_clock_hz"] == 1.2e9
    assert not row.quarantine


@pytest.mark.parametrize("seen_hz", [1.1e9, 1.3e9])
def test_a_clock_astray_quarantines(seen_hz: float) -> None:
    assert labelled(measurement(telemetry={"clock_hz": {"median": seen_hz}}), 1200).quarantine == [QUARANTINE]


def test_a_locked_row_is_still_a_record() -> None:
    row = labelled(measurement(), 1200)
    assert records.decode(records.encode(row)) == row
