"""The cache plan: what each request gets on each kind of device, and that the label never claims more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.timing.cache import MAXIMUM_COPIES, MEMORY_SHARE, MIB, CachePlan, flusher, plan_cache, rotation_copies

GIB = 1024 * MIB


def test_copies_are_five_caches_and_one_more() -> None:
    assert rotation_copies(2 * MIB, 32 * MIB) == 81
    assert rotation_copies(3 * MIB, 32 * MIB) == 55
    assert rotation_copies(100 * GIB, 1) == 2


def test_a_processor_rotates_its_inputs() -> None:
    plan = plan_cache(None, 48 * MIB, 32 * MIB, 32 * MIB, 20 * GIB, "cpu")
    assert (plan.label, plan.copies, plan.flush_bytes, plan.rotation_cold) == ("cold", 6, 0, True)


def test_many_copies_on_a_processor_have_to_be_asked_for() -> None:
    unasked = plan_cache(None, 12 * MIB, 8 * MIB, 32 * MIB, 20 * GIB, "cpu")
    assert (unasked.label, unasked.copies) == ("warm", 1)
    assert "--cache cold" in unasked.why
    asked = plan_cache("cold", 12 * MIB, 8 * MIB, 32 * MIB, 20 * GIB, "cpu")
    assert (asked.label, asked.copies) == ("cold", 21)


def test_a_gpu_is_flushed_with_twice_its_cache_or_256_mib() -> None:
    assert plan_cache("cold", MIB, MIB, 50 * MIB, 70 * GIB, "cuda").flush_bytes == 256 * MIB
    assert plan_cache("cold", MIB, MIB, 200 * MIB, 70 * GIB, "cuda").flush_bytes == 400 * MIB
    assert plan_cache("cold", MIB, MIB, 4 * MIB, 70 * GIB, "cuda", vendor="amd").flush_bytes == 512 * MIB
    assert plan_cache("cold", MIB, MIB, None, None, "xpu") == plan_cache(None, MIB, MIB, None, None, "xpu")


def test_a_gpu_that_makes_graphs_rotates_too_unless_calls_are_long() -> None:
    short = plan_cache("cold", 3 * MIB, 2 * MIB, 50 * MIB, 70 * GIB, "cuda", graphs=True)
    assert (short.label, short.copies, short.flush_bytes, short.rotation_cold) == ("cold", 126, 256 * MIB, True)
    long = plan_cache("cold", 3 * MIB, 2 * MIB, 50 * MIB, 70 * GIB, "cuda", graphs=True, call_s=1e-4)
    assert (long.label, long.copies, long.rotation_cold) == ("cold", 1, False)


def test_a_gpu_stays_cold_by_flush_where_rotation_takes_too_many_copies() -> None:
    plan = plan_cache("cold", 3000, 2000, 50 * MIB, 70 * GIB, "cuda", graphs=True)
    assert (plan.label, plan.copies, plan.rotation_cold) == ("cold", 1, False)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("requested", ["cold", "warm", None])
def test_a_call_larger_than_five_caches_needs_neither(device: str, requested: str | None) -> None:
    plan = plan_cache(requested, 161 * MIB, 100 * MIB, 32 * MIB, 20 * GIB, device)  # type: ignore[arg-type]  # parametrised
    assert (plan.label, plan.copies, plan.flush_bytes) == ("not-applicable", 1, 0)
    assert plan_cache(requested, 160 * MIB, 100 * MIB, 32 * MIB, 20 * GIB, device).label != "not-applicable"  # type: ignore[arg-type]  # parametrised


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_warm_is_what_it_says(device: str) -> None:
    assert plan_cache("warm", MIB, MIB, 32 * MIB, GIB, device) == CachePlan("warm", why="asked for")


def test_a_shared_cache_of_hundreds_of_megabytes_is_warm_unless_asked_for_and_says_why() -> None:
    unasked = plan_cache(None, 9 * MIB, 6 * MIB, 300 * MIB, 100 * GIB, "cpu")
    assert (unasked.label, unasked.copies) == ("warm", 1)
    assert "--cache cold" in unasked.why
    asked = plan_cache("cold", 9 * MIB, 6 * MIB, 300 * MIB, 100 * GIB, "cpu")
    assert (asked.label, asked.copies) == ("cold", 251)


@pytest.mark.parametrize(
    ("input_bytes", "cache_bytes", "free", "why"),
    [
        (1000, 32 * MIB, 20 * GIB, "copies"),
        (8 * MIB, 32 * MIB, 200 * MIB, "25%"),
        (8 * MIB, None, 20 * GIB, "unknown"),
    ],
)
def test_what_cannot_be_cold_is_warm_even_when_asked_for(
    input_bytes: int, cache_bytes: int | None, free: int, why: str
) -> None:
    plan = plan_cache("cold", input_bytes, input_bytes, cache_bytes, free, "cpu")
    assert (plan.label, plan.copies, plan.flush_bytes) == ("warm", 1, 0)
    assert why in plan.why


def test_a_flush_that_does_not_fit_is_not_claimed() -> None:
    assert plan_cache("cold", MIB, MIB, 50 * MIB, 100 * MIB, "cuda").label == "warm"


sizes = st.integers(min_value=1, max_value=2**40)


@given(
    st.sampled_from(["cold", "warm", None]),
    sizes,
    sizes,
    st.none() | sizes,
    st.none() | sizes,
    st.sampled_from(["cpu", "cuda", "mps"]),
    st.booleans(),
)
def test_a_plan_holds_what_its_label_says(requested, call, inputs, cache, free, device, graphs) -> None:  # type: ignore[no-untyped-def]  # hypothesis gives the types
    plan = plan_cache(requested, call, inputs, cache, free, device, graphs=graphs)
    assert plan.why
    assert 1 <= plan.copies <= MAXIMUM_COPIES
    if plan.label == "cold":
        assert requested != "warm"
        assert plan.flush_bytes or plan.rotation_cold
    else:
        assert (plan.copies, plan.flush_bytes, plan.rotation_cold) == (1, 0, False)
    if plan.rotation_cold:
        assert cache is not None
        assert plan.copies * inputs > 5 * cache
        assert free is None or plan.copies * inputs <= MEMORY_SHARE * free


def test_the_flush_writes_all_of_its_buffer() -> None:
    import torch

    assert flusher(CachePlan("warm"), "cpu") is None
    flush = flusher(CachePlan("cold", flush_bytes=4096), "cpu")
    assert flush is not None
    (buffer,) = (cell.cell_contents for cell in flush.__closure__ or ())  # type: ignore[attr-defined]  # a function's own
    assert buffer.numel() * buffer.element_size() == 4096
    buffer.fill_(7)
    flush()
    assert not torch.any(buffer)
