"""Vendors' command-line tools: their text, which card is meant, and what becomes of silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.telemetry import apple, tools
from bench.telemetry.command import CommandSource, Parser, Reading, Tool, pick
from bench.telemetry.model import FIELDS, NotAvailableError

RECORDED = Path(__file__).parent / "recorded"
PARSERS: dict[str, Parser] = {
    "npu_smi_910b.txt": tools.parse_npu_smi,
    "npu_smi_310p.txt": tools.parse_npu_smi,
    "mx_smi.txt": tools.parse_mx_smi,
    "mthreads_gmi.txt": tools.parse_mthreads_gmi,
    "macmon.json": apple.parse_gpu,
}
MEBI = 1 << 20


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def test_ascend_with_memory_on_the_package() -> None:
    busy, idle = tools.parse_npu_smi(recorded("npu_smi_910b.txt"))
    assert busy.address == "0000:c1:00.0"
    assert busy.values == {
        "power_w": 270.5,
        "temperature_c": 51.0,
        "utilization": pytest.approx(0.97),
        "memory_used_bytes": 20480 * MEBI,
    }
    assert (idle.address, idle.values["utilization"]) == ("0000:81:00.0", 0.0)


def test_ascend_whose_power_is_not_available() -> None:
    (only,) = tools.parse_npu_smi(recorded("npu_smi_310p.txt"))
    assert only.values == {
        "temperature_c": 50.0,
        "utilization": pytest.approx(0.03),
        "memory_used_bytes": 1800 * MEBI,
    }


def test_metax() -> None:
    busy, idle = tools.parse_mx_smi(recorded("mx_smi.txt"))
    assert busy == Reading(
        "0000:01:00.0",
        {
            "temperature_c": 67.0,
            "power_w": 210.0,
            "utilization": pytest.approx(0.98),
            "memory_used_bytes": 6660 * MEBI,
        },
    )
    assert idle.values["power_w"] == 29.0


def test_moore_threads() -> None:
    assert tools.parse_mthreads_gmi(recorded("mthreads_gmi.txt")) == [
        Reading("00000000:3b:00.0", {"power_w": 212.5, "temperature_c": 61.0})
    ]


def test_gaudi() -> None:
    text = "0000:4d:00.0, 512, 61, 1650, 98, 90000\n0000:4e:00.0, N/A, 34, 1650, 0, 768\n"
    first, second = tools.parse_hl_smi(text)
    assert (first.address, first.values["clock_hz"], first.values["power_w"]) == ("0000:4d:00.0", 1.65e9, 512.0)
    assert "power_w" not in second.values


def test_apple_both_sides_and_the_older_form() -> None:
    (gpu,) = apple.parse_gpu(recorded("macmon.json"))
    assert gpu.values == {"clock_hz": 461e6, "power_w": 0.017, "temperature_c": 36.9, "utilization": 0.09}
    (cpu,) = apple.parse_cpu(recorded("macmon.json"))
    assert cpu.values == {"clock_hz": 1.8e9, "power_w": 0.2, "temperature_c": 43.7, "utilization": 0.092}
    assert apple.parse_gpu('{"gpu_usage": [1398, 0.5]}')[0].values == {"clock_hz": 1.398e9}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_damaged_text_gives_fewer_readings_and_never_an_error(name: str, data: st.DataObject) -> None:
    text = recorded(name)
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 400))
    damaged = text[:start] + data.draw(st.text(max_size=20)) + text[start + length :]
    for reading in PARSERS[name](damaged):
        assert reading.values.keys() <= FIELDS


@pytest.mark.parametrize(
    "parse", [*PARSERS.values(), tools.parse_hl_smi, apple.parse_cpu], ids=lambda parse: parse.__name__
)
@given(st.text())
def test_no_text_is_an_error(parse: Parser, text: str) -> None:
    assert all(reading.values.keys() <= FIELDS for reading in parse(text))


def test_a_card_is_picked_by_address_or_for_being_alone_and_never_by_its_place() -> None:
    one, two = Reading("0000:01:00.0", {"power_w": 1.0}), Reading("0000:02:00.0", {"power_w": 2.0})
    assert pick([one, two], "0000:02:00.0") is two
    assert pick([one, two], "02:00.0") is two
    assert pick([Reading("00000000:3b:00.0"), two], "0000:3b:00.0") == Reading("00000000:3b:00.0")
    assert pick([one, two], None) is None
    assert pick([one, two], "0000:03:00.0") is None
    assert pick([one], None) is one
    assert pick([], None) is None


def source(outputs: list[str | None], address: str | None = None) -> CommandSource:
    told = iter(outputs)
    return CommandSource(tools.ASCEND, address, run=lambda *command: next(told))


def test_a_tool_is_asked_anew_for_every_sample() -> None:
    text = recorded("npu_smi_310p.txt")
    found = source([text, text.replace("50 ", "77 ")])
    assert found.fields == {"temperature_c", "utilization", "memory_used_bytes"}
    assert found.sample().temperature_c == 77.0


def test_a_tool_may_be_silent_twice_but_not_three_times() -> None:
    text = recorded("npu_smi_310p.txt")
    found = source([text, None, "", text, None, None, None])
    assert found.sample().temperature_c is None
    assert found.sample().temperature_c is None
    assert found.sample().temperature_c == 50.0
    found.sample()
    found.sample()
    with pytest.raises(NotAvailableError, match="3 times in a row"):
        found.sample()


@pytest.mark.parametrize(
    ("output", "why"),
    [(None, "not here, fails"), ("", "no device in a form"), (recorded("npu_smi_910b.txt"), "2 devices")],
)
def test_a_tool_that_does_not_say_which_card_is_no_source(output: str | None, why: str) -> None:
    with pytest.raises(NotAvailableError, match=why):
        source([output])


def test_a_tool_that_is_not_installed_is_a_reason() -> None:
    with pytest.raises(NotAvailableError, match="no-such-tool-of-any-vendor"):
        CommandSource(Tool("absent", ("no-such-tool-of-any-vendor",), tools.parse_npu_smi), None)
