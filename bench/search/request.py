"""What a search was asked for, and its preparation: a worker, its device, the space with its implementations.

Carrying it out is `bench.search.session`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

from bench import plugins, records
from bench.devices import view
from bench.errors import UsageError, unknown_name
from bench.kernel import Implementation, Kernel
from bench.precision import PRECISIONS
from bench.runner import plan
from bench.runner.resume import adopt
from bench.runner.session import Observer, Options, Prepared, prepare
from bench.search.space import IMPLEMENTATION, Axis, Point, Space, checked_axes, parse_axes

ROW_BUDGET_S: Final = 3.0
"""Most seconds of a finalist's row: those of a quick run."""
MEMORY_SHARE: Final = 0.25
"""Of the device's memory, what one call may touch (ours): copies and packed operands come on top."""


@dataclass(frozen=True)
class Request:
    """What a search was asked for. `space` is a name, axes as `--space` takes them, or "" for the kernel's first."""

    kernel: str
    precision: str
    budget_s: float
    """Wall time from the start to the last finalist; exceeded by one look or one row at most."""
    finalists: int
    """Rows that the search ends with."""
    implementation: str = plan.BEST
    space: str = ""


@dataclass
class Search:
    """A search that has a worker, its device and a space; nothing is looked at yet."""

    request: Request
    prepared: Prepared
    kernel: Kernel
    space: Space

    @property
    def device(self) -> records.Device:
        """The one device that is searched."""
        return self.prepared.devices[0]


def prepare_search(request: Request, options: Options, watcher: Observer) -> Search:
    """Check the request, start a worker, learn what is here, lay out the space.

    Raises UsageError for what can't be meant, also where nothing of the space can run, and UnavailableError for what
    isn't there.
    """
    kernel = _checked_kernel(request)
    # The suite only has to have a case: what is measured is chosen later.
    selection = plan.Selection(kernels=(kernel.name,), precisions=(request.precision,), suite="full")
    chosen = dataclasses.replace(options, selection=selection, launches=1, budget_s=request.budget_s)
    prepared = prepare(chosen, watcher)
    try:
        if len(prepared.devices) != 1:
            names = ", ".join(device.device for device in prepared.devices)
            raise UsageError(f"--device {options.device}: a search is of one device; choose from {names}")
        # Two finalists may be one case by two implementations: each row is a series of its own, as in a run of "all".
        asked = request.implementation if request.implementation != plan.BEST else plan.ALL
        selection = dataclasses.replace(selection, implementation=asked, suite="quick")
        prepared.options = dataclasses.replace(chosen, selection=selection, row_budget_s=ROW_BUDGET_S)
        prepared.items = {prepared.devices[0].device: []}
        return Search(request, prepared, kernel, _space(request, kernel, prepared.devices[0]))
    except BaseException:
        prepared.worker.kill()
        raise


def _checked_kernel(request: Request) -> Kernel:
    """The kernel, once all that can be judged without a device is right."""
    installed = plugins.load()
    kernel = installed.kernel(request.kernel)
    if request.precision not in PRECISIONS:
        raise unknown_name("--precision", request.precision, PRECISIONS)
    if request.precision not in kernel.precisions:
        raise UsageError(
            f"--precision: {kernel.name} has no meaning at {request.precision}; it has {', '.join(kernel.precisions)}"
        )
    if request.implementation != plan.BEST and request.implementation not in installed.implementations(kernel.name):
        raise unknown_name(
            "--implementation", request.implementation, [plan.BEST, *installed.implementations(kernel.name)]
        )
    if "=" in request.space:
        checked_axes(kernel, parse_axes(request.space, kernel))  # before a worker is started
    return kernel


def adopted(search: Search, earlier: records.RunFile) -> Search:
    """The search as it goes on from an earlier part; UnavailableError where the two would not be comparable."""
    row = plan.Item(search.kernel.name, search.kernel.role, {}, search.request.precision, "", (), ())
    held = {search.prepared.devices[0].device: [row] * len(earlier.measurements)}
    prepared = adopt(dataclasses.replace(search.prepared, items=held), earlier)
    return dataclasses.replace(search, prepared=prepared)


def _space(request: Request, kernel: Kernel, device: records.Device) -> Space:
    """The space that was asked for on this device, with an axis of implementations; UsageError for an empty one."""
    here = view(device)
    axes = _axes(request.space, kernel, device)
    implementations = plugins.load().implementations(kernel.name)
    able = _able(request, implementations, device)
    most_bytes = MEMORY_SHARE * here.memory_bytes if here.memory_bytes else None

    def reason(case: Mapping[str, int | str], implementation: str) -> str:
        if most_bytes and kernel.work(case, request.precision).bytes > most_bytes:
            return "needs more than its share of the device's memory"
        return implementations[implementation].reason_unsupported(case, request.precision, here)

    space = Space([*axes, Axis(IMPLEMENTATION, tuple(able))], kernel.complete_case, reason)
    if not space.size:
        first = next(iter(able))
        why = next((reason(space.case(p), first) for p in _some(space)), "every shape is rejected")
        raise UsageError(f"--space: nothing of it can run on {device.device}: {why}")
    return space


def _some(space: Space) -> Iterator[Point]:
    """Points whose case the kernel takes."""
    for point in islice(product(*(range(len(axis.values)) for axis in space.axes)), 1000):
        try:
            space.case(point)
        except UsageError:
            continue
        yield point


def _axes(text: str, kernel: Kernel, device: records.Device) -> list[Axis]:
    if "=" in text:
        return checked_axes(kernel, parse_axes(text, kernel))
    spaces = kernel.search_spaces(view(device))
    if not spaces:
        raise UsageError(f"--space: {kernel.name} has no search space of its own; give --space FIELD=FROM:TO:STEP,…")
    name = text or next(iter(spaces))
    if name not in spaces:
        raise unknown_name("--space", name, spaces)
    return checked_axes(kernel, [Axis(field, tuple(values)) for field, values in spaces[name].items()])


def _able(request: Request, implementations: dict[str, Implementation], device: records.Device) -> list[str]:
    """The implementations that the search is over: the one named, or those that `best` would choose among."""
    if request.implementation != plan.BEST:
        return [request.implementation]
    able = [
        name
        for name, each in implementations.items()
        if request.precision in each.precisions
        and (not each.devices or device.kind in each.devices)
        and not each.reason_not_best(request.precision)
    ]
    if not able:
        raise UsageError(
            f"--precision {request.precision}: no implementation of {request.kernel} has it on {device.kind}"
        )
    return able
