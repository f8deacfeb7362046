"""CPU threads of a worker beside other ranks: a processor's own cores, an accelerator's share of the node's."""

from __future__ import annotations

from bench.runner.protocol import Describe
from bench.runner.worker import _most_threads
from tests.factories import device


def test_a_rank_of_an_accelerator_leaves_the_others_their_cores() -> None:
    assert _most_threads(Describe(selection="cuda", most_threads=3), [device(kind="cuda", device="cuda:3")]) == [3]


def test_one_that_measures_alone_takes_all_that_torch_gives_it() -> None:
    assert _most_threads(Describe(selection="cuda"), [device(kind="cuda", device="cuda:0")]) == []


def test_a_rank_of_the_processor_has_the_cores_that_it_is_rated_by() -> None:
    assert _most_threads(Describe(selection="auto", most_threads=1), [device()]) == [2]
