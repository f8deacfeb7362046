"""What state the caches are in when a call begins: the plan for it (pure), and the flush.

docs/method.md, "Cache", says why a GPU is flushed and a CPU's inputs are rotated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

CacheState: TypeAlias = Literal["cold", "warm", "not-applicable"]

MIB: Final = 1024 * 1024
TIMES_CACHE: Final = 5
"""A call that moves, or a rotation that holds, more than 5 caches finds nothing of its last turn there (flashinfer)."""
FLUSH_TIMES_CACHE: Final = 2  # SOL-ExecBench: twice the reported L2
FLUSH_BYTES: Final = 256 * MIB  # triton.testing and flashinfer: at least this
FLUSH_BYTES_AMD: Final = 512 * MIB
"""AMD's last-level cache (256 MB of Infinity Cache on MI300X) is not in the L2 size that the driver reports."""
MEMORY_SHARE: Final = 0.25
"""Ours: rotated copies take at most this share of free memory; implementations pack copies of their own beside them."""
ROTATION_BYTES: Final = 512 * MIB
"""Ours: what rotation may take unasked. Filling copies runs at about 1 GB/s a core: half a second a row."""
ROTATION_BYTES_ASKED: Final = 8192 * MIB
"""Ours: the same where the user asked for a cold cache, and so waits for it."""
MAXIMUM_COPIES: Final = 512
"""Ours: each copy costs a build of the implementation, about a millisecond on a GPU."""
MAXIMUM_COPIES_UNASKED_CPU: Final = 16
"""Ours: on a processor each copy brings packed operands and buffers of its own. 81 copies of a 1024³ int8 product took
5 to 8 s of a row on two shared cores (the phase `copies` of a quick run), more than all its checks and timed calls."""
SHORT_CALL_S: Final = 50e-6  # the graph timer's limit, with its rotation (see bench.timing.timers)


@dataclass(frozen=True)
class CachePlan:
    """How calls are prepared. `label` is what the record says; it never claims more than the plan does.

    `copies` of the inputs are rotated (1: none); `flush_bytes` are written before each call (0: none); `why` is one
    sentence for the reader. `rotation_cold`: the rotation alone keeps every call cold, without the flush.
    """

    label: CacheState
    copies: int = 1
    flush_bytes: int = 0
    why: str = ""
    rotation_cold: bool = False


def plan_cache(
    requested: Literal["cold", "warm"] | None,
    call_bytes: int,
    input_bytes: int,
    cache_bytes: int | None,
    memory_budget: int | None,
    device_type: str,
    *,
    vendor: str = "",
    graphs: bool = False,
    call_s: float | None = None,
) -> CachePlan:
    """Plan the cache state of one measurement.

    Parameters
    ----------
    requested
        "cold" or "warm" where the user asked; None for the default, cold where that is cheap.
    call_bytes
        Bytes that one call reads and writes (`Work.bytes`).
    input_bytes
        Bytes of one copy of the inputs.
    cache_bytes
        Last-level cache; None where unknown.
    memory_budget
        Free memory in bytes, of which `MEMORY_SHARE` may be used; None where unknown.
    device_type
        torch's device type; "cpu" rotates, everything else flushes.
    vendor
        "amd" flushes more.
    graphs
        The call may be timed as a graph, which holds many calls and so cannot be flushed between them: the plan then
        holds a rotation too, unless `call_s`, the estimated seconds of a call, says that no graph will be needed.
    """
    if cache_bytes and call_bytes > TIMES_CACHE * cache_bytes:
        return CachePlan(
            "not-applicable", why=f"one call moves {_mib(call_bytes)}, over 5 × the {_mib(cache_bytes)} cache"
        )
    if requested == "warm":
        return CachePlan("warm", why="asked for")
    if device_type == "cpu":
        return _rotate(requested, input_bytes, cache_bytes, memory_budget, on_cpu=True)
    flush_bytes = max(FLUSH_TIMES_CACHE * (cache_bytes or 0), FLUSH_BYTES_AMD if vendor == "amd" else FLUSH_BYTES)
    if memory_budget is not None and flush_bytes > memory_budget:
        return CachePlan(
            "warm", why=f"a flush of {_mib(flush_bytes)} does not fit the {_mib(memory_budget)} that are free"
        )
    why = f"{_mib(flush_bytes)} written before each call"
    if graphs and (call_s is None or call_s < SHORT_CALL_S):
        rotation = _rotate(requested, input_bytes, cache_bytes, memory_budget, on_cpu=False)
        if rotation.label == "cold":
            return CachePlan(
                "cold", rotation.copies, flush_bytes, f"{why}; in graphs {rotation.why}", rotation_cold=True
            )
    return CachePlan("cold", flush_bytes=flush_bytes, why=why)


def rotation_copies(input_bytes: int, cache_bytes: int) -> int:
    """Copies after which the cache has forgotten the first: ceil(5·cache / inputs) + 1, at least 2 (flashinfer)."""
    return max(2, -(-TIMES_CACHE * cache_bytes // max(1, input_bytes)) + 1)


def _rotate(
    requested: Literal["cold", "warm"] | None,
    input_bytes: int,
    cache_bytes: int | None,
    memory_budget: int | None,
    *,
    on_cpu: bool,
) -> CachePlan:
    if not cache_bytes:
        return CachePlan("warm", why="the size of the cache is unknown")
    copies = rotation_copies(input_bytes, cache_bytes)
    needed = copies * input_bytes
    need = f"cold takes {copies} copies of the inputs ({_mib(needed)})"
    if copies > MAXIMUM_COPIES:
        return CachePlan("warm", why=f"{need}, over the limit of {MAXIMUM_COPIES} copies")
    hint = "" if requested == "cold" else "; --cache cold takes the time for it"
    if on_cpu and requested != "cold" and copies > MAXIMUM_COPIES_UNASKED_CPU:
        return CachePlan("warm", why=f"{need}, over the {MAXIMUM_COPIES_UNASKED_CPU} that are made unasked{hint}")
    if memory_budget is not None and needed > MEMORY_SHARE * memory_budget:
        return CachePlan("warm", why=f"{need}, over {MEMORY_SHARE:.0%} of the {_mib(memory_budget)} that are free")
    limit = ROTATION_BYTES_ASKED if requested == "cold" else ROTATION_BYTES
    if needed > limit:
        return CachePlan("warm", why=f"{need}, over {_mib(limit)}{hint}")
    return CachePlan("cold", copies, why=f"{copies} copies of the inputs in turn ({_mib(needed)})", rotation_cold=True)


def flusher(plan: CachePlan, torch_device: str) -> Callable[[], None] | None:
    """A function that enqueues the plan's flush, a write of all of its buffer; None where the plan has none.

    Call it after every other write that prepares a call: whatever comes later is left in the cache.
    """
    if not plan.flush_bytes:
        return None
    import torch

    buffer = torch.empty(plan.flush_bytes // 4, dtype=torch.int32, device=torch_device)

    def flush() -> None:
        buffer.zero_()

    return flush


def _mib(count: int) -> str:
    return f"{count / MIB:.4g} MiB"
