"""The ranks of a node share its cores: whole ones, none twice where there are enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.devices.cores import Topology
from bench.runner.ranks.cores import cores_of, crowded, shares


def topology(cores: int, threads: int = 1) -> Topology:
    """Linux's usual numbers: the first threads of all cores, then the second ones."""
    return Topology(frozenset(frozenset(core + cores * thread for thread in range(threads)) for core in range(cores)))


def everything(cores: int, threads: int) -> list[int]:
    return list(range(cores * threads))


@given(st.integers(1, 40), st.integers(1, 2), st.integers(1, 12))
def test_ranks_with_one_mask_get_whole_cores_and_together_all(cores: int, threads: int, ranks: int) -> None:
    here = topology(cores, threads)
    found = shares({rank: everything(cores, threads) for rank in range(ranks)}, here)
    for mine in found.values():
        assert mine and all(core <= mine for core in here.cores if core & mine)
    assert crowded(found) == (ranks > cores)
    if ranks <= cores:
        assert frozenset().union(*found.values()) == set(everything(cores, threads))
        sizes = sorted(len(mine) for mine in found.values())
        assert sizes[-1] - sizes[0] <= threads


def test_siblings_stay_together() -> None:
    assert shares({0: range(8), 1: range(8)}, topology(4, 2)) == {0: {0, 1, 4, 5}, 1: {2, 3, 6, 7}}


def test_threads_of_one_core_count_as_that_core() -> None:
    assert cores_of(frozenset({0, 1, 4, 5}), topology(4, 2)) == 2
    assert cores_of(frozenset({0}), topology(4, 2)) == 1


def test_what_a_launcher_has_set_apart_stays() -> None:
    masks = {4: [0, 2], 5: [1, 3]}
    assert shares(masks, topology(4)) == {4: {0, 2}, 5: {1, 3}}


def test_a_mask_is_not_left() -> None:
    found = shares({0: [1, 2, 3], 1: [1, 2, 3]}, topology(8))
    assert found == {0: {1}, 1: {2, 3}}


def test_more_ranks_than_cores_share_some() -> None:
    found = shares({rank: [0, 1] for rank in range(4)}, topology(2))
    assert [sorted(found[rank]) for rank in range(4)] == [[0], [1], [0], [1]]
    assert crowded(found)
