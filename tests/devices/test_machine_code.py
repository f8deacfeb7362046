"""Machine code runs from a page of its own, and the page outlives the call."""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path

import pytest

from bench.devices.cpuinfo import parse_cpuinfo
from bench.devices.files import read_text
from bench.devices.host import normalized_machine
from bench.devices.machine_code import ExecutablePage, hypervisor_signature

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or normalized_machine() != "x86_64", reason="the code is for x86-64 Linux"
)


def test_a_page_without_another_reference_lives_through_its_call() -> None:
    for _ in range(100):
        ExecutablePage(b"\xc3").call(0)  # ret
        gc.collect(0)


def test_a_hypervisor_signs_with_letters_and_many_times_the_same() -> None:
    isa = parse_cpuinfo(read_text(Path("/proc/cpuinfo")) or "").isa
    if "hypervisor" not in isa:
        pytest.skip("this machine is not a virtual one")
    signed = {hypervisor_signature() for _ in range(20)}
    assert len(signed) == 1
    assert re.fullmatch(r"[ -~]{0,12}", signed.pop())
