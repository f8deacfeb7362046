"""What a foreign name says was measured: a series of ours that comes back, or a name and parameters as they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from bench.interop import reading

UNKNOWN: Final = "unknown"
MAX_PARAMETERS: Final = 64
"""Most parameters of one benchmark."""
OUR_NAME: Final = re.compile(
    r"(?P<kernel>[^\[\]]*)\[(?P<case>[^\[\]]*)\] (?P<precision>[^ /]+)(?:/(?P<accumulate>[^ /]+))? "
    r"(?P<implementation>[^ ]+(?: [^ ]+)*?) (?P<mode>burst|sustained) (?P<data>[^ ]+) "
    r"(?P<cache>cold|warm|not-applicable) (?P<device>[^ ]+)(?: \((?P<product>.*)\))?"
)
"""A series' name as `bench.analysis.identity` writes it: an export of ours comes back as the series that it was."""
INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""An integer as Python writes it. Anything else that `int` would take ("-0", "007", "٣") is another text: it stays one,
or an imported series would have another name than the exported one."""


def named(name: str, case: Mapping[str, int | str] | None = None) -> dict[str, Any]:
    """The fields of a measurement that say what was measured, from a foreign name or from one of ours.

    A foreign name is the kernel as it stands, and its parameters the case; what it does not say is "unknown".
    """
    ours = OUR_NAME.fullmatch(name) if not case else None
    fields = _case_of(ours["case"]) if ours else None
    if ours is None or fields is None:
        return foreign(name, case or {})
    return {
        "kernel": ours["kernel"],
        "case": fields,
        "precision": ours["precision"],
        "accumulate": ours["accumulate"] or ours["precision"],
        "implementation": ours["implementation"],
        "mode": ours["mode"],
        "data": ours["data"],
        "cache": ours["cache"],
        "device": ours["device"],
    }


def foreign(kernel: str, case: Mapping[str, int | str]) -> dict[str, Any]:
    """The fields of a measurement of which only a name and parameters are known."""
    return {
        "kernel": kernel,
        "case": dict(case),
        "precision": UNKNOWN,
        "accumulate": None,
        "implementation": UNKNOWN,
        "mode": "burst",
        "data": UNKNOWN,
        "cache": "not-applicable",
        "device": UNKNOWN,
    }


def parameters(node: reading.Node) -> dict[str, int | str]:
    """A case from a foreign object of parameters: integers and text as they are, anything else spelled."""
    case: dict[str, int | str] = {}
    for name, value in node.entries():
        if len(case) == MAX_PARAMETERS:
            raise reading.MalformedError(f"{node.place}: has more than {MAX_PARAMETERS} parameters, which is the limit")
        case[name] = parameter(value.value)
    return case


def parameter(value: Any) -> int | str:
    """One value of a case: a whole number, or words."""
    if isinstance(value, str):
        text = reading.UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[: reading.MAX_NAME])
        return int(text) if INTEGER.fullmatch(text) else text
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return value
    if isinstance(value, float | bool) or value is None:
        return str(value)
    return reading.shown(value)


def _case_of(text: str) -> dict[str, int | str] | None:
    """The case in a series' name; None where it is not one of ours after all."""
    case: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or name in case:
            return None
        case[name] = int(value) if INTEGER.fullmatch(value) else value
    return case
