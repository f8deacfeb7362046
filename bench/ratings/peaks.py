"""The rated peaks of one torch device, each with its kind and source, and the reason where there is none.

Keys are "precision/accumulation" and "bandwidth". How a processor's peaks are computed is `bench.ratings.processors`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from bench.ratings import processors
from bench.ratings.host_link import FIGURE, HOST_LINK, host_link
from bench.ratings.matching import match, why_no_match
from bench.ratings.tables import Entry, Tables
from bench.records import Device, Rated

KEY_FIGURES: Final[dict[str, tuple[str, ...]]] = {
    # The first figure that an entry has rates the key. Matrix units before vector units where a GEMM uses them:
    # cuBLAS and rocBLAS run FP64 on FP64 tensor/matrix units, rocBLAS runs FP32 on CDNA's FP32 matrix units.
    "fp64/fp64": ("fp64_tensor_tflops", "fp64_tflops"),
    "fp32/fp32": ("fp32_matrix_tflops", "fp32_tflops"),
    "tf32/fp32": ("tf32_tflops",),
    "bf16/fp32": ("bf16_tflops",),
    "fp16/fp32": ("fp16_tflops",),
    "fp16/fp16": ("fp16_accumulate_fp16_tflops",),
    "fp8/fp32": ("fp8_tflops",),
    "fp8/fp16": ("fp8_accumulate_fp16_tflops",),
    "int8/int32": ("int8_tops",),
}
MIXED: Final = "int8/mixed"
BANDWIDTH: Final = "bandwidth"
INTERCONNECT: Final = "interconnect"
"""No key of `peaks`: it is no peak of a device by itself."""
FABRIC: Final = re.compile(r"NVLink\d( \(cut\))?|Infinity Fabric \(\d+ links\)")
"""Links that every card of a row has to all others of its node, as the tables call them. Not bridges, which join a pair
where they are mounted, nor PCIe, which is the board's."""
KEYS: Final = (*KEY_FIGURES, MIXED, BANDWIDTH)

HOW_TO_ADD: Final = (
    "add a rating with --ratings my.toml holding [[device]], name = {name!r} and figures such as {figure}"
)

FIGURES_TO_ADD: Final = {
    BANDWIDTH: "bandwidth_gb_per_s = 100",
    INTERCONNECT: "interconnect_gb_per_s_bidirectional = 100",
    HOST_LINK: f"{FIGURE} = 100",
}

Kind = Literal["datasheet", "computed", "user", "undisclosed"]


@dataclass(frozen=True)
class DeviceRatings:
    """The ratings of one device: the matched row's name, the peaks by key, and why the others are missing."""

    name: str | None
    peaks: dict[str, Rated]
    device_name: str
    why_none: str = ""
    """Why the device has no row at all; "" where it has one."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Key → why this key has no figure, where there is more to say than that no source gives it."""
    interconnect: Rated | None = None
    """What the links of the device to others of its kind carry in one direction; None where that is not known."""
    host_link: Rated | None = None
    """What its link to the host carries in one direction; None where that is not known."""

    def rated(self, key: str) -> Rated | None:
        """The rating of a key of `peaks` or of one of the two links; None where there is none."""
        links = {INTERCONNECT: self.interconnect, HOST_LINK: self.host_link}
        return links[key] if key in links else self.peaks.get(key)

    def reason(self, key: str) -> str:
        """Why `key` has no figure and how to add one; "" where it has one."""
        rated = self.rated(key)
        if rated is not None and rated.kind != "undisclosed":
            return ""
        why = self.why.get(key) or self.why_none or f"no source gives {self.name} a figure for {key}"
        figure = FIGURES_TO_ADD.get(key, "fp16_tflops = 100")
        return f"{why}; {HOW_TO_ADD.format(name=self.device_name, figure=figure)}"


def ratings_for(device: Device, tables: Tables) -> DeviceRatings:
    """The ratings of a device: from its row of the tables, or computed where it is a processor.

    A row that exists but leaves a key blank gives it the kind "undisclosed"; a device without a row has no peaks. The
    link to the host is the device's own, row or none, but for a slice, which shares its card's.
    """
    entry = _entry(device, tables)
    ratings = _ratings_by(entry, device, tables)
    if ratings.name is None and device.mig:
        return ratings
    link, why = host_link(device, entry)
    return replace(ratings, host_link=link, why={**ratings.why, HOST_LINK: why} if why else ratings.why)


def _ratings_by(entry: Entry | None, device: Device, tables: Tables) -> DeviceRatings:
    if device.kind == "cpu":
        return _processor_ratings(device, tables, entry)
    if device.mig and (entry is None or not entry.user_file):
        return DeviceRatings(None, {}, device.name, f"{device.name!r} is the slice {device.mig} of a card")
    if entry is None:
        why = why_no_match(
            tables,
            device.name,
            torch_device=device.kind,
            memory_bytes=device.memory_bytes,
            units=all_units(device),
            pci_id=device.pci_id,
        )
        return DeviceRatings(None, {}, device.name, f"unlisted: {why}")
    peaks = peaks_of(entry)
    for key in KEYS:
        peaks.setdefault(key, Rated(kind="undisclosed", source=f"{entry.name}: no source gives this figure"))
    return DeviceRatings(entry.name, peaks, device.name, interconnect=interconnect_of(entry))


def interconnect_of(entry: Entry) -> Rated | None:
    """What the links of one torch device carry in one direction, bytes per second; None where the row tells none.

    Half of the figure that vendors print, which counts both directions: bus bandwidth is set against one direction
    (nccl-tests, doc/PERFORMANCE.md).
    """
    both = entry.interconnect_gb_per_s_bidirectional
    given_by_user = "interconnect_gb_per_s_bidirectional" in entry.user_figures
    if both is None or not (given_by_user or FABRIC.fullmatch(entry.interconnect)):
        return None
    where = entry.user_file if given_by_user else entry.hardware_source or entry.source
    name = f"{entry.interconnect}, " if entry.interconnect else ""
    return Rated(
        kind="user" if given_by_user else "datasheet",
        bytes_per_s=both * 1e9 / 2 / entry.devices_per_row[0],
        source=f"{entry.name}: {name}half of {both:g} GB/s in both directions: {where}",
    )


def peaks_of(entry: Entry) -> dict[str, Rated]:
    """The figures of an entry per torch device, in operations or bytes per second; only the keys that it has."""
    peaks = {key: rated for key in KEY_FIGURES if (rated := _peak(entry, key)) is not None}
    mixed = mixed_peak(peaks)
    if mixed is not None:
        peaks[MIXED] = mixed
    if entry.bandwidth_gb_per_s is not None:
        peaks[BANDWIDTH] = Rated(
            kind=_kind(entry, "bandwidth_gb_per_s"),
            bytes_per_s=entry.bandwidth_gb_per_s * 1e9 / entry.devices_per_row[0],
            source=_source(entry, "bandwidth_gb_per_s"),
        )
    return peaks


def mixed_peak(peaks: Mapping[str, Rated]) -> Rated | None:
    """The rating of int8 attention with an FP16 second product: the harmonic mean of its halves (design, Precision)."""
    int8, fp16 = peaks.get("int8/int32"), peaks.get("fp16/fp32")
    if int8 is None or fp16 is None or not int8.operations_per_s or not fp16.operations_per_s:
        return None
    return Rated(
        kind="user" if "user" in (int8.kind, fp16.kind) else "computed",
        operations_per_s=2 / (1 / int8.operations_per_s + 1 / fp16.operations_per_s),
        source=f"harmonic mean of int8/int32 and fp16/fp32, each half of the operations; int8: {int8.source}",
        clock_hz=int8.clock_hz,
    )


def figure_for(entry: Entry, key: str) -> str | None:
    """Which figure of the entry rates the key: the user's own before a built-in one; None where it has none."""
    figures = KEY_FIGURES[key]
    if key == "fp16/fp16" and not entry.matrix_units:
        figures = (*figures, "fp16_vector_tflops")  # packed FP16, the fastest that a card without matrix units has
    given = [f for f in figures if getattr(entry, f) is not None]
    return next((f for f in given if f in entry.user_figures), given[0] if given else None)


def is_matrix_figure(figure: str) -> bool:
    """Whether a figure is rated at the tensor clock, where a card has two: all but FP64, FP32 and vector figures."""
    return not figure.startswith(("fp64", "fp32")) and "vector" not in figure


def rated_clock_hz(entry: Entry, figure: str) -> float | None:
    """The clock that a figure is rated at."""
    mhz = (entry.tensor_clock_mhz if is_matrix_figure(figure) else None) or entry.boost_clock_mhz
    return mhz * 1e6 if mhz else None


def _peak(entry: Entry, key: str) -> Rated | None:
    figure = figure_for(entry, key)
    if figure is None:
        return None
    return Rated(
        kind=_kind(entry, figure),
        operations_per_s=round(getattr(entry, figure) * 1e12) / entry.devices_per_row[0],
        source=_source(entry, figure),
        clock_hz=rated_clock_hz(entry, figure),
    )


def _kind(entry: Entry, figure: str) -> Kind:
    return "user" if figure in entry.user_figures else "datasheet"


def _source(entry: Entry, figure: str) -> str:
    share = f", one of {entry.devices_per_row[0]} devices of the row" if entry.devices_per_row[0] > 1 else ""
    if figure in entry.user_figures:
        return f"{entry.name}{share}: {entry.user_file}" + (f" ({entry.source})" if entry.source else "")
    trust = ", ".join(filter(None, (entry.source_kind, entry.seen_as and f"read as {entry.seen_as}")))
    confidence = f", confidence {entry.confidence}" if entry.confidence else ""
    return f"{entry.name}{share}: {entry.source} ({trust}{confidence})"


def all_units(device: Device) -> int | None:
    """The units that identify a SKU: those the device has, not those left in use."""
    return device.units.total if device.units.total is not None else device.units.in_use


def _entry(device: Device, tables: Tables) -> Entry | None:
    cpu = device.kind == "cpu"
    return match(
        tables,
        device.name,
        torch_device=device.kind,
        # A user's figure for a processor is for the processor by its name: cores in use and host memory vary.
        memory_bytes=None if cpu else device.memory_bytes,
        units=None if cpu else all_units(device),
        pci_id=device.pci_id,
    )


def _processor_ratings(device: Device, tables: Tables, entry: Entry | None) -> DeviceRatings:
    computed = processors.compute(device, tables)
    given = peaks_of(entry) if entry is not None else {}
    peaks = {**computed.peaks, **given}
    mixed = mixed_peak(peaks)
    if mixed is not None:
        peaks[MIXED] = mixed
    name = entry.name if entry is not None else computed.name
    for key in KEYS if name is not None else ():
        peaks.setdefault(key, Rated(kind="undisclosed", source=computed.why.get(key, "no source gives this figure")))
    return DeviceRatings(
        name,
        peaks,
        device.name,
        "" if name is not None else computed.why_none,
        computed.why,
        None if entry is None else interconnect_of(entry),
    )
