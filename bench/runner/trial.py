"""One short look at one case, inside the worker: built, called once untimed, timed briefly; not checked.

For choosing where to measure: what is chosen is then measured, and checked, by `bench.runner.measure`.
"""

from __future__ import annotations

import time
from typing import Final

from bench import plugins, records
from bench.devices import Backend, backend, view
from bench.kernel import Call, Inputs
from bench.runner.protocol import Tried, Try
from bench.runner.row import failure
from bench.timing import CachePlan, plan_cache
from bench.timing.measure import screen

LONG: Final = 0.1
"""Looks that a call has to last to be timed one by one by the host's clock (ours): of a longer one the ordinary timer
spends most of so short a time on its estimate and warm-up, and returns a single sample."""
VERY_LONG: Final = 5.0
"""Looks that a single call may last and be called again (ours): a longer one is as a rule a slow path, and the time of
one more call would do for several looks elsewhere."""
FREE_MEMORY_SHARE: Final = 0.6
"""Of the free memory, what inputs and output may take; the rest is for what an implementation packs (ours)."""


def look(request: Try, device: records.Device) -> Tried:
    """Seconds per call, roughly, or why there are none; nothing is raised but a user's error."""
    started = time.perf_counter()
    torch_backend: Backend = backend(device)
    tried = Tried(status="ok")
    try:
        import torch

        with torch.inference_mode(), torch_backend.precision_mode(request.precision):
            tried.status, tried.reason, tried.call_s = _look(request, device, torch_backend)
    except Exception as error:  # a kernel may raise anything: it costs its own look
        tried.status, tried.reason = failure(torch_backend, error)
    finally:
        # What torch keeps of one look counts as taken for the next, and for the row of a finalist.
        torch_backend.empty_cache()
    tried.spent_s = time.perf_counter() - started
    return tried


def _look(request: Try, device: records.Device, torch_backend: Backend) -> tuple[records.Status, str, float | None]:
    import torch

    kernel = plugins.load().kernel(request.kernel)
    implementation = plugins.load().implementations(request.kernel)[request.implementation]
    here = view(device)
    reason = implementation.reason_unsupported(request.case, request.precision, here)
    if reason:
        return "unsupported", reason, None
    work = kernel.work(request.case, request.precision)
    free_bytes = torch_backend.memory_free_bytes()
    if free_bytes is not None and work.bytes > FREE_MEMORY_SHARE * free_bytes:
        needed = f"inputs and output need {work.bytes / 1e9:.3g} GB, {free_bytes / 1e9:.3g} GB are free"
        return "out_of_memory", needed, None
    generator = torch.Generator().manual_seed(request.seed)
    tensors = kernel.inputs(request.case, request.precision, here, request.data, generator)
    call = implementation.build(kernel, Inputs(request.case, request.precision, here, tensors))
    # The first call sets up what later ones find; the second says how long a look has to be.
    call()
    torch_backend.synchronize()
    once_s = _seconds(call, torch_backend)
    if once_s > LONG * request.look_s:
        return "ok", "", _one_by_one(call, torch_backend, once_s, request.look_s)
    plan = plan_cache(
        request.cache,
        call_bytes=work.bytes,
        input_bytes=kernel.input_bytes(request.case, request.precision),
        cache_bytes=here.cache_bytes,
        memory_budget=free_bytes,
        device_type=here.type,
        vendor=here.vendor,
    )
    brief = CachePlan(plan.label, 1, plan.flush_bytes, plan.why)
    return "ok", "", screen([call], torch_backend, brief, request.look_s, capturable=False)


def _one_by_one(call: Call, torch_backend: Backend, once_s: float, look_s: float) -> float:
    """The lower median of `once_s` and of the calls that the look has time for, one at least but of a very long one."""
    samples = [once_s]
    while sum(samples) < look_s or (len(samples) == 1 and once_s <= VERY_LONG * look_s):
        samples.append(_seconds(call, torch_backend))
    return sorted(samples)[(len(samples) - 1) // 2]


def _seconds(call: Call, torch_backend: Backend) -> float:
    """Seconds of one call by the host's clock, until the device has done it."""
    started = time.perf_counter()
    call()
    torch_backend.synchronize()
    return time.perf_counter() - started
