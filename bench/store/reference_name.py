"""What a reference result is called: by what it ran on, so that a folder of them reads as a list of hardware."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bench import records

SUITE: Final = "standard"
"""The suite that a name leaves unsaid."""
UNITS: Final = {"core": "c", "multiprocessor": "sm", "compute unit": "cu", "Xe core": "xe", "GPU core": "gc"}
"""Abbreviations of kinds of units; any other is "u"."""
LONGEST_PRODUCT: Final = 60
LONGEST: Final = 24
"""Characters that are kept of a product's name, and of any other part: file systems take 255 bytes."""
_MARKS: Final = re.compile(r"\((?:r|tm|c)\)", re.IGNORECASE)
_CLOCK: Final = re.compile(r"@\s*[0-9.]+\s*[gm]hz", re.IGNORECASE)


def file_name(file: records.RunFile) -> str:
    """The name that a run has among the reference results.

    Device type, product, architecture, units in use, MIG slice, how many such devices, torch's version, suite unless
    it is `standard`, and the day; what is unknown is left out:
    "cpu-amd-epyc-zen3-2c-torch2.13.0-20261122.jsonl". Raises ValueError where the run describes no device.
    """
    if not file.devices:
        raise ValueError("the run describes no device")
    device = file.devices[0]
    torch = file.run.software.get("torch", "").partition("+")[0]
    parts = [
        slug(device.kind),
        product(device),
        slug(device.architecture).replace("-", ""),
        f"{device.units.in_use}{UNITS.get(device.units.kind, 'u')}" if device.units.in_use else "",
        f"mig{slug(device.mig)}" if device.mig else "",
        f"x{len(file.devices)}" if len(file.devices) > 1 else "",
        f"torch{slug(torch)}" if torch else "",
        "" if file.run.suite == SUITE else slug(file.run.suite or ""),
        re.sub(r"[^0-9]", "", file.run.started[:10]),
    ]
    return "-".join(filter(None, parts)) + ".jsonl"


def product(device: records.Device) -> str:
    """Vendor and product in lower case; a processor's trade marks and the clock in its name are left out."""
    name = slug(_CLOCK.sub(" ", _MARKS.sub(" ", device.name)), LONGEST_PRODUCT)
    vendor = slug(device.vendor)
    named = not vendor or f"-{vendor}-" in f"-{name}-"
    return slug(name if named else f"{vendor}-{name}", LONGEST_PRODUCT)


def slug(text: str, most: int = LONGEST) -> str:
    """Lower-case letters, digits and dots, joined by hyphens: "8480+" and "8480" stay two names."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("+", "plus")
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:most].strip("-.")
