"""`--device` is read without torch, and whatever can't be meant is refused with what is allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices import KNOWN_TYPES, parse_selection
from bench.devices.selection import ALIASES
from bench.errors import UsageError


@given(st.sampled_from(sorted(KNOWN_TYPES)), st.none() | st.integers(0, 999_999), st.booleans())
def test_every_type_is_read_with_and_without_an_index_in_any_case(kind: str, index: int | None, upper: bool) -> None:
    text = kind if index is None else f"{kind}:{index}"
    chosen = parse_selection(text.upper() if upper else text)
    assert (chosen.type, chosen.index) == (kind, index)


@given(st.text(max_size=20))
def test_any_other_text_is_a_usage_error_that_names_it(text: str) -> None:
    head = text.strip().lower().partition(":")[0]
    if head in {*KNOWN_TYPES, *ALIASES, "auto", "all"}:
        return
    with pytest.raises(UsageError, match="--device"):
        parse_selection(text)


@pytest.mark.parametrize(
    "text", ["cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "cuda:٣", "cuda:9999999", "auto:0", "", ":"]
)
def test_a_malformed_device_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_selection(text)
    assert repr(text) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_rocm_and_hip_are_names_of_cuda_that_want_amds_torch() -> None:
    for text in ("rocm", "HIP:1"):
        chosen = parse_selection(text)
        assert chosen.type == "cuda"
        assert chosen.wants_hip
    assert not parse_selection("cuda").wants_hip


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(UsageError, match="Did you mean 'cuda'"):
        parse_selection("cudda")


def test_a_gpu_is_sent_to_the_name_that_torch_has_for_it() -> None:
    with pytest.raises(UsageError, match=r"cuda for NVIDIA.*mps for Apple"):
        parse_selection("gpu")


def test_the_package_is_imported_and_a_device_parsed_without_torch() -> None:
    code = "import sys, bench.devices as d; d.parse_selection('cuda:0'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
