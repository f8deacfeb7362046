"""What a fleet's charts draw: the times that were compared, and the bound from which the rules call a device slow."""

from __future__ import annotations

from math import exp
from statistics import NormalDist

import pytest

from bench import records
from bench.analysis.fleet_rules import rules
from bench.analysis.fleet_spread import Compared, bound
from bench.cli.fleet import default_rules
from tests.factories import device, measurement, run_file
from tests.fleets import judged, lines

DEVICES = 41
SHAPE = [1 + step / 1000 for step in range(-25, 26)]
"""The samples of each device over its own median: the same everywhere, so that a slower device is a plain shift."""


def fleet_with(last: float, cases: int = 1) -> list[records.Record]:
    """Devices whose times are those of a normal distribution, 1.5 % wide; the last one's is given."""
    ranks = [NormalDist(1.0, 0.015).inv_cdf((place + 0.5) / (DEVICES - 1)) for place in range(DEVICES - 1)]
    found: list[records.Record] = [run_file([]).run]
    for number, time in enumerate([*ranks, last]):
        where = {"device": "cuda:0", "host": f"node{number}", "rank": number}
        found.append(device(kind="cuda", name="card", **where))
        for case in range(1, cases + 1):
            median_s = 1e-3 * case * (1.0 if case < cases and number == DEVICES - 1 else time)
            samples = [median_s * each for each in SHAPE]
            found.append(measurement(case={"m": case}, median_s=median_s, samples_s=samples, rated=None, **where))
    return found


def test_a_device_is_sick_from_the_bound_on_and_not_before() -> None:
    overall, of_series = judged(fleet_with(1.3)).distributions
    assert (overall.key, overall.cases, len(overall.times)) == (None, 1, DEVICES)
    first = min(overall.bound, of_series.bound)
    for factor, status in ((1.002, "sick"), (1 / 1.002, "healthy")):
        found = judged(fleet_with(first * factor))
        assert found.distributions[0].bound == overall.bound, "who is slow does not move the bound"
        (last,) = [one for one in found.devices if one.host == f"node{DEVICES - 1}"]
        assert last.status == status


def test_times_are_those_of_the_verdicts() -> None:
    found = judged(lines(dict.fromkeys(range(16), 1.0) | {3: 1.4}))
    times = sorted(one.relative_time for one in found.devices if one.relative_time is not None)
    assert list(found.distributions[0].times) == pytest.approx(times, rel=1e-12)


def test_of_several_cases_the_one_in_which_a_device_stands_out_is_drawn() -> None:
    _, of_series = judged(fleet_with(1.5, cases=3)).distributions
    assert of_series.key is not None
    assert (dict(of_series.key.case), of_series.cases) == ({"m": 3}, 3)
    assert of_series.times[-1] == pytest.approx(1.5, rel=1e-3)


def test_kinds_stand_apart_and_a_lone_device_has_no_distribution() -> None:
    found = judged(lines(dict.fromkeys(range(9), 1.0), kinds=8))
    assert {one.sku.partition(",")[0] for one in found.distributions} == {"card 0"}


def test_the_largest_of_the_three_limits_decides() -> None:
    limits = rules(default_rules()).device
    narrow, wide = (Compared((0.0, 0.1), 0.0, 0.0, scale, 0.0) for scale in (1e-6, 0.1))
    assert bound(limits, narrow) == exp(limits.distance)
    assert bound(limits, wide) == exp(limits.robust_z * 0.1)
    assert bound(limits, Compared((0.0, 0.1), 0.0, 0.0, 1e-6, 0.1)) == exp(limits.distance_spreads * 0.1)
    assert bound(limits, Compared((0.0, 900.0), 0.0, 0.0, 900.0, 0.0)) < float("inf")
