"""The process group of ranks that measure together, here of one rank: made from the run's store, left, made anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import torch

from bench.errors import UnavailableError
from bench.runner.group import WORDS_BYTES, TorchGroup, backend_of, close_group, distributed, is_of_group, open_group
from bench.runner.protocol import Together
from tests.factories import device


@pytest.fixture
def together() -> Iterator[Together]:
    """Where one rank alone would meet the others."""
    store = distributed().TCPStore(
        "127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=60), wait_for_workers=False
    )
    yield Together(rank=0, ranks=1, address="127.0.0.1", port=store.port, job="test", limit_s=60.0)
    close_group()


def test_a_group_is_made_and_left_and_made_anew(together: Together) -> None:
    for name in ("00001", "00002"):
        group = open_group(together, device(), name)
        assert (group.rank, group.ranks) == (0, 1)
        assert group.exchange([1.5, float("inf")]) == [[1.5, float("inf")]]
        x = torch.ones(3)
        distributed().all_reduce(x)
        assert x.tolist() == [1.0, 1.0, 1.0]
        close_group()
        assert not distributed().is_initialized()
    close_group()


@pytest.mark.parametrize("words", ["", "rank 1: nothing", "前の rank: ×"])
def test_words_come_as_they_went(together: Together, words: str) -> None:
    assert open_group(together, device(), "1").exchange_words(words) == [words]


def test_words_that_are_too_long_are_cut_off_within_no_letter(together: Together) -> None:
    (found,) = open_group(together, device(), "1").exchange_words("×" * WORDS_BYTES)
    assert found and set(found) == {"×"} and len(found.encode()) <= WORDS_BYTES


def test_an_exchange_without_a_group_is_an_error_and_no_wait() -> None:
    with pytest.raises(ValueError, match="process group"):
        TorchGroup(0, 2).exchange([0.0])


@pytest.mark.parametrize(("kind", "name"), [("cpu", "gloo"), ("cuda", "nccl"), ("xpu", "xccl")])
def test_each_type_of_device_has_the_backend_that_torch_names(kind: str, name: str) -> None:
    assert backend_of(kind) == name


def test_a_type_without_a_backend_is_refused() -> None:
    with pytest.raises(UnavailableError, match="no backend for abacus"):
        backend_of("abacus")


def test_nccl_is_bound_to_the_ranks_device_and_waits_for_no_trace_unless_the_user_wants_one(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(distributed(), "init_process_group", lambda **words: asked.update(words))
    for name in ("TORCH_NCCL_DUMP_ON_TIMEOUT", "TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC"):
        monkeypatch.setenv(name, "1500")
    monkeypatch.delenv("TORCH_NCCL_DUMP_ON_TIMEOUT")
    open_group(together, device(kind="cuda", device="cuda:3"), "1")
    assert asked["backend"] == "cpu:gloo,cuda:nccl" and asked["device_id"] == torch.device("cuda", 3)
    assert os.environ["TORCH_NCCL_DUMP_ON_TIMEOUT"] == "0"
    assert os.environ["TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC"] == "1500"


def test_what_the_group_raises_is_told_from_what_a_kernel_does() -> None:
    assert is_of_group(RuntimeError("[/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer"))
    assert is_of_group(distributed().DistBackendError("NCCL error"))
    assert not is_of_group(RuntimeError("The size of tensor a (3) must match"))
