"""Choosing the fastest of several: turns, giving up on the hopeless, and a draw for the first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.timing import CachePlan
from bench.timing.race import DRAW, DRAW_LEAST, ROUNDS, draw_width, medians, race, winner

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


looked_at = st.dictionaries(
    st.text(min_size=1, max_size=3), st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=ROUNDS), min_size=1, max_size=6
)


@given(looked_at)
def test_a_draw_is_as_wide_as_looks_scatter_within_its_limits(looks: dict[str, list[float]]) -> None:
    assert DRAW_LEAST <= draw_width(looks) <= DRAW


def test_looks_that_agree_decide_between_two_that_are_close_and_looks_that_scatter_do_not() -> None:
    steady = {"plain": [1.0, 1.001, 1.002], "packed": [0.97, 0.971, 0.972]}
    shaken = {"plain": [1.0, 1.001, 1.002], "packed": [0.93, 0.97, 1.0]}
    assert winner(medians(steady), draw_width(steady)) == "packed"
    assert winner(medians(shaken), draw_width(shaken)) == "plain"


def test_one_that_left_the_running_says_nothing_of_the_scatter() -> None:
    looks = {"plain": [1.0, 1.001, 1.002], "hopeless": [2.0, 9.0]}
    assert draw_width(looks) == DRAW_LEAST
    assert draw_width({"alone": [1.0]}) == DRAW


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
    looks = race(calls, Host(), CachePlan("warm"), 0.03, seen.append)  # type: ignore[arg-type]  # what it needs of one
    seconds = medians(looks)
    assert seen[:3] == ["fast", "slow", "also"] and seen.count("slow") == 1
    assert seen.count("fast") == ROUNDS
    assert seconds["slow"] > seconds["fast"]
