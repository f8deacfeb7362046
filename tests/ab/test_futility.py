"""Ending early can't add a false alarm: what it gives up on could not have been called, whatever was still to come."""

from __future__ import annotations

from math import exp

from hypothesis import given
from hypothesis import strategies as st

from bench.ab.futility import hopeless
from bench.analysis.verdicts import FALSE_DISCOVERY, SCREEN_P, judge_pairs

DIFFERENCES = st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=12)


@given(
    DIFFERENCES,
    st.integers(1, 11),
    st.sampled_from([0.01, 0.03, 0.05, 0.2]),
    st.sampled_from(["screen", "again", "confirm"]),
)
def test_what_is_given_up_ends_ambiguous_with_any_further_pairs(
    differences: list[float], seen: int, threshold: float, stage
) -> None:
    level = FALSE_DISCOVERY if stage == "confirm" else SCREEN_P
    if hopeless(differences[:seen], len(differences), threshold, level):
        new_s = [exp(difference) for difference in differences]
        whole = judge_pairs([1.0] * len(differences), new_s, threshold=threshold, stage=stage)
        assert whole.verdict == "ambiguous"
