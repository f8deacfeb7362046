"""Choosing the fastest of several: turns, giving up on the hopeless, and a draw for the first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.timing import CachePlan
from bench.timing.race import DRAW, ROUNDS, race, winner

times = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(1e-6, 1.0), min_size=1, max_size=6)


@given(times)
def test_the_winner_is_never_slower_than_a_draw_with_the_fastest(seconds: dict[str, float]) -> None:
    assert seconds[winner(seconds)] <= (1 + DRAW) * min(seconds.values())


@given(times)
def test_of_those_that_draw_the_first_wins(seconds: dict[str, float]) -> None:
    before = list(seconds)[: list(seconds).index(winner(seconds))]
    assert all(seconds[name] > (1 + DRAW) * min(seconds.values()) for name in before)


def test_a_clearly_faster_one_wins_wherever_it_stands() -> None:
    assert winner({"plain": 1.0, "packed": 0.5}) == "packed"
    assert winner({"plain": 1.0, "packed": 0.97}) == "plain"


class Host:
    """A device without events or queue."""

    torch_device = "cpu"
    has_events = supports_graphs = can_sleep = False

    def synchronize(self) -> None:
        return None


def test_they_are_looked_at_in_turns_and_the_hopeless_only_once() -> None:
    import time

    seen: list[str] = []
    calls = {"fast": lambda: time.sleep(0.001), "slow": lambda: time.sleep(0.02), "also": lambda: time.sleep(0.001)}
    seconds = race(calls, Host(), CachePlan("warm"), 0.03, seen.append)  # type: ignore[arg-type]  # what it needs of one
    assert seen[:3] == ["fast", "slow", "also"] and seen.count("slow") == 1
    assert seen.count("fast") == ROUNDS
    assert seconds["slow"] > seconds["fast"]
