"""The check that ranks make together: one verdict for all, the same calls at each, the inputs as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.kernel import DeviceView, Inputs
from bench.records import Check
from bench.timing import check_together, prepare
from bench.timing.together_check import by_rank, copied, named
from kernels.collective import AllGather, AllReduce
from tests.timing.ranks import Rank, at_once

CASE = {"bytes": 4 * 4096, "ranks": 2}
CALLS = 3

Build = Callable[[Rank, Inputs], Callable[[], torch.Tensor]]


def checked(build: Build, data: str = "normal") -> list[tuple[Rank, tuple[Check, str]]]:
    """What both ranks are told of a call."""

    def work(rank: Rank) -> tuple[Check, str]:
        kernel = AllReduce()
        view = DeviceView("cpu", "cpu", rank=rank.rank, ranks=2)
        tensors = kernel.inputs(CASE, "fp32", view, data, torch.Generator().manual_seed(1))
        inputs = Inputs(CASE, "fp32", view, tensors)
        before = tensors["x"].clone()
        call = build(rank, inputs)

        def counted() -> torch.Tensor:
            rank.calls += 1
            return call()

        expected, kept = prepare(kernel, inputs, 1), copied(inputs)
        tensors["x"].add_(1)  # as timing leaves what an operation in place has overwritten
        told = check_together(counted, expected, kept, "fp32", rank, rank)
        assert torch.equal(tensors["x"], before), "the inputs are as before"
        return told

    return at_once(2, work)


def right(rank: Rank, inputs: Inputs) -> Callable[[], torch.Tensor]:
    def call() -> torch.Tensor:
        rank.total(inputs["x"])
        return inputs["x"]

    return call


@pytest.mark.parametrize("data", ["normal", "zeros", "ones"])
def test_a_right_call_passes_at_all(data: str) -> None:
    for rank, (check, reason) in checked(right, data):
        assert check.passed and reason == "" and check.error == 0.0
        assert rank.calls == CALLS


def test_what_is_wrong_at_one_rank_is_wrong_at_all_and_names_it() -> None:
    def build(rank: Rank, inputs: Inputs) -> Callable[[], torch.Tensor]:
        def call() -> torch.Tensor:
            rank.total(inputs["x"])
            inputs["x"][5] += rank.rank
            return inputs["x"]

        return call

    (one, told), (other, other_told) = checked(build)
    assert told == other_told
    assert not told[0].passed
    assert told[1].startswith("rank 1: output differs")
    assert one.calls == other.calls == CALLS


def test_an_output_that_is_not_written_again_is_wrong() -> None:
    def build(rank: Rank, inputs: Inputs) -> Callable[[], torch.Tensor]:
        y = inputs["x"].clone()
        rank.total(y)

        def call() -> torch.Tensor:
            rank.total(inputs["x"].clone())
            return y

        return call

    for rank, (check, reason) in checked(build):
        assert not check.passed and reason.startswith("ranks 0, 1: output holds NaN")
        assert rank.calls == CALLS


def test_an_output_that_no_input_changes_is_wrong() -> None:
    def build(rank: Rank, inputs: Inputs) -> Callable[[], torch.Tensor]:
        y = inputs["x"].clone()
        rank.total(y)
        return y.clone

    for _, (check, reason) in checked(build):
        assert not check.passed and "does not change when its inputs do" in reason


def test_nothing_at_all_is_wrong() -> None:
    for _, (check, reason) in checked(lambda rank, inputs: lambda: inputs["x"]):
        assert not check.passed and "output differs" in reason


def test_another_type_or_shape_at_one_rank_is_wrong_at_all() -> None:
    def build(rank: Rank, inputs: Inputs) -> Callable[[], torch.Tensor]:
        return lambda: [right(rank, inputs)(), torch.zeros(7)][rank.rank]

    for rank, (check, reason) in checked(build):
        assert not check.passed and check.error is None
        assert "rank 1: output has shape" in reason or "rank 1: output of shape" in reason
        assert rank.calls == CALLS


def test_ranks_are_named_a_few_at_a_time() -> None:
    assert named([3]) == "rank 3"
    assert named([0, 1]) == "ranks 0, 1"
    assert named(list(range(16))) == "ranks 0, 1, 2, 3 and 12 more"
    assert by_rank({0: "a", 2: "b", 3: "a"}) == "ranks 0, 3: a; rank 2: b"


def test_the_part_of_one_rank_is_checked_against_its_own_answer() -> None:
    case = {"bytes": 4 * 6, "ranks": 3}
    kernel = AllGather()
    view = DeviceView("cpu", "cpu", rank=1, ranks=3)
    tensors = kernel.inputs(case, "fp32", view, "normal", torch.Generator().manual_seed(1))
    expected = prepare(kernel, Inputs(case, "fp32", view, tensors), 1)
    assert torch.equal(expected.reference.flatten()[2:4], tensors["x"].double())
