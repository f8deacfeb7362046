"""The leader against a real torch store and a clock of the test's own: barriers, the lost, succession, merging."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.errors import UnavailableError
from bench.report import many
from bench.runner.ranks.board import Board, Done, Ended, Hello, Ready, State
from bench.runner.ranks.leader import Fate, Leader
from bench.runner.ranks.merge import merged, shared_devices, write
from bench.store.temporary import beside
from tests.factories import device, measurement, run_file

LIMIT_S = 10.0


class Ranks:
    """The ranks of a run, without processes: what each would post, and the time."""

    def __init__(self, world: int, **options: Any) -> None:
        from torch.distributed import HashStore

        self.board = Board(HashStore())
        self.now = 0.0
        self.world = world
        self.dead: set[int] = set()
        self.states = {rank: State() for rank in range(world)}
        self.options = options
        self.leader = self.new_leader()

    def new_leader(self, lost: dict[int, Fate] | None = None) -> Leader:
        return Leader(
            self.board,
            self.world,
            limit_s=LIMIT_S,
            lost=lost,
            clock=lambda: self.now,
            alive=lambda hello: lambda: hello.pid not in self.dead,
            **self.options,
        )

    def tell(self, rank: int, **changes: Any) -> None:
        state = self.states[rank]
        for name, value in {"beat": state.beat + 1, **changes}.items():
            setattr(state, name, value)
        self.board.post("state", state, rank)

    def come(self, *ranks: int) -> None:
        for rank in ranks:
            self.tell(rank)
            self.board.post("hello", Hello(host="h", shown_host=f"node{rank}", pid=rank, cpus=[0, 1]), rank)
        self.leader.step()

    def ready(self, *ranks: int, rows: int = 2, spent_s: float = 1.0) -> None:
        for rank in ranks:
            mine = device(host=f"node{rank}", rank=rank)
            self.board.post("ready", Ready(run=run_file([]).run, devices=[mine], spent_s=spent_s + rank), rank)
            self.tell(rank, gate=0, rows=rows)
        self.leader.step()

    def row(self, rank: int, number: int) -> None:
        row = measurement(id=f"{number:05d}", host=f"node{rank}", rank=rank)
        self.board.post(f"row/{rank}", row, number)
        self.tell(rank, posted=number)

    def end(self, rank: int, status: Any = "complete", reason: str = "") -> None:
        self.board.post("done", Done(status=status, reason=reason), rank)
        self.tell(rank, done=True)
        self.leader.step()

    def wait(self, seconds: float, *beating: int) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            for rank in beating:
                self.tell(rank)
            self.leader.step()

    def file(self, **options: Any) -> records.RunFile:
        heard = list(self.leader.ranks.values())
        return merged("id", heard, leader=0, how={"stagger": False}, wall_s=self.now, **options)


def test_a_barrier_opens_when_all_have_come_and_not_before() -> None:
    ranks = Ranks(3)
    ranks.come(0, 1)
    assert not ranks.board.has("open")
    ranks.come(2)
    assert ranks.board.has("open")
    ranks.ready(0, 1)
    assert not ranks.board.has("go", 0)
    ranks.ready(2)
    assert ranks.board.read("go", float, 0) == 3.0, "the time of the slowest: budgets end together"
    assert not ranks.board.has("go", 1)


def test_a_rank_with_fewer_rows_holds_nobody_up() -> None:
    ranks = Ranks(2)
    ranks.come(0, 1)
    ranks.ready(0, rows=2)
    ranks.ready(1, rows=1)
    for rank in (0, 1):
        ranks.tell(rank, gate=1)
    ranks.leader.step()
    assert ranks.board.has("go", 1)
    ranks.tell(0, gate=2)
    ranks.leader.step()
    assert ranks.board.has("go", 2)


def test_who_never_came_is_given_up_and_the_others_go_on() -> None:
    ranks = Ranks(3)
    ranks.come(0, 1)
    ranks.wait(LIMIT_S + 1, 0, 1)
    ranks.ready(0, 1)
    assert ranks.board.has("go", 0)
    fate = ranks.leader.ranks[2].fate
    assert fate is not None and fate.status == "timeout" and "never came" in fate.reason


def test_whose_process_ended_before_it_said_a_word_is_not_waited_for() -> None:
    ranks = Ranks(4)
    ranks.board.post("ended", Ended(exit_codes={2: -9, 1: 0, 3: 3}))
    ranks.come(0, 1)
    assert ranks.board.has("open"), "rank 1 had come before it ended"
    ranks.ready(0, 1)
    assert ranks.board.has("go", 0)
    ends = {number: each.fate for number, each in ranks.leader.ranks.items() if each.fate}
    assert {(number, fate.status) for number, fate in ends.items()} == {(2, "crashed"), (3, "crashed")}
    assert "before it said a word: SIGKILL" in ends[2].reason and "exit code 3" in ends[3].reason
    assert ranks.board.read("lost", str, 2) == ends[2].reason


def test_who_falls_silent_is_given_up() -> None:
    ranks = Ranks(2)
    ranks.come(0, 1)
    ranks.ready(0, 1)
    ranks.wait(LIMIT_S + 2, 0)
    assert ranks.leader.ranks[0].fate is None
    fate = ranks.leader.ranks[1].fate
    assert fate is not None and fate.status == "timeout" and "nothing heard" in fate.reason
    assert ranks.board.has("lost", 1), "should it wake up again, it learns of it"


def test_who_lives_and_gets_no_further_is_given_up_and_who_waits_for_it_is_not() -> None:
    ranks = Ranks(2, stuck_s=30.0)
    ranks.come(0, 1)
    ranks.ready(0, 1)
    ranks.tell(0, gate=1)
    ranks.wait(40, 0, 1)
    assert ranks.leader.ranks[0].fate is None, "it is at the barrier"
    fate = ranks.leader.ranks[1].fate
    assert fate is not None and "got no further" in fate.reason


def test_a_process_that_is_gone_is_seen_at_once_unless_it_said_goodbye() -> None:
    ranks = Ranks(3)
    ranks.come(0, 1, 2)
    ranks.ready(0, 1, 2)
    ranks.board.post("done", Done(status="complete"), 2)
    ranks.tell(2, done=True)
    ranks.dead |= {1, 2}
    ranks.leader.step()
    fate = ranks.leader.ranks[1].fate
    assert fate is not None and fate.status == "crashed" and "process 1 ended" in fate.reason
    assert ranks.leader.ranks[2].fate == Fate(None, "")


def test_staggered_one_has_its_turn_at_a_time() -> None:
    ranks = Ranks(3, stagger=True)
    ranks.come(0, 1, 2)
    assert [ranks.board.has("turn", rank) for rank in range(3)] == [True, False, False]
    ranks.dead.add(1)
    ranks.end(0)
    ranks.leader.step()
    assert ranks.board.has("turn", 2), "who died before its turn is passed over"
    ranks.end(2)
    assert ranks.leader.finished


def test_the_run_file_has_everybodys_rows_and_one_for_the_lost() -> None:
    ranks = Ranks(3)
    ranks.come(0, 1)
    ranks.wait(LIMIT_S + 1, 0, 1)
    ranks.ready(0, 1)
    for rank in (0, 1):
        ranks.row(rank, 1)
    unknown = {"cache": "not-applicable", "accumulate": None, "implementation": "best"}
    ranks.board.post("in_flight", measurement(id="00002", rank=1, host="node1", timed=False, **unknown), 1)
    ranks.dead.add(1)
    ranks.leader.step()
    ranks.row(0, 2)
    ranks.end(0)
    assert ranks.leader.finished
    file = ranks.file()
    rows = [(row.id, row.rank, row.status) for row in file.measurements]
    expected = [("r0-00001", 0, "ok"), ("r1-00001", 1, "ok"), ("r0-00002", 0, "ok")]
    assert rows == [*expected, ("r1-lost", 1, "crashed"), ("r2-lost", 2, "timeout")]
    died, absent = file.measurements[-2:]
    series = {(row.cache, row.accumulate, row.implementation) for row in file.measurements}
    assert series == {("cold", "fp32", "torch")}, "of the series in which the others pass"
    assert "rank 1 on node1" in died.reason and "during this row" in died.reason
    assert "rank 2: never came" in absent.reason and absent.device == "unknown"
    assert [one.rank for one in file.devices] == [0, 1, 2]
    assert file.end is not None and file.end.status == "complete"
    assert "rank 1 on node1: its process" in file.end.reason and "rank 2: never came" in file.end.reason
    assert file.run.pinning is not None and file.run.pinning["ranks"]["world"] == 3


def test_the_next_rank_takes_over_with_what_the_dead_leader_had_posted() -> None:
    ranks = Ranks(2)
    ranks.come(0, 1)
    ranks.ready(0, 1)
    ranks.row(0, 1)
    ranks.leader = ranks.new_leader(lost={0: Fate("crashed", "killed")})
    ranks.row(1, 1)
    ranks.end(1)
    assert ranks.leader.finished
    file = ranks.file(ended="ended by a signal")
    assert [row.id for row in file.measurements] == ["r0-00001", "r1-00001", "r0-lost"]
    assert file.end is not None and (file.end.status, file.end.exit_code) == ("interrupted", 130)


def test_where_nobody_could_measure_the_reasons_are_said() -> None:
    ranks = Ranks(2)
    ranks.come(0, 1)
    ranks.end(0, "failed", "--device: 'cuda' is absent")
    ranks.end(1, "failed", "--device: 'cuda' is absent")
    with pytest.raises(UnavailableError, match="rank 0 on node0, rank 1 on node1: --device: 'cuda' is absent"):
        ranks.file()


def test_two_ranks_on_one_card_are_warned_of() -> None:
    ranks = Ranks(2)
    ranks.come(0, 1)
    for rank in (0, 1):
        card = device(host="node0", rank=rank, device="cuda:0", kind="cuda", unique_id="same")
        ranks.board.post("ready", Ready(run=run_file([]).run, devices=[card], spent_s=0.0), rank)
        ranks.tell(rank, gate=0, rows=1)
    ranks.leader.step()
    (sentence,) = shared_devices(ranks.leader.ranks.values())
    assert "ranks 0, 1 on node0" in sentence


def test_the_run_file_is_written_whole_and_over_nothing(tmp_path: Path) -> None:
    ranks = Ranks(1)
    ranks.come(0)
    ranks.ready(0)
    ranks.row(0, 1)
    ranks.end(0)
    path = tmp_path / "all.jsonl"
    write(path, ranks.file())
    read = records.read(path)
    assert [row.id for row in read.measurements] == ["r0-00001"] and read.end is not None
    with pytest.raises(UnavailableError, match="exists already"):
        write(path, ranks.file())
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_leader_left_that_was_killed_while_it_wrote_goes_with_a_later_run_in_that_folder(tmp_path: Path) -> None:
    ranks = Ranks(1)
    ranks.come(0)
    ranks.ready(0)
    ranks.row(0, 1)
    ranks.end(0)
    abandoned, at_it = (beside(tmp_path / "earlier.jsonl") for _ in range(2))
    for path in (abandoned, at_it):
        path.write_text("{")
    os.utime(abandoned, (0, 0))
    write(tmp_path / "later.jsonl", ranks.file())
    assert set(tmp_path.iterdir()) == {tmp_path / "later.jsonl", at_it}


def test_the_table_spreads_each_series_over_the_devices_and_says_who_lacks() -> None:
    times = {0: 1e-3, 1: 4e-3, 2: 2e-3}
    rows = [measurement(id=f"r{rank}-1", host=f"node{rank}", rank=rank, median_s=time) for rank, time in times.items()]
    rows.append(measurement(id="r3-lost", host="node3", rank=3, timed=False, status="crashed", reason="it died"))
    late = measurement(id="r4-lost", host="", rank=4, device="unknown", timed=False, status="timeout", reason="late")
    known = [device(host=f"node{rank}", rank=rank) for rank in range(4)]
    file = run_file([*rows, late], devices=[*known, device(host="", rank=4, device="unknown", kind="")])
    assert many.is_of_many(file)
    (one,) = many.spreads(file)
    assert (len(one.usable), one.asked) == (3, 5)
    assert [each.first.rank for each in one.usable] == [1, 2, 0], "the slowest first"
    text = many.terminal(file, {}, 160)
    assert "3 of 5" in text and "node1 rank 1 cpu" in text and "crashed, 1 row (node3 rank 3 cpu): it died" in text
