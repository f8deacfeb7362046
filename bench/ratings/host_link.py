"""The rated link between a device and its host: PCI Express by its speed and lanes, or what a user's file gives.

What the link of a device is, `bench.devices` finds out.
"""

from __future__ import annotations

from typing import Final

from bench.ratings.tables import Entry
from bench.records import Device, PcieLink, Rated

HOST_LINK: Final = "host link"
"""The key of the rating; like that of the links between devices no key of `DeviceRatings.peaks`."""
FIGURE: Final = "host_link_gb_per_s_bidirectional"

_OF_SPEED: Final[dict[float, tuple[str, int, int]]] = {
    # 1e9 transfers a second and lane → generation, and how many are packets of so many bits or bytes that travel:
    # 8b/10b, then 128b/130b, then flits of 256 bytes with 236 of packets (PCI Express Base Specification 6.0).
    2.5: ("1.0", 8, 10),
    5.0: ("2.0", 8, 10),
    8.0: ("3.0", 128, 130),
    16.0: ("4.0", 128, 130),
    32.0: ("5.0", 128, 130),
    64.0: ("6.0", 236, 256),
    128.0: ("7.0", 236, 256),
}
_NOT_BY_PCIE: Final = ("Superchip", "APU", "SoC")
"""How the form factors of the tables begin whose processor is on the same module: PCI Express is not how they exchange
data, though they may have it as well."""


def host_link(device: Device, entry: Entry | None) -> tuple[Rated | None, str]:
    """What the link carries in one direction in bytes per second, or None and why.

    A figure of the user comes first. Else it is that of PCI Express at the speed and the lanes that the device is made
    for: the slot may have less, which is then a loss and not another rating.
    """
    if entry is not None and FIGURE in entry.user_figures and entry.host_link_gb_per_s_bidirectional is not None:
        both = entry.host_link_gb_per_s_bidirectional
        rated = Rated(
            kind="user",
            bytes_per_s=both * 1e9 / 2 / entry.devices_per_row[0],
            source=f"{entry.name}: half of {both:g} GB/s in both directions: {entry.user_file}",
        )
        return rated, ""
    if device.kind == "cpu":
        return None, "a processor is the host"
    if device.details.get("integrated") or (entry is not None and entry.form_factor.startswith(_NOT_BY_PCIE)):
        return None, "it exchanges data with its host by another way than PCI Express, and no source gives a figure"
    if device.pcie is None:
        return None, "nothing tells which link it has to its host"
    carried = bytes_per_s(device.pcie.gt_per_s, device.pcie.lanes)
    if carried is None:
        return None, f"{device.pcie.gt_per_s:g} GT/s is no speed of PCI Express that is known here"
    return Rated(kind="computed", bytes_per_s=carried, source=_source(device.pcie)), ""


def bytes_per_s(gt_per_s: float, lanes: int) -> float | None:
    """Bytes of packets that so many lanes carry in one direction; None for a speed that PCI Express doesn't have."""
    if gt_per_s not in _OF_SPEED:
        return None
    _, packets, of_all = _OF_SPEED[gt_per_s]
    return gt_per_s * 1e9 * lanes / 8 * packets / of_all


def generation(gt_per_s: float) -> str:
    """ "5.0" of 32; "of 50 GT/s" of a speed that isn't known."""
    return _OF_SPEED[gt_per_s][0] if gt_per_s in _OF_SPEED else f"of {gt_per_s:g} GT/s"


def describe(link: PcieLink) -> str:
    """ "PCI Express 5.0 x16", with what the slot leaves of that: ", 8 lanes in use, slot 4.0"."""
    words = [f"PCI Express {generation(link.gt_per_s)} x{link.lanes}"]
    if link.lanes_here not in (None, link.lanes):
        words.append(f"{link.lanes_here} lanes in use")
    if link.gt_per_s_here not in (None, link.gt_per_s):
        words.append(f"slot {generation(link.gt_per_s_here or 0.0)}")
    return ", ".join(words)


def _source(link: PcieLink) -> str:
    _, packets, of_all = _OF_SPEED[link.gt_per_s]
    return (
        f"PCI Express {generation(link.gt_per_s)} x{link.lanes}: {link.gt_per_s:g} GT/s × {link.lanes} lanes / 8 × "
        f"{packets}/{of_all} (PCI Express Base Specification), one direction; the device's own capability by "
        f"{link.source}"
    )
