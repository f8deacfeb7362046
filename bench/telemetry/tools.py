"""The vendors' tools whose output is documented or recorded in public, one parser each; all of them pure.

A parser never raises: text in another form gives no reading. "NA" and "N/A" are no value.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from bench.telemetry.command import Reading, Tool

_MEBI: Final = 1 << 20
_ADDRESS: Final = r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d"
_HL_SMI_FIELDS: Final = (
    "bus_id",
    "power.draw",
    "temperature.aip",
    "clocks.current.soc",
    "utilization.aip",
    "memory.used",
)
"""Names of `hl-smi --query-aip` (Intel Gaudi's documentation of the tool)."""


def parse_npu_smi(text: str) -> list[Reading]:
    """`npu-smi info` of Huawei's Ascend: a table of two rows a chip.

    | NPU Name | Health | Power(W) Temp(C) Hugepages-Usage(page) | and below it
    | Chip … | Bus-Id | AICore(%) Memory-Usage(MB) [HBM-Usage(MB)] |, "used / total" for both memories.
    """
    found = []
    rows = list(_table_rows(text))
    titled = any("Power(W)" in row[-1] and "Temp(C)" in row[-1] for row in rows)
    for first, second in pairwise(rows):
        address = re.fullmatch(_ADDRESS, second[1]) if titled else None
        above, below = first[-1].split(), second[-1].replace("/", " ").split()
        if not address or len(above) < 2 or not below:
            continue
        # With HBM the pair after the host-side memory is the device's; without it that first pair is.
        used = below[3] if len(below) >= 5 else below[1] if len(below) >= 3 else ""
        values = {
            "power_w": to_number(above[0]),
            "temperature_c": to_number(above[1]),
            "utilization": scaled(below[0], 0.01),
            "memory_used_bytes": _bytes(used),
        }
        found.append(Reading(address.group().lower(), known_only(values)))
    return found


def parse_mx_smi(text: str) -> list[Reading]:
    """`mx-smi` of MetaX: a table of two rows a card.

    | GPU NAME Persistence-M | Bus-id | GPU-Util sGPU-M | and below it
    | Temp Pwr:Usage/Cap Perf | Memory-Usage | GPU-State |: "37C 29W / 225W P0", "666/65536 MiB".
    """
    found = []
    rows = list(_table_rows(text))
    titled = any("Pwr:Usage/Cap" in row[0] for row in rows)
    for first, second in pairwise(rows):
        state = re.match(r"(\S+)C\s+(\S+)W\s*/", second[0]) if titled and len(first) >= 3 else None
        if not state or ":" not in first[1]:
            continue
        values = {
            "temperature_c": to_number(state.group(1)),
            "power_w": to_number(state.group(2)),
            "utilization": scaled(first[2].partition("%")[0], 0.01),
            "memory_used_bytes": _bytes(second[1].partition("/")[0]),
        }
        found.append(Reading(first[1].lower(), known_only(values)))
    return found


def parse_mthreads_gmi(text: str) -> list[Reading]:
    """`mthreads-gmi -q` of Moore Threads: "Key : value unit" lines, a section a card.

    A section begins at a line "GPU<number> …"; other keys than those looked for are left.
    """
    cards: list[dict[str, str]] = []
    addresses: list[str] = []
    for line in text.splitlines():
        if re.match(r"\s*GPU\s*\d", line):
            address = re.search(_ADDRESS, line)
            addresses.append(address.group().lower() if address else "")
            cards.append({})
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if colon and value and cards:
            cards[-1].setdefault(key, value)
    readings = []
    for place, card in zip(addresses, cards, strict=True):
        values = {
            "power_w": to_number(card.get("Power Draw")),
            "temperature_c": to_number(card.get("GPU Current Temp")),
        }
        if known := known_only(values):
            readings.append(Reading(place, known))
    return readings


def parse_hl_smi(text: str) -> list[Reading]:
    """`hl-smi --query-aip=… --format=csv,noheader,nounits` of Intel's Gaudi: the columns asked for, a row a card."""
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(_HL_SMI_FIELDS):
            continue
        cells = dict(zip(_HL_SMI_FIELDS, row, strict=True))
        values = {
            "power_w": to_number(cells["power.draw"]),
            "temperature_c": to_number(cells["temperature.aip"]),
            "clock_hz": scaled(cells["clocks.current.soc"], 1e6),
            "utilization": scaled(cells["utilization.aip"], 0.01),
            "memory_used_bytes": _bytes(cells["memory.used"]),
        }
        found.append(Reading(cells["bus_id"].lower(), known_only(values)))
    return found


ASCEND: Final = Tool("npu-smi", ("npu-smi", "info"), parse_npu_smi)
METAX: Final = Tool("mx-smi", ("mx-smi",), parse_mx_smi)
MOORE_THREADS: Final = Tool("mthreads-gmi", ("mthreads-gmi", "-q"), parse_mthreads_gmi)
GAUDI: Final = Tool(
    "hl-smi", ("hl-smi", f"--query-aip={','.join(_HL_SMI_FIELDS)}", "--format=csv,noheader,nounits"), parse_hl_smi
)

BY_DEVICE: Final[Mapping[str, Tool]] = {
    # torch device type → the tool. Kunlunxin's xpu-smi is not Intel's, and neither stands here.
    "npu": ASCEND,
    "maca": METAX,
    "musa": MOORE_THREADS,
    "hpu": GAUDI,
}
BY_VENDOR: Final[Mapping[str, Tool]] = {"metax": METAX}
"""For stacks that present their cards as cuda."""


def _table_rows(text: str) -> Iterator[Sequence[str]]:
    """The cells of every "| … | … |" line of three cells."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("|") and stripped.endswith("|") and "---" not in stripped and "===" not in stripped:
            cells = [cell.strip() for cell in stripped.strip("|").split("|")]
            if len(cells) == 3:
                yield cells


def to_number(value: Any) -> float | None:
    """A number, with or without its unit behind it; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(?:[A-Za-z%]+\s*)?$", value) if isinstance(value, str) else None
    return float(match.group(1)) if match else None


def scaled(value: Any, factor: float) -> float | None:
    number = to_number(value)
    return None if number is None else number * factor


def _bytes(value: Any) -> int | None:
    """Tools print MB and mean MiB."""
    number = to_number(value)
    return None if number is None else int(number * _MEBI)


def known_only(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
