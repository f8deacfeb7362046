"""The collectives' definitions: what each rank gets, which bytes count, which sizes there are; no group is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.kernel import DATA, SUITES, Case, DeviceView, Inputs, Role
from kernels.collective import AllGather, AllReduce, AllToAll, Broadcast, ReduceScatter, SendRecv
from kernels.collective.messages import Collective
from kernels.collective.values import MAXIMUM_RANKS, PLACE_BITS, PLACES, Pattern, buffer, of_number, of_places, of_rank
from tests.kernels.checks import AVX2, H100

KERNELS = [AllReduce(), AllGather(), ReduceScatter(), AllToAll(), Broadcast(), SendRecv()]
NAMES = [kernel.name for kernel in KERNELS]
MIB = 2**20


def at(rank: int, ranks: int, device: DeviceView = AVX2) -> DeviceView:
    """A device as that of one rank of several."""
    return replace(device, rank=rank, ranks=ranks)


def inputs_of(kernel: Collective, case: Case, data: str = "normal", seed: int = 3) -> list[Inputs]:
    """What each rank has."""
    ranks = int(case["ranks"])
    found = []
    for rank in range(ranks):
        generator = torch.Generator().manual_seed(seed)
        tensors = kernel.inputs(case, "fp32", at(rank, ranks), data, generator)
        found.append(Inputs(case, "fp32", at(rank, ranks), tensors))
    return found


def by_hand(name: str, x: list[torch.Tensor]) -> list[torch.Tensor]:
    """What each rank has to get of what each rank has, written out."""
    ranks = len(x)
    wide = [one.double() for one in x]
    if name == "all_gather":
        return [torch.cat(wide)] * ranks
    if name == "broadcast":
        return [wide[0]] * ranks
    if name == "send_recv":
        return [wide[(rank - 1) % ranks] for rank in range(ranks)]
    if name == "all_to_all":
        parts = [one.chunk(ranks) for one in wide]
        return [torch.cat([parts[sender][rank] for sender in range(ranks)]) for rank in range(ranks)]
    total = torch.stack(wide).sum(0)
    return [total] * ranks if name == "all_reduce" else list(total.chunk(ranks))


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@settings(deadline=None, max_examples=30)
@given(ranks=st.integers(2, 6), elements=st.integers(1, 3000), data=st.sampled_from(DATA), seed=st.integers(0, 2**31))
def test_the_reference_is_what_the_operation_gives(
    kernel: Collective, ranks: int, elements: int, data: str, seed: int
) -> None:
    case = {"bytes": 4 * ranks * elements, "ranks": ranks}
    every = inputs_of(kernel, case, data, seed)
    for one, wanted in zip(every, by_hand(kernel.name, [one["x"] for one in every]), strict=True):
        reference = kernel.reference(one)
        assert torch.equal(reference.flatten(), wanted)
        assert reference.shape[0] == kernel.output_rows(case)
        rows = torch.tensor([0, kernel.output_rows(case) - 1])
        assert torch.equal(kernel.reference(one, rows), reference[rows])


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_other_seeds_ranks_and_places_have_other_values(kernel: Collective) -> None:
    case = {"bytes": 4 * 3 * 500, "ranks": 3}
    one, other = inputs_of(kernel, case), inputs_of(kernel, case, seed=4)
    assert not torch.equal(one[0]["x"], one[1]["x"])
    assert not torch.equal(one[0]["x"], other[0]["x"])
    assert one[0]["x"].unique().numel() > 100
    assert torch.equal(one[0]["x"], one[0]["x"].round()), "whole numbers"


def test_a_buffer_longer_than_its_numbers_repeats_them_as_the_reference_does() -> None:
    pattern = Pattern(None, 17)
    count = 2 * PLACES + 5
    assert torch.equal(buffer(pattern, 2, count, "cpu").double(), of_rank(pattern, 2, torch.arange(count)))


def test_sums_over_the_most_ranks_are_whole_numbers_that_fp32_has() -> None:
    numbers = [of_number(rank) for rank in range(MAXIMUM_RANKS)]
    assert len(set(numbers)) == MAXIMUM_RANKS, "no two ranks have the same"
    assert float(of_places(0).max()) < 2**PLACE_BITS
    assert sum(numbers) + MAXIMUM_RANKS * (2**PLACE_BITS - 1) < 2**24


@pytest.mark.parametrize(
    ("name", "two", "eight"),
    # nccl-tests, doc/PERFORMANCE.md: the factor between algorithm and bus bandwidth, of 1 MiB.
    [
        ("all_reduce", MIB, MIB * 7 // 4),
        ("all_gather", MIB // 2, MIB * 7 // 8),
        ("reduce_scatter", MIB // 2, MIB * 7 // 8),
        ("all_to_all", MIB // 2, MIB * 7 // 8),
        ("broadcast", MIB, MIB),
        ("send_recv", MIB, MIB),
    ],
)
def test_the_bytes_of_the_work_are_those_of_the_bus(name: str, two: int, eight: int) -> None:
    kernel = KERNELS[NAMES.index(name)]
    assert kernel.work({"bytes": MIB, "ranks": 2}, "fp32").bytes == two
    assert kernel.work({"bytes": MIB, "ranks": 8}, "fp32").bytes == eight
    assert kernel.work({"bytes": MIB, "ranks": 8}, "fp32").operations == 0


@pytest.mark.parametrize(
    ("name", "sent", "received"),
    # nccl-tests: the size of all-gather is that of all parts together, of reduce-scatter that of the whole array.
    [
        ("all_reduce", MIB, MIB),
        ("all_gather", MIB // 4, MIB),
        ("reduce_scatter", MIB, MIB // 4),
        ("all_to_all", MIB, MIB),
        ("broadcast", MIB, MIB),
        ("send_recv", MIB, MIB),
    ],
)
def test_the_size_of_a_message_is_that_of_nccl_tests(name: str, sent: int, received: int) -> None:
    kernel = KERNELS[NAMES.index(name)]
    case = {"bytes": MIB, "ranks": 4}
    assert (4 * kernel.sent(case), 4 * kernel.received(case)) == (sent, received)
    assert kernel.input_bytes(case, "fp32") == MIB
    assert inputs_of(kernel, case)[3]["x"].nbytes == sent


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@given(ranks=st.integers(2, MAXIMUM_RANKS), size=st.integers(4, 2**40))
def test_ranks_share_a_message_evenly(kernel: Collective, ranks: int, size: int) -> None:
    case = {"bytes": size, "ranks": ranks}
    elements = kernel.count(case)
    assert elements % ranks == 0
    assert size - 4 * ranks < 4 * elements <= size
    work = kernel.work(case, "fp32").bytes
    assert work == 4 * elements * kernel.bus_factor(ranks)
    if elements:
        assert kernel.output_rows(case) * kernel._columns(case) == kernel.received(case)


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@pytest.mark.parametrize("device", [at(0, 2), at(1, 3), at(5, 8, H100), at(0, 64, H100)])
def test_a_suite_has_sizes_that_its_ranks_share(kernel: Collective, device: DeviceView) -> None:
    found = {suite: [int(case["bytes"]) for case in kernel.cases(suite, device)] for suite in SUITES}
    assert [len(found["quick"]), len(found["standard"])] == [2, 6]
    assert len(found["full"]) > 20
    for sizes in found.values():
        assert sizes == sorted(set(sizes))
        assert all(size % (4 * device.ranks) == 0 for size in sizes)
    assert found["full"][0] == 8 * device.ranks
    limit = 2**27 if device.type == "cpu" else 2**30
    assert limit / 2 < found["full"][-1] <= limit
    for case in kernel.cases("quick", device):
        assert all(not impl.reason_unsupported(case, "fp32", device) for impl in kernel.implementations().values())


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_a_small_memory_has_small_messages(kernel: Collective) -> None:
    sizes = [int(case["bytes"]) for case in kernel.cases("full", replace(at(0, 2), memory_bytes=2**20))]
    assert max(sizes) == 2**17


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_one_rank_alone_is_told_how_to_start_two(kernel: Collective) -> None:
    (case,) = kernel.cases("standard", AVX2)
    why = kernel.implementations()["torch"].reason_unsupported(kernel.complete_case(case), "fp32", AVX2)
    assert "torchrun --nproc-per-node=2 -m bench run" in why


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_a_case_of_a_user_is_one_of_all_ranks_unless_it_says_otherwise(kernel: Collective) -> None:
    here = at(1, 2)
    reason = kernel.implementations()["torch"].reason_unsupported
    assert kernel.placed(kernel.parse_case("bytes=4099"), here) == {"bytes": 4096, "ranks": 2}
    assert kernel.placed(kernel.parse_case("bytes=7"), here) == {"bytes": 7, "ranks": 2}, "a reason follows"
    other = kernel.placed(kernel.parse_case("bytes=4096,ranks=4"), here)
    assert other == {"bytes": 4096, "ranks": 4}
    assert reason(other, "fp32", here) == "the case is of 4 ranks, and there are 2"
    assert "less than an element" in reason({"bytes": 7, "ranks": 2}, "fp32", here)


def test_they_are_rated_as_collectives_and_stay_out_of_graphs() -> None:
    for kernel in KERNELS:
        assert kernel.role is Role.COLLECTIVE
        assert kernel.tolerance({"bytes": 8, "ranks": 2}, "fp32", "fp32", "fp32") == 0.0
        assert not kernel.implementations()["torch"].capturable
