"""`python -m bench kernels`: what there is, and what a case of it may hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bench import plugins

Cli = Callable[..., Any]


def test_every_installed_kernel_is_listed_with_its_role(cli: Cli) -> None:
    listed = {one["name"]: one["role"] for one in json.loads(cli("kernels", "--format", "json").out)["kernels"]}
    assert listed == {name: kernel.role.value for name, kernel in plugins.kernels().items()}


@pytest.mark.parametrize("line", ["bytes required 4 … 281474976710656", "memory pinned pinned, pageable"])
def test_a_kernels_fields_come_with_what_they_may_be(cli: Cli, line: str) -> None:
    shown = [" ".join(one.split()) for one in cli("kernels", "host_to_device").out.splitlines()]
    assert any(one.startswith(line) for one in shown)


def test_an_unknown_kernel_is_refused_with_those_that_there_are(cli: Cli) -> None:
    done = cli("kernels", "host")
    assert done.code == 2
    assert "host_to_device" in done.err and "gemm" in done.err
