"""A fleet's verdicts as a CI's test report and as metrics, by the writers of `bench.interop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.analysis.fleet import STATUSES, DeviceVerdict, Fleet, Status, name_of
from bench.interop import exposition, junit
from bench.interop.exposition import Family

OUTCOMES: Final[dict[Status, junit.Outcome]] = {"sick": "failure", "unjudged": "skipped", "healthy": "passed"}


def test_report(fleet: Fleet) -> bytes:
    """JUnit XML: a case a device; sick is a failure, unjudged is skipped."""
    cases = [
        junit.Case(
            group="fleet",
            name=name_of(one),
            outcome=OUTCOMES[one.status],
            kind=one.findings[0].rule if one.findings else one.status,
            message=one.reason,
            details="" if one.relative_time is None else f"{one.sku}: time ×{one.relative_time:.4g} of its kind's",
        )
        for one in fleet.devices
    ]
    return junit.document("bench fleet", cases)


def metrics(fleet: Fleet) -> bytes:
    """OpenMetrics: of each device whether it is sick, its relative time and utilisation; of each kind its spread."""
    sick = Family("bench_fleet_device_sick", "1 where the device is sick, 0 where it is healthy")
    time = Family("bench_fleet_device_time_ratio", "time over the median device of its kind", unit="ratio")
    share = Family("bench_fleet_device_utilization_ratio", "best rate of its compute rows over rated", unit="ratio")
    for one in fleet.devices:
        labels = _labels(one)
        if one.status != "unjudged":
            sick.samples.append((labels, float(one.status == "sick")))
        if one.relative_time is not None:
            time.samples.append((labels, one.relative_time))
        if one.utilization is not None:
            share.samples.append((labels, one.utilization))
    count = Family("bench_fleet_devices", "devices by kind and status")
    spread = Family("bench_fleet_spread_ratio", "robust standard deviation between devices", unit="ratio")
    for kind in fleet.kinds:
        its = [one.status for one in fleet.devices if one.sku == kind.sku]
        for status in STATUSES:
            count.samples.append(({"sku": kind.sku, "status": status}, float(its.count(status))))
        if kind.spread is not None:
            spread.samples.append(({"sku": kind.sku}, kind.spread))
    return exposition.openmetrics([family for family in (sick, time, share, count, spread) if family.samples])


def _labels(one: DeviceVerdict) -> Mapping[str, str]:
    named = {"host": one.host} if one.host else {"run": one.run}
    return {**named, "rank": str(one.rank), "device": one.device, "sku": one.sku}
