"""From a test's callable to a measured, rated row: which device, which cache state, which rating.

Timers, stopping rules and ratings are those of every other measurement; what is a series and where rows go is
`bench.pytest_plugin.session`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from bench import records
from bench.analysis.losses import explain
from bench.analysis.utilization import Denominators, rate_row
from bench.analysis.validity import judge
from bench.devices import Backend, backend, discover, view
from bench.devices.discovery import accelerators
from bench.errors import UsageError, unknown_name
from bench.kernel import DeviceView, Role
from bench.precision import PRECISIONS
from bench.ratings import cpu_microarchitecture, load, ratings_for
from bench.runner import host
from bench.runner.watch import Watch, described
from bench.telemetry import open_sources
from bench.telemetry.canary import Canary, Probe
from bench.telemetry.reasons import kind_of
from bench.timing import CachePlan, Timing, measure, plan_cache

if TYPE_CHECKING:
    import torch

UNKNOWN: Final = "unknown"
"""A precision that neither the test nor its tensors tell."""
REFERENCE_CANARIES: Final = 3
"""Readings before the first measurement: the best is what the cores can do when nobody disturbs (ours)."""
CACHES: Final = ("cold", "warm")


@dataclass(frozen=True)
class Asked:
    """One call to be measured, checked."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    operations: int
    """0 where the test gives none, as `bytes`."""
    bytes: int
    precision: str
    accumulate: str | None
    cache: Literal["cold", "warm"] | None
    capturable: bool

    def call(self) -> Any:
        """One call."""
        return self.function(*self.args, **self.kwargs)


@dataclass(frozen=True)
class Place:
    """A device made ready: what timing, rating and judging need of it."""

    device: records.Device
    view: DeviceView
    backend: Backend
    denominators: Denominators
    watch: Watch
    probe: Probe | None
    """Of a processor."""


def request(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    operations: float | None,
    bytes_: float | None,
    precision: str | None,
    accumulate: str | None,
    cache: Literal["cold", "warm"] | None,
    capturable: bool,
) -> Asked:
    """What a test asked for. UsageError names the argument, its value and what is allowed."""
    if not callable(function):
        raise UsageError(f"{function!r} is not callable: pass the function and its arguments, not its result")
    if precision is not None and precision not in PRECISIONS:
        raise unknown_name("precision", str(precision), PRECISIONS)
    accumulates = {one.accumulate for one in PRECISIONS.values()} | {"fp16"}
    if accumulate is not None and accumulate not in accumulates:
        raise unknown_name("accumulate", str(accumulate), accumulates)
    if cache is not None and cache not in CACHES:
        raise unknown_name("cache", str(cache), CACHES)
    name = precision or _precision_of([*_tensors((args, kwargs))])
    return Asked(
        function=function,
        args=args,
        kwargs=kwargs,
        operations=_count("operations", operations),
        bytes=_count("bytes", bytes_),
        precision=name,
        accumulate=accumulate or (PRECISIONS[name].accumulate if name in PRECISIONS else None),
        cache=cache,
        capturable=capturable,
    )


def device_name(asked: Asked, given: str | None) -> str:
    """The device that the call works on: the one given, else where its tensors are, those of its result among them.

    Calls it once where none is given. UsageError where that leaves the choice open.
    """
    if given is not None:
        return given
    found = {
        str(tensor.device) for tensor in _tensors((asked.args, asked.kwargs, _owner(asked.function), asked.call()))
    }
    others = sorted(name for name in found if not name.startswith("cpu"))
    if len(others) > 1:
        raise UsageError(f"the tensors are on {' and '.join(others)}: say which is to be timed, device={others[0]!r}")
    if others:
        return others[0]
    if not found and accelerators():
        raise UsageError("no tensor among the arguments or in the result tells the device: name it, device='cuda:0'")
    return "cpu"


def place(name: str) -> Place:
    """A device identified, rated and watched. UsageError or UnavailableError where it can't be had."""
    import torch

    if name in ("auto", "all"):
        raise UsageError(f"device: {name!r} is no single device; name one, such as cuda:0 or cpu")
    found = discover(name)[0]
    opened = open_sources(found)
    probe = Probe(torch.get_num_threads()) if found.kind == "cpu" else None
    canaries = [probe.measure() for _ in range(REFERENCE_CANARIES)] if probe is not None else []
    named = msgspec.structs.replace(
        _as_used(found, torch.get_num_threads(), canaries),
        host=host.name(False),
        architecture=(cpu_microarchitecture(found.details) if probe is not None else None) or found.architecture,
        details=described(found, opened),
    )
    tables = load()
    ratings = ratings_for(named, tables)
    device = msgspec.structs.replace(named, ratings=dict(ratings.peaks), rating_name=ratings.name)
    watch = Watch(opened)
    watch.new_launch(canaries)
    if probe is None:
        watch.start()  # on a processor the sampler's thread would take turns with the calls: canaries watch there
    return Place(device, view(device), backend(device), Denominators(device, ratings, tables), watch, probe)


def timed(asked: Asked, where: Place, budget_s: float) -> tuple[Timing, CachePlan, dict[str, Any]]:
    """Time the call: samples until a stopping rule ends them or the budget is spent, and the telemetry meanwhile."""
    plan = _cache_plan(asked, where)
    calls = [asked.call]
    for _ in range(1, plan.copies):
        args, kwargs = _cloned(asked.args), _cloned(dict(asked.kwargs))
        calls.append(partial(asked.function, *args, **kwargs))
    canaries = [where.probe.measure()] if where.probe is not None else []
    begin_s = time.monotonic()
    timing = measure(calls, where.backend, plan=plan, capturable=asked.capturable, budget_s=budget_s)
    window_s = (begin_s, time.monotonic())
    if where.probe is not None:
        canaries.append(where.probe.measure())
    return timing, plan, where.watch.of_row(window_s, canaries)


def rated(row: records.Measurement, where: Place) -> records.Measurement:
    """The row with its rating, utilisation, losses, and the status that its telemetry gives it."""
    if row.role is None:
        reason = "the test names neither bytes nor operations"
        if row.work is not None and row.work.operations:
            reason = "operations without a precision: name it, precision='fp16'"
        row = msgspec.structs.replace(row, utilization_reason=reason)
    else:
        row = rate_row(row, row.role, where.denominators)
    row = judge(row, denominators=where.denominators, kind_of=kind_of)
    if row.role is None:
        return row
    losses = explain(row, role=row.role, denominators=where.denominators, bandwidth_bytes_per_s=None)
    return msgspec.structs.replace(row, losses=losses)


def role_of(asked: Asked) -> Role | None:
    """What the figure is rated against: operations of a known precision before bytes; None where there is neither."""
    if asked.operations and asked.precision != UNKNOWN:
        return Role.COMPUTE
    return Role.BANDWIDTH if asked.bytes and not asked.operations else None


def shortcut(asked: Asked, where: Place) -> str:
    """A warning where FP32 may run as TF32 or BF16 by the project's own settings, which are left as they are."""
    import torch

    if asked.precision != "fp32":
        return ""
    try:
        shortened = torch.get_float32_matmul_precision() != "highest"
        shortened = shortened or (where.device.kind == "cuda" and torch.backends.cudnn.allow_tf32)
    except RuntimeError:  # torch ≥ 2.9 where a project has set the old and the new settings apart
        shortened = True
    return "torch's settings let FP32 run as TF32 or BF16 here: it is rated as fp32 all the same" if shortened else ""


def _count(name: str, value: float | None) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise UsageError(f"{name}: {value!r} is not a number of {name} of one call, 0 or more")
    return round(value)


def _precision_of(tensors: Sequence[torch.Tensor]) -> str:
    """The precision that all tensors have together, "unknown" where they differ or there are none."""
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors}
    names = [one.name for one in PRECISIONS.values() if {one.torch_dtype} == dtypes]
    return names[0] if names else UNKNOWN


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a value: itself, in lists, tuples and mappings, or the parameters and buffers of a module."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from (*value.parameters(), *value.buffers())
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _owner(function: Callable[..., Any]) -> list[Any]:
    """What a callable brings along besides its arguments: itself, the object it is bound to, what a partial or a
    closure holds."""
    if isinstance(function, partial):
        return [*function.args, *function.keywords.values(), *_owner(function.func)]
    cells = getattr(function, "__closure__", None) or ()
    held = []
    for cell in cells:
        try:
            held.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            continue
    return [function, getattr(function, "__self__", None), *held]


def _rotated_bytes(asked: Asked) -> int:
    """Bytes of the arguments' tensors where copies of them are all that a call reads; 0 where it has others."""
    import torch

    modules = any(isinstance(each, torch.nn.Module) for each in (*asked.args, *asked.kwargs.values()))
    if modules or any(True for _ in _tensors(_owner(asked.function))):
        return 0
    return sum(tensor.nbytes for tensor in _tensors((asked.args, asked.kwargs)))


def _cache_plan(asked: Asked, where: Place) -> CachePlan:
    """Cold where that is cheap. Rotation copies the tensors among the arguments: what a callable holds stays warm."""
    rotated = _rotated_bytes(asked)
    plan = plan_cache(
        asked.cache,
        call_bytes=asked.bytes or rotated,
        input_bytes=rotated,
        cache_bytes=where.view.cache_bytes,
        memory_budget=where.backend.memory_free_bytes(),
        device_type=where.view.type,
        vendor=where.view.vendor,
        graphs=where.backend.supports_graphs and asked.capturable and rotated > 0,
    )
    if where.view.type == "cpu" and not rotated and plan.label != "not-applicable" and asked.cache != "warm":
        return CachePlan("warm", why="only tensors among the arguments are rotated, and the call has others, or none")
    return plan


def _cloned(value: Any) -> Any:
    """The same with every tensor copied; whatever is no tensor and holds none is shared."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, tuple):
        return type(value)(*map(_cloned, value)) if hasattr(value, "_fields") else tuple(map(_cloned, value))
    if not isinstance(value, dict | list):
        return value
    copied = copy(value)  # a subclass stays one
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        copied[key] = _cloned(each)
    return copied


def _as_used(device: records.Device, threads: int, canaries: Sequence[Canary]) -> records.Device:
    """A processor as this process uses it: rated by the cores that its threads keep busy, at the highest clock seen."""
    if device.kind != "cpu":
        return device
    units, clock = device.units, device.clock
    if units.in_use is not None and threads < units.in_use:
        units = msgspec.structs.replace(units, in_use=threads, why=f"torch.set_num_threads({threads})")
    highest_hz = max((canary.clock_hz or 0.0 for canary in canaries), default=0.0)
    if clock is not None and clock.hz and clock.source.startswith("measured"):
        clock = msgspec.structs.replace(clock, hz=max(clock.hz, highest_hz))
    return msgspec.structs.replace(device, units=units, clock=clock)
