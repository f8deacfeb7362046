"""What is joined to a row: readings of its own window, and how they went where calls were made back to back."""

from __future__ import annotations

import pytest

from bench.runner.watch import Watch
from bench.telemetry import Opened, Sample
from tests.telemetry.test_sampler import Scripted, until


def test_a_sustained_row_gets_how_its_readings_went_and_another_only_their_range() -> None:
    # A reading every tenth of a second by its own word: ten before calls were made back to back, and ten while.
    source = Scripted("meter", lambda count: Sample(100.0 + count / 10, power_w=float(count)))
    watch = Watch(Opened(sources=[source]))
    watch.start()
    until(lambda: source.said > 20)
    watch.stop()
    window_s = (100.05, 102.05)
    row = watch.of_row(window_s, [], 1.0)
    went = row["over_time"]["power_w"]
    assert went["values"] == [float(count) for count in range(11, 21)]
    assert went["at_s"] == pytest.approx([0.05 + place / 10 for place in range(10)])
    assert row["over_time"].keys() == {"power_w"} and row["power_w"]["samples"] == 20
    assert "over_time" not in watch.of_row(window_s, [])
