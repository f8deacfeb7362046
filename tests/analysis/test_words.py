"""Counts in the words of a sentence."""

from __future__ import annotations

import pytest

from bench.analysis.words import counted


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2, "usable row", "2 usable rows"),
        (1, "launch", "1 launch"),
        (2, "launch", "2 launches"),
        (1024, "device", "1,024 devices"),
    ],
)
def test_a_noun_is_singular_for_one_alone(count: int, noun: str, words: str) -> None:
    assert counted(count, noun) == words
