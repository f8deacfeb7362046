"""The worker process: imports torch, describes the devices and measures one row after another.

Started as `python -m bench.runner.worker READ_FD WRITE_FD`. It serves a whole run; the parent starts another one only
when it dies. What it measures is in `bench.runner.measure`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bench import records
from bench.errors import BenchError
from bench.runner.parent import end_with_parent
from bench.runner.protocol import (
    Channel,
    Describe,
    Described,
    EndOfStream,
    Measure,
    Measured,
    Progress,
    Refused,
    Request,
    Stop,
    Tried,
    Try,
)
from bench.telemetry.canary import Probe

if TYPE_CHECKING:
    from bench.runner.collective_meeting import Company

RECORDED_DISTRIBUTIONS: Final = (
    "torch",
    "triton",
    "numpy",
    "psutil",
    "nvidia-ml-py",
    "torch-npu",
    "torch-mlu",
    "torch-musa",
)
REFERENCE_CANARIES: Final = 5
"""Readings of the canary before a launch: the best of them is what the cores can do when nobody disturbs (ours)."""


def main(read_fd: int, write_fd: int) -> None:
    """Answer the parent's requests until it says stop or is gone."""
    end_with_parent(signal.SIGKILL)
    _be_first_to_go()
    channel = Channel(read_fd, write_fd, expects=Request)
    devices: dict[str, records.Device] = {}
    probe: Probe | None = None
    company: Company | None = None
    try:
        while not isinstance(request := channel.receive(), Stop):
            try:
                if isinstance(request, Describe):
                    described = _describe(request)
                    probe, company = _probe(described), _company(request)
                    devices = {device.device: device for device in described.devices}
                    channel.send(described)
                elif isinstance(request, Try):
                    channel.send(_look(request, devices))
                else:
                    channel.send(_measure(request, devices, channel, probe, company))
            except BenchError as error:
                channel.send(Refused(message=str(error), exit_code=error.exit_code))
    except EndOfStream:
        pass
    # Not sys.exit: a broken kernel's atexit handlers and C++ destructors must not hold the run up at its end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _describe(request: Describe) -> Described:
    import torch

    from bench.devices import discover
    from bench.devices.local_rank import of_rank

    selection = request.selection if request.local_rank is None else of_rank(request.selection, request.local_rank)
    found = [_with_threads(_placed(device, request), request.threads) for device in discover(selection)]
    torch.set_num_threads(request.threads or min([torch.get_num_threads(), *_most_threads(request, found)]))
    pinning: dict[str, Any] = {
        "torch_threads": torch.get_num_threads(),
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }
    return Described(devices=found, software=_software(), pinning=pinning)


def _placed(device: records.Device, request: Describe) -> records.Device:
    """The device as that of one rank of several, where they measure together."""
    if request.together is None:
        return device
    return msgspec.structs.replace(device, rank=request.together.rank, ranks=request.together.ranks)


def _company(request: Describe) -> Company | None:
    if request.together is None:
        return None
    from bench.runner.collective_meeting import Company

    return Company(request.together)


def _with_threads(device: records.Device, threads: int | None) -> records.Device:
    """A processor that runs fewer threads than it has cores is rated by the cores that they keep busy."""
    in_use = device.units.in_use
    if device.kind != "cpu" or threads is None or in_use is None or threads >= in_use:
        return device
    units = msgspec.structs.replace(device.units, in_use=threads, why=f"--threads {threads}")
    return msgspec.structs.replace(device, units=units)


def _most_threads(request: Describe, found: Sequence[records.Device]) -> list[int]:
    """Cores that affinity and quota leave, or other ranks: more threads than that would wait for each other."""
    cores = [device.units.in_use for device in found if device.kind == "cpu" and device.units.in_use]
    return cores if cores or request.most_threads is None else [request.most_threads]


def _probe(described: Described) -> Probe | None:
    """The canary of a run on the processor, warmed and asked a few times: the launch's first reference."""
    if not any(device.kind == "cpu" for device in described.devices):
        return None
    probe = Probe(int(described.pinning["torch_threads"]))
    described.canaries = [probe.measure() for _ in range(REFERENCE_CANARIES)]
    return probe


def _measure(
    request: Measure,
    devices: dict[str, records.Device],
    channel: Channel,
    probe: Probe | None,
    company: Company | None,
) -> Measured:
    from bench.runner.measure import measure_row

    def progress(phase: str, detail: str = "") -> None:
        channel.send(Progress(phase=phase, detail=detail))

    device = devices[request.device]
    measured = measure_row(request, device, progress, probe if device.kind == "cpu" else None, company)
    if measured.measurement.status not in records.MEASURED:
        measured.device_lost = (company is not None and company.unusable) or _is_lost(device)
    return measured


def _look(request: Try, devices: dict[str, records.Device]) -> Tried:
    from bench.runner.trial import look

    tried = look(request, devices[request.device])
    if tried.status != "ok":
        tried.device_lost = _is_lost(devices[request.device])
    return tried


def _is_lost(device: records.Device) -> bool:
    """Whether the device no longer answers this process."""
    from bench.devices import backend

    try:
        return backend(device).is_lost()
    except Exception:  # making it current may be what the device refuses
        return True


def _software() -> dict[str, str]:
    found = {}
    for name in RECORDED_DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    import torch

    found["torch"] = str(torch.__version__)  # the distribution's metadata lacks the +cpu, +cu130, +rocm
    return found


def _be_first_to_go() -> None:
    """Where memory runs out, the system's out-of-memory killer shall take this process and not the parent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
