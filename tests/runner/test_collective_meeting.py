"""How ranks meet before a row: all come, one is lost, one never comes; what is said after a group broke."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from bench.runner.collective_meeting import SILENT_S, Company, Here, Meeting, NotMet, common
from bench.runner.group import TorchGroup, plain
from bench.runner.protocol import Together
from bench.runner.ranks.board import Board, State
from tests.factories import device

LIMIT_S = 40.0

Value = TypeVar("Value")


@pytest.fixture
def board() -> Board:
    from torch.distributed import HashStore

    return Board(HashStore())


def here(
    what: str = "all_reduce", group: str = "", implementations: tuple[str, ...] = ("torch",), accelerator: str = ""
) -> Here:
    return Here(host="h", what=what, group=group, implementations=list(implementations), accelerator=accelerator)


class Waiting(Meeting):
    """A rank whose time passes by waiting alone."""

    def __init__(self, board: Board, rank: int, ranks: int = 2) -> None:
        self.now = 0.0
        told = Together(rank=rank, ranks=ranks, address="", port=0, job="", limit_s=LIMIT_S)
        super().__init__(told, board, clock=lambda: self.now, sleep=self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds


def reason_of(meet: Callable[[], object]) -> str:
    with pytest.raises(NotMet) as refused:
        meet()
    return str(refused.value)


def at_once(*works: Callable[[], Value]) -> list[Value]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(work) for work in works]]


def real(board: Board, rank: int, ranks: int = 2, limit_s: float = 60.0) -> Meeting:
    """A rank whose time passes as ours does."""
    return Meeting(Together(rank=rank, ranks=ranks, address="", port=0, job="", limit_s=limit_s), board)


def test_all_hear_what_each_has_said(board: Board) -> None:
    ranks = [real(board, rank, 3) for rank in range(3)]
    every = at_once(*(lambda one=one: one.meet("1", here(group=f"g{one.rank}")) for one in ranks))
    assert every[0] == every[1] == every[2]
    assert [one.group for one in every[0]] == ["g0", "g1", "g2"]


def test_a_lost_rank_is_not_waited_for(board: Board) -> None:
    board.post("lost", "its process ended without a word: killed?", 1)
    waiting = Waiting(board, 0)
    for row in ("1", "2"):
        assert reason_of(lambda row=row: waiting.meet(row, here())) == (
            "rank 1 is lost: its process ended without a word: killed?"
        )
    assert waiting.now < 1.0


def test_a_rank_that_has_ended_is_not_waited_for(board: Board) -> None:
    board.post("state", State(done=True), 1)
    assert reason_of(lambda: Waiting(board, 0).meet("1", here())) == "rank 1 has ended before this row"


def test_a_rank_that_never_comes_is_waited_for_once_as_long_as_the_limit(board: Board) -> None:
    waiting = Waiting(board, 0)
    assert "rank 1 did not come to this row in 40 s" in reason_of(lambda: waiting.meet("1", here()))
    assert LIMIT_S <= waiting.now < LIMIT_S + 1
    before = waiting.now
    assert "rank 1 did not come to this row in 15 s" in reason_of(lambda: waiting.meet("2", here()))
    assert waiting.now - before < SILENT_S + 1


def test_a_rank_that_comes_back_is_waited_for_as_before(board: Board) -> None:
    waiting = Waiting(board, 0)
    reason_of(lambda: waiting.meet("1", here()))
    board.post("meet/2", here(), 1)
    assert len(waiting.meet("2", here())) == 2
    before = waiting.now
    reason_of(lambda: waiting.meet("3", here()))
    assert waiting.now - before >= LIMIT_S


def test_one_that_gives_a_meeting_up_ends_it_for_all(board: Board) -> None:
    first, second = Waiting(board, 0, 3), Waiting(board, 1, 3)
    board.post("meet/1", here(), 1)
    reason = reason_of(lambda: first.meet("1", here()))
    assert reason == "rank 2 did not come to this row in 40 s"
    assert reason_of(lambda: second.meet("1", here())) == reason
    assert second.now == 0.0, "it need not wait as long again"
    board.post("meet/1", here(), 2)
    assert reason_of(lambda: Waiting(board, 2, 3).meet("1", here())) == reason, "nor does who comes too late"


def test_ranks_at_different_rows_are_told_so(board: Board) -> None:
    board.post("meet/1", here("broadcast"), 1)
    reason = reason_of(lambda: Waiting(board, 0).meet("1", here("all_reduce")))
    assert reason == "the ranks are not at the same row: rank 0: all_reduce; rank 1: broadcast"


def test_ranks_on_one_card_are_told_so_before_a_library_refuses_it_in_its_own_words(board: Board) -> None:
    board.post("meet/1", here(accelerator="4f1c"), 1)
    board.post("meet/1", here(accelerator="77aa"), 2)
    with pytest.raises(NotMet, match="ranks 0, 1 are on one and the same device") as refused:
        Waiting(board, 0, 3).meet("1", here(accelerator="4f1c"))
    assert refused.value.status == "unsupported"


def test_ranks_on_processors_or_on_cards_of_their_own_meet(board: Board) -> None:
    board.post("meet/1", here(accelerator="77aa"), 1)
    board.post("meet/1", here(), 2)
    board.post("meet/1", here(), 3)
    assert len(Waiting(board, 0, 4).meet("1", here(accelerator="4f1c"))) == 4


@pytest.mark.parametrize("mine", ["", "00003"])
def test_a_group_of_accelerators_is_not_taken_down_by_some_of_its_ranks(
    board: Board, monkeypatch: pytest.MonkeyPatch, mine: str
) -> None:
    """One of two ranks has come in a new process; whether it is this one or the other, the row ends at both."""

    def not_here(*_: object) -> None:
        pytest.fail("this may hang on an accelerator")

    monkeypatch.setattr("bench.runner.collective_meeting.close_group", not_here)
    monkeypatch.setattr("bench.runner.collective_meeting.open_group", not_here)
    company = Company(Together(rank=0, ranks=2, address="", port=0, job="", limit_s=LIMIT_S))
    company._meeting = Waiting(board, 0)
    company._group, company._name, company._device = (TorchGroup(0, 2) if mine else None), mine, "cuda:0"
    board.post("meet/00007", here(group="" if mine else "00003"), 1)
    with pytest.raises(NotMet, match="new process"):
        company.join("00007", device(kind="cuda", device="cuda:0"), here())
    assert company.unusable == bool(mine), "who has the old group ends with it"


def test_after_a_break_the_cause_is_told_where_a_rank_has_one(board: Board) -> None:
    def hit() -> str:
        return real(board, 0).after("1", "RuntimeError: connection closed by peer", of_group=True)

    def cause() -> str:
        return real(board, 1).after("1", "ValueError: no such tensor", of_group=False)

    told, own = at_once(hit, cause)
    assert told == "rank 1: ValueError: no such tensor (here: RuntimeError: connection closed by peer)"
    assert own == "ValueError: no such tensor"


def test_after_a_break_the_missing_are_named(board: Board) -> None:
    reason = Waiting(board, 0, 3)
    board.post("broken/1", {"reason": "timed out", "of_group": True}, 2)
    assert reason.after("1", "closed", of_group=True) == "rank 1 fell out during it: closed"


def test_after_a_break_of_the_group_itself_each_is_told_what_the_others_saw(board: Board) -> None:
    board.post("broken/1", {"reason": "timed out", "of_group": True}, 1)
    told = Waiting(board, 0).after("1", "connection closed", of_group=True)
    assert told == "the group broke: connection closed; rank 1: timed out"


def test_what_gloo_says_is_told_without_its_source_and_its_advice() -> None:
    closed = (
        "RuntimeError: [/__w/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer "
        "[127.0.0.1]:49796. This is typically caused by a remote worker crashing. Check the logs."
    )
    assert plain(closed) == "RuntimeError: Connection closed by peer [127.0.0.1]:49796"
    assert plain("ValueError: no such tensor") == "ValueError: no such tensor"


def test_what_nccl_says_is_told_by_its_last_line() -> None:
    refused = (
        "NCCL error in: /pytorch/torch/csrc/distributed/c10d/NCCLUtils.cpp:94, invalid usage (run with NCCL_DEBUG=WARN "
        "for details), NCCL version 2.27.5\nncclInvalidUsage: This usually reflects invalid usage of NCCL library.\n"
        "Last error:\nDuplicate GPU detected : rank 1 and rank 0 both on CUDA device 9000"
    )
    last = "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 9000"
    assert plain(refused) == f"NCCL 2.27.5: invalid usage: {last}"
    assert plain("NCCL error in: a.cpp:1, internal error, NCCL version 2.27.5\nncclInternalError: bad") == (
        "NCCL error in: a.cpp:1, internal error, NCCL version 2.27.5 ncclInternalError: bad"
    )


def test_the_implementations_that_all_have_are_taken_in_the_order_of_the_first() -> None:
    ranks = [here(implementations=("b", "a", "c")), here(implementations=("a", "b"))]
    assert common(ranks) == ["b", "a"]
    assert common([here(implementations=("a",)), here(implementations=("b",))]) == []
