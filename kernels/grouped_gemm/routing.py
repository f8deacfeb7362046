"""Which tokens go to which expert: fixed by the case alone, so that its work is exact and the same in every run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

from bench.kernel import Case

ROUTING_SEED: Final = 20_240_715
"""Of the router (ours, any number): the run's own seed fills the matrices and does not move a token."""


@dataclass(frozen=True)
class Routing:
    """The rows of A and C by expert: expert e has the rows ends[e−1] … ends[e]."""

    counts: tuple[int, ...]
    """Rows of each expert; one that no token chose has 0."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Where each expert's rows end."""
        return tuple(accumulate(self.counts))

    @property
    def rows(self) -> int:
        """Rows of all experts: tokens · top_k."""
        return sum(self.counts)

    @property
    def busy(self) -> tuple[tuple[int, int, int], ...]:
        """(expert, first row, row after its last) of the experts that have any."""
        edges = pairwise((0, *self.ends))
        return tuple((expert, start, stop) for expert, (start, stop) in enumerate(edges) if stop > start)


def routing(case: Case) -> Routing:
    """Every token to `top_k` different experts, all alike in their chance.

    A trained router is less even than that; one with a balancing loss comes near it.
    """
    return _drawn(int(case["experts"]), int(case["top_k"]), int(case["tokens"]))


@lru_cache(maxsize=16)
def _drawn(experts: int, top_k: int, tokens: int) -> Routing:
    # Only random() itself is promised to give the same numbers in every version of Python.
    uniform = random.Random(ROUTING_SEED).random
    counts = [0] * experts
    for _ in range(tokens):
        chosen: set[int] = set()
        # From the top_k-th last expert on, as Floyd draws a sample: no draw is thrown away.
        for last in range(experts - top_k, experts):
            one = int(uniform() * (last + 1))
            chosen.add(last if one in chosen else one)
        for expert in chosen:
            counts[expert] += 1
    return Routing(tuple(counts))
