"""What the fixture makes of a call: its device, its precision, its cache state, and copies that share nothing."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.errors import UsageError
from bench.kernel import DeviceView, Role
from bench.pytest_plugin import measuring
from bench.pytest_plugin.measuring import Asked, device_name, request, role_of

Pair = namedtuple("Pair", "left right")  # the plain form is what is tested


def asked(function: Any, *args: Any, **options: Any) -> Asked:
    given = {"operations": None, "bytes_": None, "precision": None, "accumulate": None, "cache": None} | options
    return request(function, args, {}, capturable=False, **given)


def cache_plan(one: Asked, *, cache_bytes: int = 2**20, kind: str = "cpu") -> Any:
    place: Any = SimpleNamespace(  # what the plan looks at, and no more
        view=DeviceView(type=kind, torch_device=kind, cache_bytes=cache_bytes),
        backend=SimpleNamespace(memory_free_bytes=lambda: 2**34, supports_graphs=kind == "cuda"),
    )
    return measuring._cache_plan(one, place)


def test_the_precision_is_that_of_the_tensors_where_they_agree() -> None:
    half, single = torch.ones(2, dtype=torch.float16), torch.ones(2)
    assert asked(torch.add, half, half).precision == "fp16"
    assert asked(torch.add, single, [single]).precision == "fp32"
    assert asked(torch.add, half, single).precision == "unknown"
    assert asked(torch.add, half, single, precision="tf32").precision == "tf32"
    assert asked(torch.add, half, half).accumulate == "fp32"
    assert asked(torch.add, half, half, accumulate="fp16").accumulate == "fp16"
    assert asked(sum, [1]).accumulate is None


def test_a_rate_is_of_operations_at_a_known_precision_else_of_bytes() -> None:
    single = torch.ones(2)
    assert role_of(asked(torch.add, single, operations=2)) is Role.COMPUTE
    assert role_of(asked(torch.add, single, operations=2, bytes_=8)) is Role.COMPUTE
    assert role_of(asked(torch.add, single, bytes_=8)) is Role.BANDWIDTH
    assert role_of(asked(sum, [1], operations=2)) is None, "rated by no precision"
    assert role_of(asked(torch.add, single)) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp17"}, "precision: unknown value 'fp17'"),
        ({"accumulate": "fp17"}, "accumulate: unknown value 'fp17'"),
        ({"cache": "hot"}, "cache: unknown value 'hot'"),
        ({"operations": -1}, "operations: -1 is not a number of operations"),
        ({"operations": float("nan")}, "operations: nan is not"),
        ({"bytes_": "many"}, "bytes: 'many' is not a number of bytes"),
        ({"bytes_": True}, "bytes: True is not"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        asked(sum, [1], **options)


def test_the_device_is_where_the_tensors_are_those_of_the_result_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    meta = torch.ones(2, device="meta")  # a device of every torch, with which nothing is computed
    assert device_name(asked(torch.neg, torch.ones(2)), None) == "cpu"
    assert device_name(asked(len, [meta]), None) == "meta"
    assert device_name(asked(lambda x: x.to("meta"), torch.ones(2)), None) == "meta", "moved inside the call"
    assert device_name(asked(torch.nn.Linear(2, 2, device="meta"), meta), None) == "meta"
    assert device_name(asked(sum, [1]), "cuda:1") == "cuda:1", "as given, without a call"
    monkeypatch.setattr(measuring, "accelerators", list)
    assert device_name(asked(sum, [1]), None) == "cpu"
    monkeypatch.setattr(measuring, "accelerators", lambda: [("cuda", 0)])
    with pytest.raises(UsageError, match="no tensor among the arguments"):
        device_name(asked(sum, [1]), None)


def test_copies_share_no_memory_and_keep_their_kinds() -> None:
    leaf = torch.ones(2, requires_grad=True)
    value = {"pair": Pair(leaf, 3), "list": [torch.zeros(2), "word"], "tuple": (torch.zeros(1),)}
    copied = measuring._cloned(value)
    assert type(copied["pair"]) is Pair and copied["pair"].right == 3
    assert copied["pair"].left.requires_grad and copied["list"][1] == "word"
    pointers = [{t.data_ptr() for t in measuring._tensors(one)} for one in (value, copied)]
    assert len(pointers[0]) == len(pointers[1]) == 3
    assert not pointers[0] & pointers[1]


def test_a_call_is_cold_only_where_all_that_it_reads_is_rotated() -> None:
    x = torch.ones(2**17)  # 512 KiB beside a cache of 1 MiB
    assert cache_plan(asked(torch.neg, x)).label == "cold"
    assert cache_plan(asked(torch.neg, x)).copies == 11
    assert cache_plan(asked(torch.neg, x, cache="warm")).label == "warm"
    held = x.clone()
    for function in (lambda y: y + held, partial(torch.add, held), held.add, torch.nn.Linear(1, 1)):
        plan = cache_plan(asked(function, x))
        assert (plan.label, plan.copies) == ("warm", 1), function
        assert "only tensors among the arguments are rotated" in plan.why
    assert cache_plan(asked(sum, [1])).label == "warm"
    assert cache_plan(asked(lambda y: y + held, x, bytes_=2**23)).label == "not-applicable"


def test_on_an_accelerator_what_a_call_holds_is_flushed_too() -> None:
    held = torch.ones(2**16)
    plan = cache_plan(asked(lambda y: y + held, held), kind="cuda")
    assert (plan.label, plan.copies) == ("cold", 1)
    assert plan.flush_bytes >= 256 * 2**20
    assert not plan.rotation_cold, "a graph of it would find the cache warm"
    captured = replace(asked(torch.neg, held), capturable=True)
    assert cache_plan(captured, kind="cuda").rotation_cold


def test_tf32_by_the_projects_own_settings_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    place: Any = SimpleNamespace(device=SimpleNamespace(kind="cpu"))
    single = asked(torch.neg, torch.ones(2))
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "highest")
    assert measuring.shortcut(single, place) == ""
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert "TF32" in measuring.shortcut(single, place)
    assert measuring.shortcut(replace(single, precision="fp16"), place) == ""
