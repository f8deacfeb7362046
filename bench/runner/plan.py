"""What a run will measure: pure, without torch, from the options, the device's description and the plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from bench import records, suites
from bench.errors import UsageError, unknown_name
from bench.kernel import SUITES, Case, DeviceView, Implementation, Kernel, Role, iterate_cases
from bench.plugins import Plugins
from bench.precision import PRECISIONS

EVERYWHERE: Final = ("fp32", "fp16", "int8")
"""Precisions that a run asks of every device, native or not: what its rating is quoted in most."""

BEST: Final = "best"
ALL: Final = "all"

_FIRST: Final = {Role.BANDWIDTH: 0, Role.CEILING: 1}
"""Roles whose rows come before the others."""


@dataclass(frozen=True)
class Selection:
    """What the user asked to measure; None means the default."""

    suite: str = "quick"
    """One of `bench.kernel.SUITES`, or a scenario as `bench.suites.parse` reads it."""
    kernels: tuple[str, ...] | None = None
    precisions: tuple[str, ...] | None = None
    cases: tuple[str, ...] = ()
    implementation: str = BEST
    rows: tuple[tuple[int, str], ...] = ()
    """Of what the above selects only the rows of these numbers (`narrowed`), each held to the implementation named
    beside it unless that is ""; none: all rows."""


@dataclass(frozen=True)
class Item:
    """One row to measure: several candidates mean that the fastest right one is wanted."""

    kernel: str
    role: Role
    case: Case
    precision: str
    label: str
    """The implementation asked for by name, or "best"."""
    candidates: tuple[str, ...]
    unsupported: tuple[tuple[str, str], ...]
    """(implementation, reason) of those that can't take the row: printed, never skipped in silence."""
    scenario: records.ScenarioEntry | None = None
    """Which call of which application it is, in a suite of scenarios."""


def check(selection: Selection, plugins: Plugins) -> None:
    """Refuse unknown names and impossible combinations before a worker is started; raises UsageError."""
    request = suites.parse(selection.suite, SUITES)
    for name in selection.kernels or ():
        plugins.kernel(name)
    for name in selection.precisions or ():
        if name not in PRECISIONS:
            raise unknown_name("--precision", name, PRECISIONS)
    if selection.cases and len(selection.kernels or ()) != 1:
        given = ", ".join(selection.kernels or ()) or "none"
        raise UsageError(f"--case needs exactly one --kernel, given: {given}; choose from {', '.join(plugins.kernels)}")
    for text in selection.cases:
        plugins.kernel((selection.kernels or ())[0]).parse_case(text)
    _check_implementation(selection, plugins)
    if request is not None:
        _check_scenarios(request, selection)


def items(selection: Selection, plugins: Plugins, device: DeviceView, native: Sequence[str]) -> list[Item]:
    """The rows of a run on one device, the first case of every kernel before the second of any.

    That order means that a run that is cut short has seen every kernel and precision. `native` are the precisions
    that the device executes natively.
    """
    request = suites.parse(selection.suite, SUITES)
    if request is not None:
        return list(_scenario_items(request, selection, plugins, device))
    rows: list[tuple[int, Item]] = []
    for name in selection.kernels or _default_kernels(plugins, selection.suite):
        kernel = plugins.kernel(name)
        wanted = _precisions(selection, kernel, native)
        for position, case in enumerate(_cases(selection, kernel, device)):
            for precision in wanted:
                rows.extend((position, item) for item in _items(selection, plugins, kernel, case, precision, device))
    # Bandwidth first, then ceilings: the losses and the plausibility of every other row are set against them.
    ordered = sorted(rows, key=lambda row: (row[0], _FIRST.get(row[1].role, len(_FIRST))))
    return [item for _, item in ordered]


def planned(selection: Selection, name: str, device: DeviceView) -> list[records.PlannedScenario]:
    """The scenarios asked of the device of that name, whole but for precisions that the selection leaves out."""
    request = suites.parse(selection.suite, SUITES)
    if request is None:
        return []
    return [
        records.PlannedScenario(
            device=name,
            suite=one.name,
            size=request.size_on(device.type),
            title=one.title,
            step=one.step,
            entries={entry.id: _entry_precisions(entry, selection) for entry in one.entry},
        )
        for one in request.scenarios
    ]


def case_reason(plugins: Plugins, kernel: str, case: Case) -> str:
    """Why a case that no kernel was asked about can't be one of `kernel`; "" when it can."""
    if kernel not in plugins.kernels:
        return f"no kernel {kernel!r} is installed; there are {', '.join(plugins.kernels) or 'none'}"
    try:
        plugins.kernel(kernel).complete_case(case)
    except UsageError as error:
        return str(error).removeprefix("--case: ")
    return ""


def narrowed(items: Mapping[str, list[Item]], rows: Sequence[tuple[int, str]]) -> dict[str, list[Item]]:
    """The rows of those numbers alone: from 1, in the order of the run, over all devices.

    A row with an implementation beside its number has that one candidate. Raises UsageError for a number that the plan
    lacks and for an implementation that can't take the row.
    """
    wanted = dict(rows)
    total = sum(map(len, items.values()))
    for number in wanted:
        if not 1 <= number <= total:
            raise UsageError(f"--rows: there is no row {number}; the plan has rows 1 … {total}")
    numbers = count(1)
    numbered = {device: [(next(numbers), item) for item in mine] for device, mine in items.items()}
    return {
        device: [_held(number, item, wanted[number]) for number, item in mine if number in wanted]
        for device, mine in numbered.items()
    }


def _held(number: int, item: Item, implementation: str) -> Item:
    if not implementation:
        return item
    if implementation not in item.candidates:
        raise unknown_name(f"--rows: row {number}, implementation", implementation, item.candidates)
    return replace(item, candidates=(implementation,))


def _check_scenarios(request: suites.Request, selection: Selection) -> None:
    names = f"--suite {selection.suite}"
    if selection.cases:
        raise UsageError(f"--case: {names} has cases of its own; give one of the two")
    there_are = [name for name in PRECISIONS if any(name in one.precisions for one in request.scenarios)]
    if selection.precisions and not set(selection.precisions) & set(there_are):
        raise UsageError(f"--precision: {', '.join(selection.precisions)}: {names} has {', '.join(there_are)}")


def _scenario_items(
    request: suites.Request, selection: Selection, plugins: Plugins, device: DeviceView
) -> Iterator[Item]:
    """The bandwidth that bounds the rows, then the scenarios one after the other.

    That order means that a run that is cut short has whole scenarios.
    """
    if selection.kernels is None:
        for name in (name for name, kernel in plugins.kernels.items() if kernel.role is Role.BANDWIDTH):
            kernel = plugins.kernel(name)
            for case in iterate_cases(kernel, SUITES[:1], device):
                for precision in kernel.precisions:
                    yield from _items(selection, plugins, kernel, case, precision, device)
    size = request.size_on(device.type)
    for one in request.scenarios:
        for entry in one.entry:
            if selection.kernels is not None and entry.kernel not in selection.kernels:
                continue
            asked = records.ScenarioEntry(suite=one.name, size=size, entry=entry.id, weight=entry.weight)
            for precision in _entry_precisions(entry, selection):
                found = _entry_items(entry.kernel, entry.at(size), precision, selection, plugins, device)
                yield from (replace(item, scenario=asked) for item in found)


def _entry_items(
    name: str, case: Case, precision: str, selection: Selection, plugins: Plugins, device: DeviceView
) -> Iterator[Item]:
    reason = case_reason(plugins, name, case)
    if reason:
        yield Item(name, Role.COMPUTE, case, precision, selection.implementation, (), ((name, reason),))
        return
    kernel = plugins.kernel(name)
    yield from _items(selection, plugins, kernel, kernel.complete_case(case), precision, device)


def _entry_precisions(entry: suites.Entry, selection: Selection) -> list[str]:
    return [name for name in entry.precisions if not selection.precisions or name in selection.precisions]


def _items(
    selection: Selection, plugins: Plugins, kernel: Kernel, case: Case, precision: str, device: DeviceView
) -> Iterator[Item]:
    implementations = _chosen(selection, plugins.implementations(kernel.name))
    if not implementations:
        return  # an implementation asked for by name that only other kernels have
    best = selection.implementation == BEST
    reasons = {
        name: _reason(kernel, impl, case, precision, device) or (impl.reason_not_best(precision) if best else "")
        for name, impl in implementations.items()
    }
    able = tuple(name for name, reason in reasons.items() if not reason)
    having = [name for name, impl in implementations.items() if precision in impl.precisions]
    # Those that lack the precision altogether are worth a word only where none has it.
    unable = tuple((name, reason) for name, reason in reasons.items() if reason and (name in having or not having))
    if selection.implementation == ALL and having:
        # Side by side: a row each; those that lack the precision altogether are not rows beside those that have it.
        for name in having:
            candidates = (name,) if name in able else ()
            reason = tuple(pair for pair in unable if pair[0] == name)
            yield Item(kernel.name, kernel.role, case, precision, name, candidates, reason)
    else:
        yield Item(kernel.name, kernel.role, case, precision, selection.implementation, able, unable)


def _reason(kernel: Kernel, impl: Implementation, case: Case, precision: str, device: DeviceView) -> str:
    if precision not in kernel.precisions:
        return f"{kernel.name} has no meaning at {precision}; it has {', '.join(kernel.precisions)}"
    return impl.reason_unsupported(case, precision, device)


def _cases(selection: Selection, kernel: Kernel, device: DeviceView) -> list[dict[str, int | str]]:
    if selection.cases:
        return [dict(kernel.placed(kernel.parse_case(text), device)) for text in selection.cases]
    return list(iterate_cases(kernel, [selection.suite], device))


def _precisions(selection: Selection, kernel: Kernel, native: Sequence[str]) -> list[str]:
    if selection.precisions:
        return list(selection.precisions)
    wanted = {*EVERYWHERE, *native}
    return [name for name in PRECISIONS if name in wanted and name in kernel.precisions]


def _default_kernels(plugins: Plugins, suite: str) -> list[str]:
    """Compute kernels and the bandwidth that bounds them, and from `standard` on ceilings: `quick` has no time left.

    Other roles are asked for by name.
    """
    if not plugins.kernels:
        raise UsageError("no kernels are installed: run `python -m pip install .` in the checkout first")
    roles = {Role.COMPUTE, Role.BANDWIDTH} | ({Role.CEILING} if suite in SUITES[1:] else set())
    return [name for name, kernel in plugins.kernels.items() if kernel.role in roles]


def _chosen(selection: Selection, implementations: dict[str, Implementation]) -> dict[str, Implementation]:
    if selection.implementation in (BEST, ALL):
        return implementations
    return {name: impl for name, impl in implementations.items() if name == selection.implementation}


def _check_implementation(selection: Selection, plugins: Plugins) -> None:
    if selection.implementation in (BEST, ALL):
        return
    names = selection.kernels or tuple(plugins.kernels)
    there_are = {name for kernel in names for name in plugins.implementations(kernel)}
    if selection.implementation not in there_are:
        raise unknown_name("--implementation", selection.implementation, {BEST, ALL, *there_are})
