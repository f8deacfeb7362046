"""The rules by which a device of a fleet is called sick, as data: figures that are checked, never code that is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from bench.errors import UsageError

Positive = Annotated[float, msgspec.Meta(gt=0, le=1000)]
"""A finite figure above nothing: TOML knows inf and nan, and a rule of either never or always holds."""
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]

ARGUMENT: Final = "--rules"


class Neighbours(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a device's kind is taken to be like."""

    few: Annotated[int, msgspec.Meta(ge=2, le=1000)]
    assumed_spread: Positive
    least_spread: Positive


class Limits(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All have to be reached."""

    robust_z: Positive
    distance: Positive
    distance_spreads: Positive


class HistoryRule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Against stored runs."""

    points: Annotated[int, msgspec.Meta(ge=2, le=100_000)]
    robust_z: Positive
    slowdown: Positive


class RatingRule(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Against the rating alone."""

    least_share: Share
    least_time_s: Annotated[float, msgspec.Meta(ge=0, le=3600)]


class Rules(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All rules; the packaged defaults are `bench/analysis/data/fleet.toml`, where each has its comment."""

    neighbours: Neighbours
    device: Limits
    series: Limits
    history: HistoryRule
    rating: RatingRule


def rules(defaults: Mapping[str, Any], given: Mapping[str, Any] | None = None, name: str = "") -> Rules:
    """The rules of two TOML documents: what `given` leaves out is as in `defaults`.

    Raises UsageError that names the file and the key for anything that is no rule.
    """
    merged = dict(defaults)
    for table, values in (given or {}).items():
        both = isinstance(values, Mapping) and isinstance(merged.get(table), Mapping)
        merged[table] = {**merged[table], **values} if both else values
    try:
        return msgspec.convert(merged, Rules)
    except msgspec.ValidationError as error:
        tables = ", ".join(Rules.__struct_fields__)
        raise UsageError(f"{ARGUMENT}: {name}: {error}; tables are {tables}") from None
