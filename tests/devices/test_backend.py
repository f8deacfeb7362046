"""What torch's CUDA device is asked for, and what is mended after it fails; torch's side is played, without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.devices.backend import CudaBackend, _abandoned
from bench.records import Device, Units

BEFORE = SimpleNamespace(name="before", device_index=0, wait_stream=lambda other: None)
POOL = (0, 7)


class Played:
    """torch.cuda as far as a capture goes: which stream is current, and which pools the allocator captures into."""

    def __init__(self) -> None:
        self.current: Any = BEFORE
        self.capturing: list[tuple[int, int]] = []
        self.released: list[tuple[int, int]] = []
        self.end_fails = False

    @contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextmanager
    def graph(self, graph: object, pool: tuple[int, int], stream: Any) -> Iterator[None]:
        """As torch.cuda.graph, whose exit restores the stream only where the capture's end did not raise."""
        before, self.current = self.current, stream
        self.capturing.append(pool)
        try:
            yield
        finally:
            if self.end_fails:
                raise RuntimeError("operation failed due to a previous error during capture")
            self.capturing.remove(pool)
            self.current = before

    def end(self, device_index: int, pool: tuple[int, int]) -> None:
        if pool not in self.capturing:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.capturing.remove(pool)

    def set_stream(self, stream: Any) -> None:
        self.current = stream


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    cuda = Played()
    side = SimpleNamespace(name="side", wait_stream=lambda other: None)
    for name, value in {
        "set_device": lambda index: None,
        "synchronize": lambda *device: None,
        "current_stream": lambda device: cuda.current,
        "Stream": lambda device: side,
        "stream": cuda.stream,
        "set_stream": cuda.set_stream,
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: "replayed"),
        "graph_pool_handle": lambda: POOL,
        "graph": cuda.graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", cuda.end, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", lambda _, pool: cuda.released.append(pool), raising=False)
    return cuda


@pytest.fixture
def card(played: Played) -> CudaBackend:
    return CudaBackend(Device(device="cuda:0", kind="cuda", name="A card", units=Units(kind="unit", in_use=132)))


def test_a_capture_warms_up_first_and_gives_the_replay(played: Played, card: CudaBackend) -> None:
    streams: list[str] = []
    assert card.capture(lambda: streams.append(played.current.name))() == "replayed"
    assert streams == ["side"] * 4
    assert (played.current, played.capturing, played.released) == (BEFORE, [], [])


def fails_in_capture(played: Played, error: Exception) -> Callable[[], None]:
    def call() -> None:
        if played.capturing:
            raise error

    return call


@pytest.mark.parametrize("end_fails", [True, False])
def test_a_broken_capture_leaves_stream_and_allocator_as_they_were(
    played: Played, card: CudaBackend, end_fails: bool
) -> None:
    played.end_fails = end_fails
    kept = len(_abandoned)
    with pytest.raises(ValueError, match="reads a result"):
        card.capture(fails_in_capture(played, ValueError("reads a result")))
    assert (played.current, played.capturing) == (BEFORE, [])
    assert played.released == ([POOL] if end_fails else []), "a capture that torch ended releases its own pool"
    assert len(_abandoned) - kept == end_fails, "with its graph, which holds the pool as long as it lives"


def test_a_capture_that_only_its_end_refuses_says_so_and_is_mended(played: Played, card: CudaBackend) -> None:
    played.end_fails = True
    with pytest.raises(RuntimeError, match="previous error during capture"):
        card.capture(lambda: None)
    assert (played.current, played.capturing, played.released) == (BEFORE, [], [POOL])


def test_memory_that_torch_keeps_without_using_it_is_free(card: CudaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1_000, 80_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20_000)
    assert card.memory_free_bytes() == 51_000


def test_a_device_that_a_kernel_has_broken_is_not_the_end_of_the_process_when_its_memory_is_given_back(
    card: CudaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "empty_cache", refuse)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    card.empty_cache()
    assert card.memory_free_bytes() is None
