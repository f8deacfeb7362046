"""How the ranks of one node share its cores, so that none measures another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bench.devices.cores import Topology


def shares(masks: Mapping[int, Collection[int]], topology: Topology) -> dict[int, frozenset[int]]:
    """Rank → the logical CPUs that are its own, of the ranks of one node and the CPUs that each may run on.

    Masks that a launcher has set apart stay as they are. Where some overlap, the ranks that share a mask get whole
    cores of it in the order of their numbers; where there are fewer cores than ranks, some share one (`crowded`).
    """
    ranks = sorted(masks)
    owned = {rank: frozenset(masks[rank]) for rank in ranks}
    found: dict[int, frozenset[int]] = {}
    for rank in ranks:
        alike = [other for other in ranks if owned[other] == owned[rank]]
        apart = all(owned[rank].isdisjoint(owned[other]) for other in ranks if other != rank)
        found[rank] = owned[rank] if apart else _part(owned[rank], alike.index(rank), len(alike), topology)
    return found


def cores_of(share: frozenset[int], topology: Topology) -> int:
    """Physical cores of which a rank has a CPU."""
    return sum(1 for core in topology.cores if core & share)


def crowded(found: Mapping[int, frozenset[int]]) -> bool:
    """Whether two ranks have a CPU in common."""
    return sum(map(len, found.values())) > len(frozenset().union(*found.values()))


def _part(mask: frozenset[int], place: int, parts: int, topology: Topology) -> frozenset[int]:
    """The whole cores of a mask that are the `place`-th of `parts`: neighbours, as even as can be."""
    cores = sorted((core & mask for core in topology.cores if core & mask), key=min)
    if not cores:
        return mask
    if parts > len(cores):
        return cores[place % len(cores)]
    first, last = place * len(cores) // parts, (place + 1) * len(cores) // parts
    return frozenset().union(*cores[first:last])
