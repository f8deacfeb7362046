"""host_to_device and device_to_host: the array arrives whole, counts once, and a processor says why it has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.kernel import SUITES, Role, iterate_cases
from kernels.host_copy import DeviceToHost, HostToDevice
from tests.kernels.checks import H100, HERE, MI300X, assert_right, made, output_of, reason

KERNELS = [HostToDevice(), DeviceToHost()]
PAGEABLE = {"memory": "pageable"}
"""The one kind that can be had without an accelerator: pinning needs its driver."""


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [4, 1000, 8192, 100_000, 3_000_001])
def test_what_arrives_is_what_was_sent_each_time(kernel, size: int) -> None:
    inputs = made(kernel, {"bytes": size, **PAGEABLE}, "fp32")
    assert_right(kernel, inputs, "torch")
    assert output_of(kernel, inputs, "torch").data_ptr() != inputs["a"].data_ptr()


@pytest.mark.parametrize("kernel", KERNELS)
@given(size=st.integers(4, 2**40))
def test_each_byte_counts_once(kernel, size: int) -> None:
    case = kernel.complete_case({"bytes": size})
    work = kernel.work(case, "fp32")
    assert size - 4 * kernel.output_rows(case) < work.bytes <= size
    assert work.operations == 0 and kernel.input_bytes(case, "fp32") == work.bytes


@pytest.mark.parametrize("kernel", KERNELS)
def test_bytes_are_those_of_the_array(kernel) -> None:
    inputs = made(kernel, {"bytes": 100_003, **PAGEABLE}, "fp32")
    assert kernel.work(inputs.case, "fp32").bytes == inputs["a"].nbytes == output_of(kernel, inputs, "torch").nbytes


def test_they_are_rated_by_the_link_to_the_host() -> None:
    assert all(kernel.role is Role.TRANSFER and kernel.role.counts_bytes for kernel in KERNELS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_copy_that_lacks_a_value_is_wrong(kernel) -> None:
    inputs = made(kernel, {"bytes": 65_536, **PAGEABLE}, "fp32")
    short = output_of(kernel, inputs, "torch").clone()
    short[3, 1000] = 0
    assert kernel.tolerance(inputs.case, "fp32", "fp32", "fp32") == 0
    assert bool((kernel.rows(short, inputs.case).double() - kernel.reference(inputs)).norm() > 0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_suites_grow_and_fit_the_device(kernel) -> None:
    for device in (H100, MI300X):
        found = [list(iterate_cases(kernel, [suite], device)) for suite in SUITES]
        assert found[0] == [{"bytes": 2**28, "memory": "pinned"}]
        assert len(found[0]) < len(found[1]) < len(found[2])
        assert {case["memory"] for case in found[2]} == {"pinned", "pageable"}
        assert all(4096 <= int(case["bytes"]) <= 2**30 for cases in found for case in cases)


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_runs_on_any_device_but_the_host(kernel) -> None:
    assert "is the host" in reason(kernel, "torch", {"bytes": 4096}, "fp32", HERE)
    assert reason(kernel, "torch", {"bytes": 4096}, "fp32", H100) == ""


def test_a_memory_of_another_kind_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="pageable, pinned"):
        HostToDevice.parse_case("bytes=4096,memory=managed")


def test_on_a_processor_each_row_says_so(cli: Callable[..., Any]) -> None:
    names = "host_to_device,device_to_host"
    done = cli("run", "--device", "cpu", "--kernel", names, "--format", "json")
    rows = [line for line in map(json.loads, done.out.splitlines()) if line["type"] == "measurement"]
    assert done.code == 3  # no row with a figure
    assert [(row["kernel"], row["status"]) for row in rows] == [(name, "unsupported") for name in names.split(",")]
    assert all("a processor is the host" in row["reason"] and row["role"] == "transfer" for row in rows)


def test_the_array_is_read_by_the_call_and_not_before_it() -> None:
    inputs = made(HostToDevice(), {"bytes": 4096, **PAGEABLE}, "fp32")
    call = HostToDevice.implementations()["torch"].build(HostToDevice(), inputs)
    before = call().clone()
    inputs["a"].zero_()
    assert not torch.equal(call(), before)
