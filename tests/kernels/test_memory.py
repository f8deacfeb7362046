"""memory and copy: bytes that are really moved, right answers, and sizes beyond the caches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.kernel import SUITES, DeviceView, Role, iterate_cases
from kernels.memory import Copy, Memory
from tests.kernels.checks import AVX2, DEVICES, H100, HERE, SAPPHIRE_RAPIDS, assert_right, available, made, output_of

KERNELS = [Memory(), Copy()]
SIZES = [1024, 100_000, 3_000_001]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_every_implementation_is_right(kernel, size: int) -> None:
    for name in available(kernel, {"bytes": size}, "fp32", HERE):
        assert_right(kernel, made(kernel, {"bytes": size}, "fp32"), name)
    assert available(kernel, {"bytes": size}, "fp32", HERE)


@pytest.mark.parametrize("kernel", KERNELS)
@given(size=st.integers(1024, 2**40))
def test_a_call_moves_the_bytes_of_its_case_but_for_less_than_an_element_a_row(kernel, size: int) -> None:
    work = kernel.work({"bytes": size}, "fp32")
    rows = kernel.output_rows({"bytes": size})
    assert size - 4 * kernel.arrays * rows < work.bytes <= size
    assert work.bytes_read == (kernel.arrays - 1) * work.bytes_written


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_those_of_the_tensors(kernel, size: int) -> None:
    inputs = made(kernel, {"bytes": size}, "fp32")
    work = kernel.work(inputs.case, "fp32")
    assert work.bytes_read == sum(tensor.nbytes for tensor in inputs.tensors.values())
    assert work.bytes_written == output_of(kernel, inputs, "torch").nbytes
    assert kernel.rows(output_of(kernel, inputs, "torch"), inputs.case).shape[0] == kernel.output_rows(inputs.case)


def test_they_are_rated_by_bandwidth() -> None:
    assert all(kernel.role is Role.BANDWIDTH for kernel in KERNELS)


def test_a_copy_has_to_be_equal_and_a_triad_close() -> None:
    copy, triad = Copy(), Memory()
    assert copy.tolerance({"bytes": 1024}, "fp32", "fp32", "fp32") == 0
    assert 0 < triad.tolerance({"bytes": 1024}, "fp32", "fp32", "fp32") < 1e-6


def test_a_triad_that_left_out_an_array_would_show() -> None:
    kernel = Memory()
    inputs = made(kernel, {"bytes": 100_000}, "fp32")
    error = (inputs["a"].double() - kernel.reference(inputs)).norm() / kernel.reference(inputs).norm()
    assert error > kernel.tolerance(inputs.case, "fp32", "fp32", "fp32")


@pytest.mark.parametrize("kernel", KERNELS)
def test_chosen_rows_are_those_of_the_whole_reference(kernel) -> None:
    inputs = made(kernel, {"bytes": 3_000_001}, "fp32")
    whole = kernel.reference(inputs)
    rows = torch.tensor([5, 0, len(whole) - 1])
    assert torch.equal(kernel.reference(inputs, rows), whole[rows])


def test_the_projection_in_blocks_is_that_of_the_whole_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.memory.streams.PROJECTED_ROWS", 7)
    kernel = Memory()
    inputs = made(kernel, {"bytes": 3_000_001}, "fp32")
    whole = kernel.reference(inputs)
    vector = torch.randn(whole.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(kernel.projection(inputs, vector), whole @ vector, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_each_suite_holds_the_one_before(device: DeviceView) -> None:
    quick, standard, full = (list(iterate_cases(Memory(), [suite], device)) for suite in SUITES)
    assert len(quick) == 1
    assert standard[:1] == quick
    assert full[: len(standard)] == standard
    assert list(iterate_cases(Copy(), ["quick"], device)) == []
    assert list(iterate_cases(Copy(), ["standard"], device)) == standard


@pytest.mark.parametrize("device", [AVX2, SAPPHIRE_RAPIDS, H100])
def test_the_quick_size_is_beyond_the_last_level_cache(device: DeviceView) -> None:
    (case,) = Memory().cases("quick", device)
    assert int(case["bytes"]) > 5 * (device.cache_bytes or 0)


def test_sizes_stay_within_a_share_of_a_small_memory() -> None:
    small = DeviceView(type="cuda", torch_device="cuda:0", memory_bytes=4 << 30, cache_bytes=4 << 20)
    for case in Memory().cases("full", small):
        assert int(case["bytes"]) <= (4 << 30) // 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs bytes="),
        ("bytes=12", "bytes=12 is outside 1024"),
        ("bytes=1GB", "bytes='1GB' is not an integer"),
        ("byte=4096", "Did you mean 'bytes'"),
    ],
)
def test_a_wrong_case_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Memory().parse_case(text)
