"""`--lock-clocks`: a GPU's clock held at one frequency for a run, and given back whatever happens.

A guardian process does the locking and waits for the run's end on a pipe: it gives the clock back also when the run is
killed. A run at a locked clock is labelled and claims no share of a rated figure. NVIDIA only; never run on a real
card yet (README, support table).
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bench import records
from bench.analysis import observed
from bench.errors import UnavailableError, UsageError

TOLERANCE_HZ: Final = 50e6
"""How far the clock that is observed may be from the one that was asked for."""
GUARDIAN_TIMEOUT_S: Final = 30.0
LOCKED: Final = "locked"
QUARANTINE: Final = "the clock was not at the frequency that it was locked to"


class ClockLock:
    """The guardian's handle: `with ClockLock(device, mhz):` around a run. Does nothing where `mhz` is None."""

    def __init__(self, device: records.Device | None, mhz: int | None) -> None:
        if mhz is not None and (device is None or device.kind != "cuda" or device.vendor != "nvidia"):
            what = device.name if device else "several devices"
            raise UsageError(f"--lock-clocks: {mhz}: locks the clock of one NVIDIA GPU, not of {what}")
        self._device = device
        self._mhz = mhz
        self._guardian: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._mhz is None or self._device is None:
            return self
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "bench.runner.clocks", str(self._mhz)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must not end it before the clock is given back
        )
        assert self._guardian.stdin is not None and self._guardian.stdout is not None
        self._guardian.stdin.write(msgspec.json.encode(self._device) + b"\n")
        self._guardian.stdin.flush()
        answer = self._guardian.stdout.readline().decode(errors="replace").strip()
        if answer != LOCKED:
            self._release()
            raise UnavailableError(f"--lock-clocks: {self._mhz}: {answer or 'the guardian process died'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(GUARDIAN_TIMEOUT_S)


def labelled(row: records.Measurement, mhz: int) -> records.Measurement:
    """A row at a locked clock: no share of a rated figure, and quarantined where the clock was another one."""
    reason = f"the clock was locked at {mhz:,} MHz: not the state that the rating stands for"
    seen_hz = observed.quantity(row.telemetry, observed.CLOCK)
    astray = seen_hz is not None and abs(seen_hz - mhz * 1e6) > TOLERANCE_HZ
    return msgspec.structs.replace(
        row,
        utilization=None,
        utilization_reason=reason,
        losses=None,
        quarantine=[*row.quarantine, QUARANTINE] if astray else row.quarantine,
        telemetry={**(row.telemetry or {}), "locked_clock_hz": mhz * 1e6},
    )


def guard(pynvml: Any, device: records.Device, mhz: int) -> None:
    """Lock the clock, say so on stdout, wait for the end of stdin, give the clock back."""
    from bench.telemetry.nvidia import find_handle

    pynvml.nvmlInit()
    handle = find_handle(pynvml, device)
    if handle is None:
        print("NVML knows no GPU with the UUID or PCI address of this device", flush=True)
        return
    try:
        pynvml.nvmlDeviceSetGpuLockedClocks(handle, mhz, mhz)
        print(LOCKED, flush=True)
        sys.stdin.buffer.read()
    finally:
        pynvml.nvmlDeviceResetGpuLockedClocks(handle)


def main(mhz: int) -> None:
    """The guardian: the device's record comes as the first line of stdin."""
    device = msgspec.json.decode(sys.stdin.buffer.readline(), type=records.Device)
    try:
        import pynvml

        guard(pynvml, device, mhz)
    except Exception as error:  # NVML's own: no permission, not supported, no driver
        print(f"{type(error).__name__}: {error} (locking clocks needs root)", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
