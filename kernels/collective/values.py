"""What fills the buffers of a collective: whole numbers that follow from rank, place and seed.

So every rank knows the right answer without the others' data, and sums are exact in FP32 whatever their order: the
value at a place is a number for the place plus one for the rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bench.kernel import DATA

if TYPE_CHECKING:
    import torch

PLACES: Final = 1_048_573
"""Numbers for places before they repeat; a prime, so that no two blocks of a message are the same."""
PLACE_BITS: Final = 10
RANK_MODULUS: Final = 4091
"""A prime, and one less than it is no multiple of 3: third powers modulo it are all different."""
MAXIMUM_RANKS: Final = RANK_MODULUS - 1
"""With so many ranks the sum at any place is below 2**24, up to which every integer is an FP32 number: the ranks'
numbers add up to 4091 · 4090 / 2, the places' to 4090 · 1023."""
CONSTANTS: Final = {"zeros": 0, "ones": 1}


@dataclass(frozen=True)
class Pattern:
    """The values of all buffers: `constant` everywhere, or whole numbers that begin at `offset`."""

    constant: int | None
    offset: int = 0

    @classmethod
    def drawn(cls, data: str, generator: torch.Generator) -> Pattern:
        """As `data` (one of `bench.kernel.DATA`) says; "normal" and "uniform" are the same whole numbers here."""
        import torch

        if data not in DATA:
            raise ValueError(f"data={data!r} is none of {', '.join(DATA)}")
        if data in CONSTANTS:
            return cls(CONSTANTS[data])
        return cls(None, int(torch.randint(PLACES, (1,), generator=generator)))

    def to_tensor(self) -> torch.Tensor:
        """Two integers on the CPU, to travel with the inputs."""
        import torch

        return torch.tensor([-1 if self.constant is None else self.constant, self.offset])

    @classmethod
    def of_tensor(cls, tensor: torch.Tensor) -> Pattern:
        """What `to_tensor` gave."""
        constant, offset = (int(value) for value in tensor.tolist())
        return cls(None if constant < 0 else constant, offset)


def of_rank(pattern: Pattern, rank: int, places: torch.Tensor) -> torch.Tensor:
    """What rank has at the places (int64, any shape): float64 of that shape."""
    import torch

    if pattern.constant is not None:
        return torch.full(places.shape, pattern.constant, dtype=torch.float64)
    return of_places(pattern.offset)[places % PLACES] + of_number(rank)


def of_all(pattern: Pattern, ranks: int, places: torch.Tensor) -> torch.Tensor:
    """The sum over ranks 0 … `ranks` − 1 of what they have at the places."""
    import torch

    if pattern.constant is not None:
        return torch.full(places.shape, ranks * pattern.constant, dtype=torch.float64)
    return ranks * of_places(pattern.offset)[places % PLACES] + sum(map(of_number, range(ranks)))


def buffer(pattern: Pattern, rank: int, count: int, device: str) -> torch.Tensor:
    """What rank has at the places 0 … `count` − 1, as FP32 on the device."""
    import torch

    if pattern.constant is not None:
        return torch.full((count,), float(pattern.constant), device=device)
    numbers = (of_places(pattern.offset)[:count] + of_number(rank)).float().to(device)
    if count <= PLACES:
        return numbers
    filled = torch.empty(count, device=device)
    for start in range(0, count, PLACES):
        filled[start : start + PLACES].copy_(numbers[: count - start])
    return filled


def of_number(rank: int) -> int:
    """A rank's number: another one for each rank below `MAXIMUM_RANKS`, and not in proportion to it, so that no rank
    counted twice makes up for another that is missing."""
    return pow(rank + 1, 3, RANK_MODULUS)


@lru_cache(maxsize=2)
def of_places(offset: int) -> torch.Tensor:
    """The numbers of the places, below 2**PLACE_BITS, float64: mixed from their positions (after xxHash's primes)."""
    import torch

    mixed = (torch.arange(PLACES) + offset) * 2_654_435_761 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 2_246_822_519 & 0xFFFFFFFF
    return (mixed >> 32 - PLACE_BITS).double()
