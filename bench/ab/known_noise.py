"""How far launches of each series scattered in earlier comparisons here: for saying, before an `ab` measures, what it
can see. A file in the user's cache; what can't be read is as good as absent, and no verdict depends on it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Final

from bench.ab.checkout import cache_folder
from bench.analysis.verdicts import SeriesVerdict
from bench.stats.robust import median

KEPT: Final = 9
"""Comparisons remembered of each series (ours): their median is told."""
MOST_SERIES: Final = 10_000


def file() -> Path:
    """Where it is remembered."""
    return cache_folder() / "launch-noise.json"


def recall(path: Path) -> dict[str, float]:
    """Name (`name_of`) → relative standard deviation of a launch, the median of what is remembered."""
    return {name: median(noises) for name, noises in _read(path).items()}


def remember(path: Path, verdicts: Iterable[SeriesVerdict]) -> None:
    """Add what a comparison has seen. A file that can't be written is no failure."""
    known = _read(path)
    for one in verdicts:
        if one.launch_noise:
            name = name_of(one.series, one.group)
            known[name] = [*known.pop(name, []), one.launch_noise][-KEPT:]
    newest = dict(list(known.items())[-MOST_SERIES:])
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(newest, stream)
        Path(temporary).replace(path)


def name_of(series: str, group: str) -> str:
    """A series on a kind of device."""
    return f"{series} · {group}"


def _read(path: Path) -> dict[str, list[float]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, Mapping):
        return {}
    return {name: noises for name, values in found.items() if (noises := _noises(values))}


def _noises(values: object) -> list[float]:
    if not isinstance(values, list):
        return []
    return [float(value) for value in values if isinstance(value, int | float) and isfinite(value) and value > 0]
