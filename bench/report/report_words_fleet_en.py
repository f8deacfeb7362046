"""The words of a report on fleets in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FLEET_EN: Final[Mapping[str, str]] = {
    "fleet": "Fleet",
    "fleet.note": (
        "Devices that were measured together, each against the median device of its kind (product, memory, slice), "
        "kinds never mixed. The time over a device's series, and the distance of its samples, both have to say that "
        "it is slower; or a row fails on it alone, or it is far below its rating or its stored runs."
    ),
    "fleet.title": "Fleet report",
    "fleet.lead": "Many devices side by side: who is slow, by how much, and why.",
    "fleet.counts": (
        "Devices: {devices} · sick: {sick} · not judged: {unjudged} · kinds: {kinds} · runs: {runs} · rows: {rows}"
    ),
    "fleet.sick": "Sick devices",
    "fleet.sick.none": "No device is sick.",
    "fleet.sick.more": "And {n} more: all of them are in the JSON document of the command fleet.",
    "fleet.unjudged": "Not judged",
    "fleet.map": "Node by device",
    "fleet.map.figures": (
        "A line a node. Figure and colour are the device's time over the median device of its kind: 1.10 is 10 % "
        "slower. A triangle marks a sick device, a dashed frame one that can't be judged."
    ),
    "fleet.map.cells": (
        "A cell a device, node after node, each line named by its first. Point at a cell for its name and its time "
        "over the median device of its kind: 1.10 is 10 % slower. A triangle marks a sick device."
    ),
    "fleet.map.nodes": (
        "Too many devices for a cell each: here a cell stands for nodes in their order, {nodes} each, coloured by the "
        "median of its devices' times over the median device of their kind. A triangle marks a cell with a sick device."
    ),
    "fleet.map.alt": (
        "{devices} devices on {nodes} nodes by their time over the median device of their kind, from {low} to {high}: "
        "{sick} sick, {unjudged} not judged."
    ),
    "fleet.map.x": "time over the median device of the kind",
    "fleet.is.sick": "sick",
    "fleet.is.unjudged": "not judged",
    "fleet.is.healthy": "healthy",
    "fleet.kinds": "Kinds",
    "fleet.spread": "How the devices of a kind are spread",
    "fleet.spread.note": (
        "Time over the median device: over all series of a device, then for each kernel and precision the case in "
        "which a device stands out most. Figures: the fastest, the median and the slowest. From the dashed line on, a "
        "device that is slower by as much in all of its samples is sick; triangles, or orange bars, stand there. What "
        "lies beyond the axis stands at its edge."
    ),
    "fleet.spread.all": "all series of a device",
    "fleet.spread.alt": "{sku}: how {n} devices are spread in time over their median device. {items}",
    "fleet.spread.item": (
        "{name}: from {low} to {high}, median {middle}, middle half {q1} to {q3}; sick from {bound} on."
    ),
    "fleet.devices": "Every device",
    "fleet.rule.failed": "a row fails here alone",
    "fleet.rule.device": "slow over all series",
    "fleet.rule.series": "slow in a series",
    "fleet.rule.history": "slower than stored runs",
    "fleet.rule.rating": "far below its rating",
    "col.kind": "Kind",
    "col.devices": "Devices",
    "col.sick": "Sick",
    "col.series": "Series",
    "col.spread": "Spread (robust σ)",
    "col.fastest": "Fastest",
    "col.quartile.1": "Quarter",
    "col.quartile.3": "Three quarters",
    "col.slowest": "Slowest",
    "col.which": "Fastest … slowest",
    "col.relative": "Time over the kind's",
    "col.z": "Robust z",
    "col.distance": "Distance (ln)",
    "col.of_rated": "Share of rated",
    "col.rule": "Rules broken",
}
