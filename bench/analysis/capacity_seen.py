"""What run files tell of a product beside its rates: links between devices, who delivered anything, energy. Pure.

Measured only, each with its run; `bench.analysis.capacity` has what is worked out from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench import records
from bench.analysis.report_view_types import claimed_operations_per_j
from bench.kernel import Role
from bench.precision import PRECISIONS


@dataclass(frozen=True)
class Link:
    """The best bus bandwidth of one collective over so many ranks, of all message sizes."""

    kernel: str
    precision: str
    ranks: int
    nodes: int
    """Machines that took part in it."""
    message_bytes: int | None
    bytes_per_s: float
    """Of the bus, by nccl-tests' definition: what one device's links carried."""
    rated_bytes_per_s: float | None
    """What its row was set against, in one direction; None where nothing is known."""
    run: str


@dataclass(frozen=True)
class Presence:
    """One run's devices of the product: how many there were, and how many delivered a row that counts."""

    run: str
    started: str
    devices: int
    delivered: int


@dataclass(frozen=True)
class Energy:
    """The best operations per joule at one precision, of a row that was kept running."""

    kernel: str
    precision: str
    operations_per_j: float
    run: str


@dataclass(frozen=True)
class RatedLink:
    """What the tables say of the links of one device."""

    name: str
    """NVLink 4, …; "" where the source names none."""
    bytes_per_s_bidirectional: float
    """Both directions together, as vendors print it."""
    source: str


@dataclass(frozen=True)
class Seen:
    """Of one product."""

    links: tuple[Link, ...] = ()
    presence: tuple[Presence, ...] = ()
    energy: tuple[Energy, ...] = ()
    rated_link: RatedLink | None = None


def seen(files: Iterable[records.RunFile], names: Iterable[str], rated_link: RatedLink | None = None) -> Seen:
    """What the files tell of the product called by any of `names`: its own, or that of its rating."""
    called = frozenset(names)
    links: dict[tuple[str, str, int, int], Link] = {}
    energy: dict[str, Energy] = {}
    presence = []
    for file in files:
        own = {(one.rank, one.device) for one in file.devices if {one.name, one.rating_name} & called}
        if not own:
            continue
        rows = [row for row in file.measurements if (row.rank, row.device) in own and _usable(row)]
        delivered = {(row.rank, row.device) for row in rows}
        presence.append(Presence(file.run.id, file.run.started, len(own), len(delivered)))
        for link in _links(rows, file.run.id):
            key = (link.kernel, link.precision, link.ranks, link.nodes)
            if key not in links or link.bytes_per_s > links[key].bytes_per_s:
                links[key] = link
        for one in _energy(rows, file.run.id):
            if one.precision not in energy or one.operations_per_j > energy[one.precision].operations_per_j:
                energy[one.precision] = one
    order = list(PRECISIONS)
    return Seen(
        links=tuple(links[key] for key in sorted(links)),
        presence=tuple(presence),
        energy=tuple(sorted(energy.values(), key=lambda one: order.index(one.precision))),
        rated_link=rated_link,
    )


def _usable(row: records.Measurement) -> bool:
    return row.status in records.USABLE and not row.quarantine and row.time is not None and row.precision in PRECISIONS


def _links(rows: Iterable[records.Measurement], run: str) -> Iterator[Link]:
    """The launches of one case at all ranks together: they waited for each other, so that their median is its."""
    together: dict[tuple[object, ...], list[records.Measurement]] = {}
    for row in rows:
        if row.role is Role.COLLECTIVE and row.rate is not None and row.rate.bytes_per_s:
            case = tuple(sorted(row.case.items()))
            together.setdefault((row.kernel, row.precision, row.implementation, case), []).append(row)
    for members in together.values():
        first = members[0]
        size, told = first.case.get("bytes"), first.case.get("ranks")
        ranks = told if isinstance(told, int) else len({(row.host, row.rank) for row in members})
        yield Link(
            kernel=first.kernel,
            precision=first.precision,
            ranks=ranks,
            nodes=max(row.hosts for row in members),
            message_bytes=size if isinstance(size, int) else None,
            bytes_per_s=median(row.rate.bytes_per_s for row in members if row.rate and row.rate.bytes_per_s),
            rated_bytes_per_s=first.rated.bytes_per_s if first.rated else None,
            run=run,
        )


def _energy(rows: Iterable[records.Measurement], run: str) -> Iterator[Energy]:
    for row in rows:
        per_j = claimed_operations_per_j(row)
        if row.mode == "sustained" and per_j and row.accumulate == PRECISIONS[row.precision].accumulate:
            yield Energy(row.kernel, row.precision, per_j, run)
