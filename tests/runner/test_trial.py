"""A look takes nothing with it: what it held is free for the next, however it ended."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch

from bench.devices import backend
from bench.runner import trial
from bench.runner.protocol import Try
from tests.factories import device


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_look_held_is_given_back_when_it_is_over(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    taken: list[weakref.ref[torch.Tensor]] = []
    held_when_emptied: list[bool] = []
    torch_backend = backend(device())

    def looking(*_: Any) -> tuple[str, str, float]:
        tensor = torch.ones(8)
        taken.append(weakref.ref(tensor))
        if fails:
            raise RuntimeError("no such luck")
        return "ok", "", 1.0

    monkeypatch.setattr(trial, "_look", looking)
    monkeypatch.setattr(trial, "backend", lambda _: torch_backend)
    monkeypatch.setattr(torch_backend, "empty_cache", lambda: held_when_emptied.append(taken[0]() is not None))
    tried = trial.look(Try(device="cpu", kernel="gemm", case={}, precision="fp32", implementation="torch"), device())
    assert tried.status == ("failed" if fails else "ok")
    assert held_when_emptied == [False]
