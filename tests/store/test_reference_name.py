"""A reference result is called by what it ran on, whatever a driver reports."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import records
from bench.store.reference_name import file_name, product, slug
from tests.factories import device, run_file


def named(*devices: records.Device, **changes: Any) -> str:
    file = run_file([], devices=list(devices))
    return file_name(msgspec.structs.replace(file, run=msgspec.structs.replace(file.run, **changes)))


def units(kind: str, count: int | None) -> records.Units:
    return records.Units(kind=kind, in_use=count)


EPYC = device(name="AMD EPYC", vendor="amd")
H100 = device(
    device="cuda:0",
    kind="cuda",
    name="NVIDIA H100 80GB HBM3",
    vendor="nvidia",
    architecture="sm_90",
    units=units("multiprocessor", 132),
)


@pytest.mark.parametrize(
    ("devices", "changes", "name"),
    [
        ([EPYC], {"suite": "standard"}, "cpu-amd-epyc-zen3-2c-torch2.13.0-20260101.jsonl"),
        ([EPYC], {}, "cpu-amd-epyc-zen3-2c-torch2.13.0-quick-20260101.jsonl"),
        (
            [H100],
            {"suite": "standard", "software": {"torch": "2.9.0+cu128"}, "started": "2026-11-22T19:52:34+00:00"},
            "cuda-nvidia-h100-80gb-hbm3-sm90-132sm-torch2.9.0-20261122.jsonl",
        ),
        ([H100, H100], {"suite": "standard"}, "cuda-nvidia-h100-80gb-hbm3-sm90-132sm-x2-torch2.13.0-20260101.jsonl"),
        (
            [msgspec.structs.replace(H100, mig="1g.10gb", units=units("multiprocessor", 14))],
            {"suite": "standard"},
            "cuda-nvidia-h100-80gb-hbm3-sm90-14sm-mig1g.10gb-torch2.13.0-20260101.jsonl",
        ),
        (
            [device(kind="npu", name="昇腾910B", vendor="Huawei", architecture="", units=units("AI core", None))],
            {"suite": "standard", "software": {}},
            "npu-huawei-910b-20260101.jsonl",
        ),
    ],
)
def test_the_name_says_what_it_ran_on(devices: list[records.Device], changes: dict[str, Any], name: str) -> None:
    assert named(*devices, **changes) == name


def test_trade_marks_and_clocks_are_no_part_of_a_product_and_a_plus_is() -> None:
    assert product(device(name="Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz")) == "intel-xeon-cpu-e5-2680-v4"
    assert product(device(name="Intel(R) Xeon(R) Platinum 8480+")) == "intel-xeon-platinum-8480plus"


def test_a_vendor_is_named_once() -> None:
    assert product(device(name="NVIDIA L4", vendor="nvidia")) == "nvidia-l4"
    assert product(device(name="S4000", vendor="Moore Threads")) == "moore-threads-s4000"
    assert product(device(name="Moore Threads S4000", vendor="Moore Threads")) == "moore-threads-s4000"


def test_without_a_device_there_is_no_name() -> None:
    with pytest.raises(ValueError, match="no device"):
        named()


@given(st.text(), st.text(), st.text(), st.text(), st.none() | st.text(), st.text(), st.none() | st.text())
def test_whatever_is_reported_the_name_is_one_file_in_the_folder(
    name: str, vendor: str, kind: str, architecture: str, mig: str | None, torch: str, suite: str | None
) -> None:
    one = device(name=name, vendor=vendor, kind=kind, architecture=architecture, mig=mig)
    found = named(one, software={"torch": torch}, suite=suite)
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*\.jsonl", found)
    assert len(found) <= 255


@given(st.text())
def test_a_slug_of_a_slug_is_itself(text: str) -> None:
    assert slug(slug(text)) == slug(text)
