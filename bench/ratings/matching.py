"""Which one entry of the tables a reported device name gets, or none and why.

A name matches whole or not at all, so a SKU that is not listed never gets its neighbour's figures. Memory, unit count
and PCI id then refuse what the name alone would let through, and decide where a name is shared.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

import msgspec

from bench.ratings.tables import Entry, Tables

GIB: Final = 2**30

MEMORY_LOW: Final = 0.89
"""Smallest share of the nominal size (read as GiB) that a whole device reports: cards with in-band ECC and integrated
devices keep some back (a 48 GB L40S reports 44.4 GiB, 0.925; a 24 GB A10 22.0 GiB, 0.918; a 16 GB T4 14.6 GiB, 0.911),
and a size meant as 1e9 bytes is 0.931 of it in GiB."""
MEMORY_HIGH: Final = 1.02
"""Largest share: a size meant in GiB is reported whole; what is above rounding belongs to a larger variant."""

SLICE: Final = re.compile(
    r"\bmig\b|\bvgpu\b|\bgrid\b"  # "… MIG 1g.10gb", "GRID T4-16C"
    r"|-\d+(-\d+)?(a|b|c|q|me|cme)\b"  # vGPU profiles: L40S-48Q, A100-4-20C
)
"""What NVIDIA's drivers put into the name of a slice or a virtual GPU."""

_MARKS: Final = re.compile(r"\((r|tm|c)\)|[®™]")
_VENDORS: Final = ("nvidia ", "amd ", "intel ")
RDNA: Final = ("gfx10", "gfx11", "gfx12")


@lru_cache(maxsize=4096)
def normalise(name: str) -> str:
    """A name as it is compared: lower case, no trademark signs, one space, no leading vendor, no driver in brackets."""
    plain = " ".join(_MARKS.sub(" ", name.casefold()).split()).removesuffix(" (nvgpu)")
    for vendor in _VENDORS:
        plain = plain.removeprefix(vendor)
    return plain


def _vendor(name: str) -> str:
    """The vendor that a name begins with, "" where it doesn't say."""
    plain = " ".join(_MARKS.sub(" ", name.casefold()).split())
    return next((v.strip() for v in _VENDORS if plain.startswith(v)), "")


def match(
    tables: Tables,
    name: str,
    *,
    torch_device: str | None = None,
    memory_bytes: int | None = None,
    units: int | None = None,
    pci_id: str | None = None,
) -> Entry | None:
    """The one entry for a device as its framework reports it; None where there is none or more than one.

    `torch_device` is torch's device type, `memory_bytes` the memory that one torch device reports, `units` its
    multiprocessors or compute units, `pci_id` "10de:2330". The entry that comes back has `devices_per_row` settled.
    """
    found = _candidates(tables, name, torch_device, memory_bytes, units, pci_id)
    return found[0] if len(found) == 1 else None


def why_no_match(
    tables: Tables,
    name: str,
    *,
    torch_device: str | None = None,
    memory_bytes: int | None = None,
    units: int | None = None,
    pci_id: str | None = None,
) -> str:
    """One sentence on why `match` gives None; "" when it gives an entry."""
    found = _candidates(tables, name, torch_device, memory_bytes, units, pci_id)
    if len(found) == 1:
        return ""
    if is_slice(name):
        return f"{name!r} is a slice of a card or a virtual GPU: the full card's figures are not its own"
    if found:
        rows = ", ".join(e.name for e in found)
        return f"{name!r} is reported by several SKUs ({rows}); memory, units or PCI id would decide"
    named = _named(tables, name)
    if not named:
        return f"{name!r} is in no table"
    rows = ", ".join(e.name for e in named)
    return f"{name!r} is a name of {rows}, but {_refusal(named, torch_device, memory_bytes, units, pci_id)} differs"


def is_slice(name: str) -> bool:
    """Whether a name is that of a MIG slice or a virtual GPU."""
    return bool(SLICE.search(name.casefold()))


def _candidates(
    tables: Tables,
    name: str,
    torch_device: str | None,
    memory_bytes: int | None,
    units: int | None,
    pci_id: str | None,
) -> list[Entry]:
    found = []
    for entry in _named(tables, name):
        if is_slice(name) and not entry.user_file:
            continue
        if not _torch_device_fits(entry, torch_device):
            continue
        settled = _settle(entry, memory_bytes, units)
        if settled is not None:
            found.append(settled)
    found = _by_pci_id(tables, found, pci_id)
    mine = [e for e in found if e.user_file]
    return mine or found


def _torch_device_fits(entry: Entry, torch_device: str | None) -> bool:
    if torch_device == "cpu":
        # Processors are rated by computation; a card of unknown backend may bear a processor's name (N100).
        return entry.torch_device == "cpu" or bool(entry.user_file and entry.torch_device is None)
    return not torch_device or entry.torch_device in (None, torch_device)


def _named(tables: Tables, name: str) -> list[Entry]:
    """The entries that bear the name, those of the most specific pattern only."""
    wanted = normalise(name)
    vendor = _vendor(name)
    entries = [e for e in tables.entries if not (vendor and e.vendor) or e.vendor.casefold() == vendor]
    scored = [(score, entry) for entry in entries if (score := _specificity(entry, wanted)) > 0]
    best = max((score for score, _ in scored), default=0)
    return [entry for score, entry in scored if score == best]


def _specificity(entry: Entry, wanted: str) -> int:
    """0 where no name of the entry is `wanted`; else the letters that the best pattern spells out."""
    best = 0
    for pattern in (entry.name, *entry.names):
        plain = normalise(pattern)
        # Only names may hold wildcards; brackets in them are letters.
        if plain == wanted or ("*" in plain and fnmatchcase(wanted, plain.replace("[", "[[]"))):
            best = max(best, len(plain) - plain.count("*"))
    return best


def _settle(entry: Entry, memory_bytes: int | None, units: int | None) -> Entry | None:
    """The entry with the number of devices that memory and units allow; None where they allow none."""
    for devices in entry.devices_per_row:
        if _memory_fits(entry, devices, memory_bytes) and _units_fit(entry, devices, units):
            return msgspec.structs.replace(entry, devices_per_row=(devices,))
    return None


def _memory_fits(entry: Entry, devices: int, memory_bytes: int | None) -> bool:
    if memory_bytes is None or entry.memory_is_shared or not entry.memory_gb:
        return True
    # Who asks by hand may give the card's size; where a row is always several devices, that confuses nothing.
    counts = {devices, 1} if len(entry.devices_per_row) == 1 else {devices}
    shares = (memory_bytes * count / (gb * GIB) for gb in entry.memory_gb for count in counts)
    return any(MEMORY_LOW <= share <= MEMORY_HIGH for share in shares)


def _units_fit(entry: Entry, devices: int, units: int | None) -> bool:
    if units is None or entry.units is None:
        return True
    each = entry.units // devices
    # HIP counts the work-group processors of RDNA, pairs of the compute units that data sheets count.
    return units == each or (entry.target.startswith(RDNA) and units * 2 == each)


def _by_pci_id(tables: Tables, found: list[Entry], pci_id: str | None) -> list[Entry]:
    """Keep those that list the id where some do; refuse all where only other entries list it."""
    if not pci_id:
        return found
    pci_id = pci_id.lower()
    listing = [e for e in found if pci_id in e.pci_ids]
    if listing or not any(pci_id in e.pci_ids for e in tables.entries):
        return listing or found
    return [e for e in found if not e.pci_ids]


def _refusal(
    named: list[Entry], torch_device: str | None, memory_bytes: int | None, units: int | None, pci_id: str | None
) -> str:
    if not any(_torch_device_fits(e, torch_device) for e in named):
        return f"the torch device ({torch_device})"
    if all(_settle(e, memory_bytes, None) is None for e in named):
        return f"the memory ({(memory_bytes or 0) / GIB:.1f} GiB)"
    if all(_settle(e, memory_bytes, units) is None for e in named):
        return f"the number of units ({units})"
    return f"the PCI id ({pci_id})"
