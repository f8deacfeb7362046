"""Thresholds as users write them: `--threshold 3%`, and `[tool.bench.compare]` of a project's pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.analysis.comparison import Thresholds
from bench.errors import UsageError, unknown_name

PERCENT: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*")
TABLES: Final = ("compare",)
"""What `[tool.bench]` may hold."""
KEYS: Final = ("threshold", "thresholds")
"""What `[tool.bench.compare]` may hold."""


def share(argument: str, value: object) -> float:
    """ "3%" → 0.03; a fraction below 1, as text or number, is taken as it is. UsageError names the argument."""
    text = str(value)
    matched = PERCENT.fullmatch(text)
    try:
        found = float(matched.group(1)) / 100 if matched else float(text)
    except ValueError:
        found = -1.0
    if isinstance(value, bool) or not 0 < found < 1:
        raise UsageError(f"{argument}: {text!r} is not a change above 0 % and below 100 %; write it as 3% or 0.03")
    return found


def thresholds(asked: str | None, folder: Path) -> Thresholds:
    """What --threshold says, and the pyproject.toml of `folder` or of the nearest folder above it that has one."""
    every = None if asked is None else share("--threshold", asked)
    path = next((path for up in (folder, *folder.parents) if (path := up / "pyproject.toml").is_file()), None)
    if path is None:
        return Thresholds(asked=every)
    table = _table(path)
    default = table.get("threshold")
    return Thresholds(
        asked=every,
        by_kernel=_by_kernel(path, table.get("thresholds", {})),
        default=None if default is None else share(f"{path}: tool.bench.compare.threshold", default),
    )


def _table(path: Path) -> Mapping[str, Any]:
    """[tool.bench.compare]; empty where the file has none."""
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, no TOML, a number of thousands of digits
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error
    ours = _mapping(path, "tool.bench", _mapping(path, "tool", document.get("tool", {})).get("bench", {}))
    _known(path, "tool.bench", ours, TABLES)
    compare = _mapping(path, "tool.bench.compare", ours.get("compare", {}))
    _known(path, "tool.bench.compare", compare, KEYS)
    return compare


def _by_kernel(path: Path, given: object) -> dict[str, float]:
    name = "tool.bench.compare.thresholds"
    return {kernel: share(f"{path}: {name}.{kernel}", value) for kernel, value in _mapping(path, name, given).items()}


def _mapping(path: Path, name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {name}: {value!r} is not a table")
    return value


def _known(path: Path, name: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise unknown_name(f"{path}: {name}", key, allowed)
