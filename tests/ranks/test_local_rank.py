"""Each rank of a node measures the device of its number, whatever shows it all of them or only its own."""

from __future__ import annotations

import pytest

from bench.devices.local_rank import narrowed, of_rank
from bench.errors import UnavailableError

FOUR = [("cuda", index) for index in range(4)]


@pytest.mark.parametrize("selection", ["auto", "cuda", "CUDA"])
def test_of_several_it_is_the_one_of_that_number(selection: str) -> None:
    assert narrowed(selection, 2, FOUR) == "cuda:2"


def test_rocm_stays_rocm() -> None:
    assert narrowed("rocm", 1, FOUR) == "rocm:1"


@pytest.mark.parametrize("present", [[], [("cuda", 0)]])
def test_the_only_one_is_every_ranks_own(present: list[tuple[str, int]]) -> None:
    assert narrowed("cuda", 3, present) == "cuda"


def test_auto_counts_the_preferred_type_alone() -> None:
    assert narrowed("auto", 1, [("npu", 0), ("npu", 1), ("cuda", 0)]) == "npu:1"


def test_a_rank_too_many_is_told() -> None:
    with pytest.raises(UnavailableError, match=r"local rank 4.*has 4 devices"):
        narrowed("cuda", 4, FOUR)


@pytest.mark.parametrize("selection", ["cpu", "all", "cuda:0"])
def test_what_names_a_device_stays(selection: str) -> None:
    assert of_rank(selection, 7) == selection
