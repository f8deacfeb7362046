"""Back-to-back calls on a simulated clock: slices, their number, and the time of a call in each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.timing.sustained import SLICE_S, sustain


class Device:
    """A device without queue whose clock advances by what each call takes."""

    def __init__(self, call_ns: int, slower_from_ns: int | None = None) -> None:
        self.now_ns = 0
        self.calls = 0
        self._call_ns = call_ns
        self._slower_from_ns = slower_from_ns

    def clock(self) -> int:
        return self.now_ns

    def call(self) -> None:
        slow = self._slower_from_ns is not None and self.now_ns >= self._slower_from_ns
        self.now_ns += self._call_ns * (2 if slow else 1)
        self.calls += 1

    def synchronize(self) -> None:
        return None


@given(st.integers(20_000, 3_000_000_000), st.floats(0.1, 5.0))
def test_it_lasts_the_wall_time_and_at_most_a_slice_or_a_call_more(call_ns: int, wall_s: float) -> None:
    device = Device(call_ns)
    result = sustain(device.call, device, wall_s=wall_s, clock=device.clock)  # type: ignore[arg-type]  # what it needs
    assert wall_s <= result.wall_s <= wall_s + max(2 * SLICE_S, 2 * call_ns * 1e-9)
    assert all(abs(each - call_ns * 1e-9) < 1e-12 for each in result.per_call_s)
    assert result.ends_s == sorted(result.ends_s)
    assert abs(result.calls * call_ns * 1e-9 - result.wall_s) < 1e-6


def test_a_device_that_slows_down_shows_it_in_the_slices() -> None:
    device = Device(1_000_000, slower_from_ns=2_000_000_000)
    result = sustain(device.call, device, wall_s=4.0, clock=device.clock)  # type: ignore[arg-type]  # what it needs
    assert result.per_call_s[0] == 1e-3 and result.per_call_s[-1] == 2e-3
