"""A row that all ranks measured together stands once in the run file of all, unless they differ in how it went."""

from __future__ import annotations

from typing import Any

from bench import records
from bench.kernel import Role
from bench.report import many
from bench.runner.ranks.board import Hello, Ready
from bench.runner.ranks.leader import Heard
from bench.runner.ranks.merge import merged
from tests.factories import device, measurement, run_file


def ids(*ranks: list[records.Measurement]) -> list[str]:
    """The rows of the run file of all."""
    heard = []
    for number, rows in enumerate(ranks):
        one = Heard(number, rows=list(rows))
        one.hello = Hello(host="h", shown_host="h", pid=number, cpus=[])
        one.ready = Ready(run=run_file([]).run, devices=[device(rank=number, ranks=len(ranks))], spent_s=0.0)
        heard.append(one)
    return [row.id for row in merged("id", heard, leader=0, how={}, wall_s=1.0).measurements]


def row(number: int, rank: int, role: Role = Role.COLLECTIVE, **changes: Any) -> records.Measurement:
    return measurement(id=f"{number:05d}", rank=rank, role=role, kernel="all_reduce", **changes)


def test_the_lowest_ranks_row_stands_for_all() -> None:
    assert ids(*([row(1, rank), row(2, rank)] for rank in range(3))) == ["r0-00001", "r0-00002"]


def test_rows_that_each_measured_for_itself_all_stay() -> None:
    assert ids(*([row(1, rank, Role.COMPUTE)] for rank in range(2))) == ["r0-00001", "r1-00001"]


def test_where_the_statuses_differ_each_stays() -> None:
    noisy = row(1, 1, status="noisy", reason="the time budget is spent")
    assert ids([row(1, 0)], [noisy], [row(1, 2)]) == ["r0-00001", "r1-00001", "r2-00001"]


def test_where_it_could_not_be_measured_each_stays() -> None:
    failed = [[row(1, rank, status="failed", reason="rank 1 is lost", timed=False)] for rank in range(2)]
    assert ids(*failed) == ["r0-00001", "r1-00001"]


def test_samples_of_their_own_are_rows_of_their_own() -> None:
    assert ids([row(1, 0)], [row(1, 1, samples_s=[0.5])]) == ["r0-00001", "r1-00001"]


def test_the_table_says_how_many_ranks_measured_it_together() -> None:
    devices = [device(rank=rank, ranks=4, host="h") for rank in range(4)]
    mine = row(1, 0, case={"bytes": 4096, "ranks": 4}, utilization_of="bytes", rated=None, host="h")
    text = many.terminal(run_file([mine], devices=devices), {}, 160)
    (line,) = [line for line in text.splitlines() if line.startswith("all_reduce")]
    assert "4 together" in line and "B/s" in line
