"""How exported JSON and text are put into bytes: finite numbers only, UTF-8, one newline at the end."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any


def json_bytes(document: Any, indent: int | None = 2) -> bytes:
    """JSON with NaN and Infinity as null: strict readers refuse a file that has them."""
    text = json.dumps(finite(document), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def text_bytes(text: str) -> bytes:
    """UTF-8 with one newline at the end."""
    return text.rstrip("\n").encode("utf-8", "replace") + b"\n"


def finite(value: Any) -> Any:
    """The same with every float that JSON has no word for as None."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value
