"""What run files tell of a product beside its rates: the best of its kind, by hand, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from bench import records
from bench.analysis.capacity_seen import Link, Presence, seen
from bench.kernel import Role
from tests.factories import device, measurement, run_file

RUN = run_file([]).run.id


def collective(size: int, seconds: float, rank: int = 0, **changes: Any) -> records.Measurement:
    """An operation over four ranks whose bus carries 1.5 times the message."""
    fields = {
        "kernel": "some_operation", "case": {"bytes": size, "ranks": 4}, "role": Role.COLLECTIVE, "rank": rank,
        "host": f"node{rank // 2}", "device": f"cuda:{rank % 2}", "operations": 0, "bytes_": size * 3 // 2,
        "median_s": seconds, "hosts": 2, "utilization_of": "bytes", "rated": None,
    }  # fmt: skip
    return measurement(**(fields | changes))


def site(*rows: records.Measurement, ranks: int = 4) -> records.RunFile:
    where = [{"rank": rank, "host": f"node{rank // 2}", "device": f"cuda:{rank % 2}"} for rank in range(ranks)]
    return run_file(list(rows), devices=[device(kind="cuda", name="card", **one) for one in where])


def test_the_best_bus_bandwidth_over_the_sizes_stands_for_a_collective() -> None:
    # 1.5 × 1 MB in 1 ms is 1.5 GB/s, 1.5 × 100 MB in 10 ms is 15 GB/s.
    found = seen([site(collective(10**6, 1e-3), collective(10**8, 1e-2))], ["card"])
    (link,) = found.links
    assert link == Link("some_operation", "fp32", 4, 2, 10**8, pytest.approx(15e9), None, RUN)


def test_what_each_rank_wrote_of_one_case_is_one_figure() -> None:
    rows = [collective(10**8, 1e-2, rank, rated=None) for rank in range(4)]
    (link,) = seen([site(*rows)], ["card"]).links
    assert link.bytes_per_s == pytest.approx(15e9)


def test_the_rating_of_the_row_comes_along() -> None:
    rated = records.Rated(kind="datasheet", bytes_per_s=450e9, source="a data sheet")
    row = collective(10**8, 1e-2)
    row.rated = rated
    assert seen([site(row)], ["card"]).links[0].rated_bytes_per_s == 450e9


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed", "reason": "rank 3 did not come"},
        {"quarantine": ["drift"]},
        {"role": Role.BANDWIDTH},
        {"role": None},
        {"timed": False, "status": "timeout"},
    ],
    ids=["failed", "quarantine", "memory", "no role", "not timed"],
)
def test_nothing_else_is_a_link(changes: dict[str, Any]) -> None:
    assert seen([site(collective(10**8, 1e-2, **changes))], ["card"]).links == ()


def test_the_same_over_more_machines_is_another_link() -> None:
    rows = [collective(10**8, 1e-2, hosts=hosts, case={"bytes": 8, "ranks": 4}) for hosts in (1, 2)]
    assert [link.nodes for link in seen([site(*rows[:1]), site(*rows[1:])], ["card"]).links] == [1, 2]


def test_a_run_tells_how_many_of_its_devices_delivered_anything() -> None:
    rows = [
        measurement(rank=0, device="cuda:0", host="node0"),
        measurement(rank=1, device="cuda:1", host="node0", status="crashed", reason="died", timed=False),
        measurement(rank=2, device="cuda:0", host="node1", status="throttled", reason="hot"),
    ]
    started = run_file([]).run.started
    assert seen([site(*rows)], ["card"]).presence == (Presence(RUN, started, 4, 1),)
    assert seen([site(*rows)], ["another card"]).presence == ()


def test_a_device_is_known_by_the_name_of_its_rating_too() -> None:
    file = run_file([measurement()], devices=[device(name="as the driver says", rating_name="as the tables say")])
    for name in ("as the driver says", "as the tables say"):
        assert len(seen([file], [name]).presence) == 1


def test_energy_is_of_rows_that_were_kept_running() -> None:
    told = {"energy": {"operations_per_j": 5e9}}
    rows = [
        measurement(mode="sustained", telemetry=told),
        measurement(mode="sustained", telemetry={"energy": {"operations_per_j": 7e9}}, kernel="conv"),
        measurement(mode="burst", telemetry={"energy": {"operations_per_j": 9e9}}),
        measurement(mode="sustained", telemetry={"energy": {"operations_per_j": 8e9}}, status="invalid"),
        measurement(mode="sustained", telemetry=told, precision="int8", accumulate="int32"),
    ]
    found = seen([run_file(rows)], ["Some CPU"]).energy
    assert [(one.precision, one.kernel, one.operations_per_j) for one in found] == [
        ("fp32", "conv", 7e9),
        ("int8", "gemm", 5e9),
    ]
