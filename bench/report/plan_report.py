"""A plan as a capability report in markdown: its chapters in the order in which such reports go.

Each says on which basis a figure stands (rated, measured, effective), and what is unknown is called unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from bench.analysis import units
from bench.analysis.capacity import BASES, NO_JOINING, Figure, Plan, Planned
from bench.analysis.capacity_seen import Link, Seen
from bench.report import plan as shown
from bench.report.charts.svg import printable
from bench.report.numbers import prefix
from bench.report.report_markdown import escaped

TRAINING: Final = ("llm_pretrain", "llm_finetune")
"""Scenarios whose step is one of training; every other one is inference or a simulation, forward passes all."""
KERNEL: Final = "kernel "
"""How an effective figure begins that is of a kernel's cases and of no application."""
RUNS: Final = 20
"""Runs that are listed one by one."""
EFFECTIVE_HEADERS: Final = (
    "entry", "work", "of", "precision", "effective", "of the measured", "of the rated", "source",
)  # fmt: skip
EFFECTIVE_ALIGN: Final = ("left", "left", "left", "left", "right", "right", "right", "left")
LINK_HEADERS: Final = (
    "device", "collective", "precision", "ranks", "nodes", "message", "measured (bus)", "rated (one direction)", "run",
)  # fmt: skip
LINK_ALIGN: Final = ("left", "left", "left", "right", "right", "right", "right", "right", "left")

NO_ENERGY: Final = "unknown: no run file given has a row that was kept running and whose source tells energy"
OVER_TIME: Final = "over time: unknown: a run is one moment, and nothing given tells when devices were out of service"


def markdown(plan: Plan) -> str:
    """The report. What a device list or a run file says is only ever text in it."""
    chapters = (
        ("Scale by precision", _scale(plan)),
        ("Interconnect", _interconnect(plan.seen)),
        ("Training and inference effectiveness", _effectiveness(plan)),
        ("Availability", _availability(plan.seen)),
        ("Energy and cost", _energy(plan)),
    )
    parts = ["# Capability report"]
    for number, (title, found) in enumerate(chapters, start=1):
        parts += [f"## {number}. {title}", *filter(None, found)]
    return "\n\n".join(parts) + "\n"


def _scale(plan: Plan) -> Iterator[str]:
    yield _table(shown.table_rows(plan), shown.HEADERS, shown.ALIGN)
    yield _list(f"{basis}: {shown.MEANING[basis]}" for basis in BASES)
    yield _list(line for one in plan.entries for line in shown.scale_lines(one))
    yield "Sums are within one kind, one basis and one precision, never over several."


def _interconnect(seen: Mapping[str, Seen]) -> Iterator[str]:
    yield _list(
        [f"rated, {name}: {_rated_link(one)}" for name, one in seen.items()]
        + [
            f"measured, {name}: unknown: no run file given has a usable collective row of it"
            for name, one in seen.items()
            if not one.links
        ]
    )
    rows = [_link(name, link) for name, one in seen.items() for link in one.links]
    yield _table(rows, LINK_HEADERS, LINK_ALIGN)
    if rows:
        yield (
            "Measured is the best bus bandwidth over the message sizes, by nccl-tests' definition: what the links of "
            "one device carried. It is a bandwidth, no computing power, and in no figure of chapter 1."
        )
    yield f"{NO_JOINING.capitalize()}; every figure of chapters 1 and 3 is of one device, times the count."


def _rated_link(one: Seen) -> str:
    rated = one.rated_link
    if rated is None:
        return "unknown: no source gives a figure"
    name = f"{rated.name}, " if rated.name else ""
    figure = _bytes_per_s(rated.bytes_per_s_bidirectional)
    return f"{name}{figure} of one device, both directions together ({rated.source})"


def _link(name: str, link: Link) -> list[str]:
    rated = link.rated_bytes_per_s
    share = f" ({100 * link.bytes_per_s / rated:.3g} % of it)" if rated else ""
    return [
        name,
        link.kernel,
        link.precision,
        str(link.ranks),
        str(link.nodes),
        "unknown" if link.message_bytes is None else f"{link.message_bytes:,} B",
        _bytes_per_s(link.bytes_per_s),
        f"{_bytes_per_s(rated)}{share}" if rated else "unknown",
        link.run,
    ]


def _effectiveness(plan: Plan) -> Iterator[str]:
    figures = [
        (one, figure)
        for one in plan.entries
        for figure in sorted((each for each in one.figures if each.basis == "effective"), key=_kind_of_work)
    ]
    yield _table([_effective(one, figure) for one, figure in figures], EFFECTIVE_HEADERS, EFFECTIVE_ALIGN)
    kinds = {_kind_of_work(figure) for _, figure in figures}
    unknown = []
    if 0 not in kinds:
        unknown.append(f"training: unknown: no complete run of {' or '.join(TRAINING)} on these devices was given")
    if 1 not in kinds:
        unknown.append("inference and other applications: unknown: no complete run of such a scenario was given")
    if 2 in kinds:
        unknown.append("a kernel stands for no application: its cases together, where no scenario was measured")
    yield _list([*unknown, *map(shown.need_line, plan.needs)])


def _kind_of_work(figure: Figure) -> int:
    """0 training, 1 another application, 2 a kernel alone."""
    return 2 if figure.work.startswith(KERNEL) else int(figure.work not in TRAINING)


def _effective(one: Planned, figure: Figure) -> list[str]:
    kind = ("training", "inference or other application", "kernel, no application")[_kind_of_work(figure)]
    shares = [_share(figure, one.figures, basis) for basis in ("measured", "rated")]
    value = units.text(figure.operations_per_s)
    return [one.asked.name, kind, figure.work, figure.precision, value, *shares, figure.source]


def _share(figure: Figure, others: Iterable[Figure], basis: str) -> str:
    """Of the figure on another basis at the same precision."""
    of = next((one for one in others if one.basis == basis and one.precision == figure.precision), None)
    return "unknown" if of is None else _percent(figure.operations_per_s / of.operations_per_s)


def _percent(ratio: Fraction) -> str:
    return f"{units.decimal(100 * ratio, 3)} %"


def _availability(seen: Mapping[str, Seen]) -> Iterator[str]:
    found = [
        f"measured at one moment, {name}: {each.delivered:,} of {each.devices:,} devices delivered a row that counts "
        f"(run {each.run}, {each.started})"
        for name, one in seen.items()
        for each in one.presence
    ]
    more = len(found) - RUNS
    yield _list([*found[:RUNS], *([f"and {more:,} more runs"] if more > 0 else [])])
    yield _list([OVER_TIME])


def _energy(plan: Plan) -> Iterator[str]:
    power = [line for one in plan.entries for line in shown.energy_lines(one)]
    without = [one.asked.name for one in plan.entries if not shown.energy_lines(one)]
    yield _list(
        [f"rated or given, at full power all year: {line}" for line in power]
        + [f"rated or given: unknown for {name}: no power, no count or no rating" for name in without]
    )
    yield _list(
        f"measured, {name}: {line}" for name, one in plan.seen.items() for line in (_joules(one) or [NO_ENERGY])
    )
    cost = [line for one in plan.entries for line in shown.cost_lines(one)]
    yield _list(cost or ["cost: unknown: no price was given"])


def _joules(one: Seen) -> list[str]:
    found = []
    for each in one.energy:
        factor, letter = prefix([each.operations_per_j])
        figure = f"{each.operations_per_j / factor:.4g} {letter} operations per joule"
        found.append(f"{figure} at {each.precision}, {each.kernel}, of one device under load (run {each.run})")
    return found


def _bytes_per_s(value: float) -> str:
    factor, letter = prefix([value])
    return f"{value / factor:.4g} {letter}B/s"


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], align: Sequence[str]) -> str:
    from tabulate import tabulate

    if not rows:
        return ""
    cells = [[_said(cell) for cell in row] for row in rows]
    return str(tabulate(cells, headers=headers, tablefmt="pipe", colalign=align, disable_numparse=True))


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_said(line)}" for line in lines)


def _said(text: str) -> str:
    return escaped(printable(text))
