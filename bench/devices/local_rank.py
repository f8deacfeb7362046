"""Which device of its node a rank measures."""

from __future__ import annotations

from bench.devices.discovery import accelerators
from bench.devices.selection import parse_selection
from bench.errors import UnavailableError


def of_rank(selection: str, local_rank: int) -> str:
    """`--device` narrowed to the device of one rank of a node: `cuda` as "cuda:3" for local rank 3. Imports torch.

    What names one device, or all, stays. Where torch presents one device of the type, that is the rank's: Slurm and
    others hide the rest from it. Raises UnavailableError where there are several, and none for this rank.
    """
    chosen = parse_selection(selection)
    if chosen.type in ("all", "cpu") or chosen.index is not None:
        return selection
    return narrowed(selection, local_rank, accelerators())


def narrowed(selection: str, local_rank: int, present: list[tuple[str, int]]) -> str:
    """The same, given the (type, index) of every accelerator that is present, the preferred type first. Pure."""
    kind = word = parse_selection(selection).type
    if kind == "auto" and present:
        kind = word = present[0][0]
    elif kind != "auto":
        word = selection.strip().lower()  # rocm stays rocm, which refuses an NVIDIA device
    alike = [each for each in present if each[0] == kind]
    if len(alike) < 2:
        return selection
    if local_rank >= len(alike):
        raise UnavailableError(
            f"--device: {selection!r}: none for local rank {local_rank}: {kind} has {len(alike)} devices here, and a "
            "rank measures one; start as many ranks a node as it has devices"
        )
    return f"{word}:{alike[local_rank][1]}"
